"""Top-N lists from a finished run: what the trained model would recommend to a user, beyond what it knows of them.

As in evaluation, items that the user has only in the test set may be in the list.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from upliftlens.benchmarks.config.sections import configuration_of
from upliftlens.benchmarks.evaluation.ranking import tie_order
from upliftlens.benchmarks.evaluation.scoring import Moments, moments
from upliftlens.benchmarks.runs import fit as fitting
from upliftlens.benchmarks.runs.compatible import FOR_NEW_USERS
from upliftlens.benchmarks.runs.lookup import item_indices, user_index
from upliftlens.benchmarks.runs.plan import Plan, plan
from upliftlens.benchmarks.runs.prepare import Prepared, prepare
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.runs.store import Store
from upliftlens.benchmarks.system.environment import fix_numerics
from upliftlens.benchmarks.system.talk import Reporter
from upliftlens.benchmarks.training.programs import keep_programs
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import concatenate, interactions


class Recommended(NamedTuple):
    """One line of a list: rank from 1, raw item id, title (or the id again), score."""

    rank: int
    item: str
    title: str
    score: float


def find_run(records: list[Record], run: str) -> Record:
    """The finished run whose key begins with ``run``.

    Raises:
        UpliftlensError: if none or several do.
    """
    finished = [record for record in records if record.status == "done" and not record.trial]
    matching = [record for record in finished if record.key.startswith(run)]
    if not run or not matching:
        if not finished:
            raise UpliftlensError("the store holds no finished run: make one with `upliftlens run`")
        some = ", ".join(f"{record.key[:8]} ({record.model})" for record in finished[-8:])
        raise UpliftlensError(f"unknown run '{run}': there is{', for example' if len(finished) > 8 else ''}: {some}")
    if len(matching) > 1:
        keys = ", ".join(record.key for record in matching[:4])
        raise UpliftlensError(f"'{run}' begins {len(matching)} keys ({keys}): write more of it")
    return matching[0]


def recommend(record: Record, overrides: Mapping[str, Any], user: str, k: int, reporter: Reporter) -> list[Recommended]:
    """The ``k`` best items for a raw user id, without the user's items of training and validation.

    Ties are broken as in evaluation.

    ``overrides`` replaces entries of the record's configuration that change no number (where store and cache are).

    Raises:
        UpliftlensError: for an unknown user, ``k`` below 1, or data that have changed since the run.
    """
    opened = _opened(record, overrides, k, reporter)
    index, parts = user_index(opened.prepared.dataset, user), opened.prepared.split
    rows = parts.fit if parts.shown is None else concatenate(parts.fit, parts.shown.test)
    trained = opened.trained(reporter)
    return _best(opened, trained, _known_of(index, trained, opened.prepared), index, rows.item[rows.user == index], k)


def recommend_for(
    record: Record, overrides: Mapping[str, Any], history: Sequence[str], k: int, reporter: Reporter
) -> list[Recommended]:
    """The ``k`` best items for somebody who liked the items that ``history`` names, the oldest first; without those.

    Each counts as a positive, with the highest value of the scale. Otherwise as ``recommend``.

    Raises:
        UpliftlensError: for an unknown item, or a model that has no score for users whom it was not trained on.
    """
    opened = _opened(record, overrides, k, reporter)
    dataset = opened.prepared.dataset
    items = item_indices(dataset, history)
    trained = opened.trained(reporter)
    if trained.method.new_users is None:
        raise UpliftlensError(
            f"model={record.model} has no score for users whom it was not trained on: take a run of "
            f"{', '.join(FOR_NEW_USERS)}, or ask for a user of the data with --user"
        )
    shown = interactions(
        np.zeros(len(items)), items, np.full(len(items), dataset.scale[1]), len(dataset.users), len(dataset.items)
    )
    known = moments(trained.method, trained.data, np.array([0]), shown, np.ones(len(items), bool))
    return _best(opened, trained, known, 0, items, k)


class _Opened(NamedTuple):
    """A finished run with its data."""

    record: Record
    plan: Plan
    prepared: Prepared

    def trained(self, reporter: Reporter) -> fitting.Trained:
        """The fit of the run."""
        try:
            return fitting.restore(self.plan, self.prepared, reporter.say)
        except UpliftlensError as error:
            folder = Store(self.plan.store).folder("runs", self.record.key)
            raise UpliftlensError(
                f"{' '.join(str(error).split())}\nDelete the folder {folder}, too, and run it again"
            ) from None


def _opened(record: Record, overrides: Mapping[str, Any], k: int, reporter: Reporter) -> _Opened:
    fix_numerics()
    if k < 1:
        raise UpliftlensError(f"-k {k}: ask for at least one item")
    planned = plan(configuration_of({**record.config, **overrides}))
    keep_programs(planned.cache)
    prepared = prepare(planned, reporter)
    if prepared.fit_key != record.fit_key:
        raise UpliftlensError(
            f"run {record.key} was made from other data, another model file or another version of Upliftlens: "
            "run it again"
        )
    return _Opened(record, planned, prepared)


def _best(
    opened: _Opened, trained: fitting.Trained, known: Moments, user: int, left_out: np.ndarray, k: int
) -> list[Recommended]:
    """The best items by the scores of the user i, of whom the method is told what is ``known``."""
    at = jax.tree.map(jnp.asarray, known.query(np.array([user])))
    scores = np.array(trained.method.score(trained.state, trained.data, at)[0])
    scores[left_out] = -np.inf
    best = np.lexsort((tie_order(len(scores), opened.plan.metrics.tie_seed), -scores))[:k]
    items = opened.prepared.dataset.items
    titles = items["title"] if "title" in items else items["id"]
    return [
        Recommended(place, str(items["id"].iloc[item]), str(titles.iloc[item]), float(scores[item]))
        for place, item in enumerate(best, start=1)
        if scores[item] > -np.inf
    ]


def _known_of(index: int, trained: fitting.Trained, prepared: Prepared) -> Moments:
    """What the method is told of a user: the rows that it trained on, or those shown of a user without such rows."""
    shown = prepared.split.shown
    user, log = np.array([index]), trained.data.log
    if shown is None or (np.asarray(log.user)[np.asarray(log.weight) > 0] == index).any():
        return moments(trained.method, trained.data, user, None, None)
    rows, dataset = concatenate(shown.test, shown.validation), prepared.dataset
    relevant = np.ones(len(rows), bool) if dataset.feedback == "implicit" else rows.value >= dataset.relevance
    return moments(trained.method, trained.data, user, rows, relevant)

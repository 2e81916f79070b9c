"""Top-N lists from a finished run: what the trained model would recommend to a user, beyond what it knows of them.

As in evaluation, items that the user has only in the test set may be in the list.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from upliftlens.benchmarks.config.sections import configuration_of
from upliftlens.benchmarks.evaluation.ranking import targets, top_lists
from upliftlens.benchmarks.evaluation.scoring import moments
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
from upliftlens.causal.interactions import Interactions, concatenate, interactions, take


class Recommended(NamedTuple):
    """One line of a list: raw user id ("" for one who is not in the data), rank from 1, raw item id, title (or the id
    again), score.
    """

    user: str
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


def recommend(
    record: Record, overrides: Mapping[str, Any], user: str | None, k: int, reporter: Reporter
) -> list[Recommended]:
    """The ``k`` best items for a raw user id, or for every user (None), without the items known of the user.

    Those are the items of training and validation, and of what is shown of new users. Ties are broken as in evaluation.

    ``overrides`` replaces entries of the record's configuration that change no number (where store and cache are).

    Raises:
        UpliftlensError: for an unknown user, ``k`` below 1, or data that have changed since the run.
    """
    opened = _opened(record, overrides, k, reporter)
    dataset, parts = opened.prepared.dataset, opened.prepared.split
    users = np.arange(len(dataset.users)) if user is None else np.array([user_index(dataset, user)])
    trained, seen, shown = opened.trained(reporter), parts.fit, None
    fitted = np.asarray(trained.data.log.user)[np.asarray(trained.data.log.weight) > 0]
    new = np.zeros(len(users), bool) if parts.shown is None else ~np.isin(users, fitted)
    lists = _lists(opened, trained, users[~new], seen, None, k)
    if parts.shown is not None:
        shown = concatenate(parts.shown.test, parts.shown.validation)
        lists += _lists(opened, trained, users[new], concatenate(seen, shown), shown, k)
    ids = dataset.users["id"].astype(str).to_numpy()
    return [line._replace(user=ids[index]) for index, line in sorted(lists, key=lambda pair: (pair[0], pair[1].rank))]


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
    nobody, best = np.zeros(len(items)), np.full(len(items), max(dataset.scale[1], dataset.relevance))
    shown = interactions(nobody, items, best, len(dataset.users), len(dataset.items))
    return [line for _, line in _lists(opened, trained, np.zeros(1, int), shown, shown, k)]


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


def _lists(
    opened: _Opened,
    trained: fitting.Trained,
    users: np.ndarray,
    seen: Interactions,
    shown: Interactions | None,
    k: int,
) -> list[tuple[int, Recommended]]:
    """The lists of ``users`` i[U], with the user's index; of new users the method is told what is ``shown``."""
    if not len(users):
        return []
    method, (state, data) = trained.method, jax.device_put((trained.state, trained.data))
    dataset, options = opened.prepared.dataset, opened.plan.metrics
    relevant = None
    if shown is not None:
        relevant = np.ones(len(shown), bool) if dataset.feedback == "implicit" else shown.value >= dataset.relevance
    nothing = take(seen, np.zeros(len(seen), bool))
    to_rank = targets(nothing, np.zeros(0, bool), take(seen, np.isin(seen.user, users)), users)
    known = moments(method, data, users, shown, relevant)
    block = min(options.block, len(users))
    items, scores = top_lists(method.score, state, data, known, to_rank, block, options.tie_seed, k)
    ids = dataset.items["id"].astype(str).to_numpy()
    titles = dataset.items["title"].astype(str).to_numpy() if "title" in dataset.items else ids
    return [
        (int(user), Recommended("", place, ids[item], titles[item], float(score)))
        for user, row, values in zip(to_rank.users, items, scores, strict=True)
        for place, (item, score) in enumerate(zip(row, values, strict=True), start=1)
        if item >= 0
    ]

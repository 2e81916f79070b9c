"""Top-N lists from a finished run: what the trained model would recommend to one user, beyond what it was fitted on.

As in evaluation, items that the user has only in the test set may be in the list.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pandas as pd

from upliftlens.benchmarks.config.sections import configuration_of
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.evaluation.ranking import tie_order
from upliftlens.benchmarks.runs import fit as fitting
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.benchmarks.runs.prepare import prepare
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.runs.store import Store
from upliftlens.benchmarks.system.talk import Reporter
from upliftlens.benchmarks.training.programs import keep_programs
from upliftlens.causal.errors import UpliftlensError


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
    dataset = prepared.dataset
    index = _user_index(dataset, user)
    try:
        trained = fitting.restore(planned, prepared, reporter.say)
    except UpliftlensError as error:
        folder = Store(planned.store).folder("runs", record.key)
        raise UpliftlensError(
            f"{' '.join(str(error).split())}\nDelete the folder {folder}, too, and run it again"
        ) from None
    scores = np.array(trained.method.score(trained.state, trained.data, jnp.array([index], jnp.int32))[0])
    for part in (prepared.split.train, prepared.split.validation):
        scores[part.item[part.user == index]] = -np.inf
    ties = tie_order(len(scores), planned.metrics.tie_seed)
    best = np.lexsort((ties, -scores))[:k]
    titles = dataset.items["title"] if "title" in dataset.items else dataset.items["id"]
    return [
        Recommended(place, str(dataset.items["id"].iloc[item]), str(titles.iloc[item]), float(scores[item]))
        for place, item in enumerate(best, start=1)
        if scores[item] > -np.inf
    ]


def _user_index(dataset: Dataset, user: str) -> int:
    ids: pd.Series = dataset.users["id"].astype(str)
    rows = np.flatnonzero(ids.to_numpy() == user)
    if not len(rows):
        raise UpliftlensError(
            f"{dataset.name} has no user '{user}'; its {len(ids)} ids run from '{ids.iloc[0]}' to '{ids.iloc[-1]}'"
        )
    return int(rows[0])

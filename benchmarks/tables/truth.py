"""Metrics of a finished run over all pairs of a world whose every rating is known: no test set, no sampling."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from upliftlens.benchmarks.data import true_ratings
from upliftlens.benchmarks.evaluation.evaluate import HeldOut, evaluate
from upliftlens.benchmarks.evaluation.outcome import Evaluation
from upliftlens.benchmarks.runs.fit import restore
from upliftlens.benchmarks.runs.plan import Plan
from upliftlens.benchmarks.runs.prepare import prepare
from upliftlens.benchmarks.system.talk import quiet
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions, interactions, take


def everywhere(made: Plan) -> Evaluation:
    """The plan's metrics over all users × items, from its stored fit. Only metrics of predictions make sense.

    Raises:
        UpliftlensError: if the data's ratings aren't all known, or the run was not done.
    """
    prepared = prepare(made, quiet)
    trained = restore(made, prepared)
    pairs = _pairs(made.data, made.cache)
    dataset = prepared.dataset
    nothing = take(pairs, np.zeros(len(pairs), bool))
    every = HeldOut(pairs, nothing, dataset.relevance, dataset.scale, dataset.feedback)
    return evaluate(trained.method, trained.state, trained.data, every, made.metrics)


@lru_cache(maxsize=1)
def _pairs(data: Any, cache: Path) -> Interactions:
    ratings = true_ratings(data, cache)
    if ratings is None:
        raise UpliftlensError(
            f"data={data.name}: not every rating is known: use everywhere: false, or schnabel-ml-100k"
        )
    users, items = np.divmod(np.arange(ratings.size), ratings.shape[1])
    return interactions(users, items, ratings.ravel(), *ratings.shape)

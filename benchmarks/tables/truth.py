"""Metrics of a finished run over all pairs of a world whose every rating is known: no test set, no sampling."""

from functools import lru_cache

import numpy as np

from upliftlens.benchmarks.data.world import World
from upliftlens.benchmarks.evaluation.evaluate import HeldOut, evaluate
from upliftlens.benchmarks.evaluation.evaluation import Evaluation
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
    dataset = prepared.dataset
    pairs = None if dataset.world is None else _pairs(dataset.world)
    if pairs is None:
        raise UpliftlensError(
            f"data={made.data.name}: not every rating is known: use everywhere: false, or schnabel-ml-100k"
        )
    nothing = take(pairs, np.zeros(len(pairs), bool))
    every = HeldOut(pairs, nothing, dataset.relevance, dataset.scale, dataset.feedback)
    return evaluate(trained.method, trained.state, trained.data, every, made.metrics)


@lru_cache(maxsize=1)
def _pairs(world: World) -> Interactions | None:
    if (ratings := world.ratings) is None:
        return None
    users, items = np.divmod(np.arange(ratings.size), ratings.shape[1])
    return interactions(users, items, ratings.ravel(), *ratings.shape)

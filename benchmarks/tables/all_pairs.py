"""Metrics of a finished run over all pairs of a world with known ratings, instead of over a test set."""

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


def over_all_pairs(plan: Plan) -> Evaluation:
    """The plan's metrics over all users × items, from its stored fit. Only metrics of predictions are meaningful.

    Raises:
        UpliftlensError: if not all ratings of the data are known, or the run is not in the store.
    """
    prepared = prepare(plan, quiet)
    trained = restore(plan, prepared)
    dataset = prepared.dataset
    pairs = None if dataset.world is None else _pairs(dataset.world)
    if pairs is None:
        raise UpliftlensError(
            f"data={plan.data.name}: not every rating is known: use everywhere: false, or schnabel-ml-100k"
        )
    seen = take(pairs, np.zeros(len(pairs), bool))  # none
    held_out = HeldOut(pairs, seen, dataset.relevance, dataset.scale, dataset.feedback)
    return evaluate(trained.method, trained.state, trained.data, held_out, plan.metrics)


@lru_cache(maxsize=1)
def _pairs(world: World) -> Interactions | None:
    if (ratings := world.ratings) is None:
        return None
    users, items = np.divmod(np.arange(ratings.size), ratings.shape[1])
    return interactions(users, items, ratings.ravel(), *ratings.shape)

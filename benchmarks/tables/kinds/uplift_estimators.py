"""How good are estimates of uplift@k? Bias, spread and coverage against the truth, over simulated logs of a world.

The world's users are a population. For every simulated log, users are drawn from it, then treatments and outcomes of
the items on the list; each estimator gives its value and its interval over users, as in the records of runs. The list,
the same for all users, holds the k items with most outcomes in a log of the whole population. The outcome means of the
doubly-robust estimator come from that log too. The truth is the mean effect of the list over the population.
"""

import time
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from scipy import stats

from upliftlens.benchmarks.tables.kinds.estimators import spread_bounds
from upliftlens.benchmarks.tables.run import Names, dataset_of
from upliftlens.benchmarks.tables.table import Cell, TableKind, TableOptions, Where, within
from upliftlens.causal.effects import uplift
from upliftlens.causal.effects.outcome_means import outcome_means
from upliftlens.causal.effects.treatment import action_propensity
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions, interactions
from upliftlens.causal.intervals import Resampling, Statistic, percentile, quotient, replicates, value
from upliftlens.causal.options import Above, AtLeast, Within
from upliftlens.causal.worlds.potential import PotentialWorld, draw

_POINTS = 100  # percentage points: effects are differences of shares


@dataclass(frozen=True, kw_only=True)
class Options(TableOptions, Resampling):
    """``k`` items on the list, ``users`` of each of the ``logs``, and the resampling of a log's users.

    ``chi`` clips propensities: e ≥ chi where recommended, e ≤ 1 − chi where not; ``shrinkage``: rows that pull an
    item's mean outcome towards its arm's; ``coverage``: the share of intervals with the truth that the verdict asks.
    """

    data: Names
    k: Annotated[int, AtLeast(1)]
    users: Annotated[int, AtLeast(2)]
    logs: Annotated[int, AtLeast(2)]
    chi: Annotated[float, Within(0, 0.5, "[)")]
    shrinkage: Annotated[float, Above(0)]
    coverage: tuple[Annotated[float, Within(0, 1)], Annotated[float, Within(0, 1)]]


def uplift_estimator_cells(definition: Options, where: Where) -> list[Cell]:
    """Bias, standard deviation and root mean square error in percentage points, and coverage of intervals in percent.

    Raises:
        UpliftlensError: for data whose truth is not known, or numbers out of their range.
    """
    started = time.perf_counter()
    dataset = dataset_of(definition.data, where)
    world = None if dataset.world is None else dataset.world.potential
    if world is None:
        raise UpliftlensError(f"{dataset.name}: the truth is not known: use data=[data=uplift-synthetic], for instance")
    truth, logs = _simulated(world, definition)
    results: dict[str, list[tuple[float, bool]]] = {}
    for number, (log, m1, m0) in enumerate(logs):
        estimates = _estimates(log, m1, m0, definition.chi)
        drawn, _ = replicates(list(estimates.values()), definition)
        for (name, estimate), replicated in zip(estimates.items(), drawn, strict=True):
            low, high = percentile(replicated, definition.level)
            results.setdefault(name, []).append((value(estimate) - truth, low <= truth <= high))
        if (number + 1) % max(1, definition.logs // 5) == 0:
            where.say(f"{number + 1} of {definition.logs} logs, {time.perf_counter() - started:.0f} s")
    where.say(f"true uplift@{definition.k} of the list: {_POINTS * truth:.2f} percentage points")
    return [cell for row in results for cell in _cells(row, np.array(results[row]).T, definition)]


def _simulated(world: PotentialWorld, definition: Options) -> tuple[float, Any]:
    """The true effect of the list, and an iterator over logs with their predicted outcomes m1, m0 f64[N]."""
    n_types, n_items = world.mu1.shape
    k, n_users = definition.k, definition.users
    if k > n_items:
        raise UpliftlensError(f"k must be at most {n_items}, the number of items, got {k}")
    history = draw(world, definition.seed)
    shown = np.argsort(-np.bincount(history.item, history.value, n_items), kind="stable")[:k]
    means = [np.tile(mean[shown], n_users) for mean in outcome_means(history, definition.shrinkage)]
    mu1, mu0, e, recorded = (part[:, shown] for part in (world.mu1, world.mu0, world.propensity, world.recorded))
    user, item = np.repeat(np.arange(n_users, dtype=np.int32), k), np.tile(np.arange(k, dtype=np.int32), n_users)

    def logs() -> Any:
        # A separate stream: the history was drawn with the plain seed.
        rng = np.random.default_rng(np.random.SeedSequence(definition.seed, spawn_key=(1,)))
        for _ in range(definition.logs):
            who = rng.integers(n_types, size=n_users)
            treated = rng.random((n_users, k)) < e[who]
            outcome = rng.random((n_users, k)) < np.where(treated, mu1[who], mu0[who])
            outcomes = outcome.ravel().astype(np.float32)
            done = action_propensity(treated, recorded[who]).ravel()
            yield interactions(user, item, outcomes, n_users, k, None, treated.ravel(), done), *means

    return float((mu1 - mu0).mean(dtype=np.float64)), logs()


def _estimates(log: Interactions, m1: np.ndarray, m0: np.ndarray, chi: float) -> dict[str, Statistic]:
    weight = np.ones(len(log))
    users, pooled, user_means = np.arange(log.n_users), {}, {}
    for name in uplift.ESTIMATORS:
        sums = uplift.estimate(name, log, weight, chi, m1, m0)
        pooled[name] = Statistic(users, sums, uplift.arm_difference)
        user_means[f"{name}/user-mean"] = Statistic(users, uplift.per_user_mean(sums), quotient)
    return pooled | user_means


def _cells(row: str, results: np.ndarray, definition: Options) -> list[Cell]:
    """Bias, sd, rmse and coverage, each with its interval over the simulated logs: errors, and what was covered."""
    error, covered, n, level = results[0] * _POINTS, results[1], results.shape[1], definition.level
    z = float(stats.norm.ppf(0.5 + level / 2))
    bias, sd = float(error.mean()), float(error.std(ddof=1))
    half = z * sd / np.sqrt(n)
    squares = error**2
    mse, half_mse = squares.mean(), z * squares.std(ddof=1) / np.sqrt(n)
    rmse, rmse_low, rmse_high = (np.sqrt(max(0.0, square)) for square in (mse, mse - half_mse, mse + half_mse))
    share = stats.binomtest(int(covered.sum()), n).proportion_ci(level, "wilson")
    coverage, verdict = float(covered.mean()), within(share.low, share.high, *definition.coverage)
    return [
        Cell(row, "bias, pp", bias, bias - half, bias + half, None, "", ()),
        Cell(row, "sd, pp", sd, *spread_bounds(sd, n, level), None, "", ()),
        Cell(row, "rmse, pp", float(rmse), float(rmse_low), float(rmse_high), None, "", ()),
        Cell(row, "coverage, %", 100 * coverage, 100 * share.low, 100 * share.high, None, verdict, ()),
    ]


kind = TableKind("uplift-estimators", Options, uplift_estimator_cells, size=lambda definition: definition.logs)

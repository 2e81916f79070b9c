"""How good are estimates of uplift@k? Bias, spread and coverage against the truth, over simulated logs of a world.

The world's users are a population. Every simulated log redraws users from it, then treatments and outcomes of the items
on the list; each estimator gives its value and its interval over users, as runs report them. The list, the same for all
users, holds the k items most often taken in a log of the whole population, which also gives the doubly-robust
estimator its outcome means; the truth is the mean effect of the list over the population.
"""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import stats

from upliftlens.benchmarks.config.typed import typed
from upliftlens.benchmarks.data import config_type, load
from upliftlens.benchmarks.tables.table import Cell, TableKind, Where
from upliftlens.causal.effects import uplift
from upliftlens.causal.effects.outcome_means import outcome_means
from upliftlens.causal.effects.treatment import UpliftLog
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.intervals import Resampling, Statistic, percentile, replicates, value
from upliftlens.causal.worlds.potential import PotentialWorld, draw

_NAMES = uplift.ESTIMATORS
_POINTS = 100  # effects are differences of shares: percentage points can be read


def uplift_estimator_cells(content: Mapping[str, Any], where: Where) -> list[Cell]:
    """Bias, standard deviation and root mean square error in percentage points, and coverage of intervals in percent.

    Raises:
        UpliftlensError: for data whose truth is not known, or numbers out of their range.
    """
    from upliftlens.benchmarks.config.compose import composed

    started = time.perf_counter()
    data = composed(content["data"])["data"]
    dataset = load(typed(config_type(data), data, "data"), where.cache, where.say)
    world = None if dataset.world is None else dataset.world.potential
    if world is None:
        raise UpliftlensError(f"{dataset.name}: the truth is not known: use data=[data=uplift-synthetic], for instance")
    resampling = Resampling(content["level"], content["resamples"], content["seed"])
    truth, logs = _simulated(world, content)
    values: dict[str, list[float]] = {}
    covered: dict[str, list[bool]] = {}
    for number, (log, m1, m0) in enumerate(logs):
        result = _estimates(log, m1, m0, content["chi"])
        drawn, _ = replicates(list(result.values()), resampling)
        for (name, item), replicated in zip(result.items(), drawn, strict=True):
            low, high = percentile(replicated, resampling.level)
            values.setdefault(name, []).append(value(item))
            covered.setdefault(name, []).append(low <= truth <= high)
        if (number + 1) % max(1, content["logs"] // 5) == 0:
            where.say(f"{number + 1} of {content['logs']} logs, {time.perf_counter() - started:.0f} s")
    where.say(f"true uplift@{content['k']} of the list: {_POINTS * truth:.2f} percentage points")
    return [
        cell
        for name in values
        for cell in _cells(name, np.array(values[name]) - truth, np.array(covered[name]), content)
    ]


def _simulated(world: PotentialWorld, content: Mapping[str, Any]) -> tuple[float, Any]:
    """The true effect of the list, and an iterator over logs with their predicted outcomes m1, m0 f64[N]."""
    n_types, n_items = world.mu1.shape
    k, n_users = content["k"], content["users"]
    if not (0 < k <= n_items and n_users > 1 and content["logs"] > 1):
        raise UpliftlensError(f"the table needs 0 < k ≤ {n_items} items, users > 1 and logs > 1")
    history = draw(world, content["seed"])
    shown = np.argsort(-np.bincount(history.item, history.outcome, n_items), kind="stable")[:k]
    means = [np.tile(mean[shown], n_users) for mean in outcome_means(history, content["shrinkage"])]
    mu1, mu0, e, recorded = (part[:, shown] for part in (world.mu1, world.mu0, world.propensity, world.recorded))
    user, item = np.repeat(np.arange(n_users, dtype=np.int32), k), np.tile(np.arange(k, dtype=np.int32), n_users)

    def logs() -> Any:
        # A stream of its own: the history came from the plain seed.
        rng = np.random.default_rng(np.random.SeedSequence(content["seed"], spawn_key=(1,)))
        for _ in range(content["logs"]):
            who = rng.integers(n_types, size=n_users)
            treated = rng.random((n_users, k)) < e[who]
            outcome = rng.random((n_users, k)) < np.where(treated, mu1[who], mu0[who])
            yield (
                UpliftLog(
                    user, item, treated.ravel(), outcome.ravel().astype(np.float32), recorded[who].ravel(), n_users, k
                ),
                *means,
            )

    return float((mu1 - mu0).mean(dtype=np.float64)), logs()


def _estimates(log: UpliftLog, m1: np.ndarray, m0: np.ndarray, chi: float) -> dict[str, Statistic]:
    weight = np.ones(len(log))
    units, sums = np.arange(log.n_users), {name: uplift.estimate(name, log, weight, chi, m1, m0) for name in _NAMES}
    return {
        **{name: Statistic(units, this_sum, uplift.arm_difference) for name, this_sum in sums.items()},
        **{
            f"{name}/user-mean": Statistic(units, uplift.per_user_mean(this_sum), uplift.mean_over_users)
            for name, this_sum in sums.items()
        },
    }


def _cells(row: str, error: np.ndarray, covered: np.ndarray, content: Mapping[str, Any]) -> list[Cell]:
    """Each number with the interval that the number of simulated logs leaves."""
    error, n, level = error * _POINTS, len(error), content["level"]
    z = float(stats.norm.ppf(0.5 + level / 2))
    bias, sd = float(error.mean()), float(error.std(ddof=1))
    half = z * sd / np.sqrt(n)
    spread = [sd * float(np.sqrt((n - 1) / stats.chi2.ppf(q, n - 1))) for q in (0.5 + level / 2, 0.5 - level / 2)]
    squares = error**2
    rmse = float(np.sqrt(squares.mean()))
    around = [
        float(np.sqrt(max(0.0, squares.mean() + sign * z * squares.std(ddof=1) / np.sqrt(n)))) for sign in (-1, 1)
    ]
    share = stats.binomtest(int(covered.sum()), n).proportion_ci(level, "wilson")
    coverage = float(covered.mean())
    low, high = content["coverage"]
    said = f"{'within' if low <= coverage <= high else 'outside'} {100 * low:.0f}–{100 * high:.0f} %"
    return [
        Cell(row, "bias, pp", bias, bias - half, bias + half, None, "", ()),
        Cell(row, "sd, pp", sd, spread[0], spread[1], None, "", ()),
        Cell(row, "rmse, pp", rmse, around[0], around[1], None, "", ()),
        Cell(row, "coverage, %", 100 * coverage, 100 * share.low, 100 * share.high, None, said, ()),
    ]


kind = TableKind("uplift-estimators", uplift_estimator_cells)

"""How often the interval of a metric holds its true value for new users *and* new items: a simulation, without models.

    error of pair (u, i):  e = √a·A_u + √b·B_i + √(1−a−b)·C_ui       A, B, C ~ N(0, 1); so is the prediction x
    value x + e;  label 1 where ρx + √(1−ρ²)·e > 0

A trial draws users, items and the items that each user tested: items of popularity exp(``popularity``·N(0, 1)) without
replacement. The truth for new users and items: rmse 1, mae √(2/π), auc ½ + (2/π)·arcsin(ρ/√2). Column ``METRIC,
users``: the share of trials whose interval over resampled users holds it; ``METRIC, users × items``: of both resampled;
``METRIC, wider``: the median of the widths of the latter over those of the former.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Annotated

import numpy as np
from scipy import stats

from upliftlens.benchmarks.metrics.metric import Pairs, crossed_sums
from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.benchmarks.tables.table import Cell, TableKind, TableOptions, Where
from upliftlens.causal.intervals import Resampling, Statistic, percentile, replicates
from upliftlens.causal.options import SEEDS, AtLeast, Distinct, Within

_METRICS = ("rmse", "mae", "auc")
Shares = Annotated[tuple[Annotated[float, Within(0, 0.5, "[)")], ...], Distinct()]


@dataclass(frozen=True, kw_only=True)
class Options(TableOptions):
    """The rows ``user_share`` (a) × ``item_share`` (b) of the variance; see the module for the world.

    ``correlation``: ρ.
    """

    user_share: Shares
    item_share: Shares
    users: Annotated[int, AtLeast(2)]
    items: Annotated[int, AtLeast(2)]
    per_user: Annotated[int, AtLeast(1)]
    popularity: Annotated[float, AtLeast(0)]
    correlation: Annotated[float, Within(-1, 1)]
    trials: Annotated[int, AtLeast(2)]
    seed: Annotated[int, SEEDS]
    interval: Resampling


def _drawn(definition: Options, user_share: float, item_share: float, rng: np.random.Generator) -> Pairs:
    """The test pairs of a trial."""
    n, items, k = definition.users, definition.items, min(definition.per_user, definition.items)
    # Gumbel's trick: the k largest of log weight + noise are k draws without replacement.
    weight = definition.popularity * rng.normal(size=items) + rng.gumbel(size=(n, items))
    item = np.argpartition(-weight, k - 1, axis=1)[:, :k].ravel()
    row = np.repeat(np.arange(n), k)

    def normal() -> np.ndarray:
        of_users, of_items, alone = rng.normal(size=n), rng.normal(size=items), rng.normal(size=n * k)
        rest = np.sqrt(1 - user_share - item_share)
        return np.sqrt(user_share) * of_users[row] + np.sqrt(item_share) * of_items[item] + rest * alone

    x, e, rho = normal(), normal(), definition.correlation
    positive = rho * x + np.sqrt(1 - rho**2) * e > 0
    return Pairs(row, n, x + e, positive, x, (-np.inf, np.inf), n_pairs=n * items, item=item)


def _intervals(pairs: Pairs, by_item: bool, resampling: Resampling) -> np.ndarray:
    """f64[M, 2]: the interval of each metric."""
    statistics = []
    for metric in (choose(name).metric for name in _METRICS):
        sums, crossed = crossed_sums(metric, pairs, np.inf) if by_item else (metric.sums(pairs, np.inf), None)
        statistics.append(Statistic(np.arange(pairs.n_users), sums, metric.reduce, None, crossed))
    drawn, _ = replicates(statistics, resampling)
    return np.array([percentile(row, resampling.level) for row in drawn])


def _truth(definition: Options) -> Mapping[str, float]:
    auc = 0.5 + 2 / np.pi * np.arcsin(definition.correlation / np.sqrt(2))
    return {"rmse": 1.0, "mae": float(np.sqrt(2 / np.pi)), "auc": float(auc)}


def covers(low: float, high: float, level: float) -> str:
    """The verdict on a share of trials with the interval [low, high]: what the trials can tell from ``level``."""
    return "misses" if high < level else "too wide" if low > level else "holds"


def coverage_items_cells(definition: Options, where: Where) -> list[Cell]:
    """Coverage of both kinds of interval, and how much wider the second is, for every metric and world."""
    cells, truth = [], np.array([_truth(definition)[name] for name in _METRICS])
    for number, (user_share, item_share) in enumerate(product(definition.user_share, definition.item_share)):
        rng = np.random.default_rng([definition.seed, number])
        drawn = [_drawn(definition, user_share, item_share, rng) for _ in range(definition.trials)]
        # f64[2, T, M, 2]: users alone and both, trials, metrics, bounds
        bounds = np.array(
            [[_intervals(pairs, by_item, definition.interval) for pairs in drawn] for by_item in (False, True)]
        )
        held = ((bounds[..., 0] <= truth) & (truth <= bounds[..., 1])).sum(axis=1)
        width = np.diff(bounds)[..., 0]
        row = f"user share {user_share:g}, item share {item_share:g}"
        for place, name in enumerate(_METRICS):
            for over, times in zip(("users", "users × items"), held[:, place], strict=True):
                share = int(times) / definition.trials
                low, high = map(float, stats.binomtest(int(times), definition.trials).proportion_ci())
                verdict = covers(low, high, definition.interval.level)
                cells.append(Cell(row, f"{name}, {over}", share, low, high, None, verdict, ()))
            middle, low, high = map(float, np.quantile(width[1, :, place] / width[0, :, place], (0.5, 0.025, 0.975)))
            cells.append(Cell(row, f"{name}, wider", middle, low, high, None, "", ()))
        where.say(f"{row}: {', '.join(f'{count / definition.trials:.3f}' for count in held.T.ravel())}")
    return cells


kind = TableKind("coverage-items", Options, coverage_items_cells, size=lambda definition: definition.trials)

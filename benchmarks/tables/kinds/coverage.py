"""How often intervals hold the truth when methods have few runs, in simulation; nothing is trained.

    the difference, or the value of a method, of user u in run s:   a_u + b_s + c_us
    a ~ N(0, 1) of users,   b ~ N(0, seed_sd²/U) of seeds,   c ~ N(0, noise²) of user × run

The truth is 0. ``seed_sd`` is in standard errors of the users' part, 1/√U. Column ``coverage``: the share of trials
in which the interval of a difference (``difference_of``) holds 0; ``coverage of a value``: that of a single method
(``bounds``). Column ``width``: the median width of the former over that of an interval which knows all variances,
2·z·√((1 + (seed_sd² + noise²)/S)/U): the price of estimating the spread of runs from so few.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Annotated

import numpy as np
from scipy import stats

from upliftlens.benchmarks.tables.table import Cell, TableKind, TableOptions, Where, within
from upliftlens.causal.intervals import Resampling, draws
from upliftlens.causal.options import SEEDS, AtLeast, Distinct, Within
from upliftlens.causal.over_runs import bounds, difference_of, pooled

Spreads = Annotated[tuple[Annotated[float, AtLeast(0)], ...], Distinct()]


@dataclass(frozen=True, kw_only=True)
class Options(TableOptions):
    """The cells of ``runs`` × ``seed_sd`` × ``noise``; how many ``users`` and ``trials``, and their ``seed``.

    ``least`` and ``most``: the coverage that is asked for, the latter by the number of runs (1 where none is stated).
    """

    runs: Annotated[tuple[Annotated[int, AtLeast(1)], ...], Distinct()]
    seed_sd: Spreads
    noise: Spreads
    users: Annotated[int, AtLeast(2)]
    trials: Annotated[int, AtLeast(2)]
    seed: Annotated[int, SEEDS]
    interval: Resampling
    least: Annotated[float, Within(0, 1)]
    most: Mapping[str, float]


def coverage_cells(definition: Options, where: Where) -> list[Cell]:
    """Coverages and width for every number of runs, spread of seeds and noise."""
    cells, n = [], definition.users
    (counts,) = draws(n, definition.interval, definition.interval.resamples)
    for number, (runs, seed_sd, noise) in enumerate(product(definition.runs, definition.seed_sd, definition.noise)):
        rng, held, of_value, widths = np.random.default_rng([definition.seed, number]), 0, 0, []
        for _ in range(definition.trials):
            seeds = seed_sd / np.sqrt(n) * rng.normal(size=(runs, 1))
            per_user = rng.normal(size=n) + seeds + noise * rng.normal(size=(runs, n))
            mean = pooled(per_user.mean(axis=1), per_user @ counts / n)
            difference = difference_of(mean, n, definition.interval.level)
            held += difference.lo <= 0 <= difference.hi
            widths.append(difference.hi - difference.lo)
            low, high = bounds(mean, definition.interval.level)
            of_value += low <= 0 <= high
        row = f"{runs} run{'s' if runs > 1 else ''}, seed sd {seed_sd:g}, noise {noise:g}"
        known = 2 * stats.norm.isf((1 - definition.interval.level) / 2)
        known *= np.sqrt((1 + (seed_sd**2 + noise**2) / runs) / n)
        for column, times in (("coverage", held), ("coverage of a value", of_value)):
            share = times / definition.trials
            low, high = map(float, stats.binomtest(times, definition.trials).proportion_ci())
            verdict = within(low, high, definition.least, definition.most.get(str(runs), 1.0))
            cells.append(Cell(row, column, share, low, high, None, verdict, ()))
        middle, low, high = map(float, np.quantile(widths, (0.5, 0.025, 0.975)) / known)
        cells.append(Cell(row, "width", middle, low, high, None, "", ()))
        where.say(f"{row}: {held / definition.trials:.3f}, of a value {of_value / definition.trials:.3f}")
    return cells


kind = TableKind("coverage", Options, coverage_cells, size=lambda definition: definition.trials)

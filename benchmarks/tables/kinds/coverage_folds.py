"""How often intervals over folds hold the expected value, where estimators are cross-validated on data drawn anew.

    y = b_u + x·(w + g_u) + ε,   x ~ N(0, 1) of a row with P features,   w = 1/√P each
    b ~ N(0, ½²),   g ~ N(0, ½²/P) of user u,   ε ~ N(0, noise²)

A method knows a third of the features, so that three of them are equal in expectation. It is fitted by ridge regression
towards a start, minimising |y − xβ|² + λ|β − start|², and then to each user's mean error, shrunk: Σ error/(rows + 1).
With several seeds a seed draws the start from N(0, ``start``²/P); with one the start is 0, a method without a seed. The
more features there are for a row, the more training rows decide. A fourth method is the first with ten times the λ.

The log of a trial is cut into k folds, and ``causal.over_runs`` gets the runs. True is the mean over all trials: the
expected value of a fit to (k − 1)/k of such a log. Columns, each a share of trials:

    value            the interval of the mean squared error of the first method holds the true one
    difference       that of the paired difference of the first and the fourth method
    model alone      that of a value of the trained model alone: the mean score of the ten highest of 50 fresh rows
    false            any of the three pairs of equal methods is called different, after Holm's correction

``independent``: with runs that count as independent of each other. ``width``: the median width over 2·z·(the standard
deviation over trials).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Annotated, NamedTuple

import numpy as np
from scipy import stats

from upliftlens.benchmarks.tables.table import Cell, TableKind, TableOptions, Where, within
from upliftlens.causal.intervals import Resampling, draws, holm
from upliftlens.causal.options import SEEDS, AtLeast, Distinct, Within
from upliftlens.causal.over_runs import Source, bounds, difference_of, pooled

_EQUAL = 3  # methods that are equal in expectation
_FIRMER = 10  # times λ, in the fourth
_LIST, _CANDIDATES = 10, 50


@dataclass(frozen=True)
class World:
    """``users`` with ``rows`` each, a third of the ``features`` for each method, the ``noise``; λ is ``penalty``."""

    users: Annotated[int, AtLeast(2)]
    rows: Annotated[int, AtLeast(2)]
    features: Annotated[int, AtLeast(_EQUAL)]
    noise: Annotated[float, AtLeast(0)]
    penalty: Annotated[float, AtLeast(0)]


@dataclass(frozen=True, kw_only=True)
class Options(TableOptions):
    """The rows ``folds`` × ``seeds`` (how many) × ``worlds``; ``trials`` of each, and their ``seed``.

    ``least``: the coverage that is asked for; ``most``: the share of false differences.
    """

    folds: Annotated[tuple[Annotated[int, AtLeast(2)], ...], Distinct()]
    seeds: Annotated[tuple[Annotated[int, AtLeast(1)], ...], Distinct()]
    worlds: Annotated[Mapping[str, World], Distinct()]
    start: Annotated[float, AtLeast(0)]
    trials: Annotated[int, AtLeast(2)]
    seed: Annotated[int, SEEDS]
    interval: Resampling
    least: Annotated[float, Within(0, 1)]
    most: Annotated[float, Within(0, 1)]


class Runs(NamedTuple):
    """Of 4 methods in k folds with S seeds: sums of squared errors f64[4, k, S, U] of U users, their numbers of test
    rows f64[k, U], and the value of the model alone f64[4, k, S]."""

    squared: np.ndarray
    tested: np.ndarray
    alone: np.ndarray


def cross_validated(world: World, folds: int, seeds: int, start: float, rng: np.random.Generator) -> Runs:
    """The runs on a log that is drawn anew, as are the seeds' starts."""
    n, size = world.users * world.rows, world.features // _EQUAL
    width = size * _EQUAL
    user, x = np.repeat(np.arange(world.users), world.rows), rng.normal(size=(n, width))
    slopes = (1 + 0.5 * rng.normal(size=(world.users, width))) / np.sqrt(width)
    y = 0.5 * rng.normal(size=world.users)[user] + (x * slopes[user]).sum(axis=1) + world.noise * rng.normal(size=n)
    starts = (start if seeds > 1 else 0.0) * rng.normal(size=(_EQUAL, size, seeds)) / np.sqrt(width)
    candidates, fold = rng.normal(size=(_CANDIDATES, size)), rng.permutation(n) % folds
    squared = np.empty((_EQUAL + 1, folds, seeds, world.users))
    tested, alone = np.empty((folds, world.users)), np.empty((_EQUAL + 1, folds, seeds))
    for place, method in product(range(folds), range(_EQUAL + 1)):
        known, penalty = method % _EQUAL, world.penalty * (_FIRMER if method == _EQUAL else 1)
        columns, train = x[:, known * size : (known + 1) * size], fold != place
        gram = columns[train].T @ columns[train] + penalty * np.eye(size)
        beta = np.linalg.solve(gram, (columns[train].T @ y[train])[:, None] + penalty * starts[known])
        error, rows = y[:, None] - columns @ beta, np.bincount(user[train], minlength=world.users)
        tested[place] = world.rows - rows
        alone[method, place] = np.sort(candidates @ beta, axis=0)[-_LIST:].mean(axis=0)
        for seed in range(seeds):
            of_user = np.bincount(user[train], error[train, seed], world.users) / (rows + 1)
            left = np.where(train, 0.0, error[:, seed] - of_user[user])
            squared[method, place, seed] = np.bincount(user, left**2, world.users)
    return Runs(squared, tested, alone)


def intervals(runs: Runs, counts: np.ndarray, level: float) -> tuple[np.ndarray, list[bool]]:
    """Mean and bounds f64[3, 2, 3] of value, difference and model alone, over folds and with runs that count as
    independent; and whether a pair of equal methods is called different, in both ways.

    ``counts`` f64[U, R]: how often each user is in each resample.
    """
    methods, folds, seeds, users = runs.squared.shape
    fold, seed = np.divmod(np.arange(folds * seeds), seeds)
    tested = 1 / (folds - 1)
    values = (runs.squared.sum(axis=-1) / runs.tested.sum(axis=-1)[:, None]).reshape(methods, -1)
    drawn = (runs.squared @ counts / (runs.tested @ counts)[:, None]).reshape(*values.shape, -1)
    alone = runs.alone[0].ravel()

    def sources(shared: float) -> list[Source]:
        return [Source(fold, shared), *[Source(seed)] * (seeds > 1)]

    out, false = np.empty((3, 2, 3)), []
    ways: tuple[tuple[Sequence[Source], Sequence[Source]], ...] = ((sources(tested), sources(1 / tested)), ((), ()))
    for way, (of_rows, of_model) in enumerate(ways):
        value = pooled(values[0], drawn[0], of_rows)
        of_model_alone = pooled(alone, np.repeat(alone[:, None], 2, axis=1), of_model)
        *equal, unequal = (
            difference_of(pooled(values[a] - values[b], drawn[a] - drawn[b], of_rows), users, level)
            for a, b in [*combinations(range(_EQUAL), 2), (0, _EQUAL)]
        )
        out[0, way] = value.mean, *bounds(value, level)
        out[1, way] = unequal[:3]
        out[2, way] = of_model_alone.mean, *bounds(of_model_alone, level)
        false.append(min(holm([each.p for each in equal])) <= 1 - level)
    return out, false


def coverage_folds_cells(definition: Options, where: Where) -> list[Cell]:
    """Coverages, widths and shares of false differences for every world and number of folds and seeds."""
    cells, level = [], definition.interval.level
    rows = product(definition.worlds.items(), definition.folds, definition.seeds)
    for number, ((name, world), folds, seeds) in enumerate(rows):
        rng = np.random.default_rng([definition.seed, number])
        (counts,) = draws(world.users, definition.interval, definition.interval.resamples)
        drawn = [
            intervals(cross_validated(world, folds, seeds, definition.start, rng), counts, level)
            for _ in range(definition.trials)
        ]
        row = f"{folds} folds, {seeds} seed{'s' if seeds > 1 else ''}, {name}"
        of_row = list(
            _cells(row, np.array([each for each, _ in drawn]), np.array([each for _, each in drawn]), definition)
        )
        where.say(f"{row}: {', '.join(f'{cell.column} {cell.value:.3f}' for cell in of_row)}")
        cells += of_row
    return cells


def _cells(row: str, bounded: np.ndarray, false: np.ndarray, definition: Options) -> Iterator[Cell]:
    """``bounded`` f64[trials, 3, 2, 3] and ``false`` bool[trials, 2]: the ``intervals`` of all trials."""

    def share(column: str, events: np.ndarray, least: float, most: float) -> Cell:
        low, high = map(float, stats.binomtest(int(events.sum()), len(events)).proportion_ci())
        return Cell(row, column, float(events.mean()), low, high, None, within(low, high, least, most), ())

    known = 2 * stats.norm.isf((1 - definition.interval.level) / 2)
    for place, column in enumerate(("value", "difference", "model alone")):
        mean, low, high = np.moveaxis(
            bounded[:, place], -1, 0
        )  # f64[trials, 2] each; the mean is the same in both ways
        true, spread = mean[:, 0].mean(), mean[:, 0].std()
        for way, words in enumerate(("", ", independent")):
            held = (low[:, way] <= true) & (true <= high[:, way])
            yield share(f"{column}{words}", held, definition.least, 1.0)
        widths = (high - low)[:, 0] / (known * spread)
        middle, least, most = map(float, np.quantile(widths, (0.5, 0.025, 0.975)))
        yield Cell(row, f"{column}, width", middle, least, most, None, "", ())
    for way, words in enumerate(("", ", independent")):
        yield share(f"false{words}", false[:, way], 0.0, definition.most)


kind = TableKind("coverage-folds", Options, coverage_folds_cells, size=lambda definition: definition.trials)

"""Tables of robustness: the error of every risk estimator as its inputs get worse, over draws of a closed world.

Rows ``KNOB=VALUE`` change one knob of data=grid; the others stay at the definition's ``base``. Columns are the root
mean squared errors of the estimators over draws of the observation, and ``bias/…`` their mean errors, both relative to
the truth. Columns ``A vs B`` and ``bias/A vs B`` are the differences of the root mean squared errors and of the
absolute mean errors over the same draws, with Holm's correction over the rows of a column. The words beside a root mean
squared error say how it differs from the least of its row, over the same draws. Intervals resample the draws. The
figure shows the root mean squared errors, a panel per knob.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
import numpy as np

from upliftlens.benchmarks.data import configure
from upliftlens.benchmarks.reports.comparison import Replicated, bounds, differences, in_a_cell, p_in_words
from upliftlens.benchmarks.reports.drawing import Line, panel_plot, save
from upliftlens.benchmarks.tables.table import Cell, TableKind, TableOptions, Where, judged
from upliftlens.benchmarks.worlds.config import GridConfig
from upliftlens.benchmarks.worlds.grid import world_of
from upliftlens.causal import risk
from upliftlens.causal.errors import UpliftlensError, unknown
from upliftlens.causal.interactions import Array
from upliftlens.causal.intervals import Resampling
from upliftlens.causal.options import SEEDS, AtLeast, Distinct, Within
from upliftlens.causal.worlds.grid import Grid, Knobs, capacity_of, observed_rows

ROUNDING = 1e-6  # errors are computed in single precision
LEAST, MORE = "least", "more"  # words beside an error
Knob = Literal["propensity", "imputation", "confounding"]
Estimator = Literal["naive", "ips", "snips", "clipped_ips", "eib", "dr", "sndr", "stable_dr"]


@dataclass(frozen=True, kw_only=True)
class Options(TableOptions):
    """``world``: changes of data=grid; ``knobs``: the values of each; ``compared``: pairs of the ``estimators``.

    ``floor`` of ``clipped_ips``; ``draws`` of the observation, seeded by ``seed``; ``interval``: over the draws.
    """

    world: tuple[str, ...]
    base: Knobs
    knobs: Annotated[Mapping[Knob, Annotated[tuple[float, ...], Distinct()]], Distinct()]
    estimators: Annotated[tuple[Estimator, ...], Distinct()]
    compared: Annotated[tuple[Annotated[tuple[Estimator, Estimator], Distinct()], ...], Distinct(empty=True)]
    floor: Annotated[float, Within(0, 1, "()")]
    draws: Annotated[int, AtLeast(2)]
    seed: Annotated[int, SEEDS]
    interval: Resampling
    figure: tuple[Literal["svg", "png", "pdf"], ...]

    def __post_init__(self) -> None:
        for name in sorted({name for pair in self.compared for name in pair}.difference(self.estimators)):
            raise unknown("compared estimator", name, self.estimators)
        for knob, values in self.knobs.items():
            if len({f"{value:g}" for value in values}) < len(values):
                raise UpliftlensError(f"knobs.{knob}={list(values)}: give it values that differ in six digits")


def robustness_cells(definition: Options, where: Where) -> list[Cell]:
    """Cells of every knob's values; the figure is written to ``tables`` in the store, in each of ``figure``'s formats.

    Raises:
        UpliftlensError: for an unknown knob or estimator, an impossible world, or a draw that observes no pair.
    """
    config, resampling = configure("grid", definition.world), definition.interval
    if not isinstance(config, GridConfig):
        raise UpliftlensError("world takes changes of data=grid, as in world=[data.density=0.1]: its truth is known")
    cells: list[Cell] = []
    families: dict[str, dict[str, tuple[Replicated, Replicated]]] = {}
    for knob, values in definition.knobs.items():
        for value in values:
            world = world_of(config, replace(definition.base, **{knob: value}))
            drawn = relative_errors(world, definition.estimators, definition.draws, definition.floor, definition.seed)
            row = f"{knob}={value:g}"
            for prefix, summary in (("", _rmse), ("bias/", _mean)):
                replicated = [_replicated(errors, summary, resampling) for errors in drawn]
                by_estimator = dict(zip(definition.estimators, replicated, strict=True))
                beside = {} if prefix else beside_the_least(by_estimator, resampling)
                for name, side in by_estimator.items():
                    interval = bounds(side, resampling)
                    published, verdict = judged(definition, row, prefix + name, *interval)
                    words = "; ".join(filter(None, (verdict, beside.get(name))))
                    cells.append(Cell(row, prefix + name, side.mean, *interval, published, words, ()))
                for first, second in definition.compared:
                    family = families.setdefault(f"{prefix}{first} vs {second}", {})
                    family[row] = by_estimator[first], by_estimator[second]
    for column, family in families.items():
        cells += _paired_cells(column, family, resampling)
    for form in definition.figure:
        path = where.store / "tables" / f"robustness.{form}"
        save(panel_plot(_panels(cells, definition), definition.title, "RMSE / truth"), path)
        where.say(f"figure: {path}")
    return cells


def _panels(cells: Sequence[Cell], definition: Options) -> dict[str, list[Line]]:
    """A panel per knob with a line per estimator."""
    at = {(cell.row, cell.column): cell for cell in cells}
    panels: dict[str, list[Line]] = {}
    for knob, values in definition.knobs.items():
        for place, name in enumerate(definition.estimators):
            line = np.array([at[f"{knob}={value:g}", name][2:5] for value in values], np.float64).T
            panels.setdefault(f"{knob}: how wrong", []).append(Line(name, np.array(values), line[0], place, *line[1:]))
    return panels


def remarks(definition: Options, cells: Sequence[Cell]) -> list[str]:
    """The estimator with the least error in each row, and those that are not told apart from it."""
    sentences = []
    for row in dict.fromkeys(cell.row for cell in cells):
        verdicts = {c.column: c.verdict for c in cells if c.row == row and c.column in definition.estimators}
        (best,) = [name for name, verdict in verdicts.items() if verdict.endswith(LEAST)]
        near = [name for name, verdict in verdicts.items() if name != best and MORE not in verdict]
        beside = f", not told apart from {', '.join(near)}" if near else ""
        sentences.append(f"{row}: least error {best}{beside}.")
    n_pairs = math.comb(len(definition.estimators), 2)
    return [
        *sentences,
        f"{LEAST}, {MORE}, undecided: an error's difference from the least of its row, paired over the draws; p is "
        f"corrected for the {n_pairs} pairs of estimators of the row (Holm).",
    ]


def beside_the_least(sides: Mapping[str, Replicated], resampling: Resampling) -> dict[str, str]:
    """Words on each error of a row: the least, or what its paired difference from the least says.

    The least is chosen by the same draws, so p is corrected for all pairs: whichever had been the least, it holds.

    Raises:
        UpliftlensError: if there are too few resamples for so many pairs.
    """
    least = min(sides, key=lambda name: sides[name].mean)
    pairs = {f"{first} vs {second}": (first, second) for first, second in combinations(sides, 2)}
    decisions = differences(
        {pair: (sides[first], sides[second]) for pair, (first, second) in pairs.items()}, False, resampling
    )
    words = {least: LEAST}
    for pair, (first, second) in pairs.items():
        if least in (first, second):
            decision = decisions[pair]
            said = "undecided" if decision.better == "undecided" else MORE
            same = abs(decision.value) <= ROUNDING
            chance = p_in_words(decision, decision.p_holm, resampling.level)
            words[second if first == least else first] = "equal up to rounding" if same else f"{said} ({chance})"
    return words


def relative_errors(world: Grid, names: Sequence[str], draws: int, floor: float, seed: int) -> np.ndarray:
    """(estimate − truth)/truth, f64[len(names), draws], over draws of o ~ B(p).

    Raises:
        UpliftlensError: if a draw observes no pair.
    """
    true, capacity = float(world.loss.mean()), capacity_of(world.exposure)
    stream = np.random.default_rng([seed, 1])
    errors = np.empty((len(names), draws))
    for number in range(draws):
        rows, weight = observed_rows(world.exposure, stream, capacity)
        if not weight.any():
            raise UpliftlensError("a draw observed no pair at all: raise data.density or data.n_users")
        columns = (world.loss[rows], world.propensity[rows], world.imputed[rows])
        estimates = _all(tuple(names), floor, *columns, weight, world.imputed.mean(), float(len(world.loss)))
        errors[:, number] = (np.asarray(estimates) - true) / true
    return errors


@partial(jax.jit, static_argnums=(0, 1))
def _all(
    names: tuple[str, ...],
    floor: float,
    loss: Array,
    propensity: Array,
    imputed: Array,
    weight: Array,
    imputed_mean: Array,
    n_pairs: Array,
) -> Array:
    estimators: dict[str, risk.RiskEstimator] = {
        "naive": risk.naive,
        "ips": risk.ips,
        "snips": risk.snips,
        "clipped_ips": risk.clipped_ips(floor),
        "eib": risk.eib(imputed, imputed_mean),
        "dr": risk.doubly_robust(risk.ips, imputed, imputed_mean),
        "sndr": risk.snips_dr(imputed, imputed_mean),
        "stable_dr": risk.stable_dr(imputed, imputed_mean),
    }
    return jnp.stack([estimators[name](loss, propensity, n_pairs, weight) for name in names])


def _rmse(errors: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    return np.sqrt((errors**2).mean(axis=-1))


def _mean(errors: np.ndarray) -> np.ndarray:
    return errors.mean(axis=-1)


def _replicated(errors: np.ndarray, summary: Callable[[np.ndarray], np.ndarray], resampling: Resampling) -> Replicated:
    """A summary of errors f64[draws], and its replicates: the draws are resampled."""
    rng, units = np.random.default_rng(resampling.seed), np.arange(len(errors))
    drawn = summary(errors[rng.integers(len(errors), size=(resampling.resamples, len(errors)))])
    return Replicated(np.array([summary(errors)]), drawn[None], (units,), units)


def _paired_cells(
    column: str, family: Mapping[str, tuple[Replicated, Replicated]], resampling: Resampling
) -> Iterator[Cell]:
    """Differences in size, of which the lesser is the better."""

    def size(side: Replicated) -> Replicated:
        return side._replace(values=abs(side.values), drawn=abs(side.drawn))

    sizes = {row: (size(first), size(second)) for row, (first, second) in family.items()}
    for row, decision in differences(sizes, False, resampling).items():
        intervals = [bounds(side, resampling) for side in family[row]]
        # If both biases may be 0, which of them is larger in size is chance, even if their difference is significant.
        unbiased = column.startswith("bias/") and all(low <= 0 <= high for low, high in intervals)
        verdict = "undecided: neither can be told from 0" if unbiased else in_a_cell(decision, resampling.level)
        yield Cell(row, column, *decision[:3], None, verdict, ())


kind = TableKind("robustness", Options, robustness_cells, remarks, size=lambda definition: definition.draws)

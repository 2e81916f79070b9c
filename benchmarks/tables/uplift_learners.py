"""Tables of learners on a world of potential outcomes: tuned by estimates, tested against the truth.

Each row gets the same number of trials, on the first draw and with the first seed, scored on the validation log by an
estimate: neither the truth nor the test log is read. The winner is then fitted to the training log of every draw, with
every seed (with the first only if the learner is deterministic), and evaluated on the test log.

A cell is the mean over draws of the mean over seeds. Its interval resamples users and draws: draws of the world's logs
are the repetitions; runs that differ in the seed only are averaged within a draw. Every run is kept in the store.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Annotated

import numpy as np

from upliftlens.benchmarks.reports.comparison import Replicated, bounds
from upliftlens.benchmarks.sweeps.search import search
from upliftlens.benchmarks.sweeps.space import sample
from upliftlens.benchmarks.sweeps.tune import searched
from upliftlens.benchmarks.tables.run import (
    Measured,
    NamedChanges,
    Names,
    Runs,
    RunsOptions,
    Seeds,
    behind,
    configured,
    measured,
    measured_cell,
    paired_cells,
    planned,
    runs_of,
)
from upliftlens.benchmarks.tables.table import Cell, TableKind, Where
from upliftlens.causal.errors import unknown
from upliftlens.causal.intervals import Resampling
from upliftlens.causal.options import SEEDS, AtLeast


@dataclass(frozen=True, kw_only=True)
class Options(RunsOptions):
    """How the ``rows`` are tuned and measured (see above), and what is asked of them.

    ``only``: the rows to compute, beside the ``ceiling``; empty: all. ``deterministic``: rows for which the first seed
    is enough. ``reach``: what share of the ceiling's first column is asked of a row. ``order``: pairs of rows, of which
    the first is said to be the better by the metric ``ordered_by``.
    """

    criterion: str
    trials: Annotated[int, AtLeast(1)]
    tune_seed: Annotated[int, SEEDS]
    draws: Seeds
    rows: NamedChanges
    only: tuple[str, ...]
    deterministic: tuple[str, ...]
    columns: Names
    ceiling: str
    reach: Mapping[str, float]
    ordered_by: str
    order: tuple[tuple[str, str], ...]


def uplift_cells(definition: Options, where: Where) -> list[Cell]:
    """Cells of every row and column, of the share of the ``ceiling`` row that each row reaches, and of the order.

    Raises:
        UpliftlensError: for an unknown row or column, or a run that fails.
    """
    started = time.perf_counter()
    definition = _chosen(definition)
    names, known = {*definition.columns, definition.ordered_by}, configured(definition.common, (), where)["metrics"]
    for name in sorted(names.difference(known["names"])):
        raise unknown("column of the table (metrics.names)", name, known["names"])
    options = {row: [*definition.common, *of_row] for row, of_row in definition.rows.items()}
    winners = {row: _winner(row, options[row], definition, where) for row in options}
    tuned = time.perf_counter()
    runs: dict[str, list[Runs]] = {row: [] for row in options}
    for draw, row in product(definition.draws, options):  # by draw: its logs are simulated once
        seeds = definition.seeds[:1] if row in definition.deterministic else definition.seeds
        changes = [*winners[row], f"data.draw={draw}"]
        runs[row].append(runs_of([planned(options[row], [*changes, f"seed={seed}"], where) for seed in seeds]))
        where.say(f"draw {draw}, {row}: {len(seeds)} seeds, {_since(started)}")
    measures = {
        name: {row: _over_draws(by_draw, name, definition.interval) for row, by_draw in runs.items()} for name in names
    }
    where.say(
        f"{_since(started)} in all, of which tuning {_since(started, tuned)}; runs that were in the store took no time"
    )
    by, sides = definition.ordered_by, measures[definition.ordered_by]
    pairs = {
        (f"{first} > {second}", f"{by}, row vs row"): (sides[first], sides[second])
        for first, second in definition.order
    }
    order = paired_cells(pairs, by, definition.interval, "holds", "reversed")
    return [*_values(measures, definition), *order]


def remarks(definition: Options, cells: Sequence[Cell]) -> list[str]:
    """How rows were tuned, and which shares of the ceiling are reached."""
    sentences = [
        f"Every row with a search space had {definition.trials} trials, each judged by {definition.criterion} on the "
        f"validation log of draw {definition.draws[0]}; no row met the truth or a test log before."
    ]
    if 1 < (n := len(definition.draws)) < 5:
        sentences.append(f"Intervals are over users and {n} draws: of so few, Student's t makes the draws' part wide.")
    return sentences + [
        f"{cell.row} has {cell.value:.2f} of {definition.ceiling}'s {definition.columns[0]}: {cell.verdict}."
        for cell in cells
        if cell.column.endswith(f"share of {definition.ceiling}") and cell.verdict
    ]


def _chosen(definition: Options) -> Options:
    """The definition with the rows of ``only`` and the ceiling, and the pairs of the order whose rows are kept."""
    rows, only, ceiling = definition.rows, definition.only, definition.ceiling
    named = {*only, *definition.deterministic, *definition.reach, ceiling}.union(*definition.order)
    for name in sorted(named.difference(rows)):
        raise unknown("row of the table", name, rows)
    kept = {row: options for row, options in rows.items() if not only or row in (*only, ceiling)}
    return replace(definition, rows=kept, order=tuple(pair for pair in definition.order if kept.keys() >= set(pair)))


def _winner(row: str, options: Sequence[str], definition: Options, where: Where) -> list[str]:
    """Changes of the row's best trial by the criterion on the first draw's validation log, if it has a space."""
    monitor = [f"train.monitor={definition.criterion}"]
    fixed = [f"data.draw={definition.draws[0]}", f"seed={definition.seeds[0]}", *monitor]
    config = configured(options, fixed, where)
    space = searched(config, [*options, *fixed])
    if definition.trials < 2 or not space:
        return monitor
    trials, best = search(
        lambda changes: planned(options, [*fixed, *changes], where),
        config,
        space,
        sample,
        definition.trials,
        definition.tune_seed,
        lambda sentence: where.say(f"{row}: {sentence}"),
    )
    chosen = trials[best].changes
    settings = " ".join(chosen) or "as configured"
    where.say(f"{row}: {settings}, by {definition.criterion} on validation rows, {len(trials)} trials")
    return [*chosen, *monitor]


def _over_draws(by_draw: Sequence[Runs], name: str, resampling: Resampling) -> Measured:
    """A metric of a row: every draw is a run, averaged over seeds."""
    draws = [measured(runs, name, resampling).value for runs in by_draw]
    values, drawn = np.array([draw.mean for draw in draws]), np.stack([draw.drawn.mean(axis=0) for draw in draws])
    defined = np.unique(np.concatenate([draw.defined for draw in draws]))
    side = Replicated(values, drawn, tuple(draw.users[0] for draw in draws), defined)
    return Measured(side, [record for runs in by_draw for record in runs.records])


def _values(measures: Mapping[str, Mapping[str, Measured]], definition: Options) -> Iterator[Cell]:
    first, resampling = definition.columns[0], definition.interval
    best = measures[first][definition.ceiling]
    for row in definition.rows:
        for name in definition.columns:
            yield measured_cell(definition, row, name, measures[name][row])
        value, records = measures[first][row]
        share, verdict = value.mean / best.value.mean, ""
        # The ratio of the means, linear in both: its deviations are those of value − share·ceiling, over the ceiling.
        of_mean = {
            part: share + (getattr(value, part) - share * getattr(best.value, part)) / best.value.mean
            for part in ("values", "drawn")
        }
        if (asked := definition.reach.get(row)) is not None:
            verdict = f"{'reaches' if share >= asked else 'misses'} {asked:g}"
        column, interval = f"{first}, share of {definition.ceiling}", bounds(value._replace(**of_mean), resampling)
        yield Cell(row, column, share, *interval, None, verdict, *behind([*records, *best.records]))


def _since(start: float, end: float | None = None) -> str:
    seconds = (time.perf_counter() if end is None else end) - start
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


kind = TableKind("uplift-learners", Options, uplift_cells, remarks)

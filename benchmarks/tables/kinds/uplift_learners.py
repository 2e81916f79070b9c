"""Tables of learners on a world of potential outcomes: tuned by estimates, tested against the truth.

Each row gets the same number of trials, in the first world and with the first seed, scored on the validation log by an
estimate: neither the truth nor the test log is read. The winner is then fitted to the training log of every world, with
every seed (with the first only if the learner is deterministic), and evaluated on the test log, once for every block.

A cell is the mean over worlds of the mean over seeds. Worlds are the repetitions of its interval: each is fitted anew
and has logs of its own, so the spread between them holds what the world's fit, its logs and the seeds of training do;
Student's t has as many degrees of freedom as there are worlds, less 1. Users are resampled. Every run is kept in the
store, and the blocks, which differ in what is tested, share their fits.

The standard error of the criterion is that of one log: a run's standard deviation over resampled users, averaged over
seeds and worlds. The selection does not tell apart rows that lie closer together.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated

import numpy as np

from upliftlens.benchmarks.metrics.registry import choose, in_full
from upliftlens.benchmarks.reports.comparison import Replicated, bounds
from upliftlens.benchmarks.runs.many import Runner, run_many
from upliftlens.benchmarks.runs.plan import Plan
from upliftlens.benchmarks.sweeps.search import Search, Trial, search
from upliftlens.benchmarks.sweeps.space import sample
from upliftlens.benchmarks.sweeps.tune import searched
from upliftlens.benchmarks.tables.cells import Cell
from upliftlens.benchmarks.tables.run import (
    Measured,
    NamedChanges,
    Names,
    Runs,
    RunsOptions,
    behind,
    configured,
    measured,
    measured_cell,
    of_runs,
    paired_cells,
    planned,
    runs_of,
)
from upliftlens.benchmarks.tables.table import Job, TableKind, Where
from upliftlens.causal.errors import unknown
from upliftlens.causal.intervals import Resampling
from upliftlens.causal.options import SEEDS, AtLeast, Distinct


@dataclass(frozen=True, kw_only=True)
class Options(RunsOptions):
    """How the ``rows`` are tuned and measured (see above), and what is asked of them.

    ``criterion``: of rows that state no ``train.monitor`` themselves. ``worlds``: the options of each; ``blocks``:
    those of variants of the test, named by a prefix of the row. Both set values and choose from no group. ``only``: the
    rows to compute, beside the ``ceiling``; empty: all. ``deterministic``: rows for which the first seed is enough.
    ``reach``: what share of the ceiling's first column is asked of a row. ``order``: pairs of rows, of which the first
    is said to be the better by the metric ``ordered_by``.
    """

    criterion: str
    trials: Annotated[int, AtLeast(1)]
    tune_seed: Annotated[int, SEEDS]
    worlds: Annotated[tuple[tuple[str, ...], ...], Distinct()]
    blocks: NamedChanges
    rows: NamedChanges
    only: tuple[str, ...]
    deterministic: tuple[str, ...]
    columns: Names
    ceiling: str
    reach: Mapping[str, float]
    ordered_by: str
    order: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        list(map(choose, (*self.columns, self.criterion, self.ordered_by)))  # raises for one that is no metric

    @property
    def fixed(self) -> str:
        """With several worlds their fits, logs and so training rows vary, too."""
        return "items and the ratings that the worlds are fitted to" if len(self.worlds) > 1 else super().fixed


def uplift_cells(definition: Options, where: Where) -> list[Cell]:
    """Cells of each block: of every row and column, of the share of the ``ceiling`` row that each row reaches, and of
    the order; in the first block also of the standard error of the criterion.

    Raises:
        UpliftlensError: for an unknown row or column, or a run that fails.
    """
    started = time.perf_counter()
    definition, criterion = _chosen(definition), in_full(definition.criterion)
    names = {*definition.columns, definition.ordered_by}
    by_row = {job.of: job for job in _jobs(definition, where)}
    searches = {row: job.choose(run_many) for row, job in by_row.items()}
    tuned = time.perf_counter()
    plans = {row: iter(job.plans(searches[row])) for row, job in by_row.items()}
    runs: dict[str, dict[str, list[Runs]]] = {block: {row: [] for row in by_row} for block in definition.blocks}
    for number in range(len(definition.worlds)):  # by world: its logs are simulated once
        for row, of_row in plans.items():
            for block in definition.blocks:
                runs[block][row].append(runs_of(next(of_row), trials=_trials(searches[row])))
            where.say(f"world {number}, {row}: {len(runs[block][row][-1].records)} seeds, {_since(started)}")
    took = f"{_since(started)} in all, of which tuning {_since(started, tuned)}"
    where.say(f"{took}; runs that were in the store took no time")
    cells: list[Cell] = []
    for block, of_block in runs.items():
        measures = {
            name: {row: _over_worlds(by_world, name, definition.interval) for row, by_world in of_block.items()}
            for name in names
        }
        cells += _values(block, measures, definition)
        if block == next(iter(runs)):  # settings are selected once, for all blocks
            cells += _errors(block, of_block, criterion, definition.interval)
        by, sides = definition.ordered_by, measures[definition.ordered_by]
        pairs = {
            (f"{block}{first} > {second}", f"{by}, row vs row"): (sides[first], sides[second])
            for first, second in definition.order
        }
        cells += paired_cells(pairs, by, definition.interval, "holds", "reversed")
    return cells


def jobs(definition: Options, where: Where) -> Iterator[Job]:
    """The search and the final runs of each row, by world and block."""
    yield from _jobs(_chosen(definition), where)


def _jobs(definition: Options, where: Where) -> Iterator[Job]:
    criterion = in_full(definition.criterion)
    known = configured(definition.common, (), where).sections["metrics"].names
    for name in sorted({*definition.columns, definition.ordered_by, criterion}.difference(known)):
        raise unknown("column of the table (metrics.names)", name, known)
    for row, of_row in definition.rows.items():
        options = [*definition.common, f"train.monitor={criterion}", *of_row]
        seeds = definition.seeds[:1] if row in definition.deterministic else definition.seeds
        has_space = definition.trials > 1 and searched(configured(options, definition.worlds[0], where))
        n_plans = len(definition.worlds) * len(definition.blocks) * len(seeds)
        choose = partial(_search, row, options, definition, where)
        plans = partial(_plans, definition, options, seeds, where)
        yield Job(row, definition.trials if has_space else 0, choose, n_plans, plans)


def _plans(
    definition: Options, options: Sequence[str], seeds: Sequence[int], where: Where, chosen: Search | None
) -> list[list[Plan]]:
    """The plans of the final runs of a row, by world and block."""
    changes = () if chosen is None else chosen.trials[chosen.best].changes
    return [
        [planned(options, [*changes, *world, *of_block, f"seed={seed}"], where) for seed in seeds]
        for world in definition.worlds
        for of_block in definition.blocks.values()
    ]


def _trials(chosen: Search | None) -> Sequence[Trial]:
    return () if chosen is None else chosen.trials


def remarks(definition: Options, cells: Sequence[Cell]) -> list[str]:
    """How rows were tuned, what intervals pool, which rows the selection can't tell apart, which shares are reached."""
    criterion, worlds = in_full(definition.criterion), len(definition.worlds)
    monitor = "train.monitor="
    others = [
        f"{row} by {option.removeprefix(monitor)}"
        for row, options in definition.rows.items()
        for option in options
        if option.startswith(monitor)
    ]
    by = f"{criterion} ({', '.join(others)})" if others else criterion
    sentences = [
        f"Every row with a search space had {definition.trials} trials, each judged on the validation log of the first "
        f"world by {by}; no trial read the truth or a test log. Intervals take the settings as given."
    ]
    if worlds > 1:
        sentences.append(
            f"Intervals are over users and {worlds} worlds: the spread between worlds, with Student's t of {worlds} "
            "values, holds what their fits, their logs and the seeds of training change."
        )
    if definition.order:
        sentences.append(f"The p of {definition.ordered_by}, row vs row, is corrected for the pairs of its block.")
    sentences += [sentence for block in definition.blocks for sentence in _leader(block, definition, cells)]
    return sentences + [
        f"{cell.row} has {cell.value:.2f} of {definition.ceiling}'s {definition.columns[0]}: {cell.verdict}."
        for cell in cells
        if cell.column.endswith(f"share of {definition.ceiling}") and cell.verdict
    ]


def _leader(block: str, definition: Options, cells: Sequence[Cell]) -> Iterator[str]:
    """What may be said of the best row of a block by the first column, and of those nearly as good."""
    first, criterion = definition.columns[0], in_full(definition.criterion)
    at = {(cell.row, cell.column): cell.value for cell in cells}
    values = {row: at[f"{block}{row}", first] for row in definition.rows if (f"{block}{row}", first) in at}
    values.pop(definition.ceiling)
    if not values:
        return
    best, *others = sorted(values, key=lambda row: -values[row])
    highest, error = values[best], at[f"{next(iter(definition.blocks))}{best}", _error_of(criterion)]
    close = [f"{row} ({highest - values[row]:.3f})" for row in others if highest - values[row] < error]
    within = f"the error of such a selection, {error:.3f} (the standard error of {criterion} on one test log)"
    yield f"{block}{best} has the highest {first} after the {definition.ceiling}'s, {highest:.3f}. " + (
        f"Closer to it than {within}: {', '.join(close)}; with another validation log the order may be another one."
        if close
        else f"No other row is closer to it than {within}."
    )


def _chosen(definition: Options) -> Options:
    """The definition with the rows of ``only`` and the ceiling, and the pairs of the order whose rows are kept."""
    rows, only, ceiling = definition.rows, definition.only, definition.ceiling
    named = {*only, *definition.deterministic, *definition.reach, ceiling}.union(*definition.order)
    for name in sorted(named.difference(rows)):
        raise unknown("row of the table", name, rows)
    kept = {row: options for row, options in rows.items() if not only or row in (*only, ceiling)}
    return replace(definition, rows=kept, order=tuple(pair for pair in definition.order if kept.keys() >= set(pair)))


def _search(row: str, options: Sequence[str], definition: Options, where: Where, runs: Runner) -> Search | None:
    """The trials of a row, the best by its criterion on the first world's validation log; None without a space."""
    fixed = [*definition.worlds[0], f"seed={definition.seeds[0]}"]
    configuration = configured(options, fixed, where)
    space = searched(configuration)
    if definition.trials < 2 or not space:
        return None
    chosen = search(
        lambda changes: planned(options, [*fixed, *changes], where),
        configuration.content,
        space,
        sample,
        definition.trials,
        definition.tune_seed,
        lambda sentence: where.say(f"{row}: {sentence}"),
        runs=runs,
    )
    settings = " ".join(chosen.trials[chosen.best].changes) or "as configured"
    where.say(
        f"{row}: {settings}, by {configuration.sections['train'].monitor} on validation rows, "
        f"{len(chosen.trials)} trials"
    )
    return chosen


def _over_worlds(by_world: Sequence[Runs], name: str, resampling: Resampling) -> Measured:
    """A metric of a row: every world is a run, averaged over seeds."""
    sides = [measured(runs, name, resampling) for runs in by_world]
    worlds = [side.value for side in sides]
    values, drawn = np.array([world.mean for world in worlds]), np.stack([world.drawn.mean(axis=0) for world in worlds])
    defined = np.unique(np.concatenate([world.defined for world in worlds]))
    side = Replicated(values, drawn, tuple(world.users[0] for world in worlds), defined)
    records = [record for runs in by_world for record in runs.records]
    return Measured(side, records, name, tuple(run for of_world in sides for run in of_world.runs))


def _errors(block: str, by_row: Mapping[str, Sequence[Runs]], criterion: str, resampling: Resampling) -> Iterator[Cell]:
    """The standard error of the criterion on one log, of every row; its interval is over worlds."""
    for row, by_world in by_row.items():
        side = _over_worlds(by_world, criterion, resampling)
        drawn = [measured(runs, criterion, resampling).value.drawn for runs in by_world]
        errors = np.array([np.nanstd(of_world, axis=1).mean() for of_world in drawn])
        ends = bounds(Replicated(errors, errors[:, None], (), np.zeros(0, np.int64)), resampling)
        runs = behind(side.records)
        cell = Cell(f"{block}{row}", _error_of(criterion), float(errors.mean()), *ends, None, "", *runs)
        yield of_runs(cell, "", side)


def _error_of(criterion: str) -> str:
    return f"standard error of {criterion}"


def _values(block: str, measures: Mapping[str, Mapping[str, Measured]], definition: Options) -> Iterator[Cell]:
    first, resampling = definition.columns[0], definition.interval
    best = measures[first][definition.ceiling]
    for row in definition.rows:
        for name in definition.columns:
            yield measured_cell(definition, f"{block}{row}", name, measures[name][row])
        side = measures[first][row]
        value = side.value
        share, verdict = value.mean / best.value.mean, ""
        # The ratio of the means, linear in both: its deviations are those of value − share·ceiling, over the ceiling.
        of_mean = {
            part: share + (getattr(value, part) - share * getattr(best.value, part)) / best.value.mean
            for part in ("values", "drawn")
        }
        if (asked := definition.reach.get(row)) is not None:
            verdict = f"{'reaches' if share >= asked else 'misses'} {asked:g}"
        column, interval = f"{first}, share of {definition.ceiling}", bounds(value._replace(**of_mean), resampling)
        runs = behind([*side.records, *best.records])
        yield of_runs(Cell(f"{block}{row}", column, share, *interval, None, verdict, *runs), "ratio", side, best)


def _since(start: float, end: float | None = None) -> str:
    seconds = (end or time.perf_counter()) - start
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


kind = TableKind("uplift-learners", Options, uplift_cells, remarks, jobs=jobs)

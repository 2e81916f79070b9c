"""Tables of learners on a world of potential outcomes: tuned by estimates, tested against the truth.

Each row gets the same number of trials, on the first draw and with the first seed, scored on the validation log by an
estimate: neither the truth nor the test log is read. The winner is then fitted to the training log of every draw, with
every seed (with the first only if the learner is deterministic), and evaluated on the test log.

A cell is the mean over draws of the mean over seeds. Its interval resamples users and draws: draws of the world's logs
are the repetitions; runs that differ in the seed only are averaged within a draw. Every run is kept in the store.
"""

import time
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.benchmarks.reports.comparison import Replicated, bounds, decided, difference, replicated
from upliftlens.benchmarks.reports.methods import evaluations
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.runs.store import Store
from upliftlens.benchmarks.sweeps.search import search
from upliftlens.benchmarks.sweeps.space import sample
from upliftlens.benchmarks.sweeps.tune import searched
from upliftlens.benchmarks.tables.run import configured, planned, record_of
from upliftlens.benchmarks.tables.table import Cell, TableKind, Where
from upliftlens.causal.errors import located, unknown
from upliftlens.causal.intervals import Resampling, across_seeds, percentile, ratio


class _Measured(NamedTuple):
    """A metric of a row: its value, in which every draw is a run, averaged over seeds; and the keys of all runs."""

    value: Replicated
    keys: tuple[str, ...]


def uplift_cells(content: Mapping[str, Any], where: Where) -> list[Cell]:
    """Cells of every row and column, of the share of the ``ceiling`` row that each row reaches, and of the order.

    Raises:
        UpliftlensError: for an unknown row or column, or a run that fails.
    """
    started = time.perf_counter()
    content = _chosen(content)
    rows = content["rows"]
    columns: Sequence[str] = content["columns"]
    measured = configured(content["common"], (), where)["metrics"]["names"]
    for name in (*columns, content["ordered_by"]):
        if name not in measured:
            raise unknown("column of the table (metrics.names)", name, measured)
    choose(content["criterion"])
    options = {row: [*content["common"], *of_row] for row, of_row in rows.items()}
    winners = {row: _winner(row, options[row], content, where) for row in rows}
    tuned = time.perf_counter()
    runs: dict[str, dict[int, list[Record]]] = {row: {} for row in rows}
    for draw, row in product(content["draws"], rows):  # by draw: its logs are simulated once
        seeds = content["seeds"][:1] if row in content["deterministic"] else content["seeds"]
        records = runs[row].setdefault(draw, [])
        for seed in seeds:
            changes = [*winners[row], f"data.draw={draw}", f"seed={seed}"]
            records.append(record_of(planned(options[row], changes, where)))
            where.say(f"draw {draw}, {row}: {len(records)} of {len(seeds)} seeds, {_since(started)}")
    resampling = Resampling(**next(iter(runs[content["ceiling"]].values()))[0].config["metrics"]["interval"])
    measures = {
        row: {name: _measured(by_draw, name, resampling, where) for name in {*columns, content["ordered_by"]}}
        for row, by_draw in runs.items()
    }
    where.say(
        f"{_since(started)} in all, of which tuning {_since(started, tuned)}; runs that were in the store took no time"
    )
    return [*_values(measures, content, resampling), *_order(measures, content, resampling)]


def remarks(content: Mapping[str, Any], cells: Sequence[Cell]) -> list[str]:
    """How rows were tuned, which pairs of the order hold, and which shares of the ceiling are reached."""
    sentences = [
        f"Every row with a search space had {content['trials']} trials, each judged by {content['criterion']} on the "
        f"validation log of draw {content['draws'][0]}; no row met the truth or a test log before.",
        *content["notes"],
    ]
    if 1 < (n := len(content["draws"])) < 5:
        sentences.append(
            f"Intervals resample users and {n} draws; of so few, the draws' part is narrower than it should be."
        )
    paired = [cell for cell in cells if " vs " in cell.column]
    words_of = {"holds": "hold", "undecided": "can't be told from chance", "reversed": "are the other way round"}
    for verdict, words in words_of.items():
        if those := [cell.row for cell in paired if cell.verdict.startswith(verdict)]:
            sentences.append(
                f"By {content['ordered_by']}, {len(those)} of {len(paired)} orders {words}: {', '.join(those)}."
            )
    sentences += [
        f"{cell.row} has {cell.value:.2f} of {content['ceiling']}'s {content['columns'][0]}: {cell.verdict}."
        for cell in cells
        if cell.column.endswith(f"share of {content['ceiling']}") and cell.verdict
    ]
    return sentences


def _chosen(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The definition with the rows of ``only`` and the ceiling, and the pairs of the order whose rows are kept."""
    rows, only, ceiling = content["rows"], content["only"], content["ceiling"]
    named = {*only, *content["deterministic"], *content["reach"], ceiling}.union(*content["order"])
    for name in sorted(named.difference(rows)):
        raise unknown("row of the table", name, rows)
    kept = {row: options for row, options in rows.items() if not only or row in (*only, ceiling)}
    return {**content, "rows": kept, "order": [pair for pair in content["order"] if kept.keys() >= set(pair)]}


def _winner(row: str, options: Sequence[str], content: Mapping[str, Any], where: Where) -> list[str]:
    """Changes of the row's best trial by the criterion on the first draw's validation log, if it has a space."""
    monitor = [f"train.monitor={content['criterion']}"]
    fixed = [f"data.draw={content['draws'][0]}", f"seed={content['seeds'][0]}", *monitor]
    config = configured(options, fixed, where)
    if content["trials"] < 2 or not config["model"].get("space"):
        return monitor

    def failed(number: int, changes: Sequence[str], reason: str) -> None:
        where.say(f"{row}: trial {number} failed: {reason}")

    trials, best = search(
        lambda changes: planned(options, [*fixed, *changes], where),
        record_of,
        searched(config, [*options, *fixed]),
        sample,
        content["trials"],
        content["tune_seed"],
        failed,
    )
    chosen = trials[best].changes
    settings = " ".join(chosen) or "as configured"
    where.say(f"{row}: {settings}, by {content['criterion']} on validation rows, {len(trials)} trials")
    return [*chosen, *monitor]


def _measured(by_draw: Mapping[int, Sequence[Record]], name: str, resampling: Resampling, where: Where) -> _Measured:
    draws = []
    for records in by_draw.values():
        with located(f"run {records[0].key}"):
            draws.append(replicated(evaluations(Store(where.store), records), name, resampling))
    keys = tuple(record.key for records in by_draw.values() for record in records)
    mean, drawn = float(np.mean([draw.mean for draw in draws])), np.stack([draw.drawn.mean(axis=0) for draw in draws])
    defined = np.unique(np.concatenate([draw.defined for draw in draws]))
    return _Measured(Replicated(mean, drawn, tuple(draw.users[0] for draw in draws), defined), keys)


def _values(
    measures: Mapping[str, Mapping[str, _Measured]], content: Mapping[str, Any], resampling: Resampling
) -> list[Cell]:
    cells = []
    columns, ceiling, reach = content["columns"], content["ceiling"], content["reach"]
    best = measures[ceiling][columns[0]]
    for row, metrics in measures.items():
        for name in columns:
            value, keys = metrics[name]
            cells.append(Cell(row, name, value.mean, *bounds(value, resampling), None, "", keys))
        value, keys = metrics[columns[0]]
        shares = ratio(*(across_seeds(side.drawn, resampling) for side in (value, best.value)))
        share, verdict = value.mean / best.value.mean, ""
        if row in reach:
            verdict = f"{'reaches' if share >= reach[row] else 'misses'} {reach[row]:g}"
        column, interval = f"{columns[0]}, share of {ceiling}", percentile(shares, resampling.level)
        cells.append(Cell(row, column, share, *interval, None, verdict, (*keys, *best.keys)))
    return cells


def _order(
    measures: Mapping[str, Mapping[str, _Measured]], content: Mapping[str, Any], resampling: Resampling
) -> list[Cell]:
    """Paired differences of the pairs that the definition orders.

    A pair holds if the first is decided to be greater (``reports.comparison.decided``).
    """
    name = content["ordered_by"]
    pairs = {
        f"{first} > {second}": (measures[first][name], measures[second][name]) for first, second in content["order"]
    }
    raw = [difference(label, first.value, second.value, resampling) for label, (first, second) in pairs.items()]
    words = {"first": "holds", "second": "reversed", "undecided": "undecided"}
    cells = []
    for (label, (first, second)), decision in zip(pairs.items(), decided(raw, True, resampling.level), strict=True):
        verdict, keys = f"{words[decision.better]} (p {decision.p_holm:.2g})", (*first.keys, *second.keys)
        cells.append(Cell(label, f"{name}, row vs row", *decision[:3], None, verdict, keys))
    return cells


def _since(start: float, end: float | None = None) -> str:
    seconds = (time.perf_counter() if end is None else end) - start
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


kind = TableKind("uplift-learners", uplift_cells, remarks)

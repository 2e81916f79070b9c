"""Tables of learners on a world of potential outcomes: tuned by estimates, tested against the truth.

Each row gets the same number of trials, on the first draw and with the first seed, selected on the validation log by an
estimate: neither the truth nor the test log is read. Its winner is then fitted to the training log of every draw, with
every seed (a learner without randomness: with the first only), and meets the test log.

A cell is the mean over draws of the mean over seeds. Its interval resamples users and draws: the draws of the world's
logs are the repetitions, runs that differ by their seed alone share one. Every run is a run of its own in the store.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.benchmarks.reports.comparison import Evidence, bounds, decided, difference, evidence
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.sweeps.search import search
from upliftlens.benchmarks.sweeps.space import sample
from upliftlens.benchmarks.sweeps.tune import searched
from upliftlens.benchmarks.tables.run import configured, evaluation_of, planned, record_of
from upliftlens.benchmarks.tables.table import Cell, TableKind, Where
from upliftlens.causal.errors import located, unknown
from upliftlens.causal.intervals import Resampling, across_seeds, percentile, ratio


class _Measured(NamedTuple):
    """A metric of one row: its evidence, the mean over seeds of every draw standing for a run, and all runs' keys."""

    evidence: Evidence
    keys: tuple[str, ...]


def uplift_cells(content: Mapping[str, Any], where: Where) -> list[Cell]:
    """Cells of every row and column, the share of the ``ceiling`` row that it reaches, and the stated order.

    Raises:
        UpliftlensError: for a row or column that isn't there, or a run that fails.
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
    options = {row: [*content["common"], *stated] for row, stated in rows.items()}
    winners = {row: _winner(row, options[row], content, where) for row in rows}
    tuned = time.perf_counter()
    runs: dict[str, dict[int, list[Record]]] = {row: {} for row in rows}
    for row, draw, seed in _jobs(content):  # by draw: a draw's logs are made once
        job = planned(options[row], [*winners[row], f"data.draw={draw}", f"seed={seed}"], where)
        runs[row].setdefault(draw, []).append(record_of(job))
        done = len(runs[row][draw])
        where.say(f"draw {draw}, {row}: {done} of {len(_seeds(row, content))} seeds, {_since(started)}")
    resampling = Resampling(**next(iter(runs[content["ceiling"]].values()))[0].config["metrics"]["interval"])
    result = {
        row: {name: _measured(by_draw, name, resampling, where) for name in {*columns, content["ordered_by"]}}
        for row, by_draw in runs.items()
    }
    where.say(f"{_since(started)} in all, of which tuning {_since(started, tuned)}; what was found took no time")
    return [*_values(result, content, resampling), *_order(result, content, resampling)]


def remarks(content: Mapping[str, Any], cells: Sequence[Cell]) -> list[str]:
    """How rows were tuned, which of the stated orders hold, and which shares of the ceiling are reached."""
    said = [
        f"Every row with a search space had {content['trials']} trials, each judged by {content['criterion']} on the "
        f"validation log of draw {content['draws'][0]}; no row met the truth or a test log before.",
        *content["notes"],
    ]
    if 1 < (n := len(content["draws"])) < 5:
        said.append(
            f"Intervals resample users and {n} draws; of so few, the draws' part is narrower than it should be."
        )
    paired = [cell for cell in cells if " vs " in cell.column]
    this_said = {"holds": "hold", "undecided": "can't be told from chance", "reversed": "are the other way round"}
    for verdict, words in this_said.items():
        if those := [cell.row for cell in paired if cell.verdict.startswith(verdict)]:
            said.append(
                f"By {content['ordered_by']}, {len(those)} of {len(paired)} orders {words}: {', '.join(those)}."
            )
    said += [
        f"{cell.row} has {cell.value:.2f} of {content['ceiling']}'s {content['columns'][0]}: {cell.verdict}."
        for cell in cells
        if cell.column.endswith(f"share of {content['ceiling']}") and cell.verdict
    ]
    return said


def _chosen(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The definition with the rows of ``only`` and the ceiling, and the pairs of the order that are left of it."""
    known, ceiling = content["rows"], content["ceiling"]
    named = {
        *content["only"],
        *content["deterministic"],
        *content["reach"],
        ceiling,
        *(item for pair in content["order"] for item in pair),
    }
    for name in sorted(named - set(known)):
        raise unknown("row of the table", name, known)
    kept = {
        row: this_name for row, this_name in known.items() if not content["only"] or row in (*content["only"], ceiling)
    }
    order = [pair for pair in content["order"] if set(pair) <= set(kept)]
    return {**content, "rows": kept, "order": order}


def _winner(row: str, options: Sequence[str], content: Mapping[str, Any], where: Where) -> list[str]:
    """Changes of the row's best trial by the criterion on the first draw's validation log; none without a space."""
    judged = [f"train.monitor={content['criterion']}"]
    stated = [f"data.draw={content['draws'][0]}", f"seed={content['seeds'][0]}", *judged]
    config = configured(options, stated, where)
    if content["trials"] < 2 or not config["model"].get("space"):
        return judged

    def failed(number: int, changes: Sequence[str], reason: str) -> None:
        where.say(f"{row}: trial {number} failed: {reason}")

    trials, best = search(
        lambda changes: planned(options, [*stated, *changes], where),
        record_of,
        searched(config, [*options, *stated]),
        sample,
        content["trials"],
        content["tune_seed"],
        failed,
    )
    chosen = trials[best].changes
    settings = " ".join(chosen) or "as configured"
    where.say(f"{row}: {settings}, by {content['criterion']} on validation rows, {len(trials)} trials")
    return [*chosen, *judged]


def _jobs(content: Mapping[str, Any]) -> Iterator[tuple[str, int, int]]:
    for draw in content["draws"]:
        for row in content["rows"]:
            for seed in _seeds(row, content):
                yield row, draw, seed


def _seeds(row: str, content: Mapping[str, Any]) -> list[int]:
    return content["seeds"][:1] if row in content["deterministic"] else content["seeds"]


def _measured(by_draw: Mapping[int, Sequence[Record]], name: str, resampling: Resampling, where: Where) -> _Measured:
    draws = []
    for records in by_draw.values():
        with located(f"run {records[0].key}"):
            draws.append(evidence([evaluation_of(record, where) for record in records], name, resampling))
    keys = tuple(record.key for records in by_draw.values() for record in records)
    mean, drawn = float(np.mean([draw.mean for draw in draws])), np.stack([draw.drawn.mean(axis=0) for draw in draws])
    defined = np.unique(np.concatenate([draw.defined for draw in draws]))
    return _Measured(Evidence(mean, drawn, tuple(draw.users[0] for draw in draws), defined), keys)


def _values(
    found: Mapping[str, Mapping[str, _Measured]], content: Mapping[str, Any], resampling: Resampling
) -> list[Cell]:
    cells = []
    columns, ceiling, asked = content["columns"], content["ceiling"], content["reach"]
    share = f"{columns[0]}, share of {ceiling}"
    for row, metrics in found.items():
        for name in columns:
            item = metrics[name]
            cells.append(Cell(row, name, item.evidence.mean, *bounds(item.evidence, resampling), None, "", item.keys))
        ours, best = metrics[columns[0]], found[ceiling][columns[0]]
        shares = ratio(*(across_seeds(item.evidence.drawn, resampling) for item in (ours, best)))
        low, high = percentile(shares, resampling.level)
        reached, verdict = ours.evidence.mean / best.evidence.mean, ""
        if row in asked:
            verdict = f"{'reaches' if reached >= asked[row] else 'misses'} {asked[row]:g}"
        cells.append(Cell(row, share, reached, low, high, None, verdict, (*ours.keys, *best.keys)))
    return cells


def _order(
    found: Mapping[str, Mapping[str, _Measured]], content: Mapping[str, Any], resampling: Resampling
) -> list[Cell]:
    """Paired differences of the pairs that the definition orders.

    One holds if the first is told to be greater (``reports.comparison.decided``).
    """
    name = content["ordered_by"]
    sides = {f"{first} > {second}": (found[first][name], found[second][name]) for first, second in content["order"]}
    raw = [difference(label, ours.evidence, theirs.evidence, resampling) for label, (ours, theirs) in sides.items()]
    held = {"first": "holds", "second": "reversed", "undecided": "undecided"}
    cells = []
    for (label, (ours, theirs)), item in zip(sides.items(), decided(raw, True, resampling.level), strict=True):
        verdict, keys = f"{held[item.better]} (p {item.p_holm:.2g})", (*ours.keys, *theirs.keys)
        cells.append(Cell(label, f"{name}, row vs row", *item[:3], None, verdict, keys))
    return cells


def _since(start: float, end: float | None = None) -> str:
    seconds = (time.perf_counter() if end is None else end) - start
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


kind = TableKind("uplift-learners", uplift_cells, remarks)

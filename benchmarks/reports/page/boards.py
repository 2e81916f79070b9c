"""Leaderboards: the finished runs of one data set and one protocol, averaged over seeds and folds, and one by one."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.benchmarks.reports.methods import label
from upliftlens.benchmarks.reports.pooling import of_worlds, protocol
from upliftlens.benchmarks.reports.repeats import of_repeats, once_per_fit
from upliftlens.benchmarks.reports.selection import MEASURED, columns, fields, metric_names, text
from upliftlens.benchmarks.reports.sheet import Row, Sheet, averaged, of_intervals, runs
from upliftlens.benchmarks.reports.sorting import doubts, sorted_rows
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.runs.store import Store
from upliftlens.causal.errors import UpliftlensError

LED_BY = ("ndcg@10", "recall@10", "uplift@10/snips", "rmse")
"""The metrics that may order a leaderboard at first: the first of them that most of its rows have."""

OVER = ("seed", "split.fold")


class Board(NamedTuple):
    """The runs of one data set, split and measured in one way: ``methods`` averages them, ``runs`` has a row for each.

    ``metrics``: those of both. ``led_by``: the metric that orders the rows at first. ``remarks``: how to read it.
    """

    title: str
    records: tuple[Record, ...]
    methods: Sheet
    runs: Sheet
    led_by: str
    remarks: tuple[str, ...]

    @property
    def averages(self) -> bool:
        """Whether some method has several runs."""
        return len(self.methods.rows) < len(self.runs.rows)


def boards(store: Store, records: Sequence[Record], metrics: Sequence[str]) -> list[Board]:
    """A board for each data set and protocol; values of different ones are never in one ranking.

    ``metrics``: which to show, empty for the usual ones.

    Raises:
        UpliftlensError: for a metric that no record has.
    """
    done = [record for record in records if record.status == "done"]
    metric_names(done, metrics)
    experiments: dict[tuple[str, str], list[Record]] = {}
    for record in done:
        experiments.setdefault((record.data["fingerprint"], protocol(record)), []).append(record)
    titles = _titles([members[0] for members in experiments.values()])
    return [_board(store, title, members, metrics) for title, members in zip(titles, experiments.values(), strict=True)]


def _board(store: Store, title: str, every: Sequence[Record], metrics: Sequence[str]) -> Board:
    there = {name for record in every for name in record.metrics}
    chosen = [name for name in metrics if name in there]
    records = once_per_fit(every, chosen)
    remarks = of_repeats(every, records, chosen)
    single = runs(records, chosen)
    over = [name for name in OVER if any(name in fields(record) for record in records)]
    try:
        methods, unreadable = averaged(store, records, chosen, over)
        remarks += unreadable
    except UpliftlensError as error:
        methods = single
        remarks.append(f"These runs can't be averaged, so that each has a row: {error}.")
    if not methods.rows:
        methods = single
    led_by = _leading(methods)
    methods, single = (sorted_rows(sheet, led_by or None, None) for sheet in (methods, single))
    remarks += of_worlds(records, methods.metrics)
    remarks += [f"{doubt}." for name in methods.metrics for doubt in doubts(methods, name)]
    return Board(
        title, tuple(records), methods, single, led_by, (*remarks, *of_intervals(records, over, methods.metrics))
    )


def _leading(sheet: Sheet) -> str:
    """The metric that orders rows at first; "" where there is none."""
    having = {name: sum(name in row.metrics for row in sheet.rows) for name in sheet.metrics}
    usual = [name for name in LED_BY if name in having] or sheet.metrics
    return max(usual, key=lambda name: having[name], default="")


def _titles(firsts: Sequence[Record]) -> list[str]:
    """Data and split of each, and what else tells the boards apart."""
    names = [f"{record.data['name']}, split {record.split['name']}" for record in firsts]
    titles = []
    for record, name in zip(firsts, names, strict=True):
        alike = [other for other, its in zip(firsts, names, strict=True) if its == name]
        flat, more = fields(record), []
        if len(alike) > 1:
            differing = columns(alike)
            shown = [option for option in differing if option.startswith(("data.", "split.")) or option in MEASURED]
            more = [f"{option}={text(flat.get(option))}" for option in shown if option not in OVER]
            more = more or [f"data {record.data['fingerprint'][:8]}"]
        titles.append(", ".join([name, *more]))
    return titles


def method_of(row: Row) -> str:
    """The name of a row's method: model, loss and objective."""
    return "/".join(label(row.runs[0]))


def options_of(row: Row) -> str:
    """In what a row differs from others of its method: the cells of its options."""
    return " ".join(
        f"{name}={cell}"
        for name, cell in row.cells.items()
        if name not in ("run", "data", "split", "model", "loss", "objective", "runs") and cell
    )


def better(metric: str) -> str:
    """Which values of a metric are the better ones: "higher" or "lower"."""
    return "higher" if choose(metric).metric.higher_is_better else "lower"


def by_method(rows: Sequence[Row]) -> Mapping[str, list[Row]]:
    """Rows by the name of their method, in their order."""
    methods: dict[str, list[Row]] = {}
    for row in rows:
        methods.setdefault(method_of(row), []).append(row)
    return methods

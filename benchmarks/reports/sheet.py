"""Records as a table: one row per run, or per group of runs that differ in repetitions only, such as seeds."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from rich.table import Table

from upliftlens.benchmarks.reports.pooling import (
    OF_FOLDS,
    OF_MODEL_ALONE,
    REPETITIONS,
    of_worlds,
    protocol,
    require_one_version,
    require_one_world,
)
from upliftlens.benchmarks.reports.render import Format, as_csv, html, latex, markdown, terminal
from upliftlens.benchmarks.reports.repeats import of_repeats, once_per_fit
from upliftlens.benchmarks.reports.selection import (
    INTERVAL,
    MEASURED,
    SHOWN,
    asks_for,
    columns,
    fields,
    metric_names,
    query,
    require_fields,
    text,
    unmet,
)
from upliftlens.benchmarks.runs.records import Record, Summary, dumps, plain
from upliftlens.benchmarks.runs.store import Store, list_records, load_per_user
from upliftlens.causal.errors import UpliftlensError

_SHORT = {"fold": "split.fold"}
_ERROR = 80  # characters of an error in a table for people; csv and json have all of it


class Row(NamedTuple):
    """``cells`` by column, ``metrics`` by name; either may lack an entry. ``runs``: the records behind it."""

    cells: Mapping[str, str]
    metrics: Mapping[str, Summary]
    runs: tuple[Record, ...] = ()


class Sheet(NamedTuple):
    """A table before it is rendered in a format."""

    columns: list[str]
    metrics: list[str]
    rows: list[Row]


def selected(store: Store, where: Sequence[str]) -> tuple[list[Record], list[str]]:
    """The store's records that meet all conditions, without trials unless one names ``trial``, and remarks.

    Raises:
        UpliftlensError: for an unknown field, an invalid condition, or a store that is no folder.
    """
    everything, remarks = list_records(store)
    records, more = shown_of(everything, where, store)
    return records, [*remarks, *more]


def shown_of(everything: Sequence[Record], where: Sequence[str], store: Store) -> tuple[list[Record], list[str]]:
    """``selected`` of the records ``everything`` of a store."""
    records, remarks = query(everything, where), []
    if not asks_for(where, "trial") and (hidden := sum(record.trial for record in records)):
        records = [record for record in records if not record.trial]
        remarks.append(f"{hidden} trials of searches are not shown: --where trial=true shows them.")
    if not everything:
        remarks.append(
            f"No runs in {store.root} yet: start one (`upliftlens run model=mf`) or name another: --store FOLDER."
        )
    elif not records:
        conditions = f" meets {' and '.join(where)}" if where else " is to be shown"
        remarks += [f"None of the {len(everything)} runs in {store.root}{conditions}.", *unmet(everything, where)]
    return records, remarks


def gathered(
    store: Store, where: Sequence[str], metrics: Sequence[str], over: Sequence[str]
) -> tuple[Sheet, list[str], list[str]]:
    """The table of the records that meet all conditions; remarks on what was left out; what its intervals are over.

    ``metrics``: which to show, empty for the usual ones. ``over``: fields to average over, e.g. seed and split.fold, or
    "seed,fold" for short; empty gives a row per fit.

    Raises:
        UpliftlensError: for an unknown field or metric, an invalid condition, or a store that is no folder.
    """
    over = [_SHORT.get(name, name) for names in over for name in names.split(",")]
    records, remarks = selected(store, where)
    every, records = records, once_per_fit(records, metrics)
    remarks += of_repeats(every, records, metrics)
    if over:
        sheet, unreadable = averaged(store, records, metrics, over)
        remarks += unreadable
    else:
        sheet = runs(records, metrics)
    legend = []
    if any(metric.lo == metric.lo for row in sheet.rows for metric in row.metrics.values()):
        legend = of_intervals(records, over, sheet.metrics)
        if over and any(row.cells.get("runs") == "1" for row in sheet.rows):
            legend.append("A row of one run takes that run as it is: its interval says nothing about other runs.")
    return sheet, [*remarks, *of_worlds(records, sheet.metrics)], legend


def averaged(
    store: Store, records: Sequence[Record], metrics: Sequence[str], over: Sequence[str]
) -> tuple[Sheet, list[str]]:
    """``summarise`` with the sums that the store keeps; a remark for each run that lacks them and is left out.

    Raises:
        UpliftlensError: as ``summarise``.
    """
    per_user: dict[str, Mapping[str, Any]] = {}
    remarks = []
    for record in records:
        if record.status == "done":
            try:
                record.config["metrics"]["interval"]
                per_user[record.key] = load_per_user(store, record)
            except (KeyError, UpliftlensError) as error:
                reason = f"its record lacks {error}" if isinstance(error, KeyError) else error
                remarks.append(f"Run {record.key[:SHOWN]} is left out: {reason}")
    readable = [record for record in records if record.key in per_user]
    return summarise(readable, over, metrics, lambda record: per_user[record.key]), remarks


def of_intervals(records: Sequence[Record], averages: Sequence[str], metrics: Sequence[str]) -> list[str]:
    """What the intervals of a table of runs are over, and what they take as it is; ``averages``: fields, or none."""
    over = {record.config.get("metrics", {}).get("interval", {}).get("over", "users") for record in records}
    users = "users" if over == {"users"} else "users × items" if over == {"users-items"} else "users (some × items)"
    where = f"{users} × the runs averaged" if averages else f"the {users} of the test set"
    lines = [f"[lo, hi]: interval of the value over {where}, at the level metrics.interval.level."]
    fixed = ["Items"] * (over != {"users-items"})
    if set(averages) & set(REPETITIONS) and len({record.split["fingerprint"] for record in records}) > 1:
        from upliftlens.benchmarks.metrics.registry import choose

        lines += [OF_FOLDS, *(f"{name} {OF_MODEL_ALONE}" for name in metrics if choose(name).metric.of_model_alone)]
    else:
        fixed += ["training rows and split"]
    taken = f"{', '.join(fixed)} are taken as they are: with others, a value may lie outside."
    return [*lines, taken[0].upper() + taken[1:]] if fixed else lines


def runs(records: Sequence[Record], metrics: Sequence[str]) -> Sheet:
    """A row per run: key, status unless all are done, the fields that tell the runs apart, metrics, and errors."""
    status = ["status"] if any(record.status != "done" for record in records) else []
    names = ["run", *status, *columns(records)]
    rows = []
    for record in records:
        flat = fields(record) | {"run": record.key}
        cells = {name: text(flat[name]) for name in names if flat.get(name) is not None}
        if record.error is not None:
            cells["error"] = f"{record.error.type}: {record.error.message} ({record.error.traceback})"
        rows.append(Row(cells, record.metrics, (record,)))
    names += ["error"] if any("error" in row.cells for row in rows) else []
    return Sheet(names, metric_names(records, metrics), rows)


def summarise(
    records: Iterable[Record],
    over: Sequence[str],
    metrics: Sequence[str],
    per_user: Callable[[Record], Mapping[str, Any]],
) -> Sheet:
    """A row per group of finished runs that differ in the fields ``over`` only.

    Each metric is the mean over the group's runs, with its interval over users × runs, recomputed from the per-user
    sums that ``per_user`` loads (see ``causal.intervals.pooled``). A metric that is not in every run of a group
    is left out; one whose sums weren't kept has no interval. Of a split's options, only fold and seed may be in
    ``over``.

    Raises:
        UpliftlensError: for an unknown field, one that changes the protocol, or runs of a group with equal values of
            ``over``, of different versions of a split or measured in different worlds.
    """
    if other := [name for name in over if name.split(".")[0] == "split" and name not in REPETITIONS]:
        raise UpliftlensError(
            f"--over {other[0]} would average different ways to split: give --over {' '.join(REPETITIONS)}, which "
            "averages the folds of one, and see a row for each split"
        )
    if measured := [name for name in over if name.removeprefix("config.") in (*MEASURED, *INTERVAL)]:
        raise UpliftlensError(
            f"--over {measured[0]} would average different ways to measure: leave it out, and see a row for each"
        )
    done = [record for record in records if record.status == "done"]
    require_fields([fields(record) for record in done], over)
    group = [name for name in columns(done) if name not in over]
    members: dict[tuple[str, ...], list[Record]] = {}
    folds = any(name in REPETITIONS for name in over)
    for record in done:
        flat = fields(record)
        cells = ("" if flat.get(name) is None else text(flat[name]) for name in group)
        # Experiments also differ in what no column shows: the data, the split, the model's version and source.
        split = protocol(record) if folds else record.split["fingerprint"]
        code = text(record.diagnostics.get("model"))
        members.setdefault((*cells, record.data["fingerprint"], split, code), []).append(record)
    names = metric_names(done, metrics)
    rows = []
    for values, runs_of_group in members.items():
        _refuse_repeats(runs_of_group, over)
        require_one_version(runs_of_group)
        require_one_world(runs_of_group, names)
        cells_of_group = dict(zip(group, values)) | {"runs": str(len(runs_of_group))}
        rows.append(Row(cells_of_group, _means(runs_of_group, over, names, per_user), tuple(runs_of_group)))
    return Sheet([*group, "runs"], names, rows)


def _refuse_repeats(records: Sequence[Record], over: Sequence[str]) -> None:
    """Refuses runs that agree in all fields to average over: they differ in something else and are no repetitions."""
    seen: dict[tuple[str, ...], Record] = {}
    for record in records:
        flat = fields(record)
        if (first := seen.setdefault(tuple(text(flat.get(name)) for name in over), record)) is not record:
            raise UpliftlensError(
                f"runs {first.key[:SHOWN]} and {record.key[:SHOWN]} agree in {', '.join(over)}, so they are no "
                "repetitions of one experiment: narrow with --where"
            )


def render(sheet: Sheet, form: Format) -> str | Table:
    """The sheet as text in a format (CSV: a column each for value, lo, hi and n), or a table of rich."""
    head, lines = [*sheet.columns, *sheet.metrics], [_line(sheet, row) for row in sheet.rows]
    match form:
        case "json":
            as_dicts = [{name: metric._asdict() for name, metric in row.metrics.items()} for row in sheet.rows]
            return dumps(plain([{**row.cells, "metrics": dicts} for row, dicts in zip(sheet.rows, as_dicts)]))
        case "csv":
            parts = [f"{name}{part}" for name in sheet.metrics for part in ("", "/lo", "/hi", "/n")]
            return as_csv([*sheet.columns, *parts], [_values(sheet, row) for row in sheet.rows])
        case "md":
            return markdown(head, lines)
        case "latex" | "html" | "table":
            drawn: Mapping[str, Callable[..., str | Table]] = {"latex": latex, "html": html, "table": terminal}
            return drawn[form](head, lines, len(sheet.metrics))


def shown(value: float) -> str:
    """A metric's value for people: three decimals, fewer for large numbers, two digits for tiny ones."""
    if math.isnan(value):
        return "–"
    if 0 < abs(value) < 0.001:
        return f"{value:.2g}"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"


def with_interval(metric: Summary) -> str:
    """``0.912 [0.905, 0.919]``; without an interval, the value alone."""
    if math.isnan(metric.lo) or math.isnan(metric.hi):
        return shown(metric.value)
    return f"{shown(metric.value)} [{shown(metric.lo)}, {shown(metric.hi)}]"


def _means(
    records: Sequence[Record],
    over: Sequence[str],
    names: Sequence[str],
    per_user: Callable[[Record], Mapping[str, Any]],
) -> dict[str, Summary]:
    from upliftlens.benchmarks.evaluation.evaluation import from_arrays
    from upliftlens.benchmarks.reports.comparison import over_seeds
    from upliftlens.benchmarks.reports.methods import repetition
    from upliftlens.causal.intervals import Interval

    evaluations = []
    for record in records:
        if "users" in (arrays := per_user(record)):
            other = tuple(text(fields(record).get(name)) for name in over if name not in REPETITIONS)
            evaluations.append(from_arrays(arrays, {})._replace(repetition=repetition(record, other)))
    means = {}
    for name in names:
        if not all(name in record.metrics for record in records):
            continue
        if len(evaluations) == len(records) and all(name in run.statistics for run in evaluations):
            means[name] = over_seeds(evaluations, name, Interval(**records[0].config["metrics"]["interval"]))
        else:
            value = sum(record.metrics[name].value for record in records) / len(records)
            means[name] = Summary(value, math.nan, math.nan, 0)
    return means


def _line(sheet: Sheet, row: Row) -> list[str]:
    cells = [row.cells.get(name, "") for name in sheet.columns]
    cut = {"run": SHOWN, "error": _ERROR}
    cells = [cell[: cut.get(name)] for name, cell in zip(sheet.columns, cells, strict=True)]
    return cells + [with_interval(row.metrics[name]) if name in row.metrics else "" for name in sheet.metrics]


def _values(sheet: Sheet, row: Row) -> list[Any]:
    """The cells, then each metric's value, lo, hi and n; empty where the row has no such metric."""
    metrics = [row.metrics.get(name, ("",) * len(Summary._fields)) for name in sheet.metrics]
    return [*(row.cells.get(name, "") for name in sheet.columns), *(part for four in metrics for part in four)]

"""The page itself: everything that it shows, gathered from a store, and its HTML.

The page requests nothing: styles, scripts, data and the library that draws the charts are inside, and its content
policy forbids the rest. The same records give the same bytes. The template escapes every text; data for charts are JSON
in which no tag can begin.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from upliftlens.benchmarks.config.compose import prepare_overrides
from upliftlens.benchmarks.reports.page.answers import Answered, answers, by_search, environments, leaks, sizes
from upliftlens.benchmarks.reports.page.boards import Board, better, boards
from upliftlens.benchmarks.reports.page.charts import Chart, curves, scatter
from upliftlens.benchmarks.reports.page.evidence import Effects, Panel, committed_robustness, effects, propensities
from upliftlens.benchmarks.reports.selection import SHOWN, text
from upliftlens.benchmarks.reports.sheet import Row, Sheet, shown, shown_of
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.runs.store import Store, list_records
from upliftlens.benchmarks.sweeps.repeat import commands
from upliftlens.benchmarks.system.atomic import whole
from upliftlens.causal.errors import UpliftlensError

FIRST = 200  # rows of a table that are shown before the reader asks for all
COMMANDS = 10  # of a row whose runs are no sweep
FILTERS = ("data", "split", "model", "loss", "objective", "propensity")
_FOLDER = "upliftlens.benchmarks.reports.page"
_SNIPPET = "window.vegaEmbed = vegaEmbed;"


class Ledger(NamedTuple):
    """Published numbers beside ours: the head of a table, its rows, and how many are reproduced, in sentences."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    summary: Sequence[str]


class Detailed(NamedTuple):
    """A row of a board with what its fold-out holds: the commands that repeat it, or why there is none; answers."""

    row: Row
    commands: tuple[str, ...]
    without: str
    answered: tuple[Answered, ...]


class Section(NamedTuple):
    """A board with its rows in full, what is known of its data and its splits, and its charts.

    ``shared``: the answers that are the same for all of its methods, and not repeated in their rows.
    """

    board: Board
    shared: tuple[Answered, ...]
    methods: tuple[Detailed, ...]
    runs: tuple[Detailed, ...]
    terms: str
    splits: tuple[str, ...]
    charts: tuple[Chart, ...]


class Content(NamedTuple):
    """All that a page shows. ``filters``: the values of each of ``FILTERS`` that differ."""

    conditions: str
    counts: str
    dates: str
    remarks: tuple[str, ...]
    filters: Mapping[str, Sequence[str]]
    sections: tuple[Section, ...]
    propensities: tuple[Panel, ...]
    without_chart: str
    effects: tuple[Effects, ...]
    robustness: Chart | None
    failed: tuple[Record, ...]
    environments: Mapping[str, Mapping[str, Any]]
    ledger: Ledger | None


def gathered(store: Store, where: Sequence[str], metrics: Sequence[str], ledger: Ledger | None = None) -> Content:
    """What the page shows of the records that meet all conditions.

    ``metrics``: which to show, empty for the usual ones. ``ledger``: published numbers beside ours, None without.

    Raises:
        UpliftlensError: for an unknown field or metric, an invalid condition, a store that is no folder, no runs.
    """
    everything, remarks = list_records(store)
    records, more = shown_of(everything, where, store)
    if not records:
        raise UpliftlensError(" ".join(more))
    prepare_overrides([])  # registers plugins, so that commands know their choices
    of_status = {
        status: [record for record in records if record.status == status] for status in ("done", "failed", "running")
    }
    there = boards(store, records, metrics)
    environment = environments(of_status["done"])
    names = {text(content): name for name, content in environment.items()}
    searches = by_search([record for record in everything if record.trial])
    sections = [_section(board, len(there), searches, names) for board in there]
    panels, without_chart = propensities(of_status["done"])
    counts = [f"{len(each):,} {word}" for word, each in zip(("finished", "failed", "running"), of_status.values())]
    return Content(
        " and ".join(where),
        f"{len(records):,} runs: {', '.join(counts)}",
        " to ".join(
            dict.fromkeys((min(record.created[:10] for record in records), max(r.created[:10] for r in records)))
        ),
        (*remarks, *more),
        _filters(of_status["done"]),
        tuple(sections),
        tuple(panels),
        without_chart,
        tuple(effects(store, there)),
        committed_robustness(),
        tuple(of_status["failed"]),
        environment,
        ledger,
    )


def _section(
    board: Board, n_boards: int, searches: Mapping[Any, Sequence[Record]], names: Mapping[str, str]
) -> Section:
    splits = {record.split["fingerprint"]: record for record in board.records}.values()
    lines = dict.fromkeys(_of_split(record) for record in splits)
    charts = (scatter(board), curves(board, n_boards))
    answered = [answers(row.runs, searches, names) for row in board.methods.rows]
    shared = [answer for answer in answered[0] if len(answered) > 1 and all(answer in others for others in answered)]
    differing = [tuple(answer for answer in each if answer not in shared) for each in answered]
    return Section(
        board,
        tuple(shared),
        tuple(_detailed(row, each) for row, each in zip(board.methods.rows, differing, strict=True)),
        tuple(_detailed(row, ()) for row in board.runs.rows) if board.averages else (),
        board.records[0].config.get("data", {}).get("terms") or "",
        tuple(lines),
        tuple(chart for chart in charts if chart is not None),
    )


def _of_split(record: Record) -> str:
    leak, fold = record.split.get("leak") or {}, record.config.get("split", {}).get("fold")
    parts = [f"{'' if fold is None else f'fold {fold}, '}{sizes(leak)}", *leaks(leak)]
    return "; ".join(part for part in parts if part)


def _detailed(row: Row, answered: tuple[Answered, ...]) -> Detailed:
    repeated, without = [], ""
    try:
        repeated = commands(row.runs)
        if (more := len(repeated) - COMMANDS) > 0:
            without = f"{more} more such commands, of the other runs."
    except UpliftlensError as error:
        without = f"No command: what it chose is not there ({error})."
    return Detailed(row, tuple(repeated[:COMMANDS]), without, answered)


def _filters(records: Sequence[Record]) -> dict[str, list[str]]:
    values = {name: sorted({attribute(record, name) for record in records}) for name in FILTERS}
    return {name: each for name, each in values.items() if len(each) > 1}


def attribute(record: Record, name: str) -> str:
    """A field by which a page filters; "none" where a record has no value."""
    value = record.config.get("propensity", {}).get("name") if name == "propensity" else getattr(record, name)
    return str((value["name"] if isinstance(value, Mapping) else value) or "none")


def html(content: Content) -> str:
    """The page.

    Raises:
        UpliftlensError: if the libraries of the extra ``report`` are not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise _lacking(error) from None
    library = _library()
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"as_json": lambda data: Markup(_json(data))}
    sources = {
        name: files(_FOLDER).joinpath(f"page.{name}").read_text(encoding="utf-8") for name in ("html", "css", "js")
    }
    return environment.from_string(sources["html"]).render(
        page=content,
        style=Markup(sources["css"]),
        script=Markup(sources["js"]),
        library=Markup(library),
        cells=_cells,
        better=better,
        shown=shown,
        attribute=attribute,
        filters=FILTERS,
        digits=SHOWN,
        first=FIRST,
    )


def _cells(sheet: Sheet, row: Row) -> list[str]:
    cut = {"run": SHOWN}
    return [row.cells.get(name, "")[: cut.get(name)] for name in sheet.columns]


def _json(data: Any) -> str:
    """JSON inside of a script: with no < in it, no tag can begin or end there."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


@cache
def _library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script.

    Raises:
        UpliftlensError: if the package that ships them is not installed.
    """
    try:
        import vl_convert
    except ImportError as error:
        raise _lacking(error) from None
    return str(vl_convert.javascript_bundle(_SNIPPET)).replace("</script", "<\\/script")


def _lacking(error: ImportError) -> UpliftlensError:
    return UpliftlensError(
        f"a report needs the package {error.name}, which is not installed: pip install 'upliftlens[report]' (in a "
        "checkout: pip install -c constraints.txt -e '.[report]')"
    )


def report(store: Store, path: Path, where: Sequence[str], metrics: Sequence[str], ledger: Ledger | None) -> str:
    """Writes the page of ``gathered``; a line that says what was written.

    Raises:
        UpliftlensError: as ``gathered`` and ``html``; for a path that can't be written.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise UpliftlensError(f"{path}: a report is written as HTML: name the file like report.html")
    _library()  # before the work: it may not be installed
    content = gathered(store, where, metrics, ledger)
    page = html(content).encode()
    try:
        with whole(path.expanduser()) as part:
            part.write_bytes(page)
    except OSError as error:
        raise UpliftlensError(f"{path}: {error.strerror}: name a file that can be written") from None
    return f"{path}: {content.counts}, {len(page) / 1e6:.1f} MB"

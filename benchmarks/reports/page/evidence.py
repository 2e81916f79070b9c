"""What a page shows beside its leaderboards: propensities, effects of recommending, robustness, runs that failed."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple

from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.benchmarks.propensities.diagnostics import overlap_lines, verdict
from upliftlens.benchmarks.reports.page.boards import OVER, Board
from upliftlens.benchmarks.reports.page.charts import Chart, overlap, robustness
from upliftlens.benchmarks.reports.selection import fields, text
from upliftlens.benchmarks.reports.sheet import Sheet, averaged
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.runs.store import Store
from upliftlens.causal.errors import UpliftlensError

PANELS = 12  # charts of overlap, at most
COMMITTED = files("upliftlens.results") / "robustness.json"


class Panel(NamedTuple):
    """A propensity: how it was chosen, its verdict in words, line by line, and the overlap, as text and as a chart."""

    title: str
    verdict: str
    lines: tuple[str, ...]
    bars: tuple[str, ...]
    chart: Chart | None
    runs: int


class Effects(NamedTuple):
    """A log of recommendations, in words, and the metrics of what recommending changes, averaged as in the board."""

    title: str
    sentences: tuple[str, ...]
    sheet: Sheet


def propensities(records: Sequence[Record]) -> tuple[list[Panel], str]:
    """A panel for each propensity of each data set and split, the first run's numbers; a sentence on what is left out.

    A propensity by which a run was only measured has them too.
    """
    different: dict[str, list[Record]] = {}
    for record in records:
        if record.diagnostics.get("propensity"):
            stated = [record.data["fingerprint"], record.split["fingerprint"], record.config.get("propensity")]
            different.setdefault(text(stated), []).append(record)
    panels: list[Panel] = []
    for runs in different.values():
        first, diagnostics = runs[0], runs[0].diagnostics["propensity"]
        drawn = diagnostics["overlap"] if len(panels) < PANELS else None
        chart = overlap(drawn["edges"], drawn["observed"], drawn["all"]) if drawn else None
        fold = first.config.get("split", {}).get("fold")
        where = f"{first.data['name']}, split {first.split['name']}{'' if fold is None else f', fold {fold}'}"
        title = f"propensity={first.config['propensity']['name']} on {where}"
        lines = verdict({**diagnostics, "overlap": {}}).split("\n")
        bars = overlap_lines(diagnostics["overlap"])
        panels.append(Panel(title, diagnostics["verdict"], tuple(lines), tuple(bars), chart, len(runs)))
    more = len(panels) - PANELS
    return panels, f"Charts are drawn of the first {PANELS} of {len(panels)} propensities." if more > 0 else ""


def effects(store: Store, boards: Sequence[Board]) -> list[Effects]:
    """The boards whose runs were measured by what recommending changes, with all their metrics of it."""
    shown = []
    for board in boards:
        names = dict.fromkeys(name for record in board.records for name in record.metrics if _causal(name))
        if not names:
            continue
        over = [name for name in OVER if any(name in fields(record) for record in board.records)]
        try:
            sheet, _ = averaged(store, board.records, list(names), over)
        except UpliftlensError:  # the board says why its runs can't be averaged
            continue
        sentences = dict.fromkeys(filter(None, (_logged(record.diagnostics) for record in board.records)))
        shown.append(Effects(board.title, tuple(sentences), sheet))
    return shown


def _causal(metric: str) -> bool:
    try:
        return choose(metric).metric.evidence not in ("pairs", "imputed", "ranks", "lists")
    except UpliftlensError:  # of a plugin that is not installed here
        return False


def _logged(diagnostics: Mapping[str, Any]) -> str:
    logged = diagnostics.get("recommendations")
    if not logged:
        return ""
    warning = " A hidden cause of both recommending and the outcome would mislead these values."
    return (
        f"{logged['rows']:,} logged rows, {logged['treated']:,} of them recommended, {logged['without_overlap']:,} "
        f"without overlap; the propensities of recommending are {logged['propensities']}."
        f"{warning if logged['propensities'] == 'estimated' else ''}"
    )


def committed_robustness(path: Traversable = COMMITTED) -> Chart | None:
    """The chart of the committed table robustness; None where it can't be read."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        cells = json.loads(path.read_text(encoding="utf-8"))
        return robustness([cell for cell in cells if "/" not in cell["column"] and " vs " not in cell["column"]])
    return None

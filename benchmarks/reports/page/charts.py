"""The charts of a page as Vega-Lite specifications: plain data, drawn by the library that the page carries.

Colours, shapes and dashes are those of ``benchmarks.reports.drawing``; black becomes the colour of the page's text,
which is white in the dark. Long curves and large numbers of runs are thinned, and a sentence says so.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, permutations, zip_longest
from typing import Any, NamedTuple

import numpy as np

from upliftlens.benchmarks.reports.drawing import COLOURS
from upliftlens.benchmarks.reports.page.boards import Board, by_method, method_of, options_of
from upliftlens.benchmarks.reports.sheet import Row, with_interval
from upliftlens.benchmarks.runs.records import Record, Summary, plain

RUNS = 40  # curves in a chart, at most, and
RUNS_IN_ALL = 240  # on the page
EPOCHS = 60  # points of a curve
POINTS = 200  # methods in a scatter plot
AXES = ("ndcg@10", "uplift@10/snips")

_TEXT = "currentColor"
_PALETTE = [_TEXT if colour == "#000000" else colour for colour in COLOURS]
_SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right")
_DASHES: tuple[list[int], ...] = ([1, 0], [6, 3], [6, 3, 1, 3])
_MANY = 24  # names in a legend: with more, models stand for methods


class Chart(NamedTuple):
    """A specification; ``caption``: what it shows, ``notes``: what was left out of it."""

    specification: Mapping[str, Any]
    caption: str
    notes: tuple[str, ...] = ()


def scatter(board: Board) -> Chart | None:
    """A point per method with its interval in both directions; the reader chooses the metrics of both axes."""
    names = [name for name in board.methods.metrics if any(name in row.metrics for row in board.methods.rows)]
    if len(names) < 2:
        return None
    rows = board.methods.rows[:POINTS]
    name = _named(rows)
    legend = list(dict.fromkeys(map(name, rows)))
    values = [
        {
            "name": name(row),
            "method": f"{method_of(row)} {options_of(row)}".strip(),
            **{metric: _point(row.metrics[metric]) for metric in names if metric in row.metrics},
        }
        for row in rows
    ]
    x, y = _axes(names, rows)
    place = {"x": ("x_lo", "x_hi"), "y": ("y_lo", "y_hi")}
    whiskers = [
        {
            "transform": [{"filter": f"isValid(datum.{lo})"}],
            "mark": {"type": "rule", "opacity": 0.7},
            "encoding": {axis: {"field": lo, "type": "quantitative"}, f"{axis}2": {"field": hi}},
        }
        for axis, (lo, hi) in place.items()
    ]
    shown: dict[str, Any] = {
        "params": [
            {"name": f"{axis}_metric", "value": value, "bind": {"input": "select", "options": names, "name": label}}
            for axis, value, label in (("x", x, "across: "), ("y", y, "upwards: "))
        ],
        "data": {"values": values},
        "transform": [
            {"filter": "isValid(datum[x_metric]) && isValid(datum[y_metric])"},
            *(
                {"calculate": f"datum[{axis}_metric][{number}]", "as": f"{axis}{part}"}
                for axis in "xy"
                for number, part in enumerate(("", "_lo", "_hi", "_text"))
            ),
        ],
        "encoding": {
            axis: {
                "field": axis,
                "type": "quantitative",
                "scale": {"zero": False},
                "axis": {"title": {"signal": f"{axis}_metric"}},
            }
            for axis in "xy"
        }
        | {"color": _scale("name", legend, _PALETTE), "opacity": _faded("chosen")},
        "layer": [
            *whiskers,
            {
                "params": [{"name": "chosen", "select": {"type": "point", "fields": ["name"]}, "bind": "legend"}],
                "mark": {"type": "point", "filled": True, "size": 80},
                "encoding": {
                    "shape": _scale("name", legend, _SHAPES),
                    "tooltip": [
                        {"field": field, "title": title}
                        for field, title in (("method", "method"), ("x_text", "across"), ("y_text", "upwards"))
                    ],
                },
            },
        ],
    }
    left_out = len(board.methods.rows) - len(rows)
    notes = (f"{left_out} methods are left out: the first {POINTS} by {board.led_by} are shown.",) if left_out else ()
    return Chart(_chart(shown, 340), "Methods by two metrics, with the intervals of the table", notes)


def curves(board: Board, n_boards: int) -> Chart | None:
    """The loss and the metric on validation rows after each epoch, a line per run."""
    watched = [row for row in board.runs.rows if len(row.runs[0].epochs) > 1]
    most = max(3, min(RUNS, RUNS_IN_ALL // n_boards))
    methods = by_method(watched).values()  # the first run of each, then the second ...
    rows = [row for row in chain.from_iterable(zip_longest(*methods)) if row is not None][:most]
    if not rows:
        return None
    name, values, cut = _named(rows), list[dict[str, Any]](), 0
    legend = list(dict.fromkeys(map(name, rows)))
    for row in rows:
        (record,) = row.runs
        epochs = _thinned(record)
        cut += len(epochs) < len(record.epochs)
        label = f"{method_of(row)} {options_of(row)} {record.key[:8]}"
        for line in epochs:
            for series in ("validation", "loss"):
                if (value := line.get(series)) is not None and math.isfinite(value):
                    named = {"name": name(row), "run": label, "epoch": line["epoch"], "series": _series(record, series)}
                    values.append(named | {"value": float(f"{value:.5g}")})
    points = any(sum("validation" in line for line in row.runs[0].epochs) == 1 for row in rows)  # of no line
    shown_as = sorted({value["series"] for value in values}, key=lambda name: ("validation" not in name, name))
    if not shown_as:
        return None
    shown: dict[str, Any] = {
        "params": [
            {
                "name": "series",
                "value": shown_as[0],
                "bind": {"input": "select", "options": shown_as, "name": "upwards: "},
            }
        ],
        "data": {"values": values},
        "transform": [{"filter": "datum.series == series"}],
        "layer": [
            {
                "params": [{"name": "chosen", "select": {"type": "point", "fields": ["name"]}, "bind": "legend"}],
                "mark": {"type": "line", "point": {"size": 12} if points else False},
                "encoding": {
                    "x": {"field": "epoch", "type": "quantitative", "title": "epoch"},
                    "y": {"field": "value", "type": "quantitative", "scale": {"zero": False}, "title": None},
                    "detail": {"field": "run"},
                    "color": _scale("name", legend, _PALETTE) | {"legend": {"symbolType": "stroke"}},
                    "strokeDash": _scale("name", legend, _DASHES),
                    "opacity": _faded("chosen"),
                    "tooltip": [{"field": field} for field in ("run", "epoch", "value")],
                },
            }
        ],
    }
    notes = []
    if len(rows) < len(watched):
        notes.append(f"{len(rows)} of {len(watched)} runs with epochs are shown, of each method the first ones.")
    if cut:
        notes.append(f"Of {cut} runs with more epochs, {EPOCHS} evenly spaced ones are shown, the last among them.")
    return Chart(_chart(shown, 300), "Training curves, a line per run", tuple(notes))


def overlap(edges: Sequence[float], observed: Sequence[float], everything: Sequence[float]) -> Chart:
    """Shares of the observed and of all pairs in bins of the propensity, on a logarithmic axis."""
    values = []
    for side, counts in (("all pairs", everything), ("observed pairs", observed)):
        total = max(sum(counts), 1)
        for low, high, count in zip(edges, edges[1:], counts, strict=False):
            values.append(
                {"side": side, "from": float(f"{low:.4g}"), "to": float(f"{high:.4g}"), "share": count / total}
            )
    shown: dict[str, Any] = {
        "data": {"values": values},
        "mark": "rect",
        "encoding": {
            "x": {
                "field": "from",
                "type": "quantitative",
                "scale": {"type": "log"},
                "title": "P(the pair is observed)",
            },
            "x2": {"field": "to"},
            "y": {"field": "share", "type": "quantitative", "axis": {"format": "%"}, "title": "share of pairs"},
            "y2": {"datum": 0},
            "color": _scale("side", ["all pairs", "observed pairs"], [_PALETTE[5], _PALETTE[1]]),
            "opacity": {"value": 0.6},
            "tooltip": [{"field": field} for field in ("side", "from", "to", "share")],
        },
    }
    return Chart(_chart(shown, 160), "Overlap of the propensities of observed and of all pairs")


def robustness(cells: Sequence[Mapping[str, Any]]) -> Chart:
    """The errors of risk estimators as an input gets worse; cells of the table robustness, of columns without a slash.

    A row is KNOB=VALUE: a line per estimator, for the knob that the reader chooses.
    """
    values = []
    for cell in cells:
        knob, _, wrong = cell["row"].partition("=")
        ends = {name: cell[name] for name in ("value", "lo", "hi")}
        values.append({"knob": knob, "wrong": float(wrong), "estimator": cell["column"], **ends})
    knobs, names = (list(dict.fromkeys(value[part] for value in values)) for part in ("knob", "estimator"))
    colour = _scale("estimator", names, _PALETTE) | {"legend": {"symbolType": "stroke"}}
    x = {"field": "wrong", "type": "quantitative", "title": "how wrong"}
    knob = {"name": "knob", "value": knobs[0], "bind": {"input": "select", "options": knobs, "name": "what is wrong: "}}
    shown: dict[str, Any] = {
        "params": [knob],
        "data": {"values": values},
        "transform": [{"filter": "datum.knob == knob"}],
        "encoding": {"x": x, "color": colour},
        "layer": [
            {
                "mark": {"type": "rule", "opacity": 0.6},
                "encoding": {"y": {"field": "lo", "type": "quantitative"}, "y2": {"field": "hi"}},
            },
            {
                "mark": {"type": "line", "point": True},
                "encoding": {
                    "y": {"field": "value", "type": "quantitative", "title": "RMSE of the estimate / truth"},
                    "strokeDash": _scale("estimator", names, _DASHES),
                    "tooltip": [{"field": field} for field in ("estimator", "wrong", "value", "lo", "hi")],
                },
            },
        ],
    }
    return Chart(_chart(shown, 300), "Error of each risk estimator in a world whose truth is known, with intervals")


def _axes(names: Sequence[str], rows: Sequence[Row]) -> tuple[str, str]:
    """The metrics of both axes at first: the usual ones if some row has both, else two that most rows have."""
    both = {
        pair: sum(pair[0] in row.metrics and pair[1] in row.metrics for row in rows) for pair in permutations(names, 2)
    }
    return AXES if both.get(AXES) else max(both, key=lambda pair: both[pair])


def _chart(shown: Mapping[str, Any], height: int) -> dict[str, Any]:
    """A specification as wide as its place on the page, in the colours of the page."""
    text = {f"{part}Color": _TEXT for part in ("label", "title")}
    config = {
        "font": "system-ui, sans-serif",
        "view": {"stroke": None},
        "axis": {**text, "domainColor": _TEXT, "tickColor": _TEXT, "gridColor": _TEXT, "gridOpacity": 0.12},
        "legend": {**text, "orient": "bottom", "columns": 2, "labelLimit": 300, "title": None, "symbolStrokeWidth": 2},
        "mark": {"invalid": None},
    }
    size = {
        "width": "container",
        "height": height,
        "background": None,
        "autosize": {"type": "fit-x", "contains": "padding"},
    }
    return plain({**size, **shown, "config": config})


def _scale(field: str, names: Sequence[str], cycle: Sequence[Any]) -> dict[str, Any]:
    """Colours, shapes or dashes of names, by their place in the legend."""
    looks = [cycle[place % len(cycle)] for place in range(len(names))]
    return {"field": field, "type": "nominal", "scale": {"domain": list(names), "range": looks}}


def _faded(chosen: str) -> dict[str, Any]:
    return {"condition": {"param": chosen, "value": 1}, "value": 0.12}


def _named(rows: Sequence[Row]) -> Callable[[Row], str]:
    """What names a row in a legend: its method, or, of many methods, its model."""
    return method_of if len(set(map(method_of, rows))) <= _MANY else lambda row: row.runs[0].model


def _point(metric: Summary) -> list[Any]:
    """Value, lo, hi and both in words; no bounds without an interval."""
    return [metric.value, metric.lo, metric.hi, with_interval(metric)]


def _series(record: Record, series: str) -> str:
    return (
        "training loss" if series == "loss" else f"{record.diagnostics.get('monitor') or 'metric'} on validation rows"
    )


def _thinned(record: Record) -> list[Mapping[str, Any]]:
    """At most ``EPOCHS`` epochs, evenly spaced, first and last among them."""
    if len(record.epochs) <= EPOCHS:
        return list(record.epochs)
    return [record.epochs[place] for place in np.linspace(0, len(record.epochs) - 1, EPOCHS).round().astype(int)]

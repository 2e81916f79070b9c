"""Figures of finished runs: uplift and Qini curves, accuracy against uplift. ``upliftlens plot``.

A run keeps the sums behind its curves per user (the metric ``auuc``), so its curves are drawn afterwards, with bands
from the resamples of users that gave the run its intervals. Several runs of a method (seeds, folds) are averaged.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from upliftlens.benchmarks.evaluation.evaluation import Evaluation, over_seeds, statistic_of
from upliftlens.benchmarks.metrics.registry import in_full
from upliftlens.benchmarks.reports.methods import evaluations, finished, label, one_per_pairing, pairing, runs_of
from upliftlens.benchmarks.reports.overlap import overlap_figure
from upliftlens.benchmarks.reports.plots import Line, Point, line_plot, scatter_plot
from upliftlens.benchmarks.reports.selection import once_per_fit, require_one_experiment
from upliftlens.benchmarks.runs.store import Store, list_records
from upliftlens.causal.effects import qini
from upliftlens.causal.errors import UpliftlensError, unknown
from upliftlens.causal.intervals import Resampling, Statistic, across_seeds, draws

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("uplift", "qini", "scatter", "overlap")


class Contender(NamedTuple):
    """A method by the name that the figure gives it, with its finished runs."""

    name: str
    runs: Sequence[Evaluation]


def figure_of(
    store: Store, kind: str, methods: Sequence[str], where: Sequence[str], x: str, y: str
) -> "tuple[Figure, str]":
    """The figure of a kind over a store's finished runs, and what is on it; ``methods``: by name, empty for all.

    Raises:
        UpliftlensError: for an unknown kind or method, no run, or runs that lack what it shows or must not be pooled.
    """
    if kind not in KINDS:
        raise unknown("kind of plot", kind, KINDS)
    x, y = in_full(x), in_full(y)
    records = finished(list_records(store).records, where)
    if kind == "overlap":
        chosen = [item for name in methods for item in runs_of(records, name)] if methods else records
        return overlap_figure(chosen), f"propensities of {len(chosen)} runs"
    records = once_per_fit(records, [x, y] if kind == "scatter" else ["auuc"])
    kept = {}
    for name in methods or sorted({"/".join(label(record)) for record in records}):
        runs = runs_of(records, name)
        kept[name] = one_per_pairing(runs, sorted({pairing(run) for run in runs}), name)
    if not kept:
        raise UpliftlensError(f"no finished run in {store.root}{' meets ' if where else ''}{' '.join(where)}")
    drawn = [run for runs in kept.values() for run in runs]
    require_one_experiment(drawn)
    contenders = [Contender(name, evaluations(store, runs)) for name, runs in kept.items()]
    interval = Resampling(**drawn[0].config["metrics"]["interval"])
    return figure(kind, contenders, x, y, interval), f"{len(contenders)} methods"


def figure(kind: str, contenders: Sequence[Contender], x: str, y: str, interval: Resampling) -> "Figure":
    """The figure of a kind: ``uplift`` and ``qini`` curves, or a ``scatter`` of the metrics ``x`` and ``y``.

    Raises:
        UpliftlensError: for runs that lack what it shows.
    """
    if kind == "scatter":
        points = [_point(contender, x, y, interval) for contender in contenders]
        return scatter_plot(points, f"{y} against {x} ({interval.level:.0%} intervals over users and runs)", x, y)
    curves, label = {
        "uplift": (qini.uplift_curves, "outcomes changed, per logged row"),
        "qini": (qini.qini_curves, "incremental outcomes per user"),
    }[kind]
    lines = [_line(contender, "auuc", curves, place, interval) for place, contender in enumerate(contenders)]
    if kind == "uplift" and all("auuc/true" in run.statistics for contender in contenders for run in contender.runs):
        lines += [_true(_line(contender, "auuc/true", curves, at, interval)) for at, contender in enumerate(contenders)]
    title = f"{kind.capitalize()} curves, debiased by 1/e ({interval.level:.0%} bands over users and runs)"
    return line_plot(lines, title, "share of the logged rows, best ranked first", label)


Curves = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Totals f64[5·G, R] -> share and value, f64[G + 1, R]."""


def _line(contender: Contender, metric: str, curves: Curves, colour: int, interval: Resampling) -> Line:
    values, drawn = [], []
    for run in contender.runs:
        item = statistic_of(run, metric)
        scale = 1.0 / len(item.units) if curves is qini.qini_curves else 1.0
        share, value = curves(_dense(item).sum(axis=0)[:, None])
        resampled = [curves(_dense(item).T @ weights)[1] for weights in draws(len(item.units), interval, 100)]
        values.append(scale * value[:, 0])
        drawn.append(scale * np.concatenate(resampled, axis=1))
    replicated = np.stack([across_seeds(np.stack(rows), interval) for rows in zip(*drawn, strict=True)])
    tail = (1 - interval.level) / 2
    low, high = np.nanquantile(replicated, [tail, 1 - tail], axis=1)
    return Line(contender.name, share[:, 0], np.mean(values, axis=0), colour, low, high)


def _true(line: Line) -> Line:
    return line._replace(label="the truth", lo=None, hi=None, reference=True)


def _dense(statistic: Statistic) -> np.ndarray:
    assert isinstance(statistic.sums, np.ndarray)
    return statistic.sums


def _point(contender: Contender, x: str, y: str, interval: Resampling) -> Point:
    across, up = (over_seeds(contender.runs, name, interval) for name in (x, y))
    return Point(contender.name, across.value, up.value, (across.lo, across.hi), (up.lo, up.hi))

"""``upliftlens plot``, figures of finished runs: uplift and Qini curves, reliability curves, accuracy
against uplift, overlap.

A run keeps the sums behind its curves per user (the metrics ``auuc`` and ``ece``), so its curves are drawn afterwards,
with bands from the resamples of users that gave the run its intervals. Several runs of a method (seeds, folds) are
averaged. The overlap plot of propensities shows the histograms that records keep
(``benchmarks.propensities.diagnostics``).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from upliftlens.benchmarks.evaluation.evaluation import Evaluation, sources_of, statistic_of
from upliftlens.benchmarks.metrics import calibration
from upliftlens.benchmarks.metrics.registry import in_full
from upliftlens.benchmarks.reports.comparison import over_seeds
from upliftlens.benchmarks.reports.drawing import (
    Histogram,
    Line,
    Reliability,
    histogram_plot,
    line_plot,
    reliability_plot,
    scatter_plot,
)
from upliftlens.benchmarks.reports.methods import evaluations, finished, label, one_per_pairing, pairing, runs_of
from upliftlens.benchmarks.reports.pooling import (
    of_worlds,
    require_one_experiment,
    require_one_interval,
    require_one_world,
)
from upliftlens.benchmarks.reports.repeats import once_per_fit
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.runs.store import Store, readable_records
from upliftlens.causal.effects import qini
from upliftlens.causal.errors import UpliftlensError, unknown
from upliftlens.causal.intervals import Interval, Resampling, draws
from upliftlens.causal.over_runs import bounds, pooled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("uplift", "qini", "scatter", "reliability", "overlap", "learning")
_READ = {"uplift": ["auuc"], "qini": ["auuc"], "reliability": ["ece"]}
"""The metrics whose sums a kind draws; a scatter plot draws those that the user names."""


def figure_of(
    store: Store, kind: str, methods: Sequence[str], where: Sequence[str], x: str, y: str
) -> "tuple[Figure, str]":
    """The figure of a kind over a store's finished runs, and what it shows; ``methods``: by name, empty for all.

    Raises:
        UpliftlensError: for an unknown kind or method, no run, or runs that lack what it shows or must not be pooled.
    """
    if kind not in KINDS:
        raise unknown("kind of plot", kind, KINDS)
    x, y = in_full(x), in_full(y)
    records = finished(readable_records(store), where)
    if kind == "overlap":
        chosen = [run for name in methods for run in runs_of(records, name)] if methods else records
        return overlap_figure(chosen), f"propensities of {len(chosen)} runs"
    if kind == "learning":
        of_method = {
            name: runs_of(records, name) for name in methods or sorted({"/".join(label(run)) for run in records})
        }
        watched = {name: [run for run in runs if _curve(run)] for name, runs in of_method.items()}
        without = [name for name, runs in watched.items() if not runs]
        said = f"; no curve of {', '.join(without)}: without epochs, or with train.patience=0" if without else ""
        return learning_figure(watched), f"{sum(map(len, watched.values()))} runs{said}"
    if kind == "reliability" and not methods:  # of those that predict no probabilities nothing is asked
        records = [record for record in records if "ece" in record.metrics] or records
    records = once_per_fit(records, _READ.get(kind, [x, y]))
    runs = {}
    for name in methods or sorted({"/".join(label(record)) for record in records}):
        named = runs_of(records, name)
        runs[name] = one_per_pairing(named, sorted(set(map(pairing, named))), name)
    if not runs:
        raise UpliftlensError(f"no finished run in {store.root}{' meets ' if where else ''}{' '.join(where)}")
    shown = [run for of_method in runs.values() for run in of_method]
    require_one_experiment(shown, _READ.get(kind, [x, y]))
    of_scatter = [x, y] if kind == "scatter" else []
    require_one_world(shown, of_scatter)
    require_one_interval(shown)
    if kind == "reliability":
        _require_same_bins(shown)
    contenders = {name: evaluations(store, of_method) for name, of_method in runs.items()}
    interval = Interval(**shown[0].config["metrics"]["interval"])
    shows = "; ".join([f"{len(contenders)} methods", *of_worlds(shown, of_scatter)])
    return figure(kind, contenders, x, y, interval), shows


def _require_same_bins(records: Sequence[Record]) -> None:
    """Refuses runs whose reliability curves have other bins.

    Raises:
        UpliftlensError: with the conditions that choose the same ones.
    """
    bins = [record.config["metrics"]["calibration"] for record in records if "ece" in record.metrics]
    if bins and any(other != bins[0] for other in bins):
        choice = " ".join(f"metrics.calibration.{name}={value}" for name, value in bins[0].items())
        raise UpliftlensError(f"the runs have different bins: choose them, e.g. --where {choice}")


def figure(kind: str, contenders: Mapping[str, Sequence[Evaluation]], x: str, y: str, interval: Resampling) -> "Figure":
    """The figure of a kind: ``uplift``, ``qini``, ``reliability`` curves, or a ``scatter`` of the metrics ``x``, ``y``.

    ``contenders``: the finished runs of each method, by the name that the figure gives it.

    Raises:
        UpliftlensError: for runs that lack what it shows.
    """
    if kind == "scatter":
        points = {name: [over_seeds(runs, metric, interval) for metric in (x, y)] for name, runs in contenders.items()}
        first = next(iter(contenders.values()))[0]  # all are of one protocol, which holds metrics.interval.over
        over = "users" if statistic_of(first, x).crossed is None else "users, items"
        return scatter_plot(points, f"{y} against {x} ({interval.level:.0%} intervals over {over} and runs)", x, y)
    if kind == "reliability":
        title = f"Reliability on the test pairs ({interval.level:.0%} intervals over users and runs)"
        return reliability_plot({name: _reliability(runs, interval) for name, runs in contenders.items()}, title)
    curves, label = {
        "uplift": (qini.uplift_curves, "outcomes changed, per logged row"),
        "qini": (qini.qini_curves, "incremental outcomes per user"),
    }[kind]
    lines = [
        _line(name, runs, "auuc", curves, place, interval) for place, (name, runs) in enumerate(contenders.items())
    ]
    if kind == "uplift" and all("auuc/true" in run.statistics for runs in contenders.values() for run in runs):
        for place, runs in enumerate(contenders.values()):
            line = _line("the truth", runs, "auuc/true", curves, place, interval)
            lines.append(line._replace(lo=None, hi=None, reference=True))
    title = f"{kind.capitalize()} curves, debiased by 1/e ({interval.level:.0%} bands over users and runs)"
    return line_plot(lines, title, "share of the logged rows, best ranked first", label)


def _line(
    name: str,
    runs: Sequence[Evaluation],
    metric: str,
    curves: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    colour: int,
    interval: Resampling,
) -> Line:
    """``curves``: totals f64[S, R] of the metric's sums -> x and y, f64[G, R]. Both are averaged over the runs."""
    places, values, drawn = [], [], []
    for run in runs:
        sums = statistic_of(run, metric).sums
        assert isinstance(sums, np.ndarray)
        scale = 1.0 / len(sums) if curves is qini.qini_curves else 1.0
        share, value = curves(sums.sum(axis=0)[:, None])
        resampled = [curves(sums.T @ weights)[1] for weights in draws(len(sums), interval, 100)]
        places.append(share[:, 0])
        values.append(scale * value[:, 0])
        drawn.append(scale * np.concatenate(resampled, axis=1))
    sources = sources_of(runs, metric)
    points = [pooled(*point, sources) for point in zip(np.stack(values, axis=1), np.stack(drawn, axis=1), strict=True)]
    low, high = np.transpose([bounds(point, interval.level) for point in points])
    return Line(name, np.mean(places, axis=0), np.mean(values, axis=0), colour, low, high)


def _reliability(runs: Sequence[Evaluation], interval: Resampling) -> Reliability:
    """The bins of the metric ``ece`` that hold pairs in every run, averaged over the runs."""
    line = _line("", runs, "ece", calibration.curve, 0, interval)
    counts = [np.split(np.asarray(statistic_of(run, "ece").sums.sum(axis=0)), 3)[0] for run in runs]
    filled = np.isfinite(line.y)
    columns = (line.x, line.y, line.lo, line.hi, np.mean(counts, axis=0))
    return Reliability(*(np.asarray(column)[filled] for column in columns))


def learning_figure(runs: Mapping[str, Sequence[Record]]) -> "Figure":
    """The monitored metric on validation rows after each epoch, a line per run, the runs of a method in one colour.

    Raises:
        UpliftlensError: for runs without such values, or monitored by several metrics.
    """
    lines, monitors = [], set()
    for colour, (name, of_method) in enumerate(runs.items()):
        for number, record in enumerate(of_method):
            if points := _curve(record):
                epoch, value = np.transpose(np.asarray(points, float))
                lines.append(Line(name if number == 0 else f"_{name}", epoch, value, colour))
                monitors.add(record.diagnostics["monitor"])
    if not lines:
        raise UpliftlensError(
            "no finished run here was watched on validation rows: take one with train.patience above 0"
        )
    if len(monitors) > 1:
        raise UpliftlensError(
            f"the runs were watched by {' and '.join(sorted(monitors))}, which can't share an axis: choose methods of "
            "one, or --where diagnostics.monitor=NAME"
        )
    y_label = f"{monitors.pop()} on validation rows"
    return line_plot(lines, "Learning curves, a line per run", "epoch", y_label, with_0=False)


def _curve(record: Record) -> list[tuple[int, float]]:
    """The epochs of a run after which it was scored on validation rows, and the values."""
    return [(line["epoch"], line["validation"]) for line in record.epochs if "validation" in line]


def overlap_figure(records: Sequence[Record]) -> "Figure":
    """Shares of the observed and of all pairs by propensity, a panel for each propensity that the runs used.

    A bin with a share of all pairs and none of the observed ones: pairs with these propensities are never observed.

    Raises:
        UpliftlensError: if no run has a propensity that is known for all pairs.
    """
    panels: dict[str, Histogram] = {}
    for record in records:
        propensity = record.diagnostics.get("propensity")
        if propensity and propensity["overlap"]:
            reason = f"{propensity['verdict']} ({propensity['reason']})"
            title = f"{record.data['name']}, propensity {propensity['name']}: {reason}"
            edges, *counts = (np.asarray(propensity["overlap"][side], float) for side in ("edges", "observed", "all"))
            shares = [count / max(count.sum(), 1) for count in counts]
            panels.setdefault(f"{title} {counts}", Histogram(title, edges, *shares))
    if not panels:
        raise UpliftlensError(
            "no finished run here has a propensity that is known for all pairs: run one, e.g. propensity=popularity; "
            "that of naive_bayes depends on the rating, which is unknown where a pair was not rated"
        )
    return histogram_plot(list(panels.values()), "propensity P(the pair is observed)")

"""``upliftlens benchmark``: methods tuned with equal trials on validation rows, run with several seeds, compared.

Options with several values, as in a sweep (``model=mf,mlp objective=naive,ips``), make the methods: each combination is
one. Each is searched over its own space with the same budget, its best trial is run in full with every seed, and the
methods are compared, pairs corrected for their number (Holm). All runs are kept in the store, so that a benchmark that
was stopped goes on, and one with more seeds or trials repeats nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from shlex import quote
from typing import Annotated, Literal, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser

from upliftlens.benchmarks.config.chosen import in_python
from upliftlens.benchmarks.config.compose import composed, configured, prepare_overrides
from upliftlens.benchmarks.config.overrides import swept
from upliftlens.benchmarks.config.typed import typed
from upliftlens.benchmarks.metrics.registry import in_full, is_weighted
from upliftlens.benchmarks.reports.comparison import compare, in_a_cell, over_seeds
from upliftlens.benchmarks.reports.sentences import direction
from upliftlens.benchmarks.runs.plan import Plan, fit_identity, plan
from upliftlens.benchmarks.runs.records import default_metrics
from upliftlens.benchmarks.sweeps.search import search
from upliftlens.benchmarks.sweeps.space import sample
from upliftlens.benchmarks.sweeps.tune import changeable, searched
from upliftlens.benchmarks.system.talk import say
from upliftlens.benchmarks.tables.run import Runs, behind, runs_of
from upliftlens.benchmarks.tables.table import FIXED, Cell, Table
from upliftlens.causal.errors import UpliftlensError, located, unknown
from upliftlens.causal.intervals import Interval
from upliftlens.causal.options import Above, AtLeast

NAMED = ("model", "loss", "objective")
"""Groups whose choice is the name of a method; other options with several values are added to it."""


@dataclass(frozen=True)
class Options:
    """What configs/benchmark.yaml states."""

    seeds: Annotated[int, AtLeast(1)]
    metric: str
    baseline: str | None
    margin: Annotated[float, Above(0)] | None
    format: Literal["md", "latex", "json"]


_MARGIN = (
    "the same: the interval lies inside; perhaps by less: it reaches from inside to beyond. What is said beside the "
    "margin is said of each interval alone, not corrected for their number."
)
_TUNED = "Intervals and p take the settings as they were found: another search may find others."


class Method(NamedTuple):
    """A row: its name, its trials and how many of them differ (a draw may come twice), the words of a sweep that repeat
    the best one, and its runs.
    """

    name: str
    trials: int
    distinct: int
    words: tuple[str, ...]
    runs: Runs


def benchmark(arguments: Sequence[str]) -> tuple[Table, Options]:
    """The table of a benchmark and the options that it was asked for with.

    Raises:
        UpliftlensError: for what can't be composed, planned or compared, and for a method of which every trial failed.
    """
    stated = [text for text in arguments if text.partition("=")[0] in Options.__dataclass_fields__]
    options = typed(Options, composed(stated, "benchmark"), "")
    metric, words = in_full(options.metric), [text for text in arguments if text not in stated]
    if not any(text.startswith("train.monitor=") for text in words):
        words.append(f"train.monitor={metric}")
    overrides = prepare_overrides(words)
    combined = list(_combinations(overrides))
    plans = [plan(configured(words)) for words in combined]
    names = _names(plans, combined, overrides, metric)
    if options.baseline is not None and options.baseline not in names:
        raise unknown("baseline", options.baseline, names)
    if metric not in plans[0].metrics.names:
        raise UpliftlensError(f"metric={metric} is not among metrics.names: add it, as in 'metrics.names=[{metric}]'")
    n_pairs = len(names) - 1 if options.baseline is not None else len(names) * (len(names) - 1) // 2
    interval = plans[0].metrics.interval
    if n_pairs / (interval.resamples + 1) > 1 - interval.level:
        raise UpliftlensError(
            f"{n_pairs} comparisons need more than {interval.resamples} resamples to be corrected for their number: "
            "name a baseline, or raise metrics.interval.resamples"
        )
    if len(names) < 2:
        raise UpliftlensError(f"{next(iter(names))} alone is no benchmark: name several, as in model=mf,mlp")
    fixed = [text for text in words if not swept(text)]
    methods = [_method(name, of_method, fixed, options.seeds) for name, of_method in names.items()]
    return _table(methods, metric, options), options


def _combinations(overrides: Sequence[str]) -> Iterator[list[str]]:
    """The overrides of each method: one value of every option that has several.

    Raises:
        UpliftlensError: for several seeds, data sets or splits, which don't make methods.
    """
    parser, values = OverridesParser.create(), []
    for override in overrides:
        key = override.partition("=")[0]
        if not swept(override):
            values.append([override])
            continue
        if key == "seed" or key.partition(".")[0] in ("data", "split"):
            fix = "seeds=N sets the seeds" if key == "seed" else "one benchmark is about one data set and split"
            raise UpliftlensError(f"{override} makes no methods: {fix}")
        values.append([f"{key}={value}" for value in parser.parse_override(override).sweep_string_iterator()])
    yield from map(list, product(*values))


def _names(
    plans: Sequence[Plan], combined: Sequence[list[str]], overrides: Sequence[str], metric: str
) -> dict[str, list[str]]:
    """The overrides of each method by its name. What a method does not read makes no second method of it."""
    several = {text.partition("=")[0] for text in overrides if swept(text)}
    names: dict[str, list[str]] = {}
    for method, words in zip(plans, combined, strict=True):
        learning = method.learning
        parts = (learning.model,) if method.solver else (learning.model, learning.loss, learning.objective)
        read = is_weighted(metric) or "propensity" in fit_identity(method)
        others = [
            text
            for text in words
            if (key := text.partition("=")[0]) in several
            and key not in (*NAMED, *method.unread)
            and (read or key.partition(".")[0] != "propensity")
        ]
        names.setdefault(" ".join(["/".join(part.value.name for part in parts), *others]), words)
    return names


def _method(name: str, overrides: list[str], fixed: list[str], seeds: int) -> Method:
    """Searches a method's space and runs its best trial with every seed; ``fixed``: the words that all share."""
    configuration, planned = changeable(overrides, "benchmark")
    config, settings = configuration.content, configuration.general
    with located(name):
        space = searched(configuration)
        tried = search(planned, config, space, sample, settings.budget, settings.tune_seed, say, watched=True)
        changes = tried.trials[tried.best].changes
        best = " ".join(changes) or "as configured"
        if (of := len(tried.trials)) > 1:
            say(f"{name}: {best}, the best of {of} trials; {seeds} seeds of it")
        runs = runs_of([planned([*changes, f"seed={seed}"]) for seed in range(seeds)])
    shared = [text for text in fixed if not text.startswith("model.file=")]
    file = [f"model.file={path}" for path in [config["model"].get("file")] if path]
    chosen = [text for text in overrides if text.partition("=")[0] not in {word.partition("=")[0] for word in shared}]
    distinct = len({tuple(record.key for record in trial.records) or trial.changes for trial in tried.trials})
    return Method(name, len(tried.trials), distinct, (*shared, *file, *chosen, *changes), runs)


def _table(methods: Sequence[Method], metric: str, options: Options) -> Table:
    first = methods[0].runs.records[0]
    interval = Interval(**first.config["metrics"]["interval"])
    cells = []
    for name, *_, runs in methods:
        for column in dict.fromkeys([metric, *default_metrics(runs.records[0].metrics)]):
            with located(name):
                value = over_seeds(runs.evaluations, column, interval)
            cells.append(Cell(name, column, *value[:3], None, "", *behind(runs.records)))
    pairs = list(combinations(methods, 2))
    if options.baseline is not None:
        (baseline,) = (method for method in methods if method.name == options.baseline)
        pairs = [(method, baseline) for method in methods if method is not baseline]
    family = {f"{left.name} and {right.name}": (left.runs.evaluations, right.runs.evaluations) for left, right in pairs}
    results = compare(family, metric, interval, options.margin)
    for (left, right), result in zip(pairs, results.values(), strict=True):
        keys = behind([*left.runs.records, *right.runs.records])
        column, ends = f"{metric} vs {right.name}", (result.difference, result.lo, result.hi)
        cells.append(Cell(left.name, column, *ends, None, in_a_cell(result, interval.level), *keys))
    where = f"{first.data['name']}, split {first.split['name']}"
    tuned = any(method.trials > 1 for method in methods)
    how = f"tuned by {metric} on validation rows" if tuned else "as configured"
    title = f"{where}, {options.seeds} seeds, {how}"
    fixed = "training rows and splits" if interval.over == "users-items" else FIXED
    again = (_again(method, options.seeds) for method in methods)
    margin = [] if options.margin is None else [f"The margin is ±{options.margin:g}: {_MARGIN}"]
    return Table(
        title,
        cells,
        [f"{metric}: {direction(metric)}.", *margin, *_trials(methods), *[_TUNED] * tuned, *again],
        interval.level,
        fixed,
    )


def _trials(methods: Sequence[Method]) -> list[str]:
    """How many trials each method had, and how many of them differ."""
    repeats = {
        method.name: f" ({method.distinct} of them different)" * (method.distinct < method.trials) for method in methods
    }
    tuned = [f"{method.name} {method.trials}{repeats[method.name]}" for method in methods if method.trials > 1]
    fixed = [method.name for method in methods if method.trials == 1]
    lines = [f"Trials: {', '.join(tuned)}."] if tuned else []
    return lines + ([f"As configured, with nothing to search or a budget of 1: {', '.join(fixed)}."] if fixed else [])


def _again(method: Method, seeds: int) -> str:
    """The command that repeats a row."""
    stated = [text for text in method.words if not text.startswith("budget=")]
    if in_python(method.runs.records[0].model):
        others = ", ".join(repr(text) for text in stated if not text.startswith(("model=", "store=", "cache=")))
        return f"{method.name} again, where its class is: lab.sweep({others}, model=CLASS, seed=range({seeds}))"
    words = (*stated, f"seed=range(0,{seeds})")
    return f"{method.name} again: upliftlens sweep {' '.join(map(quote, words))}"

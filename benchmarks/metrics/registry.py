"""The metrics by name: "rmse", "recall@10", "auc/user", and those of installed packages, with a sentence about each."""

import ast
import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Annotated, NamedTuple

from upliftlens.benchmarks.config.choices import first_sentence
from upliftlens.benchmarks.config.plugins import Entry, entries, names, opened
from upliftlens.benchmarks.metrics.metric import SECTIONS, CalibrationOptions, DebiasOptions, Metric, UpliftOptions
from upliftlens.benchmarks.worlds.config import SemiSyntheticConfig
from upliftlens.causal.errors import UpliftlensError, unknown
from upliftlens.causal.intervals import Interval
from upliftlens.causal.options import AtLeast, Distinct


@dataclass(frozen=True)
class MetricsConfig:
    """Config group ``metrics/``; every default is in its YAML.

    ``names``: the metrics to report, in this order. ``block``: users scored at once; changes memory and speed only.
    ``tie_seed``: the order of items with equal scores. ``interval``: of every reported value.
    ``debiased``: how errors on a log missing not at random are estimated. ``calibration``: its bins. ``uplift``: how
    uplift is estimated from logs of recommendations. ``world``: the definition of the frozen world of the metrics
    ``/semi``.

    Raises:
        UpliftlensError: for intervals over users and items of metrics that are no sums over pairs.
    """

    names: Annotated[tuple[str, ...], Distinct()]
    block: Annotated[int, AtLeast(1)]
    tie_seed: Annotated[int, AtLeast(0)]
    interval: Interval
    uplift: UpliftOptions | None = None
    world: SemiSyntheticConfig | None = None
    debiased: DebiasOptions | None = None
    calibration: CalibrationOptions | None = None

    def __post_init__(self) -> None:
        if self.interval.over == "users":
            return
        if others := [name for name in self.names if choose(name).metric.by_pair == "no"]:
            can = [name for name, entry in registry().items() if entry.value.by_pair != "no"]
            raise UpliftlensError(
                f"metrics.interval.over=users-items is for sums over pairs, and {', '.join(others)} "
                f"{'is none' if len(others) == 1 else 'are none'}: name in metrics.names only {', '.join(can)}, "
                "or leave it at users"
            )


class Chosen(NamedTuple):
    """A metric at a cut-off, inf where the name has none; ``name`` as in the config.

    ``code`` stands for its code in keys: the metric's version, for an installed one with the hash of its source.
    """

    name: str
    metric: Metric
    cutoff: float
    code: int | tuple[int, str]


@cache
def registry() -> dict[str, Entry]:
    """All metrics by their name without cut-off: the entry points of the group ``metrics``, built in or installed.

    Raises:
        UpliftlensError: if an installed metric isn't a ``Metric``, or has the name of another one.
    """
    return entries("metrics")


def choose(name: str) -> Chosen:
    """The metric that a name like "ndcg@10" means.

    Raises:
        UpliftlensError: if there is none, or its cut-off is missing, out of place or not a whole number from 1.
    """
    stem, sign, rest = name.partition("@")
    cutoff, slash, variant = rest.partition("/")
    base = f"{stem}{slash}{variant}"
    if base not in registry():
        raise unknown("metric", base, registry())
    metric, source, _ = registry()[base]
    code = (metric.version, source) if source else metric.version  # built-in metrics keep their keys
    if not sign:
        if metric.at == "required":
            raise UpliftlensError(f"metric '{name}' needs a cut-off: write {at(name, '@10')}, for instance")
        return Chosen(name, metric, float("inf"), code)
    if metric.at == "never":
        raise UpliftlensError(f"metric '{name}': {base} has no cut-off, write {base}")
    if not re.fullmatch("[1-9][0-9]*", cutoff):
        raise UpliftlensError(f"metric '{name}': the cut-off must be a whole number from 1, as in {at(base, '@10')}")
    if "/" in stem:
        raise UpliftlensError(f"metric '{name}': the cut-off comes before the slash, write {at(stem, '@' + cutoff)}")
    return Chosen(name, metric, float(cutoff), code)


def is_metric(name: str) -> bool:
    """Whether a name is that of a metric, with its cut-off where it needs one."""
    try:
        return bool(choose(name))
    except UpliftlensError:
        return False


def at(base: str, cutoff: str) -> str:
    """A metric's name with its cut-off in place: ``at("uplift/snips", "@10")`` is "uplift@10/snips"."""
    stem, slash, variant = base.partition("/")
    return f"{stem}{cutoff}{slash}{variant}"


def in_full(name: str) -> str:
    """The full name of a metric: uplift@10 is short for uplift@10/snips, the default of early stopping.

    Records and configurations hold full names only.

    Raises:
        UpliftlensError: as ``choose``.
    """
    stem, sign, cutoff = name.partition("@")
    if "/" not in name and stem not in registry() and f"{stem}/snips" in registry():
        name = at(f"{stem}/snips", sign + cutoff)
    return choose(name).name


def is_weighted(name: str) -> bool:
    """Whether a metric is weighed by propensities; "auto", of ``train.monitor``, is not."""
    return name != "auto" and choose(name).metric.weighted


def sections_read(names: Iterable[str]) -> list[str]:
    """Those of ``SECTIONS`` that some of the metrics read; "auto", of ``train.monitor``, reads none."""
    read = {choose(name).metric.reads for name in names if name != "auto"}
    return [section for section in SECTIONS if section in read]


def abouts() -> dict[str, str]:
    """A sentence about every metric, by its name without cut-off.

    It is the docstring below a definition ``x = Metric(…)``; for metrics that a function defines, the line
    ``    NAME, NAME/*  text`` in their module's docstring; where both lack, the first sentence of that docstring.
    """
    texts: dict[str, str] = {}
    for family in names("metrics"):
        module, metrics = opened("metrics", family)
        docstrings = _docstrings(module)
        table = re.findall(r"^ {4}(\S.*?) {2,}(\S.*)$", module.__doc__ or "", re.MULTILINE)
        lines = [(pattern.replace("@k", ""), text) for head, text in table for pattern in head.split(", ")]
        for metric, *_ in metrics:
            line = next((text for pattern, text in lines if fnmatch(metric.name, pattern)), "")
            texts[metric.name] = first_sentence(docstrings.get(metric.name) or line or module.__doc__ or "")
    return texts


def _docstrings(module: ModuleType) -> dict[str, str]:
    """The docstrings below a module's definitions of metrics, by the metrics' names."""
    texts, body = {}, ast.parse(inspect.getsource(module)).body
    for definition, after in pairwise(body):
        if isinstance(definition, ast.Assign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            metric = getattr(module, ast.unparse(definition.targets[0]), None)
            if isinstance(metric, Metric):
                texts[metric.name] = str(after.value.value)
    return texts

"""Remarks for the user: metrics that could not be measured and why, and rows whose weights were clipped."""

from collections.abc import Iterator, Mapping

import numpy as np

from upliftlens.benchmarks.evaluation.evidence import KINDS
from upliftlens.benchmarks.metrics.metric import UpliftOptions
from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.causal.effects.treatment import UpliftLog

_SHOWN = 3


def unmeasured(name: str, absent: Mapping[str, str]) -> Iterator[str]:
    """The configured metrics of effects that are undefined on data ``name``, a line for each reason.

    Other undefined metrics (RMSE of a ranker) are expected: an empty cell is enough.
    """
    effects = {metric: reason for metric, reason in absent.items() if choose(metric).metric.evidence in KINDS}
    for line in by_reason(effects):
        yield f"{name}: no {line}"


def by_reason(absent: Mapping[str, str]) -> Iterator[str]:
    """Metrics without a value, ``METRICS: REASON``, the first few of each reason by name."""
    for reason in dict.fromkeys(absent.values()):
        metrics = [metric for metric in absent if absent[metric] == reason]
        shown, rest = ", ".join(metrics[:_SHOWN]), len(metrics) - _SHOWN
        more = f" and {rest} other{'s' if rest > 1 else ''}" if rest > 0 else ""
        yield f"{shown}{more}: {reason}"


def clipped(log: UpliftLog | None, options: UpliftOptions | None) -> int:
    """The number of rows with overlap of a tested log whose weight is clipped: their arm's propensity is below χ."""
    if log is None or options is None:
        return 0
    e = log.propensity
    # Compared in the precision of the propensities: the float32 of .01 is below the float64 of .01, but not below χ.
    low, high = e.dtype.type(options.chi), e.dtype.type(1 - options.chi)
    return int(((e > 0) & (e < 1) & np.where(log.treated, e < low, e > high)).sum())

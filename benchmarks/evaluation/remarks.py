"""What an evaluation could not do, or did with doubtful weights, in sentences for the user."""

from collections.abc import Iterator, Mapping

import numpy as np

from upliftlens.benchmarks.evaluation.evidence import KINDS
from upliftlens.benchmarks.metrics.metric import UpliftOptions
from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.causal.effects.treatment import UpliftLog

_SHOWN = 3


def unmeasured(name: str, absent: Mapping[str, str]) -> Iterator[str]:
    """Metrics of effects that were asked for and that data ``name`` can't have, a line for each reason.

    Others that a method can't have (RMSE of a ranker) are no news: an empty cell says it.
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
    """Rows of a tested log with overlap whose weight clipping at χ cuts: their own arm's propensity is below it."""
    if log is None or options is None:
        return 0
    e = log.propensity
    # In the precision of the propensities: the float32 of .01 lies below .01, and is not meant to be below χ = .01.
    low, high = e.dtype.type(options.chi), e.dtype.type(1 - options.chi)
    return int(((e > 0) & (e < 1) & np.where(log.treated, e < low, e > high)).sum())

"""Is one method better than another? Paired over users and seeds, with direction, effect size and Holm's correction."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from upliftlens.benchmarks.evaluation.outcome import Evaluation, statistic_of
from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.intervals import (
    Resampling,
    across_seeds,
    holm,
    informative,
    interval,
    p_value,
    replicates,
    value,
)

Contenders = tuple[Sequence[Evaluation], Sequence[Evaluation]]
"""Runs of the first and of the second method, one per seed or fold, in the same order."""


class Comparison(NamedTuple):
    """``difference`` = first − second with its interval, in the metric's own direction; NaN bounds where n < 2.

    ``effect``: standardised difference per user, positive where the first is better. ``p``: two-sided; ``p_holm``:
    corrected for all comparisons made together. ``n``: distinct users behind it. ``better`` is decided by ``p_holm``.
    """

    metric: str
    first: float
    second: float
    difference: float
    lo: float
    hi: float
    effect: float
    p: float
    p_holm: float
    n: int
    better: Literal["first", "second", "undecided"]


def compare(pairs: Mapping[str, Contenders], name: str, resampling: Resampling) -> dict[str, Comparison]:
    """Compare several pairs of methods on one metric; the p-values are corrected for the number of pairs (Holm).

    Both methods of a pair see the same resamples of users and seeds: an easy user or a lucky split cancels out.
    With more than one run the seeds are resampled too, so the verdict is about the methods, not about these runs.
    The effect is d / (√n · SD of d over resamples of users): for a metric that is a mean of per-user values this is
    Cohen's d_z, the mean over the standard deviation of the per-user differences.

    Raises:
        UpliftlensError: if a run lacks the metric, or the runs of a pair aren't over the same users, seed by seed.
    """
    raw = {label: _compare(label, *both, name, resampling) for label, both in pairs.items()}
    corrected = holm([one.p for one in raw.values()])
    return {
        label: one._replace(p_holm=p, better=_verdict(one, p, resampling.level))
        for (label, one), p in zip(raw.items(), corrected, strict=True)
    }


def in_words(found: Comparison, first: str, second: str, level: float) -> list[str]:
    """Lines for a reader: both values, their difference with its interval, and the verdict; ``level`` as in (0, 1)."""
    bounds = f"[{found.lo:+.4f}, {found.hi:+.4f}]"
    verdict = {
        "first": f"{first} is better: the difference is not chance",
        "second": f"{second} is better: the difference is not chance",
        "undecided": "undecided: the difference may be chance",
    }[found.better]
    return [
        f"  {first:<24} {found.first:.4f}",
        f"  {second:<24} {found.second:.4f}",
        f"  {'difference':<24} {found.difference:+.4f} {bounds}, p = {found.p:.3g}, effect {found.effect:+.2f}",
        f"{verdict} at level {level:.0%}.",
    ]


def _compare(
    label: str, first: Sequence[Evaluation], second: Sequence[Evaluation], name: str, resampling: Resampling
) -> Comparison:
    if not first or len(first) != len(second):
        raise UpliftlensError(
            f"comparison '{label}': {len(first)} runs against {len(second)}; it needs the same seeds on both sides"
        )
    left, right = ([statistic_of(one, name) for one in side] for side in (first, second))
    for seed, (a, b) in enumerate(zip(left, right, strict=True)):
        if not np.array_equal(a.units, b.units):
            raise UpliftlensError(
                f"comparison '{label}': run {seed + 1} of each side has different test users; compare runs of one split"
            )
    replicated, _ = replicates([*left, *right], resampling)
    per_seed = replicated[: len(left)] - replicated[len(left) :]
    ours, theirs = (float(np.mean([value(one) for one in side])) for side in (left, right))
    difference = ours - theirs
    defined = [one.units[informative(one)] for one in (*left, *right)]
    n = len(np.unique(np.concatenate(defined)))
    metric = choose(name).metric
    drawn = across_seeds(per_seed, resampling)
    bounds = interval(difference, drawn, n, resampling.level, (-np.inf, np.inf))
    spread = float(np.nanstd(per_seed.mean(axis=0)))
    sign = 1.0 if metric.higher_is_better else -1.0
    effect = sign * difference / (spread * np.sqrt(n)) if spread > 0 else float("nan")
    p = p_value(difference, drawn) if n >= 2 else 1.0
    return Comparison(name, ours, theirs, difference, bounds.lo, bounds.hi, effect, p, p, n, "undecided")


def _verdict(one: Comparison, p: float, level: float) -> Literal["first", "second", "undecided"]:
    if p > 1 - level:
        return "undecided"
    return "first" if (one.difference > 0) == choose(one.metric).metric.higher_is_better else "second"

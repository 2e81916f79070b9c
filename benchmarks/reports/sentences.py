"""What a comparison says to a reader: the verdict in a sentence, its numbers, and what the words mean."""

import math
from textwrap import wrap

from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.benchmarks.reports.comparison import Comparison, p_in_words
from upliftlens.benchmarks.reports.pooling import OF_FOLDS


def verdict(comparison: Comparison, first: str, second: str, level: float) -> str:
    """The result of the comparison in a sentence, with its reason; ``level`` in (0, 1)."""
    at, margin = f"at level {level:.0%}", f"±{comparison.margin or 0:g}"
    if comparison.family > 1:
        at += f", after Holm's correction for {comparison.family} comparisons"
    short, reasons = short_verdict(comparison, first, second), []
    if comparison.about == "fits":
        return f"{short} ({at}); what other seeds would give, one run can't say."
    if comparison.better != "undecided":
        reasons.append(f"the difference is hardly chance {at}")
    elif not comparison.within_margin:
        reasons.append(f"the difference may be chance {at}")
    if comparison.within_margin:
        reasons.append(f"the {level:.0%} interval lies inside {margin}")
    elif comparison.beyond_margin and comparison.better != "undecided":
        reasons.append(f"the {level:.0%} interval lies beyond {margin}")
    elif comparison.margin is not None:
        reasons.append(f"the {level:.0%} interval reaches beyond {margin}")
    return f"{short}: {'; '.join(reasons)}."


def short_verdict(comparison: Comparison, first: str, second: str) -> str:
    """The result of the comparison in a few words, without its level and reason."""
    if comparison.about == "fits":
        return "these two fits differ" if comparison.differs else "these two fits can't be told apart"
    if comparison.better == "undecided":
        beyond_0 = comparison.lo > 0 or comparison.hi < 0  # False for NaN bounds
        return "the same" if comparison.within_margin else f"undecided{' after correction' * beyond_0}"
    return f"{first if comparison.better == 'first' else second} is better{comparison.by_margin}"


def direction(metric: str) -> str:
    """Which values of a metric are the better ones, in words."""
    return f"{'higher' if choose(metric).metric.higher_is_better else 'lower'} is better"


def in_words(comparison: Comparison, first: str, second: str, level: float) -> list[str]:
    """Lines for a reader: both values, their difference with its interval, the verdict, and what the words mean."""
    difference = f"{comparison.difference:+.4f} [{comparison.lo:+.4f}, {comparison.hi:+.4f}]"
    chance = p_in_words(comparison, comparison.p, level)
    return [
        f"  {first:<24} {comparison.first:.4f}",
        f"  {second:<24} {comparison.second:.4f}",
        f"  {'difference':<24} {difference}, {chance}{effect_in_words(comparison)}",
        verdict(comparison, first, second, level),
        *meaning(level, comparison.about, comparison.over, comparison.folds),
    ]


def effect_in_words(comparison: Comparison) -> str:
    """``, effect size +0.40``; nothing where the differences have no spread."""
    return "" if math.isnan(comparison.effect) else f", effect size {comparison.effect:+.2f}"


def meaning(level: float, about: str, over: str, folds: int) -> list[str]:
    """What the words of a comparison mean, in lines; ``about``, ``over``, ``folds``: as in ``Comparison``."""
    new = ["users", *["items"] * (over == "users-items"), *["seeds"] * (about == "methods")]
    new += ["training rows"] * (folds > 1)
    effect = "the difference over the spread of the users' differences, above 0 if the first is better; 0.2 is small."
    if over == "users-items":
        effect = (
            "the difference over its spread in resamples, divided by √users; above 0 if the first is better. With "
            "items resampled, too, it comes out smaller than with users alone."
        )
    fixed = [word for word in ("seeds", "items", "training rows") if word not in new]
    others = " and ".join(filter(None, (", ".join(new[:-1]), new[-1])))
    unlike = f"With other {', '.join(fixed)} or another split" if folds == 1 else f"With other {' and '.join(fixed)}"
    return wrap(
        f"[…]: {level:.0%} interval. p: how often chance alone would make the difference as large (≤: the resamples "
        f"allow no smaller one). effect size: {effect} This is about other {others} like these. "
        + (f"{unlike} it may be different." if fixed else "")
        + (f" {OF_FOLDS}" if folds > 1 else ""),
        width=110,
    )

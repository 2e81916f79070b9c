"""What a comparison says to a reader: the verdict in a sentence, its numbers, and what the words mean."""

import math

from upliftlens.benchmarks.reports.comparison import Comparison, p_in_words


def verdict(comparison: Comparison, first: str, second: str, level: float) -> str:
    """The result of the comparison in a sentence; ``level`` in (0, 1)."""
    at = f"at level {level:.0%}"
    if comparison.family > 1:
        at += f", after Holm's correction for {comparison.family} comparisons"
    inside = f"the {level:.0%} interval lies inside ±{comparison.margin or 0:g}"
    if comparison.about == "fits":
        differ = "differ" if comparison.differs else "can't be told apart"
        return f"these two fits {differ} ({at}); what other seeds would give, one run can't say."
    if comparison.better == "undecided":
        if comparison.within_margin:
            return f"the same: {inside}."
        beyond = "" if comparison.margin is None else f", and the interval reaches beyond ±{comparison.margin:g}"
        return f"undecided: the difference may be chance {at}{beyond}."
    better = first if comparison.better == "first" else second
    if comparison.within_margin:
        return f"{better} is better, but by less than the margin: the difference is not chance {at}; {inside}."
    return f"{better} is better: the difference is not chance {at}."


def in_words(comparison: Comparison, first: str, second: str, level: float) -> list[str]:
    """Lines for a reader: both values, their difference with its interval, the verdict, and what the words mean."""
    difference = f"{comparison.difference:+.4f} [{comparison.lo:+.4f}, {comparison.hi:+.4f}]"
    chance = p_in_words(comparison, comparison.p, level)
    effect = "" if math.isnan(comparison.effect) else f", effect {comparison.effect:+.2f}"
    return [
        f"  {first:<24} {comparison.first:.4f}",
        f"  {second:<24} {comparison.second:.4f}",
        f"  {'difference':<24} {difference}, {chance}{effect}",
        verdict(comparison, first, second, level),
        *meaning(level, comparison.about, comparison.over),
    ]


def meaning(level: float, about: str, over: str) -> list[str]:
    """What the words of a comparison mean, in lines for a reader; ``about``, ``over``: as in ``Comparison``."""
    new = ["users", *["items"] * (over == "users-items"), *["seeds"] * (about == "methods")]
    effect = ["difference over the spread of the users' differences, above 0 where the first is better; 0.2 is small."]
    if over == "users-items":
        effect = [
            "difference over √users × its spread in resamples, above 0 where the first is better; resampled items make",
            "it smaller than one over users, so that 0.2 is no measure of it.",
        ]
    fixed = ", ".join([*(word for word in ("seeds", "items") if word not in new), "training rows and split"])
    return [
        f"[…]: {level:.0%} interval. p: how often chance alone would make the difference as large. effect: the",
        *effect,
        f"All this is about other {' and '.join(filter(None, (', '.join(new[:-1]), new[-1])))}; "
        f"{fixed} are taken as they are.",
    ]

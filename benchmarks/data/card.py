"""A summary of a data set on one page."""

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.causal.effects.treatment import treatment_propensity, without_overlap
from upliftlens.causal.inequality import gini
from upliftlens.causal.interactions import Interactions, take

TEST_KINDS: dict[str | None, str] = {"mar": "missing at random (MAR)", "mnar": "missing not at random (MNAR)"}
YEAR_2200 = 7_258_118_400  # in seconds since 1970
UNITS = {"milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}  # to a second
LEVELS = 12  # more distinct ratings than this are shown in ten equal bins


class Spread(NamedTuple):
    """Minimum, quartiles and maximum of rows per user or item, and their Gini coefficient (0 equal, 1 all on one)."""

    quantiles: tuple[float, ...]
    gini: float


class Recommended(NamedTuple):
    """Facts of a log of recommendations: recommended rows, mean outcome with and without, propensities.

    ``propensities``: smallest and largest; ``without_overlap``: rows where it is 0 or 1, which no estimate can use.
    ``estimated``: the log recorded no propensities. ``draws``: the logs that the world drew, of which the card shows
    the first; 1 for a real log.
    """

    rows: int
    outcome: tuple[float, float]
    propensities: tuple[float, float]
    without_overlap: int
    estimated: bool
    draws: int


class Card(NamedTuple):
    """A data set and what is counted in its ``log``, without test rows; where a world drew several, in the first.

    ``density`` = rows / (users · items); ``relevant`` = share of the log that counts as relevant. ``ratings``: (value
    or bin, share of the log). ``span``: first and last day, None without times. ``recommended``: None where the data
    don't record what was recommended.
    """

    data: Dataset
    log: Interactions
    density: float
    mean: float
    relevant: float
    ratings: tuple[tuple[str, float], ...]
    per_user: Spread
    per_item: Spread
    span: tuple[str, str] | None
    recommended: Recommended | None


def card(data: Dataset) -> Card:
    """The card of a data set."""
    log, recommended = data.log, None
    if data.has_treatments:
        log = take(log, slice(len(log) // 2 if data.redrawn else len(log)))
        z, e = np.asarray(log.treated), treatment_propensity(log)
        recommended = Recommended(
            int(z.sum()),
            (float(log.value[z].mean(dtype=np.float64)), float(log.value[~z].mean(dtype=np.float64))),
            (float(e.min()), float(e.max())),
            int(without_overlap(log).sum()),
            data.estimated,
            3 if data.redrawn else 1,
        )
    return Card(
        data=data,
        log=log,
        density=len(log) / (log.n_users * log.n_items),
        mean=float(np.mean(log.value, dtype=np.float64)),
        relevant=float(np.mean(log.value > 0 if data.feedback == "implicit" else log.value >= data.relevance)),
        ratings=_distribution(log.value),
        per_user=_spread(np.bincount(log.user, minlength=log.n_users)),
        per_item=_spread(np.bincount(log.item, minlength=log.n_items)),
        span=_span(log),
        recommended=recommended,
    )


def rows_of(facts: Card) -> list[tuple[str, str]]:
    """The card as (label, text), for any rendering."""
    data, log = facts.data, facts.log
    low, high = data.scale
    threshold = "any interaction" if data.feedback == "implicit" else f"from {data.relevance:g}"
    rows = [("interactions", f"{len(log):,} {data.feedback}")]
    if (logged := facts.recommended) is not None:
        with_it, without = logged.outcome
        smallest, largest = logged.propensities
        draws = f", the first of {logged.draws} draws" if logged.draws > 1 else ""
        rows = [
            ("logged pairs", f"{len(log):,}{draws}"),
            ("recommended", f"{logged.rows:,}, {logged.rows / log.n_users:.1f} to a user"),
            (
                "outcome",
                f"mean {with_it:.3f} where recommended, {without:.3f} where not (not the effect: tastes differ too)",
            ),
            ("propensity", f"{'estimated' if logged.estimated else 'recorded'}, {smallest:.2g} to {largest:.4g}"),
            ("no overlap", f"{logged.without_overlap:,} pairs with propensity 0 or 1, left out of estimates"),
        ]
    return [
        ("users", f"{log.n_users:,}"),
        ("items", f"{log.n_items:,}"),
        *rows,
        ("density", f"{facts.density:.4%}"),
        ("scale", f"{low:g} to {high:g}, relevant {threshold} ({facts.relevant:.1%} of the log)"),
        ("mean", f"{facts.mean:.3f}"),
        ("ratings", "  ".join(f"{level}: {share:.1%}" for level, share in facts.ratings)),
        ("per user", _spoken(facts.per_user)),
        ("per item", _spoken(facts.per_item)),
        ("time span", _period(facts)),
        (
            "own test set",
            "none" if data.test is None else f"{len(data.test):,} rows, {TEST_KINDS[data.test_kind]}",
        ),
        ("features", f"{len(data.user_features.names)} of users, {len(data.item_features.names)} of items"),
        ("terms", data.terms),
        ("source", data.source),
        ("fingerprint", data.fingerprint),
    ]


def _distribution(value: np.ndarray) -> tuple[tuple[str, float], ...]:
    levels, counts = np.unique(value, return_counts=True)
    if len(levels) <= LEVELS:
        return tuple((f"{level:g}", count / len(value)) for level, count in zip(levels.tolist(), counts.tolist()))
    counts, edges = np.histogram(value, bins=10)
    return tuple((f"{a:.3g}–{b:.3g}", count / len(value)) for a, b, count in zip(edges, edges[1:], counts.tolist()))


def _spread(counts: np.ndarray) -> Spread:
    return Spread(tuple(np.percentile(counts, (0, 25, 50, 75, 100)).tolist()), float(gini(counts)))


def _spoken(spread: Spread) -> str:
    low, first, median, third, high = spread.quantiles
    return f"median {median:g}, quartiles {first:g} and {third:g}, range {low:g} to {high:g}, Gini {spread.gini:.3f}"


def _span(log: Interactions) -> tuple[str, str] | None:
    if log.time is None or not len(log):
        return None
    first, last = (_date(int(moment)) for moment in (log.time.min(), log.time.max()))
    return first, last


def _period(facts: Card) -> str:
    if facts.span is None or facts.log.time is None:
        return "no times"
    return f"{facts.span[0]} to {facts.span[1]} ({remark_on_times(facts.log.time) or 'UTC'})"


def remark_on_times(time: np.ndarray) -> str:
    """A sentence on times whose median, read as seconds since 1970, lies beyond the year 2200; or ""."""
    middle = float(np.median(time)) if len(time) else 0.0
    if middle <= YEAR_2200:
        return ""
    fits = (f"look like {unit}: divide by {count:,}" for unit, count in UNITS.items() if middle <= YEAR_2200 * count)
    return f"read as seconds, the times lie beyond the year 2200; they {next(fits, 'are no seconds')}"


def _date(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):  # not seconds since 1970: show the number as it is
        return str(seconds)

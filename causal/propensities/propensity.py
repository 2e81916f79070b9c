"""Propensities p = P(pair is observed | user, item, value) estimated from a log, or given.

A ``Propensity`` answers for any pairs, and for whole users × items blocks where it does not depend on the value
(naive Bayes does: off O the value is unknown). Estimates are NumPy on the host, float32. The models:

    constant      |O|/|D|
    popularity    ∝ n_i^power, n_i = rows of item i
    naive Bayes   P(r | o=1)·P(o=1)/P(r), P(r) from a sample missing at random (Schnabel et al. 2016, section 5.1)
    logistic      ``causal.propensities.logistic``: regression on features, or factorisation of the exposure matrix
    given         a users × items matrix: shipped with the data, or a world's own

None of them divides by anything unknown: clipping (``clipped``) and normalisation (``normalised``) are explicit steps.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Array, Interactions


class Propensity(NamedTuple):
    """P(observed) of a pair.

    pairs(users i32[B], items i32[B], values f32[B]) -> f32[B]
    block(users i32[B]) -> f32[B, n_items], or None where p depends on the unknown value of an unobserved pair
    assumes        what must hold for it to be right, in words
    uses_mar_data  whether ratings missing at random went into it
    """

    name: str
    pairs: Callable[[Array, Array, Array], np.ndarray]
    block: Callable[[Array], np.ndarray] | None
    assumes: str
    uses_mar_data: bool = False

    @property
    def rating_free(self) -> bool:
        """Whether it is defined off O."""
        return self.block is not None

    def everywhere(self, users: Array) -> np.ndarray:
        """f32[B, n_items], p of every item for the given users i32[B].

        Raises:
            UpliftlensError: if the propensity is not defined off O.
        """
        if self.block is None:
            raise UpliftlensError(
                f"the propensity '{self.name}' depends on the rating, so it is not defined for unobserved pairs: "
                "choose one that is (popularity, logistic, factorisation), or an objective that needs it on O only"
            )
        return self.block(users)


def constant(log: Interactions) -> Propensity:
    """|O|/|D| for every pair: then IPS = SNIPS = naive.

    Raises:
        UpliftlensError: if the log is empty.
    """
    density = _counted(log) / (log.n_users * log.n_items)
    return _of_items("constant", np.full(log.n_items, density), "every pair is equally likely to be observed")


def popularity(log: Interactions, power: float, scale: Literal["density", "max"]) -> Propensity:
    """∝ n_i^power, where n_i is the number of rows of item i.

    ``scale`` "density": the mean over D is |O|/|D| (power 1 gives n_i/U), cut off at 1. "max": (n_i/max n)^power, the
    relative exposure of Rel-MF (Saito et al. 2020, power .5). An item without rows gets 0, so clip it where needed.

    Raises:
        UpliftlensError: if the log is empty.
    """
    total = _counted(log)
    count = np.bincount(log.item, weights=log.weight, minlength=log.n_items)
    share = np.where(count > 0, (count / count.max()) ** power, 0.0)
    if scale == "density":
        share = _scaled_to(share, total / log.n_users)
    return _of_items(
        "popularity", share, f"exposure depends on the item only, as its number of rows to the power {power:g}"
    )


def naive_bayes(log: Interactions, mar: Array | None, smoothing: float) -> Propensity:
    """P(r | o=1)·P(o=1)/P(r), cut off at 1 (Schnabel et al. 2016, section 5.1).

    ``mar`` f[M] holds the values of a sample missing at random, which must have left the test set. Without it P(r) is
    taken as uniform over the values that occur in the log. ``smoothing`` is the number of imagined rows added to each
    value of the sample's count.

    Raises:
        UpliftlensError: if the log or the sample is empty, or P(r) would be 0 for a value of the log.
    """
    total = _counted(log)
    seen = np.asarray(log.value)[np.asarray(log.weight) > 0]
    levels = np.unique(seen if mar is None else np.concatenate([seen, np.asarray(mar, np.float32)]))
    given_observed = _counts(levels, seen) / total
    if mar is None:
        marginal = np.full(len(levels), 1 / len(levels))
        assumes = "the rating alone decides exposure, and all rating values are equally common among all pairs"
    else:
        if len(mar) == 0:
            raise UpliftlensError(
                "naive Bayes: the MAR sample is empty: give at least one row per rating value, or none at all"
            )
        marginal = _counts(levels, np.asarray(mar, np.float32)) + smoothing
        marginal = marginal / marginal.sum()
        assumes = (
            "the rating alone decides exposure, and a sample of ratings missing at random (MAR) shows how common each "
            "is among all pairs"
        )
    missing = levels[(marginal == 0) & (given_observed > 0)]
    if len(missing):
        raise UpliftlensError(
            f"naive Bayes: the MAR sample holds no rating {missing[0]:g}, which the log does: "
            "take a larger sample or smoothing > 0"
        )
    density = total / (log.n_users * log.n_items)
    p = np.minimum(1, given_observed * density / np.where(marginal > 0, marginal, 1)).astype(np.float32)

    def pairs(users: Array, items: Array, values: Array) -> np.ndarray:
        values = np.asarray(values, np.float32)
        at = np.minimum(np.searchsorted(levels, values), len(levels) - 1)
        if (levels[at] != values).any():
            unknown = values[levels[at] != values][0]
            raise UpliftlensError(
                f"naive Bayes: rating {unknown:g} occurs neither in the training log nor in the MAR sample"
            )
        return p[at]

    return Propensity("naive_bayes", pairs, None, assumes, uses_mar_data=mar is not None)


def given(matrix: Array, name: str) -> Propensity:
    """p f[n_users, n_items] as it is: shipped with a data set, or the world's own ("oracle").

    Raises:
        UpliftlensError: if a propensity is NaN, infinite, negative or above 1. Zero is allowed: such a pair never
        occurs.
    """
    p = np.asarray(matrix, np.float32)
    if p.ndim != 2 or not ((p >= 0) & (p <= 1 + 1e-6)).all():
        raise UpliftlensError(f"the propensities '{name}' must be a users × items matrix of numbers in [0, 1]")
    return Propensity(
        name, lambda users, items, values: p[users, items], lambda users: p[users], "the given propensities are true"
    )


def scaled(propensity: Propensity, factor: float) -> Propensity:
    """factor·p: of a random share of O, e.g. f for a validation part and 1 − f for what is left to train on."""
    if not 0 < factor <= 1:
        raise UpliftlensError(f"a share of the observed pairs must lie in (0, 1], got {factor}")
    return _mapped(propensity, lambda p: factor * p)


def clipped(propensity: Propensity, floor: float) -> Propensity:
    """max(p, floor), so that no weight exceeds 1/floor; 0 leaves p as it is.

    Raises:
        UpliftlensError: if ``floor`` is not in [0, 1], or where a p is negative.
    """
    if not 0 <= floor <= 1:
        raise UpliftlensError(f"the propensity floor must lie in [0, 1], got {floor}")

    def raised(p: np.ndarray) -> np.ndarray:
        if (p < 0).any():
            raise UpliftlensError(f"the propensity '{propensity.name}' is negative for {(p < 0).sum():,} pairs")
        return np.maximum(p, np.float32(floor))

    return _mapped(propensity, raised)


def normalised(propensity: Propensity, log: Interactions) -> Propensity:
    """min(1, c·p) with c such that Σ_O 1/p = |D| on the log: then IPS and SNIPS agree there.

    Raises:
        UpliftlensError: if the log is empty or one of its propensities is not positive.
    """
    _counted(log)
    rows = np.asarray(log.weight) > 0
    p = propensity.pairs(log.user[rows], log.item[rows], log.value[rows]).astype(np.float64)
    if not (p > 0).all():
        raise UpliftlensError(
            f"the propensity '{propensity.name}' is not positive on every observed pair: clip it first"
        )
    n_pairs = log.n_users * log.n_items
    # Σ 1/min(1, c·p) falls from infinity to |O| ≤ |D| as c grows.
    factor = _bisected(lambda c: (1 / np.minimum(1, c * p)).sum() > n_pairs, 1 / p.min())
    return _mapped(propensity, lambda p: np.minimum(1, factor * p.astype(np.float64)).astype(np.float32))


def refuse_overlap(mar: Interactions, test: Interactions) -> None:
    """Check that the MAR sample behind a propensity has left the test set.

    Raises:
        UpliftlensError: if a (user, item) pair is in both.
    """
    shared = np.intersect1d(_keys(mar), _keys(test))
    if len(shared):
        user, item = divmod(int(shared[0]), test.n_items)
        raise UpliftlensError(
            f"{len(shared)} pairs of the MAR sample are also test pairs, the first is user {user}, item {item}: "
            "what estimates a propensity must leave the test set"
        )


def _keys(log: Interactions) -> np.ndarray:
    rows = np.asarray(log.weight) > 0
    return np.asarray(log.user, np.int64)[rows] * log.n_items + np.asarray(log.item, np.int64)[rows]


def _counted(log: Interactions) -> float:
    total = float(np.asarray(log.weight, np.float64).sum())
    if total <= 0:
        raise UpliftlensError("the log is empty: a propensity needs at least one observed pair")
    return total


def _counts(levels: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.bincount(np.searchsorted(levels, values), minlength=len(levels)).astype(np.float64)


def _of_items(name: str, p: np.ndarray, assumes: str) -> Propensity:
    p = p.astype(np.float32)
    return Propensity(
        name,
        lambda users, items, values: p[items],
        lambda users: np.broadcast_to(p, (len(users), len(p))),
        assumes,
    )


def _mapped(propensity: Propensity, change: Callable[[np.ndarray], np.ndarray]) -> Propensity:
    pairs, block = propensity.pairs, propensity.block
    return propensity._replace(
        pairs=lambda users, items, values: change(pairs(users, items, values)),
        block=None if block is None else lambda users: change(block(users)),
    )


def _scaled_to(share: np.ndarray, total: float) -> np.ndarray:
    """min(1, c·share) with c such that it sums to ``total``, at most the number of positive shares."""
    return np.minimum(
        1, share * _bisected(lambda c: np.minimum(1, c * share).sum() < total, 1 / share[share > 0].min())
    )


def _bisected(is_too_small: Callable[[float], bool], high: float) -> float:
    """The least factor in (0, ``high``] that is not too small, by 200 halvings."""
    low = 0.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if is_too_small(middle) else (low, middle)
    return high

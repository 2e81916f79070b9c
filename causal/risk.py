"""Risk estimators: the mean of a per-pair loss over all pairs D, from the pairs O that were observed.

Notation: e = loss of a pair, p = P(pair is observed), ê = imputed loss, c = number of pairs that a row represents.

    naive   Σ_O e / |O|                       unbiased only if p is constant
    ips     Σ_O (e/p) / |D|                   E = mean_D e for the true p (Schnabel et al. 2016, section 3.3)
    snips   Σ_O (e/p) / Σ_O (1/p)             consistent, usually less variance (same)
    clipped ips with max(p, floor)            bounded weights, biased where p < floor
    doubly robust  mean_D ê + estimator(e − ê)

``doubly_robust`` is a transform: over ips it is DR (Wang et al. 2019: mean_D[ê + o(e − ê)/p]), over snips the
self-normalised DR, over p ≡ 1 it is EIB (mean_D[o·e + (1 − o)·ê]).

An estimator is a function ``(loss f[N], propensity f[N], n_pairs, weight f[N] | None) -> f[]`` of the rows of O. Given
a differentiable loss it is a training loss, given an error or a gain it is a debiased metric. It keeps its inputs'
dtype and works under jit, grad and vmap; given nothing but NumPy arrays it computes with NumPy, on the host, so that
float64 stays float64 whatever JAX is set to. A row of weight 0 is padding: it counts nothing, whatever its loss and
propensity hold, NaN included. Weights and ``n_pairs`` are in the same unit, so a minibatch whose weights sum to 1 goes
with ``n_pairs`` = |D|/|O|. On an empty log every sum over O is 0 and 0/0 is 0: naive, ips and snips are 0, DR is
mean_D ê.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Array


class RiskEstimator(Protocol):
    """Loss and propensity of each observed row, |D|, the rows' weights (None: each counts once) to an estimate f[]."""

    def __call__(
        self, loss: Array, propensity: Array | None, n_pairs: Array | float, weight: Array | None = None
    ) -> Array:
        """The estimate of mean_D(loss)."""
        ...


class Terms(NamedTuple):
    """An estimate taken apart by rows: Σ numerator / Σ denominator.

    ``denominator`` None: the estimate divides by |D|, the number of all pairs.
    """

    numerator: Array
    denominator: Array | None


@dataclass(frozen=True)
class WeightedRisk:
    """Σ_O w(p)·e over |D| or, self-normalised, over Σ_O w(p).

    ``inverse`` is w; it sees the propensities, or None where it needs none.
    """

    name: str
    inverse: Callable[[Array], Array] | None
    self_normalised: bool

    def terms(self, loss: Array, propensity: Array | None, weight: Array | None = None) -> Terms:
        """Numerator and denominator of each row, f[N], for sums over users and for intervals.

        Raises:
            UpliftlensError: if a propensity is missing, not finite, not positive or above 1 (checked where values
            are known,
                i.e. outside of a compiled program), or the columns differ in shape.
        """
        lib = _library(loss, propensity, weight)
        loss = lib.asarray(loss)
        count = lib.ones_like(loss) if weight is None else lib.asarray(weight)
        counted = count > 0
        inverse = count
        if self.inverse is not None:
            _require_propensity(self.name, propensity, weight)
            # Padding may hold anything: it is replaced before the division, so that no NaN reaches a gradient.
            inverse = count * self.inverse(lib.where(counted, lib.asarray(propensity), 1))
        numerator = inverse * lib.where(counted, loss, 0)
        if numerator.shape != loss.shape:
            raise UpliftlensError(
                f"loss, propensity and weight must have one shape, got loss {loss.shape} and {inverse.shape}"
            )
        return Terms(numerator, inverse if self.self_normalised else None)

    def __call__(
        self, loss: Array, propensity: Array | None, n_pairs: Array | float, weight: Array | None = None
    ) -> Array:
        """The estimate f[]; see the module for the formula and the errors."""
        terms = self.terms(loss, propensity, weight)
        denominator = n_pairs if terms.denominator is None else terms.denominator.sum()
        return ratio_or_zero(terms.numerator.sum(), denominator)


def _reciprocal(propensity: Array) -> Array:
    return _library(propensity).reciprocal(propensity)


naive = WeightedRisk("naive", None, True)
"""Σ_O e / |O|: as if the observed pairs were all pairs. Ignores ``propensity`` (None will do) and ``n_pairs``."""

ips = WeightedRisk("ips", _reciprocal, False)
"""Σ_O (e/p) / |D| (Schnabel et al. 2016, section 3.3). Unbiased for the true p."""

snips = WeightedRisk("snips", _reciprocal, True)
"""Σ_O (e/p) / Σ_O (1/p) (same source). Ignores ``n_pairs``. Biased in a minibatch: it is a ratio."""

observed_part = WeightedRisk("observed part", None, False)
"""Σ_O e / |D|, i.e. ips with p ≡ 1: what ``eib`` corrects by. Ignores ``propensity``."""


def clipped_ips(floor: float) -> WeightedRisk:
    """Σ_O (e/max(p, floor)) / |D|: no pair weighs more than 1/floor. Biased downward for losses ≥ 0 where p < floor.

    Raises:
        UpliftlensError: if ``floor`` is not in (0, 1].
    """
    if not 0 < floor <= 1:
        raise UpliftlensError(f"the floor of clipped propensities must lie in (0, 1], got {floor}")
    return WeightedRisk("clipped_ips", lambda propensity: 1 / propensity.clip(floor), False)


def doubly_robust(estimator: RiskEstimator, imputed: Array, imputed_mean: Array) -> RiskEstimator:
    """mean_D ê + estimator(e − ê): right if the propensities *or* the imputed losses are.

    ``imputed`` f[N] is ê on the rows of O, ``imputed_mean`` f[] is mean_D ê (exact, or an unbiased sample of it).
    Over ``ips``: DR (Wang et al. 2019). For learning, ê must depend on the prediction: ê = ℓ(pseudo-label, r̂).
    """

    def estimate(loss: Array, propensity: Array | None, n_pairs: Array | float, weight: Array | None = None) -> Array:
        return imputed_mean + estimator(_library(loss, imputed).asarray(loss) - imputed, propensity, n_pairs, weight)

    return estimate


snips_dr = partial(doubly_robust, snips)
"""Self-normalised DR: mean_D ê + Σ_O((e − ê)/p) / Σ_O(1/p)."""

eib = partial(doubly_robust, observed_part)
"""Error-imputation-based: mean_D[o·e + (1 − o)·ê] = mean_D ê + Σ_O(e − ê)/|D|. Ignores ``propensity``."""


def stable_dr(imputed: Array, imputed_mean: Array) -> RiskEstimator:
    """StableDR (Li et al. 2023): Σ_O(e/p') / Σ_O(1/p') with p' that satisfies Σ_D (1 − o/p')(ê − mean_D ê) = 0.

    On arrays p' is the given p moved along one logistic direction, logit p' = logit p + t·(ê − mean_D ê), to the t at
    which the constraint holds: Σ_O (ê − mean_D ê)/p' = 0, as mean_D(ê − mean_D ê) is 0. The root is unique, since the
    sum falls in t, and exists when ê lies on both sides of its mean on rows with p < 1; otherwise the estimate is NaN.
    p' and ê are constants to the gradient. When learning, ``causal.objectives.dr.stable_dr`` fits p' as a model
    instead.
    """

    def estimate(loss: Array, propensity: Array | None, n_pairs: Array | float, weight: Array | None = None) -> Array:
        _require_propensity("stable_dr", propensity, weight)
        balanced = balanced_propensity(propensity, imputed, imputed_mean, weight)
        lib = _library(loss, balanced, weight)
        counted = True if weight is None else lib.asarray(weight) > 0
        solved = lib.isfinite(lib.where(counted, balanced, 1)).all()
        return lib.where(solved, snips(loss, lib.where(solved, balanced, 1), n_pairs, weight), lib.nan)

    return estimate


def balanced_propensity(propensity: Array, imputed: Array, imputed_mean: Array, weight: Array | None = None) -> Array:
    """p' of ``stable_dr``, f[N]: σ(logit p + t(ê − mean_D ê)) with Σ_O (ê − mean_D ê)/p' = 0; NaN without such a t."""
    lib = _library(propensity, imputed, imputed_mean, weight)
    propensity = lib.asarray(propensity)
    count = lib.ones_like(propensity) if weight is None else lib.asarray(weight)
    p, gap = lib.where(count > 0, propensity, 1), lib.where(count > 0, lib.asarray(imputed) - imputed_mean, 0)
    if lib is jnp:
        p, gap = jax.lax.stop_gradient((p, gap))
    gap = gap / lib.maximum(abs(gap).max(initial=0), jnp.finfo(p.dtype).tiny)
    odds = (1 - p) / p

    def inverse(t: Array) -> Array:
        return 1 + odds * lib.exp(-t * gap)

    def imbalance(t: Array) -> Array:
        return (count * gap * inverse(t)).sum()

    def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = (low + high) / 2
        above = imbalance(middle) > 0
        return lib.where(above, middle, low), lib.where(above, high, middle)

    limit = lib.asarray(64.0, p.dtype)  # e^64·1/p still fits float32
    rounding = 16 * jnp.finfo(p.dtype).eps * count.sum()
    exists = (imbalance(-limit) >= -rounding) & (imbalance(limit) <= rounding)
    loop = jax.lax.fori_loop if lib is jnp else _on_the_host
    low, high = loop(0, 80, halve, (-limit, limit))
    return lib.where(exists, 1 / inverse((low + high) / 2), lib.nan)


def by_user(terms: Terms, user: Array, n_users: int, pairs_per_user: Array | float) -> tuple[Array, Array]:
    """Numerators f[n_users] and denominators f[n_users] of an estimate: its value is the ratio of their sums.

    ``pairs_per_user``: each user's share of |D|, the number of items where these are all users, or f[n_users] where
    users differ. Resampling users and taking the ratio again gives the estimate's interval.
    """
    lib = _library(*terms, user)
    sums = [
        np.bincount(user, column, n_users) if lib is np else jax.ops.segment_sum(column, user, n_users)
        for column in terms
        if column is not None
    ]
    return sums[0], lib.full_like(sums[0], pairs_per_user) if terms.denominator is None else sums[1]


def ratio_or_zero(numerator: Array, denominator: Array | float) -> Array:
    """numerator/denominator, and 0 (with gradient 0) where the denominator is 0: the value on an empty log.

    Where an undefined value must not pass for 0, ``causal.intervals.ratio`` says NaN.
    """
    lib = _library(numerator, denominator)
    nonzero = lib.asarray(denominator) != 0
    return lib.where(nonzero, numerator / lib.where(nonzero, denominator, numerator.dtype.type(1)), 0)


def _library(*arrays: Any) -> Any:
    """``jax.numpy`` if an argument is an array of JAX's, traced or not; else NumPy, whose float64 is always there."""
    return jnp if any(isinstance(array, jax.Array) for array in arrays) else np


def _on_the_host(start: int, stop: int, step: Callable[[int, Any], Any], carry: Any) -> Any:
    """``jax.lax.fori_loop`` in Python."""
    return reduce(lambda carry, number: step(number, carry), range(start, stop), carry)


def _require_propensity(estimator: str, propensity: Array | None, weight: Array | None) -> None:
    if propensity is None:
        raise UpliftlensError(f"the risk estimator '{estimator}' divides by propensities: none were given")
    check_propensity(propensity, weight)


def check_propensity(propensity: Array, weight: Array | None = None) -> None:
    """Refuse propensities that no pair can have. Inside a compiled program values are unknown and nothing is checked.

    Raises:
        UpliftlensError: if one is NaN, infinite, ≤ 0 or > 1 on a row of positive weight.
    """
    if isinstance(propensity, jax.core.Tracer) or isinstance(weight, jax.core.Tracer):
        return
    p = np.asarray(propensity)
    counted = np.ones(p.shape, bool) if weight is None else np.asarray(weight) > 0
    bad = counted & ~((p > 0) & (p <= 1 + 1e-6))  # a NaN fails both comparisons
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UpliftlensError(
            f"{int(bad.sum())} of {int(counted.sum())} propensities are not in (0, 1], the first is {p.ravel()[row]} "
            f"(row {row}): every observed pair needs a positive propensity; clip them or fix the source"
        )

"""How far to trust a propensity: what its weights 1/p do to an estimate, and whether it fits the exposure.

With w = 1/p over the N observed pairs of |D|:

    effective sample size   (Σ w)²/Σ w²; its share is that of N
    largest weight          max w, and its share of Σ w
    clip rate               share of O at or below the floor
    inverse ratio           Σ_O 1/p / |D|, whose expectation is 1 for the true p, with standard error
                            √(Σ_O (1 − p)/p²)/|D| (unbiased for the variance Σ_D (1 − p)/p)
    ECE                     Σ_bins (n_b/|D|)·|mean p − mean o|, bins of equally many pairs
    BMSE                    ‖mean_D[(o/p − (1 − o)/(1 − p))·φ]‖², φ features of the pair (Li et al. 2023, IPS-V2)
    imbalance               max_f |mean_D[(o/p − (1 − o)/(1 − p))·z_f]| beyond two standard errors, z_f = φ_f − mean
                            over sd: how many sd the weighted means of observed and unobserved pairs are apart where
                            both sets of weights sum to |D| (else the total is in it, too)

On pairs that the fit has not seen, all relative to what the mean of o gives everywhere:

    error                   ECE as a share of the mean of o
    by chance               the same, expected of the true p: √(2/π)·Σ_bins √(Σ p(1 − p)) / Σ o, nearly
    gain                    1 − log loss of p / log loss of the mean of o: below 0 where p is worse than a constant

ECE, BMSE and imbalance need p on all of D and are absent for a propensity that is not defined there.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from upliftlens.causal.calibration import bins_of
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Array
from upliftlens.causal.risk import check_propensity

Verdict = Literal["good", "fair", "poor"]

# What separates good | fair | poor; below the first number good, above the second poor. Rules of thumb, not theorems.
LOST_SAMPLE = (0.75, 0.95)  # 1 − effective share of the sample
TOP_WEIGHT = (0.01, 0.10)  # share of all weight that one pair carries
CLIPPED = (0.05, 0.25)  # share of O that the floor has changed
OFF_TOTAL = (0.10, 0.25)  # |Σ_O 1/p − |D||/|D|, beyond two standard errors
MISCALIBRATED = (0.10, 0.50)  # ECE as a share of the mean of o
IMBALANCED = (0.10, 0.25)  # standardised difference of a feature: Austin (2009) | Rubin (2001)


LEAST = 1e-7  # log losses keep p in [1e-7, 1 − 1e-7]
NO_GAIN = (0.01, 0.10)  # log loss above that of a constant, as a share of it


class Calibration(NamedTuple):
    """The three numbers of the module's second table."""

    error: float
    by_chance: float
    gain: float


class ExposureFit(NamedTuple):
    """How p fits the exposure on all of D; None if not known. ``feature``: the one with the largest imbalance.

    ``unseen``: of a fit without a share of the observed pairs, on the pairs it has not seen.
    """

    ece: float | None = None
    bmse: float | None = None
    imbalance: float | None = None
    feature: str | None = None
    unseen: Calibration | None = None


NO_FIT = ExposureFit()


@dataclass(frozen=True)
class Diagnostics:
    """The numbers of the module's table, and a verdict in words with its reasons."""

    n_observed: int
    effective_sample_size: float
    effective_share: float
    largest_weight: float
    largest_share: float
    clip_rate: float
    inverse_ratio: float
    inverse_ratio_error: float
    ece: float | None
    bmse: float | None
    imbalance: float | None
    verdict: Verdict
    reason: str


def diagnose(propensity: Array, n_pairs: int, floor: float, fit: ExposureFit = NO_FIT) -> Diagnostics:
    """Diagnostics of the propensities f[N] of the observed pairs, after clipping at ``floor``.

    ``fit`` is what ``calibration_error``, ``balance`` and ``imbalance`` gave, where p is defined on all of D.

    Raises:
        UpliftlensError: if the log is empty or a propensity is not in (0, 1].
    """
    p = np.asarray(propensity, np.float64)
    if p.size == 0:
        raise UpliftlensError("the log is empty: a propensity can't be judged without an observed pair")
    check_propensity(p)
    w = 1 / p
    size = w.sum() ** 2 / (w**2).sum()
    largest_share = float(w.max() / w.sum())
    ratio, error = w.sum() / n_pairs, np.sqrt(((1 - p) * w**2).sum()) / n_pairs
    clip_rate = float((p <= floor * (1 + 1e-6)).mean())
    lost = 1 - size / len(p)
    findings = [
        (lost, LOST_SAMPLE, f"its weights leave {size:,.0f} of {len(p):,} rows effective"),
        (largest_share, TOP_WEIGHT, f"one pair carries {largest_share:.0%} of all weight"),
        (clip_rate, CLIPPED, f"{clip_rate:.0%} of the rows are clipped at {floor:g}"),
        (
            abs(ratio - 1) - 2 * error,
            OFF_TOTAL,
            f"Σ 1/p over the log is {ratio:.2f} of the number of pairs, where 1 ± {error:.2f} is expected",
        ),
    ]
    if fit.ece is not None:
        relative = fit.ece * n_pairs / len(p)
        findings.append((relative, MISCALIBRATED, f"its calibration error is {relative:.0%} of the exposure rate"))
    if fit.imbalance is not None:
        words = f"weighted, observed and unobserved pairs still differ by {fit.imbalance:.2f} sd in {fit.feature}"
        findings.append((fit.imbalance, IMBALANCED, words))
    if fit.unseen is not None:
        beyond, loss = fit.unseen.error - fit.unseen.by_chance, -fit.unseen.gain
        findings += [
            (beyond, MISCALIBRATED, f"on unseen pairs its calibration error is {fit.unseen.error:.0%} of the rate"),
            (loss, NO_GAIN, f"on unseen pairs its log loss is {loss:.0%} above a constant's"),
        ]
    verdict, reason = _judge(findings)
    return Diagnostics(
        len(p),
        float(size),
        float(1 - lost),
        float(w.max()),
        largest_share,
        clip_rate,
        float(ratio),
        float(error),
        fit.ece,
        fit.bmse,
        fit.imbalance,
        verdict,
        reason,
    )


def calibration_error(propensity: Array, observed: Array, bins: int) -> float:
    """ECE of p f[...] against o in {0, 1} of the same shape, in ``bins`` bins of equally many pairs, ties together.

    Raises:
        UpliftlensError: if there is no pair, or the shapes differ.
    """
    p, o = np.asarray(propensity, np.float64).ravel(), np.asarray(observed, np.float64).ravel()
    if p.shape != o.shape or not p.size:
        raise UpliftlensError(f"calibration needs p and o of the same pairs, got {p.size} and {o.size}")
    return float(np.abs(np.bincount(bins_of(p, bins, "equal-mass"), weights=p - o)).sum() / p.size)


def calibration(propensity: Array, observed: Array, bins: int) -> Calibration:
    """The module's second table for p f[N] and o in {0, 1} f[N], of which some is 1; bins as of ``calibration_error``.

    Raises:
        UpliftlensError: as ``calibration_error``.
    """
    p, o = np.asarray(propensity, np.float64), np.asarray(observed, np.float64)
    error, rate = calibration_error(p, o, bins), o.mean()
    spread = np.sqrt(np.bincount(bins_of(p, bins, "equal-mass"), p * (1 - p)))
    inside = np.clip(p, LEAST, 1 - LEAST)
    losses = [-(o * np.log(q) + (1 - o) * np.log1p(-q)).mean() for q in (inside, np.clip(rate, LEAST, 1 - LEAST))]
    by_chance = np.sqrt(2 / np.pi) * spread.sum() / o.sum()
    return Calibration(error / float(rate), float(by_chance), float(1 - losses[0] / losses[1]))


def balance(propensity: Array, observed: Array, features: Array) -> float:
    """BMSE = ‖mean over pairs of (o/p − (1 − o)/(1 − p))·φ‖² for p f[N], o in {0, 1} f[N] and φ f[N, F].

    Its expectation is 0 plus sampling variance for the true p, whatever φ. All p must lie in (0, 1).

    Raises:
        UpliftlensError: if a p is not in (0, 1), or the shapes differ.
    """
    gap, phi, _ = _weighed(propensity, observed, features)
    return float(((gap[:, None] * phi).mean(axis=0) ** 2).sum())


def imbalance(propensity: Array, observed: Array, features: Array) -> tuple[float, int] | None:
    """The module's imbalance and the index of its feature, for p f[N], o in {0, 1} f[N] and φ f[N, F].

    The standard error of a feature is that under the true p, √(mean z²·(1/p + 1/(1 − p))/N). None where no feature
    varies.

    Raises:
        UpliftlensError: as ``balance``.
    """
    gap, phi, variance = _weighed(propensity, observed, features)
    if not phi.size:
        return None
    spread = phi.std(axis=0)
    varies = spread > 1e-9 * np.abs(phi).max(axis=0)  # the mean of equal numbers is off by rounding
    z = np.divide(phi - phi.mean(axis=0), spread, out=np.zeros_like(phi), where=varies)
    error = np.sqrt((z**2 * variance[:, None]).mean(axis=0) / len(z))
    beyond = np.abs((gap[:, None] * z).mean(axis=0)) - 2 * error
    worst = int(np.argmax(np.where(varies, beyond, -np.inf)))
    return (max(0.0, float(beyond[worst])), worst) if varies[worst] else None


def _weighed(propensity: Array, observed: Array, features: Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """o/p − (1 − o)/(1 − p) f[N], φ f[N, F], and the variance of the first under the true p, 1/p + 1/(1 − p)."""
    p, o = np.asarray(propensity, np.float64), np.asarray(observed, np.float64)
    phi = np.asarray(features, np.float64)
    if p.ndim != 1 or p.shape != o.shape or phi.shape[:1] != p.shape:
        raise UpliftlensError(
            f"balance needs p, o and features of the same pairs, got {p.shape}, {o.shape}, {phi.shape}"
        )
    if not ((p > 0) & (p < 1)).all():
        raise UpliftlensError("balance divides by p and 1 − p: every propensity must lie strictly between 0 and 1")
    return o / p - (1 - o) / (1 - p), phi, 1 / p + 1 / (1 - p)


def _judge(findings: list[tuple[float, tuple[float, float], str]]) -> tuple[Verdict, str]:
    poor = [words for value, (_, bad), words in findings if value > bad]
    fair = [words for value, (fine, bad), words in findings if fine < value <= bad]
    if poor:
        return "poor", "; ".join(poor)
    if fair:
        return "fair", "; ".join(fair)
    return "good", "no fault in its weights; whether exposure depends on the rating itself, a log can't show"

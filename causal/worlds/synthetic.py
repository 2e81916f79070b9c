"""A synthetic world: every preference and propensity known, a log missing not at random, a test set at random.

For user u and item i, with factors p_u, q_i in R^d and biases a_u, b_i (all standard normal),

    signal      s_ui = user_sd·a_u + item_sd·b_i + taste_sd·⟨p_u, q_i⟩/√d
    hidden      h_ui = f_u·g_i with fair coins f, g = ±1 that nobody records
    rating      r_ui = 1 + #{j : s_ui + confounding·h_ui + noise·ε_ui > c_j},  ε ~ N(0, 1)    (an ordered probit)
    exposure    log w_ui = exposure·(s_ui/sd(s) + popularity_skew·g_i + confounding·h_ui),  g ~ N(0, 1)
                p_ui = min(max_propensity, k_u·w_ui),  k_u such that Σ_i p_ui is the user's expected number of rows
    recorded    1/p̂_ui = (1 − misspecification)/p⁰_ui + misspecification/p̄_u,  p⁰: p without h; p̄_u: its mean

The thresholds c_j are normal quantiles at the cumulated ``shares``, so the complete matrix has about that rating
marginal. With ``exposure`` = 0 what is seen has nothing to do with its rating, with ``confounding`` > 0 more than
anything recorded tells.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from upliftlens.causal.interactions import Interactions, interactions
from upliftlens.causal.worlds.synthetic_options import SyntheticOptions, check_options

START = 874_724_710  # seconds since the epoch of the first possible row: ML-100K's first
DAY = 86_400


@dataclass(frozen=True)
class SyntheticTruth:
    """What only an evaluation may see. Everything about a pair is a function of these few arrays, computed on demand.

    ``users`` f64[U, d + 1] and ``items`` f64[I, d + 1] are factors and, last, bias; ``popularity`` f64[I];
    ``expected_rows`` f64[U]; ``thresholds`` f64[levels − 1]; ``hidden_users`` and ``hidden_items``, ±1, f64[U], f64[I].
    """

    options: SyntheticOptions
    users: np.ndarray
    items: np.ndarray
    popularity: np.ndarray
    expected_rows: np.ndarray
    thresholds: np.ndarray
    hidden_users: np.ndarray
    hidden_items: np.ndarray

    def signal(self, users: np.ndarray) -> np.ndarray:
        """s_ui of the given users i32[B] and every item, f64[B, I]."""
        o = self.options
        taste = _product(self.users[users, :-1], self.items[:, :-1].T)
        taste *= o.taste_sd / np.sqrt(o.dim)
        taste += o.user_sd * self.users[users, -1, None]
        taste += o.item_sd * self.items[:, -1]
        return taste

    def hidden(self, users: np.ndarray) -> np.ndarray | float:
        """confounding·h_ui of the given users i32[B] and every item, f64[B, I]; 0 without confounding."""
        if not self.options.confounding:
            return 0.0
        return self.options.confounding * self.hidden_users[users, None] * self.hidden_items

    def propensity(self, users: np.ndarray) -> np.ndarray:
        """P(the log holds the pair), f32[B, I], for the given users i32[B].

        The test pairs are drawn first and never enter the log, so this is p_ui·(1 − test_per_user/n_items).
        """
        return (self._exposure(self.signal(users), users, self.hidden(users)) * self._kept).astype(np.float32)

    def recorded_propensity(self, users: np.ndarray, misspecification: float) -> np.ndarray:
        """p̂ f32[B, I], what could be recorded of the propensity: it doesn't know h, and is wrong by a knob in [0, 1].

        At 0 it is the propensity of an observer who doesn't see h (E_h[w] is w without h, up to a factor that cancels),
        at 1 the user's mean (Guo et al. 2021, section 5.1, interpolate between the two in 1/p as well).
        """
        p = self._exposure(self.signal(users), users, 0.0) * self._kept
        inverse = (1 - misspecification) / p + misspecification / p.mean(axis=1, keepdims=True)
        return (1 / inverse).astype(np.float32)

    @property
    def _kept(self) -> float:
        return 1 - self.options.test_per_user / self.options.n_items

    def _exposure(self, signal: np.ndarray, users: np.ndarray, hidden: np.ndarray | float) -> np.ndarray:
        """p_ui, f64[B, I]: the chance of a pair that is not in the test set to enter the log."""
        o = self.options
        weight = signal * (1 / np.sqrt(o.user_sd**2 + o.item_sd**2 + o.taste_sd**2))
        weight += o.popularity_skew * self.popularity
        weight += hidden
        weight *= o.exposure
        weight -= weight.max(axis=1, keepdims=True)  # a common factor of a row cancels; this one keeps exp finite
        return _capped(np.exp(weight, out=weight), self.expected_rows[users] / self._kept, o.max_propensity)


class SyntheticWorld(NamedTuple):
    """A drawn world.

    ``log`` is missing not at random, in order of time; ``test`` is uniform over a user's items, disjoint from the log,
    in order of user and item; features f32[U, Fu] and f32[I, Fi]; ``truth`` is for evaluation only.
    """

    log: Interactions
    test: Interactions
    user_features: np.ndarray
    item_features: np.ndarray
    truth: SyntheticTruth


def synthetic_world(options: SyntheticOptions, seed: int, block: int = 32) -> SyntheticWorld:
    """Draw a world; the same options and seed give the same world.

    The U × I matrices exist for ``block`` users at a time only; the draw does not depend on ``block``. Preferences,
    test set, exposure and rating noise have streams of their own, so worlds that differ in ``exposure`` only share
    their preferences and their test set. Matrix products sum in a fixed order in float64, not through a BLAS.

    Raises:
        UpliftlensError: if an option is out of its range, or ``max_propensity`` caps the users' expected rows so
            that more than a tenth of the log is lost.
    """
    check_options(options)
    user_stream, item_stream, test_stream, log_stream, noise_stream, test_noise, time_stream, coins = _streams(seed, 8)
    user_features, users, activity = _side(options, user_stream, options.n_users, options.n_user_features)
    item_features, items, popularity = _side(options, item_stream, options.n_items, options.n_item_features)
    skew = options.activity_skew
    rows = options.ratings_per_user * np.exp(skew * activity - skew**2 / 2)
    spread = np.sqrt(
        options.user_sd**2 + options.item_sd**2 + options.taste_sd**2 + options.noise**2 + options.confounding**2
    )
    thresholds = ndtri(np.cumsum(options.shares)[:-1]) * spread
    hidden = (np.where(coins.random(n) < 0.5, -1.0, 1.0) for n in (options.n_users, options.n_items))
    truth = SyntheticTruth(options, users, items, popularity, rows, thresholds, *hidden)

    def rated(signal: np.ndarray, stream: np.random.Generator) -> np.ndarray:
        utility = signal + options.noise * stream.standard_normal(len(signal))
        return 1 + np.searchsorted(thresholds, utility)

    logged, tested = [], []
    for start in range(0, options.n_users, block):
        people = np.arange(start, min(start + block, options.n_users))
        signal = truth.signal(people)
        held_out = _choose(test_stream, len(people), options.n_items, options.test_per_user)
        hidden_cause = truth.hidden(people)
        seen = log_stream.random(signal.shape) < truth._exposure(signal, people, hidden_cause)
        signal += hidden_cause
        np.put_along_axis(seen, held_out, False, axis=1)
        row, item = np.nonzero(seen)
        logged.append((people[row], item, rated(signal[row, item], noise_stream)))
        row, item = np.repeat(np.arange(len(people)), options.test_per_user), held_out.ravel()
        tested.append((people[row], item, rated(signal[row, item], test_noise)))
    user, item, value = (np.concatenate(column) for column in zip(*logged))
    time = _times(options, time_stream, user)
    order = np.argsort(time, kind="stable")
    n_users, n_items = options.n_users, options.n_items
    log = interactions(user[order], item[order], value[order], n_users, n_items, time=time[order])
    user, item, value = (np.concatenate(column) for column in zip(*tested))
    test = interactions(user, item, value, n_users, n_items)
    return SyntheticWorld(log, test, user_features, item_features, truth)


def _streams(seed: int, count: int) -> list[np.random.Generator]:
    return [np.random.Generator(np.random.Philox(s)) for s in np.random.SeedSequence(seed).spawn(count)]


def _product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """left @ right, summed over the inner index in order: the same bits for every block, on every machine."""
    total = np.zeros((len(left), right.shape[1]))
    for k in range(len(right)):
        total += left[:, k, None] * right[k]
    return total


def _side(
    options: SyntheticOptions, stream: np.random.Generator, n: int, n_features: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features f32[n, F], factors and bias f64[n, d + 1], and a standard normal f64[n] (activity or popularity)."""
    features = stream.standard_normal((n, n_features)).astype(np.float32)
    factors = stream.standard_normal((n, options.dim))
    if n_features:
        loading = stream.standard_normal((n_features, options.dim))
        loading /= np.sqrt((loading**2).sum(axis=0))  # each factor keeps variance 1 whatever the features explain
        share = options.feature_strength
        explained = _product(features.astype(np.float64), loading)
        factors = np.sqrt(share) * explained + np.sqrt(1 - share) * factors
    bias, extra = stream.standard_normal((2, n))
    return features, np.column_stack([factors, bias]), extra


def _capped(weight: np.ndarray, total: np.ndarray, cap: float) -> np.ndarray:
    """Each row of ``weight`` scaled so that, cut off at ``cap``, it sums to ``total`` (or is ``cap`` throughout)."""
    total = np.minimum(total, cap * weight.shape[1])
    p = weight * (total / weight.sum(axis=1))[:, None]
    rows = np.flatnonzero((p > cap).any(axis=1))
    while len(rows):  # every round cuts off at least one more pair of each remaining row
        part = p[rows]
        full = part >= cap
        free = np.where(full, 0, part)
        mass = free.sum(axis=1)
        scale = (total[rows] - cap * full.sum(axis=1)) / np.where(mass > 0, mass, 1)
        p[rows] = np.where(full, cap, free * scale[:, None])
        rows = rows[(p[rows] > cap).any(axis=1)]
    return p


def _choose(stream: np.random.Generator, n_rows: int, n: int, k: int) -> np.ndarray:
    """k of n numbers for each row, sorted, i64[n_rows, k]: every subset equally likely (Floyd's algorithm)."""
    draws = stream.random((n_rows, k))
    chosen = np.empty((n_rows, k), np.int64)
    for j in range(k):
        last = n - k + j
        pick = (draws[:, j] * (last + 1)).astype(np.int64)
        taken = (chosen[:, :j] == pick[:, None]).any(axis=1)
        chosen[:, j] = np.where(taken, last, pick)
    return np.sort(chosen, axis=1)


def _times(options: SyntheticOptions, stream: np.random.Generator, user: np.ndarray) -> np.ndarray:
    """Users arrive uniformly over the period; their rows fall uniformly between arrival and its end: i64[N] seconds."""
    arrival = stream.random(options.n_users)[user]
    share = arrival + (1 - arrival) * stream.random(len(user))
    return START + (share * options.days * DAY).astype(np.int64)

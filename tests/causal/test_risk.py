"""Risk estimators against exact expectations: every mask of a tiny world, in float64, the empty one included."""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit, logit

from upliftlens.causal import risk

N_USERS, N_ITEMS = 3, 3
D = N_USERS * N_ITEMS
RNG = np.random.default_rng(5)
P = RNG.uniform(0.15, 0.9, D)
E = RNG.uniform(0.1, 4.0, D) * (1.2 - P)  # the error goes with the propensity, so naive is wrong
WRONG_P = np.clip(0.7 * P * RNG.uniform(0.6, 1.4, D), 0.05, 1)
WRONG_E = E + RNG.normal(0.5, 0.3, D)
TRUTH = E.mean()
MASKS = (np.arange(2**D)[:, None] >> np.arange(D)) & 1
CHANCE = np.where(MASKS, P, 1 - P).prod(axis=1)


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def over_masks(estimator: risk.RiskEstimator, loss: np.ndarray, propensity: np.ndarray) -> np.ndarray:
    """The estimate under each of the 2^D masks, f64[2^D]."""
    weight = jnp.asarray(MASKS, jnp.float64)
    return np.asarray(jax.jit(jax.vmap(lambda w: estimator(loss, propensity, D, w)))(weight))


def expected(estimator: risk.RiskEstimator, loss: np.ndarray, propensity: np.ndarray) -> float:
    return float(CHANCE @ over_masks(estimator, loss, propensity))


def rmse(estimator: risk.RiskEstimator, propensity: np.ndarray) -> float:
    return float(np.sqrt(CHANCE @ (over_masks(estimator, E, propensity) - TRUTH) ** 2))


def test_the_masks_are_a_distribution() -> None:
    assert abs(CHANCE.sum() - 1) < 1e-12
    assert CHANCE[0] > 0
    assert not MASKS[0].any()


def test_ips_is_unbiased_and_naive_is_not() -> None:
    assert abs(expected(risk.ips, E, P) - TRUTH) < 1e-10
    assert abs(expected(risk.naive, E, P) - TRUTH) > 0.05
    assert abs(expected(risk.ips, E, WRONG_P) - TRUTH) > 0.05


def test_ips_variance_is_its_closed_form() -> None:
    second = CHANCE @ over_masks(risk.ips, E, P) ** 2
    assert abs(second - TRUTH**2 - (E**2 * (1 - P) / P).sum() / D**2) < 1e-10


def test_clipping_biases_downward_by_what_it_cuts() -> None:
    floor = 0.5
    assert (floor > P).any()
    assert abs(expected(risk.clipped_ips(floor), E, P) - (E * P / np.maximum(P, floor)).mean()) < 1e-10
    assert abs(expected(risk.clipped_ips(P.min()), E, P) - TRUTH) < 1e-10


def test_the_empty_log_has_a_value() -> None:
    none = np.zeros(0)
    mean = 0.7
    for estimator in (risk.naive, risk.ips, risk.snips, risk.clipped_ips(0.1)):
        assert float(estimator(none, none, D)) == 0
        assert over_masks(estimator, E, P)[0] == 0
    for estimator in (risk.doubly_robust(risk.ips, none, mean), risk.snips_dr(none, mean), risk.eib(none, mean)):
        assert float(estimator(none, none, D)) == mean
    assert float(risk.stable_dr(none, mean)(none, none, D)) == 0


@pytest.mark.parametrize(
    ("propensity", "imputed", "exact"),
    [(P, E, True), (P, WRONG_E, True), (WRONG_P, E, True), (WRONG_P, WRONG_E, False)],
    ids=["both right", "propensity right", "imputation right", "both wrong"],
)
def test_doubly_robust(propensity: np.ndarray, imputed: np.ndarray, exact: bool) -> None:
    estimator = risk.doubly_robust(risk.ips, imputed, imputed.mean())
    bias = expected(estimator, E, propensity) - TRUTH
    # The closed form of the bias: mean of (p/p̂ − 1)(e − ê).
    assert abs(bias - ((P / propensity - 1) * (E - imputed)).mean()) < 1e-10
    assert (abs(bias) < 1e-10) == exact
    assert exact or abs(bias) > 0.01


def test_self_normalised_dr_and_eib_are_exact_with_the_true_imputation() -> None:
    for propensity in (P, WRONG_P):
        for estimator in (risk.snips_dr(E, TRUTH), risk.eib(E, TRUTH)):
            np.testing.assert_allclose(over_masks(estimator, E, propensity), TRUTH, rtol=0, atol=1e-12)
    assert abs(expected(risk.eib(WRONG_E, WRONG_E.mean()), E, P) - (P * E + (1 - P) * WRONG_E).mean()) < 1e-10


def test_double_robustness_pays_where_it_must_and_loses_where_it_must() -> None:
    # Wrong by up to 30 % for each pair, right on average.
    gap = 0.3 * E * np.sin(np.arange(D))
    gap[gap > 0] *= -gap[gap < 0].sum() / gap[gap > 0].sum()
    imputed = E + gap
    assert abs(imputed.mean() - TRUTH) < 1e-12
    assert (np.abs(gap) < E).all()
    dr = risk.doubly_robust(risk.ips, imputed, imputed.mean())
    assert rmse(dr, P) < 0.5 * rmse(risk.ips, P)
    assert abs(expected(dr, E, P) - TRUTH) < abs(expected(risk.eib(imputed, imputed.mean()), E, P) - TRUTH)
    # An imputation that is further off than 0 is worse than none: DR loses to IPS although it is unbiased.
    bad = -E
    assert rmse(risk.doubly_robust(risk.ips, bad, bad.mean()), P) > 1.5 * rmse(risk.ips, P)


def test_double_robustness_over_draws_with_intervals() -> None:
    """400 logs of 2,000 pairs: differences of RMSE and of |bias| over the same logs, with bootstrap intervals."""
    rng, n, draws = np.random.default_rng(5), 2000, 400
    p, loss = rng.uniform(0.05, 0.5, n), rng.gamma(2.0, 1.0, n)
    seen = jnp.asarray(rng.random((draws, n)) < p, jnp.float64)
    gap = 0.6 * loss * np.sign(p - np.median(p))  # off by .6·e, in the direction of the exposure
    gap[gap > 0] *= -gap[gap < 0].sum() / gap[gap > 0].sum()
    right, bad = loss + gap, -loss
    assert (np.abs(gap) < loss).all() and abs(right.mean() - loss.mean()) < 1e-12
    again = rng.integers(draws, size=(1000, draws))

    def errors(estimator: risk.RiskEstimator) -> np.ndarray:
        return np.asarray(jax.jit(jax.vmap(lambda w: estimator(loss, p, n, w)))(seen)) - loss.mean()

    def interval(first: np.ndarray, second: np.ndarray, summary: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        return np.quantile(summary(first[again]) - summary(second[again]), [0.025, 0.975])

    def rms(x: np.ndarray) -> np.ndarray:
        return np.sqrt((x**2).mean(axis=-1))

    def bias(x: np.ndarray) -> np.ndarray:
        return np.abs(x.mean(axis=-1))

    ips, dr, eib, worse = (
        errors(item)
        for item in (
            risk.ips,
            risk.doubly_robust(risk.ips, right, right.mean()),
            risk.eib(right, right.mean()),
            risk.doubly_robust(risk.ips, bad, bad.mean()),
        )
    )
    assert interval(dr, ips, rms)[1] < 0, "DR's RMSE lies below that of IPS"
    assert interval(dr, eib, bias)[1] < 0, "DR's bias lies below that of EIB"
    assert interval(worse, ips, rms)[0] > 0, "an imputation further off than 0: DR loses"
    for exact in (risk.doubly_robust(risk.ips, loss, loss.mean()), risk.eib(loss, loss.mean())):
        np.testing.assert_allclose(errors(exact), 0, atol=1e-12)


def test_identities_with_propensity_one_and_everything_observed() -> None:
    item = np.ones(D)
    mean = WRONG_E.mean()
    for estimator in (
        risk.naive, risk.ips, risk.snips, risk.clipped_ips(0.1), risk.eib(WRONG_E, mean), risk.snips_dr(WRONG_E, mean),
        risk.doubly_robust(risk.ips, WRONG_E, mean), risk.stable_dr(WRONG_E, mean),
    ):  # fmt: skip
        assert abs(float(estimator(E, item, D)) - TRUTH) < 1e-12


def test_identities_with_a_constant_propensity() -> None:
    seen = MASKS[0b101101011].astype(bool)
    p = np.full(seen.sum(), seen.mean())
    for estimator in (risk.naive, risk.ips, risk.snips):
        assert abs(float(estimator(E[seen], p, D)) - E[seen].mean()) < 1e-12


def test_agrees_with_plain_numpy() -> None:
    seen = MASKS[0b110110101].astype(bool)
    e, p, g, mean = E[seen], P[seen], WRONG_E[seen], WRONG_E.mean()
    plain = {
        risk.naive: e.mean(),
        risk.ips: sum(e / p) / D,
        risk.snips: sum(e / p) / sum(1 / p),
        risk.clipped_ips(0.6): sum(e / np.where(p < 0.6, 0.6, p)) / D,
        risk.doubly_robust(risk.ips, g, mean): sum(WRONG_E) / D + sum((e - g) / p) / D,
        risk.doubly_robust(risk.clipped_ips(0.6), g, mean): mean + sum((e - g) / np.where(p < 0.6, 0.6, p)) / D,
        risk.snips_dr(g, mean): mean + sum((e - g) / p) / sum(1 / p),
        risk.eib(g, mean): (sum(e) + sum(WRONG_E[~seen])) / D,
    }
    for estimator, value in plain.items():
        assert abs(float(estimator(e, p, D)) - value) < 1e-12
        # Rows counted by weights in another unit, as a minibatch has them.
        weight = np.full(len(e), 1 / len(e))
        assert abs(float(estimator(e, p, D / len(e), weight)) - value) < 1e-12


def test_stable_dr_balances_the_imputed_loss() -> None:
    seen = MASKS[0b110110101].astype(bool)
    e, p, g, mean = E[seen], P[seen], WRONG_E[seen], WRONG_E.mean()
    balanced = np.asarray(risk.balanced_propensity(p, g, mean))
    assert abs(((1 - seen_weight(seen, balanced)) * (WRONG_E - mean)).sum()) < 1e-9
    # An independent root finder.
    t = brentq(lambda t: ((g - mean) / expit(logit(p) + t * (g - mean))).sum(), -100, 100, xtol=1e-13)
    np.testing.assert_allclose(balanced, expit(logit(p) + t * (g - mean)), rtol=1e-9)
    # By the constraint, SNIPS and self-normalised DR are the same number under p'.
    value = float(risk.stable_dr(g, mean)(e, p, D))
    assert abs(value - float(risk.snips(e, balanced, D))) < 1e-12
    assert abs(value - float(risk.snips_dr(g, mean)(e, balanced, D))) < 1e-9
    # With the true imputation it is the truth, whatever p was.
    assert abs(float(risk.stable_dr(e, TRUTH)(e, WRONG_P[seen], D)) - TRUTH) < 1e-9
    # A constant imputed loss constrains nothing.
    assert abs(float(risk.stable_dr(np.full(len(e), 2.0), 2.0)(e, p, D)) - float(risk.snips(e, p, D))) < 1e-12


def seen_weight(seen: np.ndarray, propensity: np.ndarray) -> np.ndarray:
    """o/p over all pairs, from the observed pairs' p."""
    weight = np.zeros(len(seen))
    weight[seen] = 1 / propensity
    return weight


def test_stable_dr_without_a_solution_is_nan() -> None:
    assert np.isnan(float(risk.stable_dr(np.array([2.0, 3.0]), 1.0)(np.ones(2), np.full(2, 0.5), D)))


def test_padding_counts_nothing_not_even_to_the_gradient() -> None:
    seen = MASKS[0b110110101].astype(bool)
    bad = np.array([np.nan, 0.0, -1.0])
    loss, p = np.concatenate([E[seen], bad]), np.concatenate([P[seen], bad])
    weight = np.array([1.0] * 6 + [0.0] * 3)
    imputed, mean = np.concatenate([WRONG_E[seen], bad]), WRONG_E.mean()
    pairs = [
        (risk.naive, risk.naive), (risk.ips, risk.ips), (risk.snips, risk.snips),
        (risk.doubly_robust(risk.ips, imputed, mean), risk.doubly_robust(risk.ips, WRONG_E[seen], mean)),
        (risk.stable_dr(imputed, mean), risk.stable_dr(WRONG_E[seen], mean)),
    ]  # fmt: skip
    for padded, bare in pairs:
        assert abs(float(padded(loss, p, D, weight)) - float(bare(E[seen], P[seen], D))) < 1e-12
        gradient = jax.grad(lambda loss, padded=padded: padded(loss, p, D, weight))(loss)
        mine = jax.grad(lambda loss, bare=bare: bare(loss, P[seen], D))(E[seen])
        np.testing.assert_allclose(gradient[:6], mine, atol=1e-12)
        assert (gradient[6:] == 0).all()


def test_gradients_are_the_weights() -> None:
    e, p = E[:5], P[:5]
    np.testing.assert_allclose(jax.grad(lambda e: risk.ips(e, p, D))(e), 1 / p / D, rtol=1e-12)
    np.testing.assert_allclose(jax.grad(lambda e: risk.snips(e, p, D))(e), 1 / p / (1 / p).sum(), rtol=1e-12)
    np.testing.assert_allclose(jax.grad(lambda e: risk.naive(e, None, D))(e), 0.2, rtol=1e-12)
    zeros = jax.grad(lambda e: risk.snips(e, p, D, np.zeros(5)))(e)
    assert (zeros == 0).all()


@pytest.mark.parametrize("estimator", [risk.naive, risk.ips, risk.snips, risk.clipped_ips(0.3)])
def test_users_add_up_to_the_estimate(estimator: risk.WeightedRisk) -> None:
    rows = np.array([0, 1, 2, 3, 5, 8])
    numerator, denominator = risk.by_user(estimator.terms(E[rows], P[rows]), rows // N_ITEMS, N_USERS, N_ITEMS)
    assert numerator.shape == denominator.shape == (N_USERS,)
    assert abs(float(numerator.sum() / denominator.sum()) - float(estimator(E[rows], P[rows], D))) < 1e-12
    mine = rows // N_ITEMS == 1
    assert abs(float(numerator[1] / denominator[1]) - float(estimator(E[rows][mine], P[rows][mine], N_ITEMS))) < 1e-12


def test_keeps_the_dtype_and_runs_compiled() -> None:
    for dtype in (np.float32, np.float64):
        loss, p, imputed = E.astype(dtype), P.astype(dtype), WRONG_E.astype(dtype)
        for estimator in (risk.naive, risk.ips, risk.snips, risk.stable_dr(imputed, imputed.mean())):
            value = jax.jit(lambda e, p, estimator=estimator: estimator(e, p, D))(loss, p)
            assert value.dtype == dtype
            assert abs(float(value) - float(estimator(loss, p, D))) < 1e-5


@pytest.mark.parametrize("bad", [0.0, -0.1, np.nan, np.inf, 1.5])
def test_refuses_propensities_that_no_pair_can_have(bad: float) -> None:
    p = np.array([0.5, bad])
    for estimator in (risk.ips, risk.snips, risk.clipped_ips(0.1), risk.stable_dr(np.ones(2), 1.0)):
        with pytest.raises(ValueError, match=r"not in \(0, 1\].*row 1"):
            estimator(np.ones(2), p, D)
    assert float(risk.naive(np.ones(2), p, D)) == 1


def test_refuses_what_it_cannot_use() -> None:
    with pytest.raises(ValueError, match="'ips' divides by propensities"):
        risk.ips(np.ones(2), None, D)
    with pytest.raises(ValueError, match="divides by propensities"):
        risk.stable_dr(np.ones(2), 1.0)(np.ones(2), None, D)
    with pytest.raises(ValueError, match="one shape"):
        risk.ips(np.ones(1), np.full(2, 0.5), D)
    for floor in (0.0, 1.5):
        with pytest.raises(ValueError, match="floor"):
            risk.clipped_ips(floor)

"""Propensity models against independent formulas, their transforms, and bad input."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit

from upliftlens.causal.interactions import Interactions, interactions, padded, take
from upliftlens.causal.propensities import propensity as models
from upliftlens.causal.propensities.logistic import lbfgs, logistic_mf, logistic_regression

N_USERS, N_ITEMS = 30, 12
RNG = np.random.default_rng(2)
X, Y = RNG.normal(size=(N_USERS, 2)), RNG.normal(size=(N_ITEMS, 3))
RATINGS = RNG.integers(1, 6, (N_USERS, N_ITEMS))
OBSERVED = RNG.random((N_USERS, N_ITEMS)) < expit(X @ RNG.normal(size=(2, 3)) @ Y.T * 0.5 + 0.3 * RATINGS - 2)


def log_of(mask: np.ndarray) -> Interactions:
    users, items = np.nonzero(mask)
    return interactions(users, items, RATINGS[users, items], *mask.shape)


LOG = log_of(OBSERVED)
EMPTY = log_of(np.zeros((N_USERS, N_ITEMS), bool))
EVERYONE = np.arange(N_USERS)


def on_log(propensity: models.Propensity, log: Interactions = LOG) -> np.ndarray:
    return propensity.pairs(log.user, log.item, log.value)


def test_constant_is_the_density() -> None:
    p = models.constant(LOG)
    np.testing.assert_allclose(p.everywhere(EVERYONE), OBSERVED.mean(), rtol=1e-6)
    assert p.everywhere(EVERYONE).shape == (N_USERS, N_ITEMS)
    assert p.rating_free
    assert abs((1 / on_log(p)).sum() / OBSERVED.size - 1) < 1e-6


def test_popularity() -> None:
    count = OBSERVED.sum(axis=0)
    np.testing.assert_allclose(models.popularity(LOG, 1.0, "density").everywhere([0])[0], count / N_USERS, rtol=1e-6)
    np.testing.assert_allclose(
        models.popularity(LOG, 0.5, "max").everywhere([0])[0], np.sqrt(count / count.max()), rtol=1e-6
    )
    flat = models.popularity(LOG, 0.0, "density").everywhere(EVERYONE)
    np.testing.assert_allclose(flat, OBSERVED.mean(), rtol=1e-6)
    steep = models.popularity(LOG, 3.0, "density").everywhere(EVERYONE)
    assert abs(steep.mean() - OBSERVED.mean()) < 1e-6
    assert steep.max() <= 1
    alone = models.popularity(log_of(np.arange(N_ITEMS) == np.zeros((N_USERS, 1))), 1.0, "density").everywhere([3])[0]
    np.testing.assert_allclose(alone, np.arange(N_ITEMS) == 0)


def test_naive_bayes_is_bayes_rule() -> None:
    mar = np.repeat([1, 2, 3, 4, 5], [40, 25, 15, 10, 10]).astype(float)
    p = models.naive_bayes(LOG, mar, smoothing=0.0)
    for rating, share in zip([1, 2, 3, 4, 5], [0.4, 0.25, 0.15, 0.1, 0.1], strict=True):
        expected = min(1, (LOG.value == rating).mean() * OBSERVED.mean() / share)
        np.testing.assert_allclose(on_log(p)[LOG.value == rating], expected, rtol=1e-6)
    assert p.uses_mar_data
    assert not p.rating_free
    with pytest.raises(ValueError, match="not defined for unobserved pairs"):
        p.everywhere([0])


def test_naive_bayes_recovers_the_truth_on_its_own_world() -> None:
    """p a function of the rating, P(r) that of the complete matrix: the estimate is p up to sampling error."""
    rng = np.random.default_rng(0)
    ratings = rng.integers(1, 6, (400, 400))
    truth = np.array([0.02, 0.05, 0.1, 0.3, 0.5])
    users, items = np.nonzero(rng.random(ratings.shape) < truth[ratings - 1])
    log = interactions(users, items, ratings[users, items], 400, 400)
    p = models.naive_bayes(log, ratings.ravel().astype(float), smoothing=0.0)
    got = p.pairs(np.zeros(5, int), np.zeros(5, int), np.arange(1.0, 6))
    counts = np.bincount(ratings.ravel(), minlength=6)[1:]
    np.testing.assert_array_less(np.abs(got - truth), 4 * np.sqrt(truth * (1 - truth) / counts))


def test_naive_bayes_without_a_sample_says_what_it_assumes() -> None:
    p = models.naive_bayes(LOG, None, smoothing=0.0)
    assert not p.uses_mar_data
    assert "equally common" in p.assumes
    uniform = models.naive_bayes(LOG, np.arange(1.0, 6), smoothing=0.0)
    np.testing.assert_allclose(on_log(p), on_log(uniform), rtol=1e-6)


def test_naive_bayes_smoothing_adds_rows() -> None:
    mar = np.array([1.0, 1, 2, 3, 4, 5])
    smooth = on_log(models.naive_bayes(LOG, mar, smoothing=2.0))
    more = on_log(models.naive_bayes(LOG, np.concatenate([mar, np.tile(np.arange(1.0, 6), 2)]), smoothing=0.0))
    np.testing.assert_allclose(smooth, more, rtol=1e-6)


def test_given_reads_the_matrix() -> None:
    matrix = RNG.uniform(0.1, 1, (N_USERS, N_ITEMS))
    p = models.given(matrix, "shipped")
    np.testing.assert_allclose(on_log(p), matrix[OBSERVED], rtol=1e-6)
    np.testing.assert_allclose(p.everywhere([4, 2]), matrix[[4, 2]], rtol=1e-6)


def newton(design: np.ndarray, o: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """Iteratively reweighted least squares for Σ CE + Σ penalty·θ²: its logits."""
    theta = np.zeros(design.shape[1])
    for _ in range(50):
        p = expit(design @ theta)
        slope = design.T @ (p - o) + 2 * penalty * theta
        curvature = design.T @ (design * (p * (1 - p))[:, None]) + 2 * np.diag(penalty)
        theta = theta - np.linalg.solve(curvature, slope)
    assert np.abs(slope).max() < 1e-9
    return design @ theta


@pytest.mark.parametrize("features", [True, False], ids=["features", "biases only"])
def test_logistic_regression_agrees_with_newtons_method_on_the_written_out_design(features: bool) -> None:
    x, y = (X, Y) if features else (np.zeros((N_USERS, 0)), np.zeros((N_ITEMS, 0)))
    l2 = 0.7
    users, items = np.divmod(np.arange(OBSERVED.size), N_ITEMS)
    products = np.einsum("pa,pb->pab", x[users], y[items]).reshape(OBSERVED.size, -1)
    design = np.hstack([products, np.eye(N_USERS)[users], np.eye(N_ITEMS)[items], np.ones((OBSERVED.size, 1))])
    penalty = np.full(design.shape[1], l2)
    penalty[-1] = 0
    expected = expit(newton(design, OBSERVED.ravel().astype(float), penalty)).reshape(OBSERVED.shape)
    p = logistic_regression(LOG, x, y, l2=l2, iterations=2000)
    np.testing.assert_allclose(p.everywhere(EVERYONE), expected, atol=2e-5)
    np.testing.assert_allclose(on_log(p), expected[OBSERVED], atol=2e-5)
    assert abs(p.everywhere(EVERYONE).mean() - OBSERVED.mean()) < 1e-5  # the free constant sees to that


def test_logistic_regression_does_not_depend_on_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = logistic_regression(LOG, X, Y, l2=0.7, iterations=2000).everywhere(EVERYONE)
    monkeypatch.setattr("upliftlens.causal.propensities.logistic.CELLS", 7 * N_ITEMS)
    parts = logistic_regression(LOG, X, Y, l2=0.7, iterations=2000).everywhere(EVERYONE)
    np.testing.assert_allclose(parts, whole, atol=1e-6)


def test_logistic_mf_is_a_stationary_point_of_its_objective() -> None:
    l2, dim = 0.5, 2
    p = logistic_mf(LOG, dim=dim, l2=l2, seed=0, iterations=5000).everywhere(EVERYONE).astype(np.float64)
    residual = OBSERVED - p
    # Stationarity in the biases gives them from the residuals; what is left of the logits is VWᵀ + c, of rank dim for
    # the right c.
    biases = (residual.sum(axis=1)[:, None] + residual.sum(axis=0)) / (2 * l2)
    rest = np.log(p / (1 - p)) - biases
    c = minimize_scalar(lambda c: np.linalg.svd(rest - c)[1][dim], bounds=(-5, 5), method="bounded").x
    u, s, vt = np.linalg.svd(rest - c)
    assert s[dim] < 1e-3 < 0.1 * s[dim - 1]
    # RW = 2·l2·V and RᵀV = 2·l2·W for the residuals R: the singular vectors of VWᵀ are R's, with singular value 2·l2.
    for k in range(dim):
        np.testing.assert_allclose(residual @ vt[k], 2 * l2 * u[:, k], atol=2e-3)
    assert abs(residual.mean()) < 1e-6


def test_logistic_mf_of_rank_zero_is_the_regression_on_biases() -> None:
    none = np.zeros((N_USERS, 0)), np.zeros((N_ITEMS, 0))
    biases = logistic_regression(LOG, *none, l2=0.7, iterations=2000).everywhere(EVERYONE)
    rank_zero = logistic_mf(LOG, dim=0, l2=0.7, seed=0, iterations=2000).everywhere(EVERYONE)
    np.testing.assert_allclose(rank_zero, biases, atol=1e-6)


def test_padding_rows_do_not_count() -> None:
    filled = padded(LOG, len(LOG) + 9)
    for build in (
        models.constant,
        lambda log: models.popularity(log, 0.7, "density"),
        lambda log: logistic_regression(log, X, Y, l2=1.0, iterations=2000),
    ):
        np.testing.assert_allclose(build(filled).everywhere(EVERYONE), build(LOG).everywhere(EVERYONE), atol=1e-6)
    np.testing.assert_allclose(
        on_log(models.naive_bayes(filled, None, 0.0)), on_log(models.naive_bayes(LOG, None, 0.0)), rtol=1e-6
    )


def test_a_pair_that_occurs_twice_is_observed_once() -> None:
    twice = take(LOG, np.concatenate([np.arange(len(LOG)), [3, 3]]))
    again = logistic_regression(twice, X, Y, l2=1.0, iterations=2000).everywhere(EVERYONE)
    once = logistic_regression(LOG, X, Y, l2=1.0, iterations=2000).everywhere(EVERYONE)
    np.testing.assert_allclose(again, once, atol=1e-5)


def test_transforms() -> None:
    p = models.given(RNG.uniform(0.01, 0.6, (N_USERS, N_ITEMS)), "shipped")
    raw = on_log(p)
    np.testing.assert_allclose(on_log(models.scaled(p, 0.25)), raw / 4, rtol=1e-6)
    np.testing.assert_allclose(on_log(models.clipped(p, 0.2)), np.maximum(raw, 0.2), rtol=1e-6)
    np.testing.assert_array_equal(on_log(models.clipped(p, 0.0)), raw)
    for transformed in (models.clipped(p, 0.2), models.scaled(p, 0.25), models.normalised(p, LOG)):
        np.testing.assert_allclose(transformed.everywhere(EVERYONE)[OBSERVED], on_log(transformed), rtol=1e-6)
    assert models.clipped(models.naive_bayes(LOG, None, 0.0), 0.1).block is None


@pytest.mark.parametrize("scale", [0.02, 0.5, 1.0])
def test_normalised_weights_sum_to_the_number_of_pairs(scale: float) -> None:
    p = models.given(RNG.uniform(0.02, scale, (N_USERS, N_ITEMS)), "shipped")
    weights = 1 / on_log(models.normalised(p, LOG)).astype(np.float64)
    assert abs(weights.sum() / OBSERVED.size - 1) < 1e-5
    assert weights.min() >= 1


@pytest.mark.parametrize(
    "build",
    [
        models.constant,
        lambda log: models.popularity(log, 0.5, "max"),
        lambda log: models.naive_bayes(log, None, 0.0),
        lambda log: models.normalised(models.given(np.ones((N_USERS, N_ITEMS)), "ones"), log),
    ],
)
def test_an_empty_log_is_refused(build) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="log is empty"):
        build(EMPTY)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="MAR sample is empty"):
        models.naive_bayes(LOG, np.zeros(0), smoothing=1.0)
    with pytest.raises(ValueError, match="holds no rating 5"):
        models.naive_bayes(LOG, np.arange(1.0, 5), smoothing=0.0)
    with pytest.raises(ValueError, match="rating 7 occurs neither"):
        models.naive_bayes(LOG, None, 0.0).pairs([0], [0], [7.0])
    for wrong in (np.nan, -0.1, 1.1, np.inf):
        with pytest.raises(ValueError, match=r"numbers in \[0, 1\]"):
            models.given(np.full((N_USERS, N_ITEMS), wrong), "shipped")
    p = models.given(np.zeros((N_USERS, N_ITEMS)), "zeros")
    with pytest.raises(ValueError, match="clip it first"):
        models.normalised(p, LOG)
    with pytest.raises(ValueError, match="floor"):
        models.clipped(p, 1.5)
    negative = models.clipped(p._replace(pairs=lambda user, item, value: np.full(len(user), -0.1)), 0.2)
    with pytest.raises(ValueError, match=r"is negative for \d+ pairs"):
        on_log(negative)
    with pytest.raises(ValueError, match="share"):
        models.scaled(p, 0.0)


def test_bad_logistic_input_is_refused() -> None:
    with pytest.raises(ValueError, match="l2 > 0"):
        logistic_regression(LOG, X, Y, l2=0.0, iterations=100)
    with pytest.raises(ValueError, match="did not converge in 2"):
        logistic_mf(LOG, dim=2, l2=0.1, seed=0, iterations=2)
    with pytest.raises(ValueError, match=r"wrong gradients did not converge in .*ABNORMAL"):
        lbfgs(lambda x: (float(x @ x), -2 * x), np.ones(3), "wrong gradients", 50)
    with pytest.raises(ValueError, match="features of 5 users"):
        logistic_regression(LOG, X[:5], Y, l2=1.0, iterations=100)
    for log in (EMPTY, log_of(np.ones((N_USERS, N_ITEMS), bool))):
        with pytest.raises(ValueError, match="observed and unobserved"):
            logistic_mf(log, dim=2, l2=1.0, seed=0, iterations=100)


def test_a_mar_sample_inside_the_test_set_is_refused() -> None:
    mar, test = take(LOG, np.arange(10)), take(LOG, np.arange(9, 30))
    with pytest.raises(ValueError, match="1 pairs of the MAR sample are also test pairs"):
        models.refuse_overlap(mar, test)
    models.refuse_overlap(mar, take(LOG, np.arange(10, 30)))

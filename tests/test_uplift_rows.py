"""Learners as weighted rows, against the published losses written as loops over the log."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from uplift_logs import log_of, random_log

from upliftlens.causal import uplift_rows
from upliftlens.causal.losses import bpr, logistic

CHI = 0.3


def softplus(x: float) -> float:
    return float(np.log1p(np.exp(x)))


def pairwise(rows: uplift_rows.Rows, score: np.ndarray, other: np.ndarray) -> jax.Array:
    """Σ |w|·ℓ(x_uij, target) with the log's own loss; ``other`` i[U, I] is the j of every row."""
    x = score[rows.user, rows.item] - score[rows.user, other[rows.user, rows.item]]
    return (rows.weight * bpr.error(x, rows.target)).sum()


@pytest.mark.parametrize("learner", ["dlce", "blce", "dlto"])
def test_pairwise_learners_minimise_the_published_loss(learner: str) -> None:
    log, _ = random_log(6, 8, 9)
    rng = np.random.default_rng(1)
    score, other = rng.normal(size=(6, 8)), rng.integers(0, 8, (6, 8))
    rows = {
        "dlce": lambda: uplift_rows.dlce(log, CHI),
        "blce": lambda: uplift_rows.blce(log),
        "dlto": lambda: uplift_rows.dlto(log, CHI),
    }[learner]()
    expected = 0.0
    for r in range(len(log)):
        u, i, z, y, e = log.user[r], log.item[r], log.treated[r], log.outcome[r], float(log.propensity[r])
        if y == 0 or (learner == "dlto" and not z) or (learner != "blce" and e in (0.0, 1.0)):
            continue
        x = score[u, i] - score[u, other[u, i]]
        if learner == "blce":
            w = 1.0 if z else -1.0
        else:
            w = 1 / max(e, CHI) if z else -1 / max(1 - e, CHI)
        expected += w * softplus(-x) if w > 0 else abs(w) * softplus(x)
    # softplus(x) rather than −softplus(−x): descending must push a pair that sells by itself down.
    assert float(pairwise(rows, score, other)) == pytest.approx(expected, rel=1e-5)
    slopes = jax.grad(lambda s: pairwise(rows, s, other))(jnp.asarray(score, jnp.float32))
    assert np.isfinite(slopes).all()
    assert (rows.weight > 0).all()
    assert rows.weight.max() <= 1 / CHI + 1e-6


def test_dlce_weighs_a_treated_purchase_up_and_an_untreated_one_down_in_expectation_by_the_effect() -> None:
    """E[w] = μ1 − μ0 = τ for χ = 0: why ranking by DLCE ranks by uplift."""
    e, mu1, mu0 = 0.2, 0.7, 0.4
    expected = 0.0
    for z, y, chance in ((1, 1, e * mu1), (0, 1, (1 - e) * mu0)):
        log = log_of(np.array([[z]]), np.array([[y]]), np.array([[e]]))
        rows = uplift_rows.dlce(log, 0.0)
        expected += chance * float(rows.weight[0]) * (1 if rows.target[0] else -1)
    assert expected == pytest.approx(mu1 - mu0, rel=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_ulrmf_is_the_expectation_over_its_coin(alpha: float) -> None:
    log, _ = random_log(5, 6, 3)
    score = np.random.default_rng(0).normal(size=(5, 6))
    expected = 0.0
    for u, i, z, y in zip(log.user, log.item, log.treated, log.outcome, strict=True):
        positive, negative = softplus(-score[u, i]), softplus(score[u, i])
        if z:
            expected += positive if y else negative
        else:
            expected += negative if y else alpha * positive + (1 - alpha) * negative
    rows = uplift_rows.ulrmf(log, alpha)
    ours = (rows.weight * logistic.error(score[rows.user, rows.item], rows.target)).sum()
    assert float(ours) == pytest.approx(expected, rel=1e-5)


def test_ulbpr_draws_pairs_in_proportion_to_their_classes() -> None:
    # One user and one item per class: Z=1,Y=1 | Z=0,Y=0 | Z=1,Y=0 | Z=0,Y=1; a second user has positives only.
    treated, outcome = np.array([[1, 0, 1, 0], [1, 1, 1, 1]]), np.array([[1, 0, 0, 1], [1, 1, 1, 1]])
    log = log_of(treated, outcome, np.full((2, 4), 0.5))
    alpha, n = 0.25, 40_000
    triples = uplift_rows.ulbpr(log, alpha, n, np.random.default_rng(0))
    assert (triples.user == 0).all()
    counts = np.zeros((4, 4))
    np.add.at(counts, (triples.item, triples.negative), 1)
    positive, negative = np.array([1, alpha, 0, 0]), np.array([0, 1 - alpha, 1, 1])
    expected = n * np.outer(positive, negative) / (positive.sum() + 4) / negative.sum()
    assert np.abs(counts - expected).max() < 5 * np.sqrt(n * 0.1)
    assert counts[expected == 0].sum() == 0


def test_learners_without_anything_to_learn_from_say_so() -> None:
    nothing = log_of(np.array([[1, 0]]), np.array([[0, 0]]), np.array([[0.5, 0.5]]))
    for make in (lambda: uplift_rows.dlce(nothing, CHI), lambda: uplift_rows.blce(nothing)):
        with pytest.raises(ValueError, match="no row with an outcome above 0"):
            make()
    with pytest.raises(ValueError, match="can count as a positive"):
        uplift_rows.ulbpr(nothing, 0.0, 5, np.random.default_rng(0))
    with pytest.raises(ValueError, match="alpha"):
        uplift_rows.ulrmf(nothing, 1.5)
    untreated = log_of(np.array([[1, 0]]), np.array([[0, 1]]), np.array([[0.5, 0.5]]))
    with pytest.raises(ValueError, match="no row with an outcome above 0"):
        uplift_rows.dlto(untreated, CHI)

"""Unbiasedness by enumeration: every Z, Y^T and Y^C of a tiny world, weighted with its probability."""

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import pytest
from uplift_logs import log_of

from upliftlens.causal.effects import uplift
from upliftlens.causal.interactions import Interactions
from upliftlens.causal.intervals import quotient
from upliftlens.causal.worlds.potential import PotentialWorld, potential_world

WORLD = potential_world(
    mu1=np.array([[0.9, 0.3], [0.5, 0.8]]),
    mu0=np.array([[0.7, 0.1], [0.6, 0.2]]),
    propensity=np.array([[0.8, 0.25], [0.5, 0.3]]),
)
LIST = np.array([[True, True], [False, True]])  # user 0 is shown both items, user 1 the second
TRUTH = float(WORLD.tau[LIST].mean())
WRONG_E = np.array([[0.4, 0.6], [0.35, 0.7]])
WRONG_M = np.array([[0.2, 0.5], [0.1, 0.9]])

Estimate = Callable[[Interactions, np.ndarray], np.ndarray]


def outcomes(world: PotentialWorld, recorded: np.ndarray) -> Iterator[tuple[float, Interactions]]:
    """All 8⁴ combinations of (Z, Y^T, Y^C) with their probabilities."""
    e, mu1, mu0 = (part.astype(np.float64).ravel() for part in (world.propensity, world.mu1, world.mu0))
    for bits in product((0, 1), repeat=12):
        z, y1, y0 = np.array(bits).reshape(3, 4)
        chance = np.prod([np.where(x, p, 1 - p) for x, p in ((z, e), (y1, mu1), (y0, mu0))])
        y = np.where(z, y1, y0)
        yield float(chance), log_of(z.reshape(2, 2), y.reshape(2, 2), recorded)


def expectation(estimate: Estimate, recorded: np.ndarray) -> tuple[float, float]:
    """E[estimate | defined] and P(defined)."""
    total = mass = 0.0
    for chance, log in outcomes(WORLD, recorded):
        value = uplift.arm_difference(estimate(log, uplift.row_weights(log, LIST)).sum(axis=0))
        if np.isfinite(value):
            total, mass = total + chance * float(value), mass + chance
    return total / mass, mass


def ips(log: Interactions, weight: np.ndarray) -> np.ndarray:
    return uplift.estimate("ips", log, weight, 0.0)


def dr(m1: np.ndarray, m0: np.ndarray) -> Estimate:
    return lambda log, weight: uplift.estimate("dr", log, weight, 0.0, m1[log.user, log.item], m0[log.user, log.item])


@pytest.mark.parametrize(
    ("estimate", "recorded"),
    [
        pytest.param(ips, WORLD.propensity, id="ips"),
        pytest.param(dr(WORLD.mu1, WORLD.mu0), WORLD.propensity, id="dr-both-right"),
        pytest.param(dr(WRONG_M, 1 - WRONG_M), WORLD.propensity, id="dr-propensity-right"),
        pytest.param(dr(WORLD.mu1, WORLD.mu0), WRONG_E, id="dr-outcomes-right"),
    ],
)
def test_unbiased(estimate: Estimate, recorded: np.ndarray) -> None:
    mean, defined = expectation(estimate, recorded)
    assert defined == pytest.approx(1, abs=1e-6)
    assert mean == pytest.approx(TRUTH, abs=1e-6)


@pytest.mark.parametrize(
    ("estimate", "recorded"),
    [
        pytest.param(lambda log, weight: uplift.estimate("naive", log, weight, 0.0), WORLD.propensity, id="naive"),
        pytest.param(lambda log, weight: uplift.estimate("ips", log, weight, 0.5), WORLD.propensity, id="ips-clipped"),
        pytest.param(ips, WRONG_E, id="ips-wrong-propensity"),
        pytest.param(dr(WRONG_M, 1 - WRONG_M), WRONG_E, id="dr-both-wrong"),
    ],
)
def test_biased(estimate: Estimate, recorded: np.ndarray) -> None:
    assert abs(expectation(estimate, recorded)[0] - TRUTH) > 0.01


def test_policy_value_is_estimated_without_bias_by_weights_per_user() -> None:
    policy = np.array([[0.3, 0.7], [1.0, 0.0]])
    total = 0.0
    for chance, log in outcomes(WORLD, WORLD.propensity):
        sums = uplift.estimate("ips", log, uplift.row_weights(log, policy), 0.0)
        total += chance * float(uplift.arm_difference(sums.sum(axis=0)))
    assert total == pytest.approx((WORLD.tau * policy).sum(axis=1).mean(), abs=1e-6)


def test_pairs_without_overlap_are_left_out_of_the_estimate_and_of_its_truth() -> None:
    e = np.array([[1.0, 0.25], [0.5, 0.0]])
    world = potential_world(WORLD.mu1, WORLD.mu0, e)
    everything = np.ones((2, 2))
    total = 0.0
    for chance, log in outcomes(world, e):
        if chance:
            total += chance * float(uplift.arm_difference(ips(log, uplift.row_weights(log, everything)).sum(axis=0)))
    assert total == pytest.approx(float(world.tau[[0, 1], [1, 0]].mean()), abs=1e-6)
    truth = uplift.true_uplift(log, np.ones(4), world.tau).sum(axis=0)
    assert float(quotient(truth)) == pytest.approx(total, abs=1e-6)


def test_pooled_snips_is_consistent_while_naive_and_the_user_mean_stay_biased() -> None:
    def errors(copies: int, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        e, mu1, mu0 = (np.tile(part, (copies, 1)) for part in (WORLD.propensity, WORLD.mu1, WORLD.mu0))
        z = rng.random(e.shape) < e
        log = log_of(z, rng.random(e.shape) < np.where(z, mu1, mu0), e)
        weight = uplift.row_weights(log, np.tile(LIST, (copies, 1)))
        pooled = uplift.estimate("snips", log, weight, 0.0)
        values = (
            uplift.arm_difference(pooled.sum(axis=0)),
            uplift.arm_difference(uplift.estimate("naive", log, weight, 0.0).sum(axis=0)),
            quotient(uplift.per_user_mean(pooled).sum(axis=0)),
        )
        return np.array(values, np.float64) - TRUTH

    small = np.array([errors(200, seed) for seed in range(60)])
    large = np.array([errors(20_000, seed) for seed in range(60)])
    rmse = np.sqrt((large**2).mean(axis=0))
    assert rmse[0] < 0.01
    assert rmse[0] < np.sqrt((small[:, 0] ** 2).mean()) / 7  # √100 = 10 in the limit
    assert abs(large[:, 0].mean()) < 4 * large[:, 0].std() / np.sqrt(60)
    assert rmse[1] > 0.05
    assert rmse[2] > 0.05

"""Qini and uplift curves against a plain implementation that walks down the ranking."""

import numpy as np
import pytest
from uplift_logs import log_of, random_log

from upliftlens.causal.effects import qini
from upliftlens.causal.effects.uplift import inverse_propensity
from upliftlens.causal.interactions import Interactions


def plain_curves(
    log: Interactions, score: np.ndarray, weight: np.ndarray
) -> tuple[list[float], list[float], list[float]]:
    """share, uplift and Qini after every distinct score, from the definition."""
    share, uplift, curve = [0.0], [0.0], [0.0]
    used = [r for r in range(len(log)) if weight[r] > 0]
    for threshold in sorted(set(score.tolist()), reverse=True):
        top = [r for r in used if score[r] >= threshold]
        arms = []
        for arm in (True, False):
            rows = [r for r in top if bool(log.treated[r]) is arm]
            n = sum(weight[r] for r in rows)
            arms.append((n, sum(weight[r] * log.value[r] for r in rows) / n if n else 0.0))
        (n_treated, treated), (_, control) = arms
        share.append(len(top) / len(used))
        uplift.append(share[-1] * (treated - control))
        curve.append(n_treated * (treated - control))
    return share, uplift, curve


def uplift_values(sums: np.ndarray) -> np.ndarray:
    return qini.uplift_curves(sums.sum(axis=0)[:, None])[1][:, 0]


def area(share: list[float], value: list[float]) -> float:
    """Trapezoids, minus the random line's triangle."""
    steps = range(1, len(share))
    under = sum((share[j] - share[j - 1]) * (value[j] + value[j - 1]) / 2 for j in steps)
    return under - value[-1] / 2


@pytest.mark.parametrize("debiased", [False, True])
def test_curves_and_areas_agree_with_the_definition(debiased: bool) -> None:
    log, _ = random_log(6, 9, 2)
    score = np.round(np.random.default_rng(0).normal(size=len(log)), 1)  # ties among the scores
    assert len(set(score.tolist())) < len(log)
    weight = inverse_propensity(log, 0.2) if debiased else np.ones(len(log))
    points = len(log)
    sums = qini.curve_sums(log, qini.groups(score, points), weight, points)
    share, uplift, curve = plain_curves(log, score, weight)
    totals = sums.sum(axis=0)[:, None]
    shares, ours = (column[:, 0] for column in qini.uplift_curves(totals))
    # Ours has a point per row; ties leave empty shares that repeat a point.
    assert sorted(set(np.round(shares, 9))) == pytest.approx(sorted(set(np.round(share, 9))))
    assert np.interp(share, shares, ours) == pytest.approx(uplift, abs=1e-9)
    shares, ours = (column[:, 0] for column in qini.qini_curves(totals))
    assert np.interp(share, shares, ours) == pytest.approx(curve, abs=1e-9)
    assert float(qini.auuc(totals)[0]) == pytest.approx(area(share, uplift), abs=1e-9)
    n_treated = (weight * log.treated).sum()
    assert float(qini.qini_area(totals)[0]) == pytest.approx(area(share, curve) / n_treated, abs=1e-9)


def test_a_perfect_ranking_has_the_known_area_and_the_reverse_its_negative() -> None:
    # Half of the pairs have effect 1, half have none; both arms in every half.
    treated = np.array([[1, 0, 1, 0]] * 10)
    outcome = np.array([[1, 0, 1, 1]] * 10)
    log = log_of(treated, outcome, np.full(treated.shape, 0.5))
    score = np.tile([2.0, 2.0, 1.0, 1.0], 10)
    for sign in (1, -1):
        sums = qini.curve_sums(log, qini.groups(sign * score, 2), np.ones(len(log)), 2)
        # The curve rises to ½ at q = ½ and stays (or stays at 0 and rises): ∫ = 3/8 (1/8), minus the random line's ¼.
        assert float(qini.auuc(sums.sum(axis=0)[:, None])[0]) == pytest.approx(sign / 8)


def test_a_constant_score_is_the_random_line() -> None:
    log, _ = random_log(5, 6, 4)
    sums = qini.curve_sums(log, qini.groups(np.zeros(len(log)), 7), np.ones(len(log)), 7)
    totals = sums.sum(axis=0)[:, None]
    assert float(qini.auuc(totals)[0]) == pytest.approx(0, abs=1e-12)
    assert float(qini.qini_area(totals)[0]) == pytest.approx(0, abs=1e-12)


def test_the_true_curve_is_the_cumulated_effect() -> None:
    log, world = random_log(6, 9, 2)
    score = np.random.default_rng(1).normal(size=len(log))
    points = len(log)
    curve = uplift_values(qini.true_sums(log, qini.groups(score, points), world.tau, points))
    effect = world.tau[log.user, log.item].astype(np.float64)[np.argsort(-score)]
    assert curve[1:] == pytest.approx(np.cumsum(effect) / points, abs=1e-9)


def test_the_debiased_curve_comes_closer_to_the_true_one() -> None:
    log, world = random_log(1500, 20, 3, share=1.0)
    score = world.mu0[log.user, log.item]
    group = qini.groups(score, 20)
    usable = inverse_propensity(log, 0.0)
    truth = uplift_values(qini.true_sums(log, group, world.tau, 20))
    raw = uplift_values(qini.curve_sums(log, group, (usable > 0).astype(float), 20))
    debiased = uplift_values(qini.curve_sums(log, group, usable, 20))
    assert np.abs(debiased - truth).max() < 0.02 < 0.1 < np.abs(raw - truth).max()


def test_rows_go_to_equal_shares_and_ties_stay_together() -> None:
    assert qini.groups(np.array([5.0, 4, 3, 2, 1, 0]), 3).tolist() == [0, 0, 1, 1, 2, 2]
    assert qini.groups(np.array([1.0, 3, 1, 1, 2]), 5).tolist() == [4, 0, 4, 4, 1]


@pytest.mark.parametrize("score", [np.array([]), np.array([1.0, np.nan])])
def test_scores_that_cannot_be_ranked_are_refused(score: np.ndarray) -> None:
    with pytest.raises(ValueError, match="scores"):
        qini.groups(score, 4)

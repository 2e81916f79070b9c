"""The truth metrics against closed forms, and every estimator against a second implementation in plain loops."""

from itertools import permutations

import numpy as np
import pytest
from uplift_logs import random_log, random_world

from upliftlens.causal.effects import uplift
from upliftlens.causal.effects.treatment import treatment_propensity
from upliftlens.causal.interactions import Interactions
from upliftlens.causal.intervals import quotient
from upliftlens.causal.worlds.potential import ranks

USERS, ITEMS, N = 3, 5, 2
TAU = random_world(USERS, ITEMS, 7).tau.astype(np.float64)
EXACT = 1e-12


def lists_of(rank: np.ndarray, n: int) -> np.ndarray:
    """i64[U, n]: the items with ranks 1 … n, −1 where there are fewer."""
    out = np.full((len(rank), n), -1)
    for u, i in np.argwhere((rank > 0) & (rank <= n)):
        out[u, rank[u, i] - 1] = i
    return out


def values(tau: np.ndarray, rank: np.ndarray) -> tuple[float, float, float]:
    """CP@N, CDCG and CAR of a ranking."""
    sums = (
        uplift.causal_precision(tau, lists_of(rank, N)),
        uplift.causal_dcg(tau, rank),
        uplift.causal_average_rank(tau, rank),
    )
    cp, cdcg, car = (float(quotient(this_sum.sum(axis=0))) for this_sum in sums)
    return cp, cdcg, car


def all_rankings() -> np.ndarray:
    """Every ranking of the items, the same one for every user: [120, U, I]."""
    return np.array([np.tile(p, (USERS, 1)) for p in permutations(range(1, ITEMS + 1))])


def test_the_oracle_reaches_the_maximum_over_all_rankings() -> None:
    oracle = values(TAU, ranks(TAU, np.arange(ITEMS)))
    # Users are independent, so the best value is the mean of every user's best ranking.
    best = [[values(TAU[[u]], rank[[u]]) for rank in all_rankings()] for u in range(USERS)]
    cp, cdcg, car = np.array(best).transpose(2, 0, 1)
    assert oracle[0] == pytest.approx(cp.max(axis=1).mean(), abs=EXACT)
    assert oracle[1] == pytest.approx(cdcg.max(axis=1).mean(), abs=EXACT)
    assert oracle[2] == pytest.approx(car.min(axis=1).mean(), abs=EXACT)
    best_first = -np.sort(-TAU, axis=1)
    assert oracle[0] == pytest.approx(best_first[:, :N].mean(), abs=EXACT)
    assert oracle[1] == pytest.approx((best_first / np.log2(np.arange(2, ITEMS + 2))).sum(axis=1).mean(), abs=EXACT)


def test_random_ranking_gives_the_average_effect() -> None:
    cp, cdcg, car = np.mean([values(TAU, rank) for rank in all_rankings()], axis=0)
    assert cp == pytest.approx(TAU.mean(), abs=EXACT)
    assert cdcg == pytest.approx(TAU.mean() * (1 / np.log2(np.arange(2, ITEMS + 2))).sum(), abs=EXACT)
    assert car == pytest.approx(TAU.mean() * (ITEMS + 1) / 2, abs=EXACT)


def test_truth_metrics_agree_with_plain_loops_when_items_are_left_out() -> None:
    rng = np.random.default_rng(3)
    scores = rng.normal(size=TAU.shape)
    scores[0, :4] = -np.inf  # user 0 has one candidate, fewer than N; user 2 has none and is undefined
    scores[1, 2] = -np.inf
    scores[2] = -np.inf
    cps, cdcgs, cars = [], [], []
    for u in range(2):
        order = sorted((i for i in range(ITEMS) if np.isfinite(scores[u, i])), key=lambda i: -scores[u, i])
        cps.append(sum(TAU[u, i] for i in order[:N]) / len(order[:N]))
        cdcgs.append(sum(TAU[u, i] / np.log2(place + 2) for place, i in enumerate(order)))
        cars.append(sum(TAU[u, i] * (place + 1) for place, i in enumerate(order)) / len(order))
    expected = tuple(float(np.mean(item)) for item in (cps, cdcgs, cars))
    assert values(TAU, ranks(scores, np.arange(ITEMS))) == pytest.approx(expected, abs=EXACT)


def test_the_value_of_the_uniform_policy_is_cp_and_the_logged_one_is_in_proportion() -> None:
    lists = np.array([[4, 1], [0, -1], [2, 3]])
    policy = uplift.uniform_policy(lists, ITEMS)
    assert policy.sum(axis=1) == pytest.approx([1, 1, 1])
    assert uplift.causal_precision(TAU, lists)[:, 0] == pytest.approx((TAU * policy).sum(axis=1), abs=EXACT)
    e = random_world(USERS, ITEMS, 7).propensity
    shares = np.array([[e[u, i] / sum(e[u]) for i in range(ITEMS)] for u in range(USERS)])
    assert uplift.logged_policy(e) == pytest.approx(shares, rel=1e-6)
    assert not uplift.uniform_policy(np.array([[-1, -1]]), 3).any()


def plain(log: Interactions, weight: np.ndarray, chi: float, m1: np.ndarray, m0: np.ndarray) -> dict[str, np.ndarray]:
    """Every estimator in loops over rows: sums per user."""
    out = {name: np.zeros((log.n_users, 4)) for name in ("naive", "ips", "snips", "dr")}
    e_of = treatment_propensity(log)
    for row in range(len(log)):
        u, z, y, e = log.user[row], bool(log.treated[row]), float(log.value[row]), float(e_of[row])
        w = float(weight[row])
        if e in (0.0, 1.0):
            continue
        if z:
            e = max(e, chi)
            terms = {
                "naive": (w * y, w, 0, 0),
                "ips": (w * y / e, w, 0, w),
                "snips": (w * y / e, w / e, 0, 0),
                "dr": (w * (m1[row] + (y - m1[row]) / e), w, w * m0[row], w),
            }
        else:
            e = min(e, 1 - chi)
            terms = {
                "naive": (0, 0, w * y, w),
                "ips": (0, w, w * y / (1 - e), w),
                "snips": (0, 0, w * y / (1 - e), w / (1 - e)),
                "dr": (w * m1[row], w, w * (m0[row] + (y - m0[row]) / (1 - e)), w),
            }
        for name, term in terms.items():
            out[name][u] += term
    return out


@pytest.mark.parametrize("chi", [0.0, 0.3])
def test_estimators_agree_with_plain_loops(chi: float) -> None:
    log, _ = random_log(6, 9, 5)
    assert 0 < (log.propensity % 1 == 0).sum() < len(log)
    rng = np.random.default_rng(0)
    weight, m1, m0 = rng.integers(0, 3, len(log)) / 2.0, rng.random(len(log)), rng.random(len(log))
    expected = plain(log, weight, chi, m1, m0)
    assert uplift.estimate("naive", log, weight, 0.0) == pytest.approx(expected["naive"], abs=1e-9)
    assert uplift.estimate("ips", log, weight, chi) == pytest.approx(expected["ips"], abs=1e-9)
    assert uplift.estimate("snips", log, weight, chi) == pytest.approx(expected["snips"], abs=1e-9)
    assert uplift.estimate("dr", log, weight, chi, m1, m0) == pytest.approx(expected["dr"], abs=1e-9)


def test_the_user_mean_drops_users_without_both_arms() -> None:
    sums = np.array([[2.0, 4.0, 1.0, 4.0], [1.0, 1.0, 0.0, 0.0], [0.0, 2.0, 3.0, 4.0]])
    mean = quotient(uplift.per_user_mean(sums).sum(axis=0))
    assert float(mean) == pytest.approx(((2 / 4 - 1 / 4) + (0 / 2 - 3 / 4)) / 2)
    pooled = uplift.arm_difference(sums.sum(axis=0))
    assert float(pooled) == pytest.approx(3 / 7 - 4 / 8)


def test_row_weights_follow_the_lists() -> None:
    log, world = random_log(4, 5, 1)
    lists = np.array([[0, 2], [1, -1], [-1, -1], [4, 3]])
    weight = uplift.row_weights(log, uplift.membership(lists, 5))
    expected = [float(item in lists[user]) for user, item in zip(log.user, log.item, strict=True)]
    assert weight.tolist() == expected
    inside = [r for r in range(len(log)) if expected[r] and log.propensity[r] % 1]
    truth = np.mean([world.tau[log.user[r], log.item[r]] for r in inside])
    assert float(quotient(uplift.true_uplift(log, weight, world.tau).sum(axis=0))) == pytest.approx(truth)

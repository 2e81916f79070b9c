"""Worlds of potential outcomes: the exposure rules and the draws."""

import numpy as np
import pytest
from uplift_logs import dense, random_world

from upliftlens.causal.effects.treatment import treatment_propensity
from upliftlens.causal.worlds.potential import (
    draw,
    exposure_by_rank,
    fingerprint,
    potential_world,
    ranks,
    realised,
    rescaled,
)

FLOOR = 1e-6


def preferences(n_users: int, n_items: int) -> np.ndarray:
    return np.random.default_rng(0).random((n_users, n_items))


def test_ranks_count_from_the_best_with_ties_in_tie_order_and_minus_infinity_left_out() -> None:
    scores = np.array([[0.5, 2.0, 0.5, -np.inf, 1.0]])
    assert ranks(scores, np.arange(5)).tolist() == [[3, 1, 4, 0, 2]]
    assert ranks(scores, np.arange(5)[::-1]).tolist() == [[4, 1, 3, 0, 2]]


def test_without_clipping_log_rank_is_a_closed_form() -> None:
    n, per_user, b = 30, 4.0, 1.5
    preference = preferences(3, n)
    e = exposure_by_rank(preference, "log-rank", b, per_user, FLOOR, 1.0)
    total = sum(1 / np.log2(r + 1) ** b for r in range(1, n + 1))
    for u in range(3):
        order = np.argsort(-preference[u])
        expected = [per_user / total / np.log2(r + 1) ** b for r in range(1, n + 1)]
        assert e[u, order] == pytest.approx(expected, rel=1e-5)


def test_rank_exposure_of_1682_items_recommends_the_first_18_always() -> None:
    """Known for b = 1 and 100 recommendations a user; with a cap there is overlap."""
    preference = preferences(2, 1682)
    e = exposure_by_rank(preference, "rank", 1.0, 100.0, FLOOR, 1.0)
    assert (e == 1).sum(axis=1).tolist() == [18, 18]
    tail = np.sort(e[0])[::-1][18:]
    assert tail * np.arange(19, 1683) == pytest.approx(tail[0] * 19, rel=1e-4)  # unclipped: 1/rank
    capped = exposure_by_rank(preference, "rank", 1.0, 100.0, FLOOR, 0.95)
    assert capped.max() == np.float32(0.95)
    for item in (e, capped):
        assert item.sum(axis=1, dtype=np.float64) == pytest.approx([100, 100], rel=1e-6)


def test_rescaling_is_the_limit_of_rescale_and_clip() -> None:
    exposure = np.random.default_rng(1).gamma(0.3, size=(20, 40))
    e = exposure * 10 / exposure.sum(axis=1).mean()
    for _ in range(5000):
        e = np.clip(e, FLOOR, 1)
        free = e < 1
        e = np.where(free, e * (10 * 20 - (~free).sum()) / e[free].sum(), 1)
    ours = rescaled(exposure, 10.0, FLOOR, 1.0)
    assert ours == pytest.approx(np.clip(e, FLOOR, 1), abs=1e-5)
    assert ours.min() >= np.float32(FLOOR)


@pytest.mark.parametrize(("per_user", "cap"), [(10.0, 1.0), (9.5, 0.95), (1e-6, 1.0)])
def test_an_unreachable_number_of_recommendations_is_refused(per_user: float, cap: float) -> None:
    with pytest.raises(ValueError, match="cannot be reached"):
        exposure_by_rank(preferences(2, 10), "rank", 1.0, per_user, FLOOR, cap)


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown exposure rule 'ranks': did you mean 'rank'"):
        exposure_by_rank(preferences(2, 10), "ranks", 1.0, 2.0, FLOOR, 1.0)


def test_draws_follow_the_three_probabilities_and_are_independent() -> None:
    types = random_world(2, 3, 5)
    copies = 40_000
    world = potential_world(*(np.tile(part, (copies, 1)) for part in (types.mu1, types.mu0, types.propensity)))
    log = draw(world, 11)
    effect = realised(world, 11).reshape(copies, 6)
    treated = log.treated.reshape(copies, 6)
    outcome = log.value.reshape(copies, 6)
    e, mu1, mu0 = (part.ravel() for part in (types.propensity, types.mu1, types.mu0))
    within = 5 / np.sqrt(copies)  # five standard errors at most, for any share in [0, 1] and e(1 − e) ≥ .09
    assert np.abs(treated.mean(axis=0) - e).max() < within
    assert np.abs(effect.mean(axis=0) - (mu1 - mu0)).max() < 2 * within
    assert np.abs((effect == 1).mean(axis=0) - mu1 * (1 - mu0)).max() < within
    assert np.abs((effect == -1).mean(axis=0) - mu0 * (1 - mu1)).max() < within
    for arm, mean in ((treated, mu1), (~treated, mu0)):
        share = np.where(arm, outcome, 0).sum(axis=0) / arm.sum(axis=0)
        assert np.abs(share - mean).max() < 4 * within
    columns = np.corrcoef(treated.T)
    assert np.abs(columns - np.eye(6)).max() < within


def test_the_outcome_is_the_potential_one_of_the_arm() -> None:
    world = random_world(30, 20, 2)
    log, effect = draw(world, 3), realised(world, 3)
    _, treated, outcome = dense(log)
    assert (outcome[effect == 1] == treated[effect == 1]).all()
    assert (outcome[effect == -1] == 1 - treated[effect == -1]).all()
    assert {-1.0, 0.0, 1.0} == set(np.unique(effect).tolist())


def test_a_seed_gives_the_same_log_and_another_seed_another() -> None:
    world = random_world(10, 12, 0)
    first, again, other = draw(world, 1), draw(world, 1), draw(world, 2)
    assert (first.treated == again.treated).all()
    assert (first.value == again.value).all()
    assert (first.treated != other.treated).any()


def test_a_log_reports_the_recorded_propensity_not_the_true_one() -> None:
    world = random_world(4, 5, 0)
    recorded = np.full((4, 5), 0.3, np.float32)
    hidden = potential_world(world.mu1, world.mu0, world.propensity, recorded)
    assert treatment_propensity(draw(hidden, 0)) == pytest.approx(recorded.ravel())
    assert (draw(hidden, 0).treated == draw(world, 0).treated).all()


def test_the_fingerprint_sees_every_array() -> None:
    world = random_world(4, 5, 0)
    parts = [world.mu1, world.mu0, world.propensity, world.recorded]
    seen = {fingerprint(world)}
    for position in range(4):
        changed = [part.copy() for part in parts]
        changed[position][0, 0] = 0.123
        seen.add(fingerprint(potential_world(*changed)))
    assert len(seen) == 5
    assert fingerprint(potential_world(*parts)) == fingerprint(world)


@pytest.mark.parametrize("bad", [-0.1, 1.1, np.nan])
def test_probabilities_outside_of_their_range_are_refused(bad: float) -> None:
    good = np.full((2, 2), 0.5)
    wrong = good.copy()
    wrong[1, 0] = bad
    for parts, name in (
        ((wrong, good, good), "mu1"),
        ((good, wrong, good), "mu0"),
        ((good, good, wrong), "propensity"),
    ):
        with pytest.raises(ValueError, match=f"{name} must lie"):
            potential_world(*parts)
    with pytest.raises(ValueError, match="share one"):
        potential_world(good, good[:1], good)

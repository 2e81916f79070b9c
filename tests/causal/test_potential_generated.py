"""The generated world: each knob does what it says, and hidden confounding biases those who trust the record."""

from dataclasses import replace

import numpy as np
import pytest

from upliftlens.causal.worlds.potential import draw, fingerprint
from upliftlens.causal.worlds.potential_generated import GeneratedOptions, generate

PLAIN = GeneratedOptions(
    n_users=400,
    n_items=60,
    dim=4,
    base=-1.0,
    popularity_sd=0.5,
    taste_sd=1.0,
    effect=0.8,
    effect_sd=0.5,
    heterogeneity=0.0,
    confounding=0.0,
    exposure="log-rank",
    exponent=1.0,
    per_user=12.0,
    floor=1e-6,
    cap=0.95,
)


def expected_ips(world: object, e: np.ndarray) -> float:
    """E of the IPS estimate that divides by ``e``, over the draws of the world: in closed form."""
    true, mu1, mu0 = (np.asarray(getattr(world, name), np.float64) for name in ("propensity", "mu1", "mu0"))
    return float((true * mu1 / e - (1 - true) * mu0 / (1 - e)).mean())


def test_the_effect_is_the_log_odds_ratio() -> None:
    world = generate(replace(PLAIN, effect_sd=0.0), 0).world
    odds = [np.log(p / (1 - p)) for p in (world.mu1.astype(np.float64), world.mu0.astype(np.float64))]
    assert odds[0] - odds[1] == pytest.approx(np.full(world.mu1.shape, 0.8), abs=1e-4)


def test_no_effect_and_no_spread_is_no_effect_anywhere() -> None:
    assert not generate(replace(PLAIN, effect=0.0, effect_sd=0.0), 0).world.tau.any()


def test_heterogeneity_is_the_difference_between_the_groups() -> None:
    options = replace(PLAIN, effect_sd=0.0, heterogeneity=1.5)
    world, group = generate(options, 1)
    assert sorted(np.bincount(group).tolist()) == [200, 200]
    odds = [np.log(p / (1 - p)) for p in (world.mu1.astype(np.float64), world.mu0.astype(np.float64))]
    expected = 0.8 + np.where(group[:, None] == 1, 0.75, -0.75)
    assert odds[0] - odds[1] == pytest.approx(np.broadcast_to(expected, world.mu1.shape), abs=1e-4)
    # Without it the groups differ by chance only.
    same, group = generate(PLAIN, 1)
    effect = same.tau.mean(axis=1)
    spread = effect.std() * np.sqrt(2 / 200)
    assert abs(effect[group == 1].mean() - effect[group == 0].mean()) < 4 * spread


def test_exponent_zero_randomises_and_a_larger_one_follows_preference_more() -> None:
    ties = [generate(replace(PLAIN, exponent=b), 2).world for b in (0.0, 1.0, 3.0)]
    assert ties[0].propensity == pytest.approx(np.full((400, 60), 12 / 60))
    slopes = [np.corrcoef(w.propensity.ravel(), (w.mu1 + w.mu0).ravel())[0, 1] for w in ties[1:]]
    assert slopes[0] > 0.2
    assert ties[1].propensity.std() < ties[2].propensity.std()
    for world in ties:
        assert world.propensity.sum(axis=1, dtype=np.float64).mean() == pytest.approx(12, rel=1e-5)
        assert fingerprint(world) != fingerprint(generate(replace(PLAIN, exponent=0.5), 2).world)


def test_what_is_recorded_is_the_mean_over_the_hidden_cause() -> None:
    world = generate(replace(PLAIN, confounding=0.6), 3).world
    other = 2 * world.recorded.astype(np.float64) - world.propensity  # e at the other value of the coin
    ratio = np.maximum(world.propensity, other) / np.minimum(world.propensity, other)
    unclipped = np.maximum(world.propensity, other) < 0.949
    assert unclipped.mean() > 0.5
    assert ratio[unclipped] == pytest.approx(np.full(unclipped.sum(), np.exp(1.2)), rel=1e-3)
    higher = world.propensity > world.recorded
    assert abs(higher.mean() - 0.5) < 4 * 0.5 / np.sqrt(higher.size)
    open_world = generate(PLAIN, 3).world
    assert (open_world.recorded == open_world.propensity).all()


def test_hidden_confounding_biases_estimates_that_trust_the_record() -> None:
    world = generate(replace(PLAIN, confounding=0.6), 4).world
    truth = float(world.tau.mean(dtype=np.float64))
    assert expected_ips(world, world.propensity.astype(np.float64)) == pytest.approx(truth, abs=1e-6)
    assert expected_ips(world, world.recorded.astype(np.float64)) > truth + 0.03
    clear = generate(PLAIN, 4).world
    assert expected_ips(clear, clear.recorded.astype(np.float64)) == pytest.approx(clear.tau.mean(), abs=1e-5)


def test_the_seed_makes_the_world_and_its_size_is_free() -> None:
    small = replace(PLAIN, n_users=7, n_items=20)
    assert fingerprint(generate(small, 5).world) == fingerprint(generate(small, 5).world)
    assert fingerprint(generate(small, 5).world) != fingerprint(generate(small, 6).world)
    assert len(draw(generate(small, 5).world, 0)) == 140


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"confounding": -1.0}, "confounding"),
        ({"exposure": "log"}, "unknown exposure"),
        ({"per_user": 60.0}, "reached"),
        ({"exponent": 1e5}, "exposure of some pairs is 0 or infinite: lower exponent or confounding"),
    ],
)
def test_wrong_options_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generate(replace(PLAIN, **change), 0)

"""The grid world against closed forms: what each knob does, and which estimator is right in expectation."""

from dataclasses import replace

import numpy as np
import pytest

from upliftlens.causal.worlds.grid import GridOptions, Knobs, capacity_of, grid, observed_rows, worsened

OPTIONS = GridOptions(
    n_pairs=40_000,
    levels=(0.1, 0.5, 0.9),
    shares=(0.5, 0.3, 0.2),
    exposure=(0.1, 0.5, 1.0),
    density=0.1,
    prediction=((0.6, 0.4, 0.0), (0.2, 0.5, 0.3), (0.0, 0.0, 1.0)),
    loss="squared",
)
TRUTH = Knobs(0.0, 0.0, 0.0)


def world(options=OPTIONS, **knobs):
    return grid(options, replace(TRUTH, **knobs), np.random.default_rng(0))


def ips(w, error):
    """E over masks of Σ_O (error/p̂)/|D|."""
    return (w.exposure / w.propensity * error).mean()


def dr(w):
    return w.imputed.mean() + ips(w, w.loss - w.imputed)


def test_with_every_knob_at_0_the_inputs_are_the_truth():
    w = world()
    np.testing.assert_allclose(w.propensity, w.exposure)
    np.testing.assert_array_equal(w.imputed, w.loss)
    assert w.exposure.mean() == pytest.approx(OPTIONS.density)
    expected = 0.5 * 0.4 * 0.16 + 0.3 * 0.5 * 0.16  # shares × off-diagonal predictions × squared gap of .4
    assert w.loss.mean() == pytest.approx(expected, rel=0.05)
    absolute = world(replace(OPTIONS, loss="absolute"))
    np.testing.assert_allclose(absolute.loss**2, w.loss, atol=1e-12)


def test_the_propensity_knob_goes_to_constant_and_then_to_reversed():
    w = world()
    np.testing.assert_allclose(world(propensity=1.0).propensity, OPTIONS.density)
    half = 1 / world(propensity=0.5).propensity
    np.testing.assert_allclose(half, 0.5 / w.exposure + 0.5 / OPTIONS.density)
    turned = world(propensity=2.0).propensity
    assert turned[w.exposure == w.exposure.max()].max() == pytest.approx(w.exposure.min())
    np.testing.assert_allclose(worsened([2.0], 0.1, [8.0], 1.5), [0.5 / 0.1 + 0.5 * 8.0])


def test_the_imputation_knob_draws_labels_as_they_are_observed():
    w = world(imputation=1.0)
    by_level = np.array(OPTIONS.shares) * OPTIONS.exposure
    by_level /= by_level.sum()
    labels = np.array(OPTIONS.levels)
    # A guess has nothing to do with the pair: the mean of ê is that over all predictions and observed labels.
    predicted = np.array(OPTIONS.shares) @ np.array(OPTIONS.prediction)
    expected = sum(p * q * (a - b) ** 2 for p, a in zip(predicted, labels) for q, b in zip(by_level, labels))
    assert w.imputed.mean() == pytest.approx(expected, rel=0.02)
    assert 0.4 < (world(imputation=0.5).imputed != w.loss).mean() / (w.imputed != w.loss).mean() < 0.6


def test_ips_needs_the_propensity_and_dr_one_of_both():
    true = world().loss.mean()
    assert ips(world(), world().loss) == pytest.approx(true, rel=1e-12)
    assert abs(ips(world(propensity=0.5), world().loss) / true - 1) > 0.05
    assert dr(world(imputation=0.7)) == pytest.approx(true, rel=1e-12)
    assert dr(world(propensity=1.3)) == pytest.approx(true, rel=1e-12)
    assert abs(dr(world(propensity=1.3, imputation=0.7)) / true - 1) > 0.05


def test_a_hidden_cause_leaves_the_marginals_and_biases_everyone():
    plain, w = world(), world(confounding=0.8)
    np.testing.assert_allclose(w.propensity, plain.exposure)
    rare = plain.exposure == plain.exposure.min()
    assert w.exposure[rare].mean() == pytest.approx(plain.exposure.min(), rel=0.02), "its mean over the coin"
    assert w.loss.mean() == pytest.approx(plain.loss.mean(), rel=0.02)
    # E_h[p(h)·e(h)]/p = e·(1 + tanh²(c)/2)
    expected = plain.loss.mean() * (1 + np.tanh(0.8) ** 2 / 2)
    assert ips(w, w.loss) == pytest.approx(expected, rel=0.03)
    assert dr(w) == pytest.approx(expected, rel=0.03)


def test_draws_observe_by_the_propensity_and_pad():
    w = world()
    capacity = capacity_of(w.exposure)
    rows, weight = observed_rows(w.exposure, np.random.default_rng(1), capacity)
    n = int(weight.sum())
    assert len(rows) == len(weight) == capacity and n < capacity
    assert len(np.unique(rows[:n])) == n
    common = w.exposure[rows[:n]] == w.exposure.max()
    expected = w.exposure[w.exposure == w.exposure.max()].sum()
    assert abs(common.sum() - expected) < 5 * np.sqrt(expected)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"shares": (0.5, 0.5)}, "a share for each level"),
        ({"shares": (0.5, 0.3, 0.3)}, "sum to 1"),
        ({"prediction": ((1.0, 0.0, 0.0),) * 2}, "row for each level"),
        ({"prediction": ((0.9, 0.0, 0.0),) * 3}, "sum to 1"),
        ({"prediction": ((1.0, 0.5, -0.5),) * 3}, r"prediction\[0\]\[2\] must lie in \[0, 1\]"),
        ({"shares": (1.5, -0.3, -0.2)}, r"shares\[1\] must be above 0"),
        ({"exposure": (0.1, 0.0, 1.0)}, r"exposure\[1\] must be above 0"),
        ({"density": 1.0}, r"density must lie in \(0, 1\)"),
        ({"levels": (1.0,)}, "two levels"),
        ({"loss": "hinge"}, "unknown loss"),
        ({"n_pairs": 0}, "n_pairs must be at least 1"),
    ],
)
def test_bad_options_are_refused(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        world(replace(OPTIONS, **wrong))


def test_worlds_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="can't be reached"):
        world(replace(OPTIONS, density=0.5))
    for knobs in ({"propensity": 2.1}, {"imputation": -0.1}, {"confounding": -1.0}):
        with pytest.raises(ValueError, match=r"knobs\.\w+ must"):
            world(**knobs)

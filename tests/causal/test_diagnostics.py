"""Diagnostics of propensities: hand-made numbers, closed forms, and verdicts that say why."""

import numpy as np
import pytest

from upliftlens.causal.propensities.diagnostics import (
    IMBALANCED,
    ExposureFit,
    balance,
    calibration_error,
    diagnose,
    imbalance,
)

RNG = np.random.default_rng(7)


def test_numbers_by_hand() -> None:
    d = diagnose([0.5, 0.25, 0.1], n_pairs=20, floor=0.1)
    assert d.n_observed == 3
    assert abs(d.effective_sample_size - 16**2 / (4 + 16 + 100)) < 1e-12
    assert abs(d.effective_share - d.effective_sample_size / 3) < 1e-12
    assert abs(d.largest_weight - 10) < 1e-12
    assert abs(d.largest_share - 10 / 16) < 1e-12
    assert abs(d.clip_rate - 1 / 3) < 1e-12
    assert abs(d.inverse_ratio - 16 / 20) < 1e-12
    assert abs(d.inverse_ratio_error - np.sqrt(0.5 * 4 + 0.75 * 16 + 0.9 * 100) / 20) < 1e-12
    assert d.ece is None
    assert d.bmse is None


def test_the_total_of_true_weights_is_as_far_off_as_its_standard_error_says() -> None:
    p = RNG.uniform(0.05, 0.6, 4000)
    draws = [diagnose(p[RNG.random(4000) < p], 4000, floor=0.0) for _ in range(300)]
    z = np.array([(d.inverse_ratio - 1) / d.inverse_ratio_error for d in draws])
    assert abs(z.mean()) < 4 / np.sqrt(300)
    assert 0.85 < z.std() < 1.15


def test_true_propensities_are_good_and_wrong_ones_are_called_by_name() -> None:
    p = RNG.uniform(0.1, 0.6, 5000)
    seen = RNG.random(5000) < p
    assert diagnose(p[seen], 5000, floor=0.01).verdict == "good"
    cases = {
        "number of pairs": p[seen] / 3,
        "clipped": np.maximum(p[seen], 0.4),
        "effective": np.where(np.arange(seen.sum()) < 20, 1e-3, p[seen]),
        "of all weight": np.where(np.arange(seen.sum()) < 1, 1e-4, p[seen]),
    }
    for words, wrong in cases.items():
        d = diagnose(wrong, 5000, floor=0.4 if words == "clipped" else 1e-9)
        assert d.verdict == "poor", words
        assert words in d.reason
    assert diagnose(p[seen] / 0.65, 5000, floor=0.01).verdict == "poor"  # Σ 1/p a third too low: learned the log itself
    uncalibrated = diagnose(p[seen], 5000, floor=0.01, fit=ExposureFit(ece=0.6 * seen.mean()))
    assert uncalibrated.verdict == "poor"
    assert "calibration error is 60%" in uncalibrated.reason
    assert diagnose(p[seen], 5000, floor=0.01, fit=ExposureFit(ece=0.2 * seen.mean())).verdict == "fair"


def test_a_total_off_by_chance_only_is_not_held_against_it() -> None:
    few = np.array([0.02, 0.5, 0.5, 0.5])  # Σ 1/p = 56 ± 49 of 100
    d = diagnose(few, 100, floor=0.0)
    assert "number of pairs" not in d.reason


def test_calibration_error_is_the_gap_per_bin() -> None:
    p = np.repeat([0.1, 0.3, 0.9], 10)
    o = np.concatenate([np.arange(10) < 2, np.arange(10) < 3, np.arange(10) < 5])
    assert abs(calibration_error(p, o, bins=3) - (0.1 + 0.0 + 0.4) / 3) < 1e-12
    assert abs(calibration_error(p, o, bins=1) - abs(p.mean() - o.mean())) < 1e-12
    order = RNG.permutation(30)
    assert abs(calibration_error(p[order], o[order], bins=3) - calibration_error(p, o, bins=3)) < 1e-12
    constant = np.full(30, o.mean())
    assert calibration_error(constant, o, bins=10) < 1e-12
    # Two values keep a bin each, whichever is the more common: here one is .1 too low, the other .1 too high.
    for n_low, n_high in ((10, 20), (20, 10)):
        p = np.repeat([0.1, 0.9], [n_low, n_high])
        o = np.concatenate([np.arange(n_low) < 0.2 * n_low, np.arange(n_high) < 0.8 * n_high])
        assert abs(calibration_error(p, o, bins=2) - 0.1) < 1e-12
    large = RNG.uniform(0.05, 0.5, 200_000)
    drawn = RNG.random(200_000) < large
    assert calibration_error(large, drawn, bins=10) < 0.005
    assert abs(calibration_error(0.5 * large, drawn, bins=10) - 0.5 * large.mean()) < 0.005


def test_balance_is_zero_in_expectation_for_the_true_propensity_only() -> None:
    p = RNG.uniform(0.2, 0.8, 100_000)
    o = RNG.random(100_000) < p
    phi = np.column_stack([np.ones(100_000), p])
    # Var of a summand is φ²·(1/p + 1/(1 − p)), so E BMSE = Σ_f mean φ²(1/p + 1/(1 − p))/n.
    noise = (phi**2 * (1 / p + 1 / (1 - p))[:, None]).mean() * 2 / 100_000
    assert balance(p, o, phi) < 10 * noise
    assert balance(np.full(100_000, o.mean()), o, phi) > 100 * noise
    plain = sum(
        np.mean([(oo / pp - (1 - oo) / (1 - pp)) * f[k] for oo, pp, f in zip(o[:9], p[:9], phi[:9], strict=True)]) ** 2
        for k in range(2)
    )
    assert abs(balance(p[:9], o[:9], phi[:9]) - plain) < 1e-12


def test_a_propensity_blind_to_what_drives_exposure_is_poor_and_the_true_one_is_not() -> None:
    """The constant has no fault in its weights and is calibrated over all pairs: its features alone give it away."""
    group, noise = RNG.random(40_000) < 0.3, RNG.normal(size=40_000)
    p = np.where(group, 0.3, 0.1)
    o = RNG.random(40_000) < p
    phi = np.column_stack([np.full(40_000, 7.0), noise, group])
    verdicts = {}
    for name, item in (("true", p), ("constant", np.full(40_000, o.mean()))):
        size, worst = imbalance(item, o, phi)
        fit = ExposureFit(
            calibration_error(item, o, 10), balance(item, o, phi), size, ("none", "noise", "group")[worst]
        )
        verdicts[name] = diagnose(item[o], 40_000, 0.01, fit)
    assert verdicts["true"].verdict == "good" and verdicts["true"].imbalance < 0.05
    assert verdicts["constant"].verdict == "poor" and "sd in group" in verdicts["constant"].reason
    assert verdicts["constant"].ece < 1e-9
    # By hand: (P(group | o = 1) − P(group | o = 0)) / sd(group), less two standard errors.
    gap = (group[o].mean() - group[~o].mean()) / group.std()
    rate, z = o.mean(), (group - group.mean()) / group.std()
    error = np.sqrt((z**2).mean() * (1 / rate + 1 / (1 - rate)) / 40_000)
    assert abs(verdicts["constant"].imbalance - (gap - 2 * error)) < 1e-9
    assert imbalance(p, o, np.full((40_000, 2), 0.1)) is None, "its sd is a rounding error"
    assert imbalance(p, o, np.ones((40_000, 2))) is None and imbalance(p, o, np.ones((40_000, 0))) is None


def test_what_chance_puts_out_of_balance_is_not_held_against_the_true_propensity() -> None:
    p = RNG.uniform(0.02, 0.2, 2000)
    result = [imbalance(p, RNG.random(2000) < p, RNG.normal(size=(2000, 1)))[0] for _ in range(400)]
    assert 0.01 < np.mean(np.array(result) > 0) < 0.09, "two standard errors: one in twenty-two"
    many = [imbalance(p, RNG.random(2000) < p, RNG.normal(size=(2000, 30)))[0] for _ in range(100)]
    assert np.mean(np.array(many) > IMBALANCED[0]) < 0.25 and max(many) < IMBALANCED[1], "the worst of thirty features"


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="log is empty"):
        diagnose([], 10, floor=0.1)
    for wrong in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match=r"not in \(0, 1\]"):
            diagnose([0.5, wrong], 10, floor=0.1)
    with pytest.raises(ValueError, match="same pairs"):
        calibration_error([0.5], [1, 0], bins=2)
    with pytest.raises(ValueError, match="strictly between"):
        balance([0.5, 1.0], [1, 1], np.ones((2, 1)))
    with pytest.raises(ValueError, match="same pairs"):
        balance([0.5, 0.4], [1], np.ones((2, 1)))

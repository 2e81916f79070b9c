"""Calibration: the written sums, every outcome of a small log enumerated, coverage, refusals and keys."""

from itertools import product

import numpy as np
import pytest
from test_metrics_oracle import METHODS, RELEVANCE, SCALE, config, problem

from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.evaluation.evaluate import evaluate
from upliftlens.benchmarks.evaluation.evaluation import summaries
from upliftlens.benchmarks.evaluation.exam import HeldOut
from upliftlens.benchmarks.metrics.calibration import curve
from upliftlens.benchmarks.metrics.metric import CalibrationOptions, Pairs
from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.causal.calibration import bins_of
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.intervals import Resampling, Statistic, value

MASS, WIDTH = CalibrationOptions(3, "equal-mass"), CalibrationOptions(3, "equal-width")


def evidence(row, prediction, positive, options, n_users):
    positive = np.asarray(positive, bool)
    return Pairs(
        np.asarray(row), n_users, positive.astype(float), positive, np.asarray(prediction, float), (0.0, 1.0),
        calibration=options,
    )  # fmt: skip


def statistic(name, pairs):
    metric = choose(name).metric
    return Statistic(np.arange(pairs.n_users), metric.sums(pairs, np.inf), metric.reduce, metric.without)


def written(pairs, bins):
    """(ece, ece/squared) pair by pair; of the square, every ordered pair of different users."""
    absolute = squared = 0.0
    for number in range(bins.max() + 1):
        inside = np.flatnonzero(bins == number)
        gap = dict.fromkeys(pairs.row[inside], 0.0)
        for at in inside:
            gap[pairs.row[at]] += pairs.prediction[at] - pairs.positive[at]
        absolute += abs(sum(gap.values())) / len(bins)
        squared += sum(gap[u] * gap[v] for u in gap for v in gap if u != v) / max(len(inside), 1) / len(bins)
    return absolute, squared


@pytest.mark.parametrize("options", [MASS, WIDTH, CalibrationOptions(20, "equal-width")])
def test_both_are_the_written_sums_also_without_a_user(options):
    rng = np.random.default_rng(0)
    row, prediction = np.sort(rng.integers(0, 9, 80)), np.round(rng.uniform(0, 1, 80), 2)
    pairs = evidence(row, prediction, rng.random(80) < prediction**2, options, 9)
    bins = bins_of(prediction, options.bins, options.binning)
    for name, expected in zip(("ece", "ece/squared"), written(pairs, bins), strict=True):
        assert value(statistic(name, pairs)) == pytest.approx(expected, abs=1e-12), name
    squared = statistic("ece/squared", pairs)
    for user, result in enumerate(squared.without(squared.sums)):
        rest = row != user
        others = evidence(row[rest], prediction[rest], pairs.positive[rest], options, 9)
        assert result == pytest.approx(written(others, bins[rest])[1], abs=1e-12)


def test_bins_by_hand():
    p = np.array([0.0, 0.1, 0.1, 0.1, 0.5, 1.0])
    assert bins_of(p, 2, "equal-width").tolist() == [0, 0, 0, 0, 1, 1]
    assert bins_of(p, 3, "equal-mass").tolist() == [0, 1, 1, 1, 2, 2], (
        "equal predictions lie in the bin of their middle"
    )
    assert bins_of(np.full(5, 0.3), 4, "equal-mass").tolist() == [2] * 5
    for bad in (1.2, -0.1, np.nan):
        with pytest.raises(UpliftlensError, match=r"1 of 2 are not in \[0, 1\]"):
            bins_of([0.5, bad], 3, "equal-width")


def expectation(name, row, prediction, chance, options, n_users):
    """Over all outcomes of labels that are positive with ``chance``, independently."""
    total = 0.0
    for outcome in product([0, 1], repeat=len(row)):
        weight = np.prod(np.where(outcome, chance, 1 - np.asarray(chance)))
        total += weight * value(statistic(name, evidence(row, prediction, outcome, options, n_users)))
    return total


@pytest.mark.parametrize("options", [MASS, WIDTH])
def test_expectations_by_enumerating_all_outcomes(options):
    row, p = np.array([0, 0, 1, 1, 2, 3, 3, 3]), np.array([0.1, 0.6, 0.2, 0.9, 0.5, 0.1, 0.3, 0.8])
    bins = bins_of(p, 3, options.binning)
    assert expectation("ece/squared", row, p, p, options, 4) == pytest.approx(0, abs=1e-12)
    assert expectation("ece", row, p, p, options, 4) > 0.15, "chance alone"
    q = np.clip(p + 0.1, 0, 1)
    gaps = [[((p - q) * (row == user))[bins == number].sum() for user in range(4)] for number in range(3)]
    between = [(sum(gap) ** 2 - sum(np.square(gap))) / (bins == number).sum() for number, gap in enumerate(gaps)]
    assert expectation("ece/squared", row, p, q, options, 4) == pytest.approx(sum(between) / len(row), abs=1e-12)
    # In a calibrated world the expected curve is the diagonal.
    drawn = [
        curve(statistic("ece", evidence(row, p, outcome, options, 4)).sums.sum(axis=0)[:, None])
        for outcome in product([0, 1], repeat=len(row))
    ]
    chance = [np.prod(np.where(outcome, p, 1 - p)) for outcome in product([0, 1], repeat=len(row))]
    predicted, share = (
        sum(w * side for w, side in zip(chance, sides, strict=True)) for sides in zip(*drawn, strict=True)
    )
    np.testing.assert_allclose(share, predicted, atol=1e-12)


def test_the_interval_of_the_square_holds_0_for_a_calibrated_method_and_the_other_does_not():
    rng = np.random.default_rng(1)
    row, held, plain = np.repeat(np.arange(150), 8), 0, 0
    for _ in range(200):
        p = rng.beta(2, 2, len(row))
        pairs = evidence(row, p, rng.random(len(row)) < p, CalibrationOptions(10, "equal-mass"), 150)
        of = {name: statistic(name, pairs) for name in ("ece", "ece/squared")}
        result = summaries(of, Resampling(0.95, 100, 0))
        held += result["ece/squared"].lo <= 0 <= result["ece/squared"].hi
        plain += result["ece"].lo <= 0
    assert held >= 188 and plain == 0
    p = np.full(len(row), 0.5)
    pairs = evidence(row, p, rng.random(len(row)) < 0.7, CalibrationOptions(10, "equal-mass"), 150)
    result = summaries({"ece/squared": statistic("ece/squared", pairs)}, Resampling(0.95, 400, 0))["ece/squared"]
    assert result.lo > 0 and result.lo < 0.04 < result.hi, "a gap of .2 everywhere"


@pytest.mark.parametrize(("users", "shown"), [(1, 0.0), (2, 0.5), (5, 0.8)])
def test_the_square_is_absent_where_most_of_a_gap_would_not_show(users, shown):
    """``users`` have a pair each in every bin: a gap of 1 everywhere has the value 1 − 1/users, or none below 1/2."""
    row, prediction = np.tile(np.arange(users), 4), np.repeat([0.1, 0.4, 0.6, 0.9], users)
    pairs = evidence(row, prediction, np.zeros(len(row), bool), CalibrationOptions(4, "equal-width"), users)
    gap = value(statistic("ece/squared", pairs))
    assert np.isnan(gap) if shown < 0.5 else gap == pytest.approx(shown * np.mean(np.square([0.1, 0.4, 0.6, 0.9])))
    assert value(statistic("ece", pairs)) == pytest.approx(0.5), "ece has no such gaps"


def test_the_square_selects_no_state_as_the_lowest_noise_would_win():
    with pytest.raises(
        UpliftlensError, match=r"monitor=ece/squared can't select: .* Fix: train\.monitor=brier, logloss"
    ):
        configured(["loss=logistic", "train.monitor=ece/squared"])
    assert configured(["loss=logistic", "train.monitor=ece"]).sections["train"].monitor == "ece"


def test_who_predicts_no_probabilities_is_told_so():
    data, rows, _, _, _, scores = problem(3, ties=False)
    held = HeldOut(rows, data.log, RELEVANCE, SCALE, "explicit")
    names = ("rmse", "logloss", "auc/user", "ece", "ece/squared")
    with_bins = config(names).__class__(**{**vars(config(names)), "calibration": MASS})
    for link in ("rating", "rank"):
        absent = evaluate(METHODS[link], scores, data, held, with_bins).absent
        assert absent["ece"] == f"ece is for methods that predict a probability, this one gives a {link}"
    probability = METHODS["probability"]
    absent = evaluate(probability, 1 / (1 + np.exp(-scores)), data, held, config(names)).absent
    assert absent["ece"] == "it needs the options metrics.calibration.bins and metrics.calibration.binning"
    with pytest.raises(UpliftlensError, match=r"calibration is of probabilities: .* are not in \[0, 1\]"):
        evaluate(probability, scores, data, held, with_bins)
    result = evaluate(probability, 1 / (1 + np.exp(-scores)), data, held, with_bins)
    assert {"ece", "ece/squared"} <= result.summaries.keys()
    many = with_bins.__class__(**{**vars(with_bins), "calibration": CalibrationOptions(1000, "equal-width")})
    result = evaluate(probability, 1 / (1 + np.exp(-scores)), data, held, many)
    assert "ece" in result.summaries and "lower metrics.calibration.bins" in result.absent["ece/squared"]

"""Paired comparisons: calibration, direction, correction, seeds, errors."""

import numpy as np
import pytest
from scipy import stats

from upliftlens.benchmarks.evaluation.evaluation import Evaluation, from_arrays, to_arrays
from upliftlens.benchmarks.metrics.registry import registry
from upliftlens.benchmarks.reports.comparison import compare, decided, in_a_cell, rounded_p
from upliftlens.benchmarks.reports.sentences import in_words, verdict
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.intervals import Resampling, Statistic
from upliftlens.causal.over_runs import Difference

SPEC = Resampling(0.9, 300, 0)


def evaluation(name, values, users=None, random=False):
    """An evaluation with one mean metric of given per-user values; by default the seed changes nothing."""
    values = np.asarray(values, float)
    units = np.arange(len(values)) if users is None else np.asarray(users)
    sums = np.stack([values, np.ones(len(values))], axis=1)
    statistic = Statistic(units, sums, registry()[name.partition("@")[0]].value.reduce)
    return Evaluation(units, {name: statistic}, {}, {}, {}, random)


def test_paired_p_values_are_uniform_when_nothing_differs_and_agree_with_the_t_test():
    rng = np.random.default_rng(8)
    ours, theirs = [], []
    for _ in range(300):
        common = rng.normal(size=80)
        first, second = common + 0.3 * rng.normal(size=(2, 80))
        result = compare({"a": ([evaluation("ndcg@5", first)], [evaluation("ndcg@5", second)])}, "ndcg@5", SPEC)["a"]
        ours.append(result.p)
        theirs.append(stats.ttest_rel(first, second).pvalue)
        spread = (first - second).std()
        assert result.effect == pytest.approx((first - second).mean() / spread, rel=0.2, abs=1e-9)
        assert result.difference == pytest.approx((first - second).mean())
        assert (result.lo > 0 or result.hi < 0) == (result.p <= 0.1)
    assert np.mean(np.array(ours) < 0.1) == pytest.approx(0.1, abs=0.05)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.99


def test_direction_and_correction():
    rng = np.random.default_rng(9)
    low = rng.random(50)
    high = low + 0.1 + 0.01 * rng.random(50)
    same = low + 0.01 * rng.normal(size=50)

    def runs(name, values):
        return [evaluation(name, values)]

    for name, better in (("mae", "second"), ("recall@5", "first")):
        pairs = {"clear": (runs(name, high), runs(name, low)), "same": (runs(name, same), runs(name, low))}
        comparison = compare(pairs, name, SPEC)
        assert comparison["clear"].better == better and comparison["same"].better == "undecided"
        assert (comparison["clear"].effect > 0) == (better == "first")
        assert comparison["clear"].difference > 0 and comparison["clear"].lo > 0.09
        assert comparison["clear"].p == pytest.approx(1 / 301) and comparison["clear"].p_holm == pytest.approx(2 / 301)
        swapped = compare({"x": (runs(name, low), runs(name, high))}, name, SPEC)["x"]
        assert swapped.better == {"first": "second", "second": "first"}[better]
        assert swapped.difference == -comparison["clear"].difference


def test_many_equal_methods_raise_few_false_alarms():
    rng = np.random.default_rng(10)
    alarms = []
    for _ in range(60):
        pairs = {str(i): tuple([evaluation("ndcg@5", item)] for item in rng.normal(size=(2, 40))) for i in range(8)}
        alarms.append(any(item.better != "undecided" for item in compare(pairs, "ndcg@5", SPEC).values()))
    assert np.mean(alarms) < 0.25  # 10 % is meant; without correction it would be 57 %


def test_seeds_count_in_a_comparison():
    """A difference that one seed makes, over many users, is no difference between methods."""
    rng = np.random.default_rng(11)
    base = rng.normal(size=(3, 500))
    shift = np.array([0.3, -0.1, -0.05])[:, None]
    first, second = ([evaluation("ndcg@5", item) for item in side] for side in (base + shift, base))
    assert compare({"a": (first, second)}, "ndcg@5", SPEC)["a"].better == "undecided"
    alone = compare({"a": (first[:1], second[:1])}, "ndcg@5", SPEC)["a"]
    assert alone.better == "first" and alone.lo == pytest.approx(0.3)


@pytest.mark.parametrize(("shift", "fits"), [(0.1, "differ"), (0.0, "can't be told apart")])
def test_one_run_of_what_the_seed_changes_gives_no_verdict_about_methods(shift, fits):
    rng = np.random.default_rng(12)
    base = rng.random(60)

    def side(random, runs=1):
        moved = [base + shift * random + 0.01 * rng.normal(size=60) for _ in range(runs)]
        return [evaluation("ndcg@5", item, random=random) for item in moved]

    for pair in ((side(True), side(False)), (side(False), side(True)), (side(True), side(True))):
        result = compare({"a": pair}, "ndcg@5", SPEC)["a"]
        assert (result.about, result.better) == ("fits", "undecided")
        said = verdict(result, "mf", "mlp", 0.9)
        assert ("differ" if result.differs else "can't be told apart") in said
        assert "what other seeds would give, one run can't say" in said and "better" not in said
        assert said in in_words(result, "mf", "mlp", 0.9)
    mixed = compare({"a": (side(True), side(False))}, "ndcg@5", SPEC)["a"]
    assert fits in verdict(mixed, "mf", "ease", 0.9) and mixed.differs == bool(shift)
    several = compare({"a": (side(True, 3), side(False, 3))}, "ndcg@5", SPEC)["a"]
    assert several.about == "methods" and several.better == ("first" if shift else "undecided")
    fixed = compare({"a": ([evaluation("ndcg@5", base + shift)], [evaluation("ndcg@5", base)])}, "ndcg@5", SPEC)["a"]
    assert fixed.about == "methods" and fixed.better == ("first" if shift else "undecided")
    assert verdict(fixed, "ease", "popularity", 0.9).startswith("ease is better" if shift else "undecided")


@pytest.mark.parametrize(("up", "ahead", "behind"), [(True, "first", "second"), (False, "second", "first")])
def test_a_difference_is_claimed_by_its_corrected_p(up, ahead, behind):
    nan = float("nan")
    family = [
        Difference(0.2, 0.1, 0.3, 0.001, 0.001), Difference(-0.2, -0.3, -0.1, 0.002, 0.001),
        Difference(0.2, -0.01, 0.3, 0.2, 0.001), Difference(0.2, nan, nan, 1.0, 1.0),
        Difference(0.2, 0.1, 0.3, 0.03, 0.001),
    ]  # fmt: skip
    result = decided(family, up, 0.9)
    assert [item.better for item in result] == [ahead, behind, "undecided", "undecided", ahead]
    assert [item.p_holm for item in result] == pytest.approx([0.005, 0.008, 0.4, 1.0, 0.09])
    result = decided([*family, family[-1]], up, 0.9)  # 0.03 times 3 is below 0.1, times 4 it is not
    assert result[4].p_holm == pytest.approx(0.12) and result[4].better == "undecided"
    good = ["better", "worse"] if up else ["worse", "better"]
    words = [in_a_cell(result[place], 0.9) for place in (0, 1, 2, 4)]
    assert words == [
        f"{good[0]} (p ≤ 0.006)", f"{good[1]} (p = 0.01)", "undecided: the interval holds 0 (p = 0.4)",
        "undecided after correction (p = 0.12)",
    ]  # fmt: skip


def test_an_undecided_p_is_never_shown_as_the_level():
    shown = {0.0504: "0.0504", 0.05004: "0.05004", 0.05: "0.05", 0.0496: "0.05", 0.0573: "0.057", 0.996: "1"}
    assert {p: rounded_p(p, 0.95) for p in shown} == shown
    (unsure,) = decided([Difference(0.2, -0.01, 0.3, 0.1003, 0.001)], True, 0.9)
    assert in_a_cell(unsure, 0.9) == "undecided: the interval holds 0 (p = 0.1003)"


def test_the_four_sentences():
    base = np.random.default_rng(13).random(400)

    def said(shift, margin, pairs=1, noise=0.01):
        rng = np.random.default_rng(14)
        other = base + noise * rng.normal(size=400)
        pair = [evaluation("recall@5", base + shift)], [evaluation("recall@5", other)]
        result = compare({str(i): pair for i in range(pairs)}, "recall@5", SPEC, margin)["0"]
        assert (result.p <= 0.1) == (result.lo > 0 or result.hi < 0)
        return verdict(result, "a", "b", 0.9)

    assert said(0.1, None) == "a is better: the difference is hardly chance at level 90%."
    for shift, better in ((0.1, "a"), (-0.1, "b")):
        assert said(shift, 0.01) == (
            f"{better} is better, by more than the margin: the difference is hardly chance at level 90%; the 90% "
            "interval lies beyond ±0.01."
        )
        assert said(shift, 0.1) == (
            f"{better} is better, perhaps by less than the margin: the difference is hardly chance at level 90%; the "
            "90% interval reaches beyond ±0.1."
        )
    assert said(0.005, 0.01) == (
        "a is better, but by less than the margin: the difference is hardly chance at level 90%; the 90% interval lies "
        "inside ±0.01."
    )
    assert said(0.0, 0.01) == "the same: the 90% interval lies inside ±0.01."
    assert said(0.0, None) == "undecided: the difference may be chance at level 90%."
    assert said(0.0, 0.01, noise=1.0).endswith("chance at level 90%; the 90% interval reaches beyond ±0.01.")
    assert "at level 90%, after Holm's correction for 3 comparisons." in said(0.1, None, pairs=3)
    for margin in (0.0, -0.1, float("nan")):
        with pytest.raises(UpliftlensError, match="margin must be above 0"):
            said(0.0, margin)


def test_a_cell_says_what_the_sentence_says():
    rng, base = np.random.default_rng(15), np.random.default_rng(13).random(400)

    def cell(shift, margin=None, random=False):
        other = base + 0.01 * rng.normal(size=400)
        sides = [evaluation("recall@5", values, random=random) for values in (base + shift, other)]
        return in_a_cell(compare({"x": ([sides[0]], [sides[1]])}, "recall@5", SPEC, margin)["x"], 0.9)

    assert cell(0.1) == "better (p ≤ 0.0033)" and cell(0.1, 0.01) == "better, by more than the margin (p ≤ 0.0033)"
    assert cell(-0.1, 0.1).startswith("worse, perhaps by less than the margin (p ≤")
    assert cell(0.005, 0.01).startswith("better, but by less than the margin (p ≤")
    assert cell(0.0, 0.01).startswith("the same (p =") and cell(0.0).startswith("undecided: the interval holds 0 (p =")
    assert cell(0.1, random=True).startswith("two fits that differ (p ≤")
    assert cell(0.0, random=True).startswith("two fits that can't be told apart (p =")


def test_a_record_of_before_counts_as_that_of_a_random_method():
    arrays = to_arrays(evaluation("ndcg@5", [1, 2]))
    assert from_arrays(arrays, {}).random and not from_arrays(arrays, {"random": False}).random


def test_what_cannot_be_compared():
    item, other = evaluation("ndcg@5", [1, 2]), evaluation("ndcg@5", [1, 2], [0, 2])
    with pytest.raises(UpliftlensError, match="run 1 of each side has different test users"):
        compare({"a": ([item], [other])}, "ndcg@5", SPEC)
    with pytest.raises(UpliftlensError, match="1 runs against 2; it needs the same seeds"):
        compare({"a": ([item], [item, item])}, "ndcg@5", SPEC)
    with pytest.raises(UpliftlensError, match="a run has no recall@5"):
        compare({"a": ([item], [item])}, "recall@5", SPEC)


def test_one_user_decides_nothing():
    item, other = evaluation("ndcg@5", [1]), evaluation("ndcg@5", [0])
    result = compare({"a": ([item], [other])}, "ndcg@5", SPEC)["a"]
    assert result.difference == 1 and np.isnan([result.lo, result.hi, result.effect]).all()
    assert result.better == "undecided" and result.p == 1


def test_an_effect_that_is_not_known_is_not_said():
    """All users differ by the same, so that there is no spread to hold the difference against."""
    side, other = ([evaluation("ndcg@5", np.full(20, value))] for value in (1.0, 0.5))
    result = compare({"a": (side, other)}, "ndcg@5", SPEC)["a"]
    said = in_words(result, "mf", "mlp", 0.9)[2]
    assert np.isnan(result.effect) and "+0.5000 [+0.5000, +0.5000], p " in said
    assert "effect" not in said and "nan" not in said

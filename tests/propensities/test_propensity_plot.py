"""The overlap plot as text."""

from upliftlens.benchmarks.propensities.diagnostics import BARS, overlap_lines, verdict


def test_bars_are_shares_over_one_scale_and_only_empty_bins_are_blank():
    overlap = {"edges": [0.01, 0.1, 1.0], "observed": [0, 8], "all": [999, 1]}
    observed, everything = overlap_lines(overlap)
    assert observed.endswith(f"p 0.01  {BARS[-1]} 1"), "no observed pair in the first bin"
    assert everything.endswith(f"p 0.01 {BARS[-1]}{BARS[0]} 1")
    assert observed.index("p 0.01") == everything.index("p 0.01")
    half = overlap_lines({**overlap, "observed": [500, 500]})[0]
    assert half.endswith(f"p 0.01 {BARS[4]}{BARS[4]} 1")


def test_without_an_overlap_there_are_the_sentence_and_the_numbers():
    said = {
        "name": "naive_bayes", "verdict": "good", "reason": "r", "effective_sample_size": 10.0, "n_observed": 12,
        "assumes": "a", "overlap": {}, "largest_weight": 15.42, "clip_rate": 0.021, "inverse_ratio": 0.98,
        "inverse_ratio_error": 0.013, "ece": None, "bmse": None, "imbalance": None,
    }  # fmt: skip
    weights = (
        "weights 1/p: 12 rows count as 10 equally weighted ones (effective sample), the largest is 15.4, "
        "2.1% are clipped at the floor"
    )
    total = "Σ 1/p is 0.98 ± 0.01 of all pairs (1 if the total is right)"
    first = "propensity naive_bayes: good (r); it assumes that a"
    assert verdict(said).splitlines() == [first, f"  {weights}", f"  {total}"]
    said |= {
        "overlap": {"edges": [0.01, 1.0], "observed": [3], "all": [9]},
        "ece": 0.00721,
        "bmse": 0.0099,
        "imbalance": 0.031,
    }
    fit = (
        "calibration error (ECE) 0.0072, error of the features' balance (BMSE) 0.0099, "
        "largest gap in a feature's mean (imbalance) 0.031 sd"
    )
    assert verdict(said).splitlines()[:3] == [first, f"  {weights}", f"  {total}, {fit}"]
    assert len(verdict(said).splitlines()) == 5, "and the overlap"

"""The overlap plot as text."""

from upliftlens.benchmarks.propensity_diagnostics import BARS, overlap_lines, verdict


def test_bars_are_shares_over_one_scale_and_only_empty_bins_are_blank():
    overlap = {"edges": [0.01, 0.1, 1.0], "observed": [0, 8], "all": [999, 1]}
    observed, everything = overlap_lines(overlap)
    assert observed.endswith(f"p 0.01  {BARS[-1]} 1"), "no observed pair in the first bin"
    assert everything.endswith(f"p 0.01 {BARS[-1]}{BARS[0]} 1")
    assert observed.index("p 0.01") == everything.index("p 0.01")
    half = overlap_lines({**overlap, "observed": [500, 500]})[0]
    assert half.endswith(f"p 0.01 {BARS[4]}{BARS[4]} 1")


def test_without_an_overlap_there_is_the_sentence_alone():
    told = {
        "name": "naive_bayes", "verdict": "good", "reason": "r", "effective_sample_size": 10.0, "n_observed": 12,
        "assumes": "a", "overlap": {},
    }  # fmt: skip
    assert "\n" not in verdict(told)
    told["overlap"] = {"edges": [0.01, 1.0], "observed": [3], "all": [9]}
    assert verdict(told).count("\n") == 2

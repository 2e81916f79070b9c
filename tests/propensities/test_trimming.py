"""Trimming: by enumeration of every log, in batches and debiased metrics, in runs; and what is refused."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.stats import foldnorm
from shell import call, records
from test_metrics_oracle import METHODS, N_ITEMS, N_USERS, RELEVANCE, SCALE, config, problem

from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.evaluation.evaluate import evaluate, monitor
from upliftlens.benchmarks.evaluation.exam import HeldOut, PairWeights
from upliftlens.benchmarks.metrics.metric import DebiasOptions
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.causal import risk
from upliftlens.causal.effects.outcome_means import additive_means
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import interactions
from upliftlens.causal.propensities import propensity as models
from upliftlens.causal.propensities.trimming import trimmed

WORDS = (
    *("data=synthetic", "data.n_users=40", "data.n_items=30", "data.ratings_per_user=8", "data.test_per_user=10"),
    *("model=additive", "train.optimizer=adam", "objective=ips", "propensity=popularity", "split=kfold"),
)


def log_of(observed):
    return interactions(*np.nonzero(observed), np.ones(int(np.sum(observed))), *np.shape(observed))


def test_the_estimate_has_the_mean_over_the_kept_pairs_and_that_of_clipping_has_not_the_mean_over_all():
    p = np.array([[0.5, 0.05, 0.2], [0.8, 0.02, 0.4]])
    loss = np.array([[1.0, 9.0, 3.0], [2.0, 7.0, 5.0]])
    kept = trimmed(models.given(p, "p"), log_of(np.ones((2, 3))), 0.1)
    assert kept.n_pairs == 4 and kept.everywhere(np.arange(2)).tolist() == [[True, False, True]] * 2
    mean = dict.fromkeys(("trimmed", "clipped", "ips"), 0.0)
    for outcome in product([0, 1], repeat=6):
        observed = np.reshape(outcome, (2, 3)).astype(bool)
        chance, (user, item) = np.prod(np.where(observed, p, 1 - p)), np.nonzero(observed)
        inside = kept.of(user, item)
        columns = [matrix[user, item] for matrix in (loss, p)]
        mean["trimmed"] += chance * risk.ips(*(column[inside] for column in columns), kept.n_pairs)
        mean["clipped"] += chance * risk.clipped_ips(0.1)(*columns, 6)
        mean["ips"] += chance * risk.ips(*columns, 6)
    assert mean["trimmed"] == pytest.approx((1 + 3 + 2 + 5) / 4)
    assert mean["ips"] == pytest.approx(loss.mean()) and mean["clipped"] < loss.mean() - 1


def test_what_is_refused():
    p = models.given(np.full((2, 3), 0.3), "p")
    log = log_of(np.ones((2, 3)))
    for threshold in (0.0, 1.0, -0.1, np.nan):
        with pytest.raises(UpliftlensError, match=r"must lie in \(0, 1\)"):
            trimmed(p, log, threshold)
    with pytest.raises(UpliftlensError, match=r"would leave out all 6 rows: their largest propensity is 0\.3"):
        trimmed(p, log, 0.5)
    with pytest.raises(UpliftlensError, match="which pairs trim would leave out"):
        trimmed(models.naive_bayes(log, None, 1.0), log, 0.1)


def test_weighted_metrics_are_those_of_the_kept_pairs_and_the_others_stay():
    data, rows, _, _, _, scores = problem(3, ties=False)
    scores = 3 + scores
    p = np.random.default_rng(5).uniform(0.05, 0.9, (N_USERS, N_ITEMS))
    kept = trimmed(models.given(p, "p"), data.log, 0.3)
    names = ["rmse", "rmse/eib", *(f"mae/{name}" for name in ("ips", "snips", "dr", "sndr", "stable-dr"))]
    options = replace(config(names), debiased=DebiasOptions(0.005, 5.0))
    of = p[rows.user, rows.item].astype(np.float32)

    def values(weights):
        held = HeldOut(rows, data.log, RELEVANCE, SCALE, "explicit", weights=weights)
        return {
            name: each.value
            for name, each in evaluate(METHODS["rating"], scores, data, held, options).summaries.items()
        }

    plain, result = values(PairWeights(of, "")), values(PairWeights(of, "", kept))
    assert result["rmse"] == plain["rmse"] and result["rmse/eib"] == plain["rmse/eib"]
    inside = of >= 0.3
    clipped = np.clip(scores, *SCALE)
    error = np.abs(rows.value - clipped[rows.user, rows.item])[inside].astype(np.float64)
    n, weight = (p.astype(np.float32) >= 0.3).sum(), of[inside].astype(np.float64)
    assert n == kept.n_pairs
    assert result["mae/ips"] == pytest.approx((error / weight).sum() / n, rel=1e-6)
    assert result["mae/snips"] == pytest.approx((error / weight).sum() / (1 / weight).sum(), rel=1e-6)
    outcome = additive_means(data.log, data.log.value, 5.0)
    g = outcome.of(np.arange(N_USERS)[:, None], np.arange(N_ITEMS))
    guess = foldnorm.mean(np.abs(clipped.astype(np.float64) - g) / outcome.sd, scale=outcome.sd)
    mean, at = guess[p.astype(np.float32) >= 0.3].mean(), guess[rows.user, rows.item][inside]
    assert result["mae/dr"] == pytest.approx(mean + ((error - at) / weight).sum() / n, rel=1e-6)
    assert result["mae/sndr"] == pytest.approx(mean + ((error - at) / weight).sum() / (1 / weight).sum(), rel=1e-6)
    balanced = risk.balanced_propensity(weight, at, mean)
    assert result["mae/stable-dr"] == pytest.approx((error / balanced).sum() / (1 / balanced).sum(), rel=1e-5)


def judged(p, threshold, names):
    """Method, scores, data, held out rows and options of a test with the propensity p[users, items], trimmed."""
    data, rows, _, _, _, scores = problem(3, ties=False)
    weights = PairWeights(
        p[rows.user, rows.item].astype(np.float32), "", trimmed(models.given(p, "p"), data.log, threshold)
    )
    held = HeldOut(rows, data.log, RELEVANCE, SCALE, "explicit", weights=weights)
    return METHODS["rating"], 3 + scores, data, held, replace(config(names), debiased=DebiasOptions(0.005, 5.0))


def test_each_user_brings_his_own_kept_pairs_to_the_denominator_and_the_untested_are_shared_out():
    p = np.random.default_rng(5).uniform(0.05, 0.5, (N_USERS, 1)) + np.linspace(0, 0.4, N_ITEMS)
    result = evaluate(*judged(p, 0.4, [f"mae/{name}" for name in ("ips", "clipped", "dr", "sndr", "eib")]))
    inside, tested = p.astype(np.float32) >= 0.4, result.users
    untested = np.setdiff1d(np.arange(N_USERS), tested)
    expected = inside[tested].sum(axis=1) + inside[untested].sum() / len(tested)
    assert len(untested) and len(np.unique(expected)) > 5, "users differ"
    sums = {name: each.sums for name, each in result.statistics.items()}
    for name, column in (("mae/ips", 1), ("mae/clipped", 1), ("mae/dr", 1), ("mae/dr", 3), ("mae/sndr", 1)):
        np.testing.assert_allclose(sums[name][:, column], expected, rtol=1e-12, err_msg=f"{name}, total {column}")
        assert sums[name][:, column].sum() == pytest.approx(inside.sum(), rel=1e-12)
    np.testing.assert_array_equal(sums["mae/eib"][:, 1], N_USERS * N_ITEMS / len(tested))  # over D


def test_a_part_without_a_kept_row_has_no_weighted_metric_and_can_not_select_by_one():
    _, rows, *_ = problem(3, ties=False)
    p = np.full((N_USERS, N_ITEMS), 0.9)
    p[rows.user, rows.item] = 0.1
    names = [f"rmse/{name}" for name in ("ips", "clipped", "snips", "dr", "sndr", "stable-dr")]
    method, scores, data, held, options = judged(p, 0.3, ["rmse", *names])
    result = evaluate(method, scores, data, held, options)
    assert list(result.summaries) == ["rmse"]
    assert result.absent == dict.fromkeys(names, "propensity.trim leaves out all test rows")
    with pytest.raises(UpliftlensError, match=r"by rmse/ips: propensity\.trim leaves out all validation rows"):
        monitor(method, data, held, "rmse/ips", options)


def test_intervals_over_users_and_items_are_refused_where_the_denominator_changes_with_the_items():
    words = ["model=popularity", "propensity=popularity", "metrics.interval.over=users-items"]
    names = "metrics.names=[rmse,rmse/ips,mae/clipped,rmse/snips]"
    with pytest.raises(UpliftlensError, match=r"rmse/ips, mae/clipped with propensity\.trim: .* leave it at users"):
        plan(configured([*words, names, "propensity.trim=0.1"]))
    plan(configured([*words, "metrics.names=[rmse,rmse/snips]", "propensity.trim=0.1"]))
    plan(configured([*words, names]))


def test_a_run_says_what_left_and_only_its_key_changes(tmp_path, capsys):
    names = "metrics.names=[rmse,rmse/ips,rmse/snips]"
    for trim in ("0", "0.15"):
        assert call("run", tmp_path, *WORDS, names, f"propensity.trim={trim}", "seed=1") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert call("run", tmp_path, *WORDS, names, "seed=1") == 0
    plain, less = records(tmp_path)
    assert plain["key"] != less["key"] and plain["fit_key"] != less["fit_key"], "0 is the default"
    trimming = less["diagnostics"]["propensity"]["trimmed"]
    (rows, all_rows), (pairs, all_pairs) = trimming["rows"], trimming["pairs"]
    assert trimming["threshold"] == 0.15 and 0 < rows < all_rows and all_pairs == 1200 and 0 < pairs < 1200
    assert less["diagnostics"]["propensity"]["n_observed"] == all_rows - rows
    assert f"trimmed: {rows} of {all_rows} rows and {pairs} of 1,200 pairs have p < 0.15" in said
    assert "the mean over the other pairs, not over all" in said
    test_rows = less["diagnostics"]["evaluation"]["trimmed_test_pairs"]
    assert f"{test_rows} of {less['diagnostics']['evaluation']['test_pairs']} test rows have p < 0.15" in said
    assert "trimmed" not in plain["diagnostics"]["propensity"]
    for words, sentence in (
        (["propensity.trim=1"], "propensity.trim must lie in [0, 1), got 1"),
        (["propensity.trim=-0.1"], "propensity.trim must lie in [0, 1), got -0.1"),
        (["propensity.trim=0.99"], "their largest propensity is"),
        (["propensity.trim=0.1", "propensity.normalise=true"], "choose one of them"),
        (["propensity.trim=0.1", "objective=ubpr", "loss=bpr"], "use propensity.trim=0"),
    ):
        assert call("run", tmp_path, *WORDS, *words) == 1, words
        assert sentence in " ".join(capsys.readouterr().err.split())

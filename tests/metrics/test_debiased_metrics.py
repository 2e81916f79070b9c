"""Debiased values and published conventions against plain loops and closed forms."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy.stats import foldnorm

from upliftlens.benchmarks.metrics.metric import DebiasOptions, Imputed, Pairs
from upliftlens.benchmarks.metrics.registry import choose, is_weighted, sections_read
from upliftlens.causal import risk
from upliftlens.causal.effects.outcome_means import AdditiveMeans, additive_means
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import interactions
from upliftlens.causal.intervals import Statistic, value

USERS, ITEMS, N, EVERYONE = 9, 14, 60, 20
FLOOR = 0.3


def evidence(seed=0, ties=False):
    rng = np.random.default_rng(seed)
    row = np.sort(np.concatenate([np.arange(USERS), rng.integers(0, USERS, N - USERS)]))
    rating = rng.integers(1, 6, N).astype(float)
    prediction = rng.integers(1, 4, N) / 4 if ties else rng.uniform(0, 1, N)
    p = rng.uniform(0.05, 1, N)
    return Pairs(
        row, USERS, rating, rating >= 3, prediction, (1.0, 5.0), p, EVERYONE * ITEMS, DebiasOptions(FLOOR, 5.0)
    )


def imputed(seed=0):
    """The same pairs, what is predicted for all of D, and an outcome model with effects of its own."""
    rng, pairs = np.random.default_rng(seed + 100), evidence(seed)
    users, item = np.sort(rng.choice(EVERYONE, USERS, replace=False)), rng.integers(0, ITEMS, N)
    prediction = rng.uniform(0, 1, (EVERYONE, ITEMS))
    outcome = AdditiveMeans(0.5, rng.normal(0, 0.3, EVERYONE), rng.normal(0, 0.3, ITEMS), 0.7)
    pairs = pairs._replace(prediction=prediction[users[pairs.row], item])
    return Imputed(pairs, users, item, prediction, outcome)


def measured(name, known):
    item = choose(name)
    return value(Statistic(np.arange(USERS), item.metric.sums(known, item.cutoff), item.metric.reduce))


ERRORS = {
    "rmse": lambda e: (e.value - np.clip(e.prediction, 1, 5)) ** 2,
    "mae": lambda e: np.abs(e.value - np.clip(e.prediction, 1, 5)),
    "brier": lambda e: (e.prediction - e.positive) ** 2,
    "logloss": lambda e: -np.log(np.where(e.positive, e.prediction, 1 - e.prediction)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_debiased_values_are_the_written_sums(name):
    pairs = evidence()
    error = ERRORS[name](pairs)
    ips = (error / pairs.propensity).sum() / (20 * ITEMS)
    snips = (error / pairs.propensity).sum() / (1 / pairs.propensity).sum()
    root = np.sqrt if name == "rmse" else float
    assert measured(f"{name}/ips", pairs) == pytest.approx(root(ips), rel=1e-12)
    assert measured(f"{name}/snips", pairs) == pytest.approx(root(snips), rel=1e-12)
    clipped = (error / np.maximum(pairs.propensity, FLOOR)).sum() / (20 * ITEMS)
    assert measured(f"{name}/clipped", pairs) == pytest.approx(root(clipped), rel=1e-12)
    even = pairs._replace(propensity=np.full(N, N / (20 * ITEMS)))
    for estimator in ("ips", "snips"):  # p ≡ |O|/|D|: all three agree
        assert measured(f"{name}/{estimator}", even) == pytest.approx(measured(name, pairs), rel=1e-12)


EXPECTED = {  # of outcomes N(g, σ²), or labels that are 1 with probability g
    "rmse": lambda r, g, sd: (np.clip(r, 1, 5) - g) ** 2 + sd**2,
    "mae": lambda r, g, sd: foldnorm.mean(np.abs(np.clip(r, 1, 5) - g) / sd, scale=sd),
    "brier": lambda r, g, sd: np.clip(g, 0, 1) * (1 - r) ** 2 + (1 - np.clip(g, 0, 1)) * r**2,
    "logloss": lambda r, g, sd: -np.clip(g, 0, 1) * np.log(r) - (1 - np.clip(g, 0, 1)) * np.log(1 - r),
}


@pytest.mark.parametrize("name", ERRORS)
def test_imputed_values_are_the_risk_estimators_of_the_whole_log(name):
    known = imputed()
    pairs, g = known.pairs, known.outcome.of(np.arange(EVERYONE)[:, None], np.arange(ITEMS))
    guess = EXPECTED[name](known.prediction, g, known.outcome.sd)
    rows, mean = guess[known.users[pairs.row], known.item], guess.mean()
    error, root = ERRORS[name](pairs), np.sqrt if name == "rmse" else float
    estimators = {
        "eib": risk.eib(rows, mean),
        "dr": risk.doubly_robust(risk.ips, rows, mean),
        "sndr": risk.snips_dr(rows, mean),
        "stable-dr": risk.stable_dr(rows, mean),
    }
    with jax.enable_x64(True):
        expected = {
            key: float(estimator(error, pairs.propensity, EVERYONE * ITEMS)) for key, estimator in estimators.items()
        }
    assert len({round(each, 6) for each in expected.values()}) == 4
    for key, each in expected.items():
        assert measured(f"{name}/{key}", known) == pytest.approx(root(each), rel=1e-9)


@pytest.mark.parametrize("estimator", ["eib", "dr", "sndr"])
def test_with_a_perfect_imputation_the_value_is_the_truth_whatever_the_propensities(estimator):
    known = imputed()
    outcome = known.outcome._replace(mean=3.0, sd=0.0)
    rating = outcome.of(np.arange(EVERYONE)[:, None], np.arange(ITEMS))
    pairs = known.pairs._replace(value=rating[known.users[known.pairs.row], known.item])
    perfect = known._replace(pairs=pairs, outcome=outcome)
    gap = rating - np.clip(known.prediction, 1, 5)
    assert measured(f"rmse/{estimator}", perfect) == pytest.approx(np.sqrt((gap**2).mean()), rel=1e-12)
    assert measured(f"mae/{estimator}", perfect) == pytest.approx(np.abs(gap).mean(), rel=1e-12)
    half = perfect._replace(outcome=outcome._replace(mean=3.5))  # no longer perfect: now p matters
    other = half._replace(pairs=pairs._replace(propensity=pairs.propensity / 2))
    assert (measured(f"mae/{estimator}", half) != measured(f"mae/{estimator}", other)) == (estimator == "dr")


def test_an_estimate_that_has_no_root_or_no_balance_is_undefined():
    known = imputed()
    rare = known.pairs._replace(propensity=known.pairs.propensity / 10)
    far = known._replace(pairs=rare, outcome=known.outcome._replace(mean=9.0))
    assert measured("mae/dr", far) < 0 and np.isnan(measured("rmse/dr", far))
    same = known._replace(pairs=known.pairs._replace(propensity=np.ones(N)))  # p = 1 can't be moved
    assert np.isnan(measured("rmse/stable-dr", same))


def test_the_outcome_model_is_the_ridge_solution_of_the_rows_that_count():
    rng = np.random.default_rng(0)
    user, item = np.nonzero(rng.random((6, 7)) < 0.6)
    log = interactions(user, item, rng.integers(1, 6, len(user)), 6, 7)
    log.weight[3] = 0
    kept = np.flatnonzero(log.weight)
    y, design = log.value[kept].astype(float), np.zeros((len(kept), 13))
    design[np.arange(len(kept)), user[kept]] = design[np.arange(len(kept)), 6 + item[kept]] = 1
    effects = np.linalg.solve(design.T @ design + 2.5 * np.eye(13), design.T @ (y - y.mean()))
    fitted = additive_means(log, log.value, 2.5)
    np.testing.assert_allclose(np.concatenate([fitted.user, fitted.item]), effects, atol=1e-8)
    assert fitted.mean == pytest.approx(y.mean())
    assert fitted.sd == pytest.approx(np.sqrt(((y - y.mean() - design @ effects) ** 2).mean()))
    with pytest.raises(ValueError, match="shrinkage"):
        additive_means(log, log.value, 0.0)
    with pytest.raises(ValueError, match="at least one training row"):
        additive_means(replace(log, weight=0 * log.weight), log.value, 1.0)


def test_debiased_values_have_the_truth_as_their_mean():
    """Over draws of the test log from known propensities: IPS is unbiased for the MAE over all pairs, naive is not."""
    rng = np.random.default_rng(1)
    rating = rng.integers(1, 6, (USERS, ITEMS)).astype(float)
    prediction = np.clip(rating + rng.normal(0, 1, rating.shape) * (6 - rating) / 3, 1, 5)
    p = 0.05 + 0.18 * (rating - 1)
    true = np.abs(rating - prediction).mean()
    draws, seen = 1500, {}
    draw, *at = np.nonzero(rng.random((draws, *p.shape)) < p)
    at = tuple(at)
    # The sums of all draws at once, as of draws × USERS users; the value of each from its own.
    row, everyone = draw * USERS + at[0], draws * USERS
    pairs = Pairs(row, everyone, rating[at], rating[at] >= 3, prediction[at], (1.0, 5.0), p[at], draws * rating.size)
    for name in ("mae", "mae/ips", "mae/snips"):
        metric = choose(name).metric
        sums = metric.sums(pairs, np.inf).reshape(draws, USERS, -1)
        seen[name] = [value(Statistic(np.arange(USERS), each, metric.reduce)) for each in sums]
    error = {name: np.std(values) / np.sqrt(len(values)) for name, values in seen.items()}
    assert abs(np.mean(seen["mae/ips"]) - true) < 4 * error["mae/ips"]
    assert abs(np.mean(seen["mae"]) - true) > 20 * error["mae"]
    assert abs(np.mean(seen["mae/snips"]) - true) < abs(np.mean(seen["mae"]) - true) / 5


def published(pairs, k, ties=200):
    """NDCG@k, recall@k, F1@k in loops, as the public code has it, ties in random order, averaged."""
    rng = np.random.default_rng(0)
    out = []
    for _ in range(ties):
        ndcg, precision, recall = [], [], []
        for user in range(USERS):
            mine = pairs.row == user
            y, s = pairs.positive[mine].astype(float), pairs.prediction[mine]
            if not y.sum():
                continue
            order = np.lexsort((rng.random(len(s)), -s))[:k]
            discount = 1 / np.log2(np.arange(2, len(order) + 2))
            ndcg.append((y[order] * discount).sum() / (np.sort(y)[::-1][: len(order)] * discount).sum())
            precision.append(y[order].sum() / k)
            recall.append(y[order].sum() / y.sum())
        out.append((np.mean(ndcg), np.mean(recall), np.mean(precision)))
    ndcg, recall, precision = np.mean(out, axis=0)
    return {"ndcg": ndcg, "recall": recall, "f1": 2 * precision * recall / (precision + recall)}


@pytest.mark.parametrize("k", [1, 3, 5])
def test_published_conventions_against_loops(k):
    pairs = evidence(3)
    for name, expected in published(pairs, k, ties=1).items():
        assert measured(f"{name}@{k}/test-items", pairs) == pytest.approx(expected, rel=1e-12)


def test_equal_predictions_count_as_the_mean_over_their_orders():
    pairs = evidence(4, ties=True)
    for name, expected in published(pairs, 3, ties=4000).items():
        assert measured(f"{name}@3/test-items", pairs) == pytest.approx(expected, abs=4e-3)


def test_users_without_a_positive_are_left_out():
    pairs = evidence(3)
    positive = pairs.positive & (pairs.row > 2)
    fewer = pairs._replace(positive=positive)
    kept = pairs.row > 2
    rest = pairs._replace(
        **{name: getattr(pairs, name)[kept] for name in ("row", "value", "positive", "prediction", "propensity")}
    )
    for name in ("ndcg@5/test-items", "recall@5/test-items", "f1@5/test-items"):
        assert measured(name, fewer) == pytest.approx(measured(name, rest), rel=1e-12)
    none = pairs._replace(positive=np.zeros(N, bool))
    assert np.isnan(measured("ndcg@5/test-items", none)) and np.isnan(measured("f1@5/test-items", none))


def test_the_pooled_auc_goes_by_the_published_name_too():
    assert measured("auc/pooled", evidence()) == measured("auc", evidence())


def test_names():
    assert is_weighted("rmse/snips") and is_weighted("rmse/dr") and not is_weighted("rmse/eib")
    assert sections_read(["mae/clipped"]) == sections_read(["mae/snips", "mae/eib"]) == ["debiased"]
    assert sections_read(["mae/snips", "auto"]) == []
    assert not is_weighted("rmse") and not is_weighted("auto")
    assert choose("ndcg@5/test-items").cutoff == 5
    with pytest.raises(UpliftlensError, match="needs a cut-off"):
        choose("ndcg/test-items")
    with pytest.raises(UpliftlensError, match="cut-off must be a whole number"):
        choose("ndcg@0/test-items")
    with pytest.raises(UpliftlensError, match="metric"):
        choose("ndcg@5/test-itms")

"""Debiased values and published conventions against plain loops and closed forms."""

import numpy as np
import pytest

from upliftlens.benchmarks.errors import UpliftlensError
from upliftlens.benchmarks.metrics.metric import Pairs
from upliftlens.benchmarks.metrics.registry import choose, is_weighted
from upliftlens.causal.intervals import Statistic, value

USERS, ITEMS, N = 9, 14, 60


def evidence(seed=0, ties=False):
    rng = np.random.default_rng(seed)
    row = np.sort(np.concatenate([np.arange(USERS), rng.integers(0, USERS, N - USERS)]))
    rating = rng.integers(1, 6, N).astype(float)
    prediction = rng.integers(1, 4, N) / 4 if ties else rng.uniform(0, 1, N)
    p = rng.uniform(0.05, 1, N)
    return Pairs(row, USERS, rating, rating >= 3, prediction, (1.0, 5.0), p, 20 * ITEMS)


def measured(name, pairs):
    one = choose(name)
    return value(Statistic(np.arange(USERS), one.metric.sums(pairs, one.cutoff), one.metric.reduce))


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
    even = pairs._replace(propensity=np.full(N, N / (20 * ITEMS)))
    for estimator in ("ips", "snips"):  # p ≡ |O|/|D|: all three agree
        assert measured(f"{name}/{estimator}", even) == pytest.approx(measured(name, pairs), rel=1e-12)


def test_debiased_values_have_the_truth_as_their_mean():
    """Over draws of the test log from known propensities: IPS is unbiased for the MAE over all pairs, naive is not."""
    rng = np.random.default_rng(1)
    rating = rng.integers(1, 6, (USERS, ITEMS)).astype(float)
    prediction = np.clip(rating + rng.normal(0, 1, rating.shape) * (6 - rating) / 3, 1, 5)
    p = 0.05 + 0.18 * (rating - 1)
    true = np.abs(rating - prediction).mean()
    seen = {"mae": [], "mae/ips": [], "mae/snips": []}
    for _ in range(1500):
        row, item = np.nonzero(rng.random(p.shape) < p)
        at = (row, item)
        pairs = Pairs(row, USERS, rating[at], rating[at] >= 3, prediction[at], (1.0, 5.0), p[at], rating.size)
        for name, values in seen.items():
            values.append(measured(name, pairs))
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
            own = pairs.row == user
            y, s = pairs.positive[own].astype(float), pairs.prediction[own]
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
    assert is_weighted("rmse/snips") and not is_weighted("rmse") and not is_weighted("auto")
    assert choose("ndcg@5/test-items").cutoff == 5
    with pytest.raises(UpliftlensError, match="needs a cut-off"):
        choose("ndcg/test-items")
    with pytest.raises(UpliftlensError, match="cut-off must be a whole number"):
        choose("ndcg@0/test-items")
    with pytest.raises(UpliftlensError, match="metric"):
        choose("ndcg@5/test-itms")

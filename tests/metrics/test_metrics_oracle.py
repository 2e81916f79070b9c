"""Every metric against a plain version that sorts everything, and against rax and SciPy."""

from dataclasses import replace
from itertools import chain

import jax.numpy as jnp
import numpy as np
import pytest
import rax
from scipy import stats

from upliftlens.benchmarks.evaluation.evaluate import evaluate
from upliftlens.benchmarks.evaluation.exam import HeldOut
from upliftlens.benchmarks.evaluation.ranking import tie_order
from upliftlens.benchmarks.metrics import calibration as calibration_metrics
from upliftlens.benchmarks.metrics import cold as cold_metrics
from upliftlens.benchmarks.metrics import debiased as debiased_metrics
from upliftlens.benchmarks.metrics import moments as moments_metrics
from upliftlens.benchmarks.metrics import published as published_metrics
from upliftlens.benchmarks.metrics import uplift as uplift_metrics
from upliftlens.benchmarks.metrics.registry import MetricsConfig, registry
from upliftlens.causal.interactions import interactions, padded
from upliftlens.causal.intervals import Interval
from upliftlens.models.contract import Method, TrainingData

N_USERS, N_ITEMS, RELEVANCE, SCALE, TIE_SEED = 37, 60, 4.0, (1.0, 5.0), 20
CUTOFFS = (1, 3, 10, 59, 200)
# Their oracles are in test_uplift_evidence.py, test_debiased_metrics.py, test_calibration.py, test_cold.py and
# test_timeline.py; "mse" has its own here.
ELSEWHERE = {
    metric.name
    for module in (
        uplift_metrics,
        debiased_metrics,
        calibration_metrics,
        cold_metrics,
        moments_metrics,
        published_metrics,
    )
    for metric in module.METRICS
} - {"mse"}


def matrix_method(link: str) -> Method:
    """The state is the score matrix itself."""
    return Method(
        init=lambda key, data, hp: None,
        step=lambda state, data, batch, key, hp: (state, 0.0),
        score=lambda state, data, at: state[at.user],
        predict=lambda state, data, at, items: state[at.user, items],
        layout="full",
        link=link,
    )


METHODS = {link: matrix_method(link) for link in ("rating", "probability", "rank")}


def problem(seed: int, ties: bool):
    """A log with users without relevant items, users without test rows, seen pairs and an overlap of seen and test."""
    rng = np.random.default_rng(seed)
    cell = rng.random((N_USERS, N_ITEMS))
    values = rng.integers(1, 6, (N_USERS, N_ITEMS)).astype(np.float32)
    values[3] = 2.0  # nothing relevant
    train, test = cell < 0.3, (cell > 0.25) & (cell < 0.45)
    test[5] = False
    scores = rng.normal(size=(N_USERS, N_ITEMS)).astype(np.float32)
    if ties:
        scores = np.round(scores)
    rows = [interactions(*np.nonzero(which), values[which], N_USERS, N_ITEMS) for which in (train, test)]
    none = np.zeros((N_USERS, 0), np.float32), np.zeros((N_ITEMS, 0), np.float32)
    data = TrainingData(rows[0], (rows[0].value >= RELEVANCE).astype(np.float32), *none)
    return data, rows[1], train, test, values, scores


def config(names, block=16):
    return MetricsConfig(tuple(names), block, TIE_SEED, Interval(0.95, 40, 0))


def sorted_candidates(scores, excluded):
    """Item ids of one user, best first: sorted by (−score, tie order)."""
    order = np.lexsort((tie_order(N_ITEMS, TIE_SEED), -scores))
    return [item for item in order if not excluded[item]]


def dcg(gains):
    return sum(gain / np.log2(place + 2) for place, gain in enumerate(gains))


def average_precision(gains, n_relevant, k):
    hits, total = 0, 0.0
    for place, gain in enumerate(gains[:k], 1):
        hits += gain
        total += gain * hits / place
    return total / min(k, n_relevant)


def harmonic(a, b):
    return 2 * a * b / (a + b) if a + b else 0.0


# (0/1 gains of the whole list, number of relevant items, cut-off) -> value of one user
PER_USER = {
    "recall": lambda g, n, k: sum(g[:k]) / n,
    "precision": lambda g, n, k: sum(g[:k]) / k,
    "f1": lambda g, n, k: harmonic(sum(g[:k]) / k, sum(g[:k]) / n),
    "hit": lambda g, n, k: float(any(g[:k])),
    "ndcg": lambda g, n, k: dcg(g[:k]) / dcg([1] * min(k, n)),
    "map": average_precision,
    "mrr": lambda g, n, k: next((1 / place for place, gain in enumerate(g[:k], 1) if gain), 0.0),
}


def pairwise_auc(prediction, positive):
    """Mann and Whitney's U from SciPy, over the number of pairs."""
    up, down = prediction[positive], prediction[~positive]
    return stats.mannwhitneyu(up, down).statistic / (len(up) * len(down))


def binary_entropy(p, positive):
    p = np.clip(p, 1e-7, 1 - 1e-7)
    return np.mean([-np.log(a) if y else -np.log(1 - a) for a, y in zip(p, positive, strict=True)])


# (value, positive, prediction, user) -> value
POOLED = {
    "rmse": lambda v, y, p, u: np.sqrt(np.mean((v - np.clip(p, *SCALE)) ** 2)),
    "mse": lambda v, y, p, u: np.mean((v - np.clip(p, *SCALE)) ** 2),
    "mae": lambda v, y, p, u: np.mean(np.abs(v - np.clip(p, *SCALE))),
    "logloss": lambda v, y, p, u: binary_entropy(p, y),
    "brier": lambda v, y, p, u: np.mean((y - p) ** 2),
    "auc": lambda v, y, p, u: pairwise_auc(p, y),
    "auc/user": lambda v, y, p, u: np.mean(
        [
            pairwise_auc(p[u == this_item], y[u == this_item])
            for this_item in np.unique(u)
            if 0 < y[u == this_item].sum() < (u == this_item).sum()
        ]
    ),
}


def gini(counts):
    """Mean absolute difference over twice the mean."""
    return np.abs(counts[:, None] - counts[None, :]).mean() / (2 * counts.mean())


# (lists, popularity of each item) -> value
FROM_LISTS = {
    "coverage": lambda lists, popularity: len(set(chain.from_iterable(lists))) / N_ITEMS,
    "gini": lambda lists, popularity: gini(np.bincount(list(chain.from_iterable(lists)), minlength=N_ITEMS)),
    "popularity": lambda lists, popularity: np.mean(
        [np.mean([popularity[i] for i in this_list]) for this_list in lists]
    ),
}


def test_every_registered_metric_has_an_oracle():
    assert set(registry()) - ELSEWHERE == set(PER_USER) | set(POOLED) | set(FROM_LISTS)


def test_kinds_and_cutoffs_are_what_the_oracles_say():
    for name in registry().keys() - ELSEWHERE:
        metric = registry()[name].value
        assert metric.evidence == ("ranks" if name in PER_USER else "pairs" if name in POOLED else "lists")
        assert (metric.at == "never") == (name in POOLED)
        assert metric.version >= 1


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_ranking_metrics_equal_sorting_everything(seed, ties):
    data, rows, train, test, values, scores = problem(seed, ties)
    names = [f"{name}@{k}" for name in PER_USER for k in CUTOFFS] + ["ndcg", "map", "mrr"]
    result = evaluate(
        METHODS["rank"], scores, data, HeldOut(rows, data.log, RELEVANCE, SCALE, "explicit"), config(names)
    )
    expected = {name: [] for name in names}
    users = []
    for user in range(N_USERS):
        relevant = test[user] & (values[user] >= RELEVANCE)
        if not relevant.any():
            continue
        users.append(user)
        gains = [int(relevant[i]) for i in sorted_candidates(scores[user], train[user] & ~test[user])]
        for name in names:
            base, _, k = name.partition("@")
            expected[name].append(PER_USER[base](gains, relevant.sum(), int(k or N_ITEMS)))
    assert 5 not in result.users
    assert result.counts["users_without_relevant"] == len(np.flatnonzero(test.any(axis=1))) - len(users) >= 1
    assert result.counts["seen_test_pairs"] == (train & test).sum() > 0
    for name in names:
        numerator, denominator = result.statistics[name].sums.T
        assert list(result.users[denominator > 0]) == users
        np.testing.assert_allclose(numerator[denominator > 0], expected[name], rtol=0, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(result.summaries[name].value, np.mean(expected[name]), atol=1e-12)
        assert result.summaries[name].n == len(users)


@pytest.mark.parametrize("k", [1, 3, 10, None])
def test_ranking_metrics_equal_rax(k):
    data, rows, train, test, values, scores = problem(2, ties=False)
    suffix = f"@{k}" if k else ""
    names = [f"ndcg{suffix}", f"map{suffix}", f"mrr{suffix}"] + ([f"recall@{k}", f"precision@{k}"] if k else [])
    result = evaluate(
        METHODS["rank"], scores, data, HeldOut(rows, data.log, RELEVANCE, SCALE, "explicit"), config(names)
    )
    relevant = test & (values >= RELEVANCE)
    users = relevant.any(axis=1)
    labels, where = jnp.asarray(relevant[users], jnp.float32), jnp.asarray((~train | test)[users])
    # rax divides AP@k by R, not by min(k, R): brought to our definition here
    findable = jnp.minimum(labels.sum(axis=1), k or np.inf)
    theirs = {
        "ndcg": lambda s: rax.ndcg_metric(s, labels, where=where, topn=k),
        "mrr": lambda s: rax.mrr_metric(s, labels, where=where, topn=k),
        "recall": lambda s: rax.recall_metric(s, labels, where=where, topn=k),
        "precision": lambda s: rax.precision_metric(s, labels, where=where, topn=k),
        "map": lambda s: (
            rax.ap_metric(s, labels, where=where, topn=k, reduce_fn=None) * labels.sum(axis=1) / findable
        ).mean(),
    }
    for name in names:
        expected = float(theirs[name.partition("@")[0]](jnp.asarray(scores[users])))
        assert result.summaries[name].value == pytest.approx(expected, abs=1e-6), name


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("link", ["rating", "probability", "rank"])
def test_pair_metrics_equal_their_formulas(link, ties):
    data, rows, _, _, _, scores = problem(3, ties)
    if link == "probability":
        scores = np.clip(0.5 + scores / 4, 0, 1)  # hits 0 and 1 exactly
    elif link == "rating":
        scores = 3 + 2 * scores  # leaves the scale
    names = list(POOLED)
    result = evaluate(METHODS[link], scores, data, HeldOut(rows, data.log, RELEVANCE, SCALE, "explicit"), config(names))
    assert set(result.statistics) | set(result.absent) == set(names)
    assert set(result.statistics) == {name for name in names if link in registry()[name].value.links}
    prediction = scores[rows.user, rows.item].astype(np.float64)
    for name in result.statistics:
        expected = POOLED[name](rows.value.astype(np.float64), rows.value >= RELEVANCE, prediction, rows.user)
        assert result.summaries[name].value == pytest.approx(expected, abs=1e-10), name


@pytest.mark.parametrize("k", [1, 5, 60, 100])
def test_list_metrics_equal_their_formulas(k):
    data, rows, train, test, _, scores = problem(4, ties=True)
    scores[7] = -np.inf  # nothing recommended to this user
    scores[8, 4:] = -np.inf
    names = [f"{name}@{k}" for name in FROM_LISTS]
    result = evaluate(
        METHODS["rank"], scores, data, HeldOut(rows, data.log, RELEVANCE, SCALE, "explicit"), config(names)
    )
    lists = []
    for user in result.users:
        candidates = sorted_candidates(scores[user], (train[user] & ~test[user]) | (scores[user] == -np.inf))
        lists.append([int(item) for item in candidates[:k]])
    assert [] in lists
    popularity = train.sum(axis=0)
    for name in names:
        base = name.partition("@")[0]
        shown = [this_list for this_list in lists if this_list]
        assert result.summaries[name].value == pytest.approx(FROM_LISTS[base](shown, popularity), abs=1e-12), name


def test_padding_rows_of_the_training_log_add_no_popularity():
    data, rows, _, _, _, scores = problem(4, ties=False)
    longer = replace(data, log=padded(data.log, len(data.log) + 500))
    results = [
        evaluate(
            METHODS["rank"],
            scores,
            item,
            HeldOut(rows, item.log, RELEVANCE, SCALE, "explicit"),
            config(["popularity@3"]),
        )
        for item in (data, longer)
    ]
    assert results[0].summaries == results[1].summaries


def test_implicit_feedback_counts_every_row_and_predicts_no_pair():
    data, rows, train, test, _, scores = problem(5, ties=False)
    names = ["recall@5", "rmse", "auc/user"]
    result = evaluate(
        METHODS["rating"], scores, data, HeldOut(rows, data.log, RELEVANCE, SCALE, "implicit"), config(names)
    )
    recalls = []
    for user in np.flatnonzero(test.any(axis=1)):
        first = sorted_candidates(scores[user], train[user] & ~test[user])[:5]
        recalls.append(test[user][first].sum() / test[user].sum())
    assert result.summaries["recall@5"].value == pytest.approx(np.mean(recalls), abs=1e-12)
    assert set(result.absent) == {"rmse", "auc/user"}
    assert result.counts["users_without_relevant"] == 0

"""Metrics of warm and cold rows equal the whole metrics of a test set that holds only those rows."""

import numpy as np
import pytest
from test_metrics_oracle import METHODS, N_ITEMS, N_USERS, RELEVANCE, SCALE, config, problem

from upliftlens.benchmarks.evaluation.evaluate import evaluate
from upliftlens.benchmarks.evaluation.evidence import mostly_cold
from upliftlens.benchmarks.evaluation.exam import HeldOut
from upliftlens.benchmarks.metrics.cold import METRICS
from upliftlens.benchmarks.metrics.metric import Pairs, Ranks
from upliftlens.benchmarks.metrics.registry import choose, registry
from upliftlens.causal.interactions import interactions, padded, take
from upliftlens.models.contract import TrainingData

NAMES = {
    "rating": ("rmse", "mae"),
    "probability": ("logloss", "brier"),
    "rank": ("recall@3", "recall@10", "ndcg", "ndcg@5"),
}


def cold_problem(seed):
    """Scores, training data without the rows of users 0 to 9 and items 0 to 14, test rows, and which of them are cold.

    No pair is both trained on and tested, so that the candidates do not depend on which rows are tested.
    """
    data, rows, train, test, values, scores = problem(seed, ties=True)
    train = train & ~test
    train[:10], train[:, :15] = False, False
    log = interactions(*np.nonzero(train), values[train], N_USERS, N_ITEMS)
    log = padded(log, len(log) + 7)  # padding is a row of user 0 and item 0 with weight 0: it makes nothing warm
    data = TrainingData(log, np.zeros(len(log), np.float32), data.user_features, data.item_features)
    known_users, known_items = train.any(axis=1), train.any(axis=0)
    return data, rows, scores, ~(known_users[rows.user] & known_items[rows.item])


@pytest.mark.parametrize("link", NAMES)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_part_of_the_rows_has_the_value_of_a_test_set_of_these_rows(link, seed):
    data, rows, scores, cold = cold_problem(seed)
    scores = 1 / (1 + np.exp(-scores)) if link == "probability" else scores
    assert 0.2 < cold.mean() < 0.8

    def values_on(part, names):
        held = HeldOut(take(rows, part), data.log, RELEVANCE, SCALE, "explicit")
        return evaluate(METHODS[link], scores, data, held, config(names))

    for kind, part in (("warm", ~cold), ("cold", cold)):
        names = [f"{name}/{kind}" for name in NAMES[link]]
        whole, apart = values_on(part, NAMES[link]), values_on(np.ones(len(rows), bool), names)
        assert apart.counts["cold_test_pairs"] == cold.sum() and apart.counts["test_pairs"] == len(rows)
        for name in NAMES[link]:
            expected, result = whole.summaries[name], apart.summaries[f"{name}/{kind}"]
            assert result.value == pytest.approx(expected.value, rel=1e-12) and result.n == expected.n, (name, kind)


def test_by_hand():
    """User 0: errors 1 and 2, of which the second is cold; user 1: error 3, warm."""
    pairs = Pairs(
        np.array([0, 0, 1]), 2, np.array([3.0, 3, 5]), np.ones(3, bool), np.array([4.0, 1, 2]), SCALE,
        cold=np.array([False, True, False]),
    )  # fmt: skip
    assert choose("mae/warm").metric.sums(pairs, np.inf).tolist() == [[1, 1], [3, 1]]
    assert choose("mae/cold").metric.sums(pairs, np.inf).tolist() == [[2, 1], [0, 0]]
    ranks = Ranks(np.array([0, 0, 1]), np.array([1.0, 4, 2]), np.array([2.0, 1]), np.array([False, True, False]))
    assert choose("recall@2/warm").metric.sums(ranks, 2).tolist() == [[1, 1], [1, 1]]
    assert choose("recall@2/cold").metric.sums(ranks, 2).tolist() == [[0, 1], [0, 0]]


def test_without_cold_rows_their_metrics_are_absent_and_the_warm_ones_are_the_whole():
    data, rows, _, _, _, scores = problem(0, ties=False)
    rows = take(rows, np.isin(rows.item, data.log.item) & np.isin(rows.user, data.log.user))
    held = HeldOut(rows, data.log, RELEVANCE, SCALE, "explicit")
    result = evaluate(METHODS["rating"], scores, data, held, config(("rmse", "rmse/warm", "rmse/cold", "ndcg/cold")))
    assert result.summaries["rmse"] == result.summaries["rmse/warm"]
    assert result.absent.keys() == {"rmse/cold", "ndcg/cold"} and "none that it counts" in result.absent["rmse/cold"]


def test_they_differ_from_the_whole_metrics_in_nothing_but_the_rows():
    for metric in METRICS:
        whole = registry()[metric.name.partition("/")[0]].value
        assert metric._replace(name=whole.name, sums=whole.sums) == whole
        assert registry()[metric.name].value == metric


def test_a_sentence_where_more_than_half_of_the_test_rows_are_cold():
    assert mostly_cold({"cold_test_pairs": 0, "test_pairs": 0}) is None
    assert mostly_cold({"cold_test_pairs": 500, "test_pairs": 1000}) is None
    sentence = mostly_cold({"cold_test_pairs": 1501, "test_pairs": 2000})
    assert sentence is not None and sentence.startswith("1,501 of 2,000 test rows (75%) are of users or items without")
    names = sentence.partition("[")[2].partition("]")[0].split(",")
    assert len([choose(name) for name in names]) == 4

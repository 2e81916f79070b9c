"""Full ranking: candidates, ties, blocks, errors, compilation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upliftlens.benchmarks.evaluation.ranking import rank, targets, tie_order
from upliftlens.benchmarks.evaluation.scoring import Moments
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import interactions
from upliftlens.models.contract import TrainingData


def log(pairs, n_users, n_items, value=1.0):
    users, items = zip(*pairs, strict=True) if pairs else ((), ())
    return interactions(users, items, [value] * len(pairs), n_users, n_items)


def blank(n_users, n_items):
    empty = log([], n_users, n_items)
    return TrainingData(empty, empty.value, np.zeros((n_users, 0), np.float32), np.zeros((n_items, 0), np.float32))


NO_HISTORY = Moments(
    np.arange(100),
    *np.zeros((2, 100), np.int64),
    *(np.zeros(1, kind) for kind in (np.int32, np.float32, np.float32)),
    0,
)


def of_matrix(state, data, at):
    return state[at.user]


def ranked(scores, test, seen=(), block=4, tie_seed=0, length=0):
    scores = np.asarray(scores, np.float32)
    shape = scores.shape
    rows = log(test, *shape)
    expected = targets(rows, np.ones(len(rows), bool), log(list(seen), *shape))
    return expected, rank(of_matrix, scores, blank(*shape), NO_HISTORY, expected, block, tie_seed, length)


def test_the_rank_counts_better_candidates_from_one():
    _, ranking = ranked([[0.1, 0.9, 0.5, 0.7]], [(0, i) for i in range(4)], length=4)
    assert ranking.rank.tolist() == [4, 1, 3, 2]
    assert ranking.lists.tolist() == [[1, 3, 2, 0]]


def test_seen_items_are_no_candidates():
    _, ranking = ranked([[0.1, 0.9, 0.5, 0.7]], [(0, 0)], seen=[(0, 1), (0, 3)], length=4)
    assert ranking.rank.tolist() == [2]
    assert ranking.lists.tolist() == [[2, 0, -1, -1]]


def test_a_seen_item_with_a_test_row_stays_a_candidate_relevant_or_not():
    scores = np.asarray([[0.1, 0.9, 0.5, 0.7]], np.float32)
    rows = interactions([0, 0], [1, 0], [1, 5], 1, 4)
    expected = targets(rows, rows.value >= 4, log([(0, 0), (0, 1), (0, 3)], 1, 4))
    assert expected.overlap == 2
    ranking = rank(of_matrix, scores, blank(1, 4), NO_HISTORY, expected, 4, 0, 4)
    assert ranking.lists.tolist() == [[1, 2, 0, -1]]
    assert ranking.rank.tolist() == [3]


def test_others_seen_items_and_rows_of_weight_zero_hide_nothing():
    rows, seen = log([(1, 2)], 3, 4), log([(0, 1), (2, 1), (1, 3)], 3, 4)
    seen.weight[2] = 0
    assert len(targets(rows, np.ones(1, bool), seen).hidden) == 0


def test_equal_scores_stand_in_the_tie_order():
    n = 50
    pairs = [(u, i) for u in (0, 1) for i in range(n)]
    expected, ranking = ranked(np.zeros((2, n)), pairs, tie_seed=7, length=n)
    for user in (0, 1):
        assert ranking.rank[expected.row == user].tolist() == (tie_order(n, 7) + 1).tolist()
        assert ranking.lists[user].tolist() == np.argsort(tie_order(n, 7)).tolist()
    assert tie_order(n, 7).tolist() != list(range(n))
    assert (tie_order(n, 7) != tie_order(n, 8)).any()


def test_minus_zero_and_zero_are_a_tie():
    scores = np.zeros((1, 6), np.float32)
    scores[0, ::2] = -0.0
    _, ranking = ranked(scores, [(0, i) for i in range(6)], length=6)
    assert ranking.lists[0].tolist() == np.argsort(ranking.rank).tolist() == np.argsort(tie_order(6, 0)).tolist()


def test_minus_infinity_is_never_recommended():
    _, ranking = ranked([[-np.inf, 2.0, -np.inf, 1.0]], [(0, 0), (0, 3)], length=3)
    assert ranking.rank.tolist() == [np.inf, 2]
    assert ranking.lists.tolist() == [[1, 3, -1]]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_no_number_is_an_error_that_names_the_pair(bad):
    scores = np.zeros((9, 3))
    scores[6, 2] = bad
    with pytest.raises(UpliftlensError, match=rf"user index 6 and item index 2 is {bad}.*\n.*train.lr"):
        ranked(scores, [(u, 0) for u in range(9)])


def test_nothing_to_rank():
    expected, ranking = ranked(np.zeros((3, 4)), [])
    assert len(expected.users) == len(ranking.rank) == len(ranking.lists) == 0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), block=st.integers(1, 12), levels=st.sampled_from([2, 5, 1000]))
def test_block_size_and_row_order_change_nothing(seed, block, levels):
    rng = np.random.default_rng(seed)
    shape = (11, 17)
    scores = rng.integers(0, levels, shape)
    test, seen = ([tuple(p) for p in np.argwhere(rng.random(shape) < share)] for share in (0.3, 0.4))
    this_expected, expected = ranked(scores, test, seen, block=11, length=5)
    rng.shuffle(test)
    rng.shuffle(seen)
    again, ranking = ranked(scores, test, seen, block=block, length=5)
    assert all((np.asarray(a) == np.asarray(b)).all() for a, b in zip(this_expected, again, strict=True))
    assert (expected.rank == ranking.rank).all() and (expected.lists == ranking.lists).all()


def test_more_positives_than_one_call_takes():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(3, 900))
    pairs = [(u, i) for u in range(3) for i in range(900)]
    _, ranking = ranked(scores, pairs, block=2)
    expected = (-scores).argsort(axis=1).argsort(axis=1) + 1
    assert ranking.rank.tolist() == expected.ravel().tolist()


def test_the_score_is_compiled_once_for_all_states_and_blocks():
    traced = []

    def score(state, data, at):
        traced.append(1)
        return state[at.user]

    rows = log([(u, 0) for u in range(10)], 10, 6)
    expected = targets(rows, np.ones(10, bool), log([], 10, 6))
    first = [
        rank(score, np.full((10, 6), s, np.float32), blank(10, 6), NO_HISTORY, expected, 4, 0, 2).lists
        for s in range(3)
    ]
    other = np.random.default_rng(0).normal(size=(10, 6)).astype(np.float32)
    assert (
        rank(score, other, blank(10, 6), NO_HISTORY, expected, 4, 0, 2).lists != first[0]
    ).any()  # the state is no constant
    assert len(traced) == 1

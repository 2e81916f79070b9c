"""What a method is told of users, against a loop over them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upliftlens.benchmarks.evaluation.scoring import moments
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import interactions, padded
from upliftlens.models.contract import Method, TrainingData
from upliftlens.models.query import Reach, history_matrix

N_USERS, N_ITEMS = 7, 9


def method(history: Reach = 0, new_users: Reach | None = None) -> Method:
    nothing = (lambda *_: None,) * 4
    return Method(*nothing, "full", "rank", history=history, new_users=new_users)


def example(seed: int, n: int):
    """Training data with padding, and the same rows in the order of (user, time)."""
    rng = np.random.default_rng(seed)
    user, item, value, time = (rng.integers(high, size=n) for high in (N_USERS, N_ITEMS, 6, 50))
    log = padded(interactions(user, item, value, N_USERS, N_ITEMS, time), n + 5)
    positive = ((log.value >= 3) & (log.weight > 0)).astype(np.float32)
    features = np.zeros((N_USERS, 0), np.float32), np.zeros((N_ITEMS, 0), np.float32)
    rows = sorted(zip(user, time, range(n), item, value, strict=True))
    return TrainingData(replace(log, time=None), positive, *features), [(u, i, v) for u, _, _, i, v in rows]


@given(st.integers(0, 500), st.sampled_from([0, 1, 3, "all"]), st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_a_query_holds_the_last_interactions_newest_last(seed: int, reach: Reach, n: int) -> None:
    data, rows = example(seed, n)
    users = np.random.default_rng(seed).integers(N_USERS, size=4)
    query = moments(method(reach), data, users, None, None).query(users)
    assert query.user.tolist() == users.tolist()
    length = query.items.shape[1]
    assert length == reach or (reach == "all" and length % 64 == 0 and length > 0)
    for b, user in enumerate(users):
        mine = [(i, v) for u, i, v in rows if u == user][-length:] if length else []
        fill = length - len(mine)
        assert query.items[b].tolist() == [-1] * fill + [i for i, _ in mine]
        assert query.values[b].tolist() == [0] * fill + [v for _, v in mine]
        assert query.positive[b].tolist() == [0] * fill + [float(v >= 3) for _, v in mine]
    dense = np.zeros((4, N_ITEMS))
    for b, user in enumerate(users):
        for u, i, v in rows if reach == "all" else []:
            dense[b, i] = max(dense[b, i], u == user and v >= 3)
    if reach == "all":
        np.testing.assert_array_equal(history_matrix(query, N_ITEMS), dense)


@pytest.mark.parametrize("length", [1, 63, 64, 65, 200])
def test_histories_of_any_length_are_read_whole(length: int) -> None:
    rng = np.random.default_rng(length)
    items = np.where(np.arange(length) < length // 3, -1, rng.integers(N_ITEMS, size=(3, length)))
    weight = np.where(items < 0, 0, rng.random((3, length))).astype(np.float32)
    query = moments(method("all"), example(0, 9)[0], np.arange(3), None, None).query(np.arange(3))
    got = history_matrix(query._replace(items=items, values=weight, positive=weight), N_ITEMS)
    expected = np.zeros((3, N_ITEMS + 1), np.float32)
    for row, item, value in zip(np.repeat(range(3), length), items.ravel(), weight.ravel(), strict=True):
        expected[row, item] = max(expected[row, item], value)
    np.testing.assert_array_equal(got, expected[:, :N_ITEMS])


def test_new_users_have_no_index_and_are_told_what_is_shown() -> None:
    data, _ = example(1, 40)
    shown = interactions([2, 2, 5], [4, 1, 7], [5, 1, 3], N_USERS, N_ITEMS, [30, 10, 20])
    users = np.array([2, 5])
    query = moments(method(0, "all"), data, users, shown, shown.value >= 3).query(users)
    assert query.user.tolist() == [-1, -1]
    assert query.items[:, -2:].tolist() == [[1, 4], [-1, 7]] and query.positive[:, -2:].tolist() == [[0, 1], [0, 1]]
    assert moments(method(0, 0), data, users, shown, shown.value >= 3).query(users).items.shape == (2, 0)
    with pytest.raises(UpliftlensError, match="no score for users whom it was not trained on"):
        moments(method("all"), data, users, shown, shown.value >= 3)

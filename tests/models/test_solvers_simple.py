"""Random, popularity and the history rows that the neighbourhood solvers share, against plain NumPy."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upliftlens.causal.interactions import interactions, take
from upliftlens.causal.options import NoOptions
from upliftlens.models.contract import Hyper, TrainingData
from upliftlens.models.query import of_users
from upliftlens.models.solvers import history, popularity, random

EMPTY = Hyper({}, {}, {})


def _data(n_users: int = 9, n_items: int = 300, rows: int = 1200) -> tuple[TrainingData, np.ndarray]:
    """A log sorted by user, with histories of up to several hundred rows and rows of weight 0 anywhere; and X."""
    rng = np.random.default_rng(3)
    user = np.sort(np.minimum(rng.geometric(0.4, rows) - 1, n_users - 2))
    item = rng.integers(n_items, size=rows)
    log = interactions(user, item, np.ones(rows), n_users, n_items)
    log = replace(log, weight=(rng.random(rows) < 0.8).astype(np.float32))
    positive = (rng.random(rows) < 0.6).astype(np.float32)
    x = np.zeros((n_users, n_items), np.float32)
    for u, i, counts in zip(user, item, log.weight * positive):
        x[u, i] = max(x[u, i], counts)
    none = [np.zeros((n, 0), np.float32) for n in (n_users, n_items)]
    return TrainingData(log, positive, *none), x


@pytest.mark.parametrize("shuffled", [False, True])
def test_history_rows_and_gram_matrix_equal_numpy(shuffled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    data, x = _data()
    assert x.sum(axis=1).max() > 2 * history._STRIDE  # else the loop over long histories is not tested
    if shuffled:
        order = np.random.default_rng(4).permutation(len(data.log))
        data = replace(data, log=take(data.log, order), positive=data.positive[order])
    where = history.spans(data)
    users = np.array([5, 0, 8, 2, 99, 5], np.int32)  # in any order, twice, without a row, and past the end
    expected = np.stack([x[u] if u < 9 else np.zeros(300) for u in users])
    np.testing.assert_array_equal(jax.jit(history.history)(data, where, users), expected)
    monkeypatch.setattr(history, "_BLOCK", 4)  # 9 users: a ragged last block
    np.testing.assert_array_equal(jax.jit(lambda: history.gram(data, where))(), x.T @ x)


def test_popularity_counts_positives() -> None:
    data, _ = _data()
    method = popularity.model.method(NoOptions())
    key = jax.random.key(0)
    state, _ = method.step(method.init(key, data, EMPTY), data, None, key, EMPTY)
    counts = np.zeros(300)
    np.add.at(counts, data.log.item, data.log.weight * data.positive)
    assert counts.max() > 3
    np.testing.assert_array_equal(method.score(state, data, of_users(jnp.arange(9))), np.tile(counts, (9, 1)))


def test_random_orders_are_uniform_fixed_and_differ_between_users_and_seeds() -> None:
    n_users, n_items = 20_000, 4
    log = interactions([0], [0], [1.0], n_users, n_items)
    data = TrainingData(log, np.ones(1, np.float32), np.zeros((n_users, 0)), np.zeros((n_items, 0)))
    method = random.model.method(NoOptions())

    def orders(seed: int) -> np.ndarray:
        state = method.init(jax.random.key(seed), data, EMPTY)
        return np.argsort(method.score(state, data, of_users(jnp.arange(n_users))), axis=1)

    first = orders(0)
    np.testing.assert_array_equal(first, orders(0))
    assert 0.9 < (first != orders(1)).any(axis=1).mean() < 0.99  # 23/24 in expectation
    # Each of the 24 orders has probability 1/24: chi-squared with 23 degrees of freedom, 99.99 % quantile 58.6.
    counts = np.unique(first @ 4 ** np.arange(n_items), return_counts=True)[1]
    assert len(counts) == 24
    assert ((counts - n_users / 24) ** 2 / (n_users / 24)).sum() < 58.6

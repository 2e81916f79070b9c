"""EASE and item-kNN against float64 NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from asking import asked

from upliftlens.causal.interactions import interactions, padded
from upliftlens.models.contract import Hyper, TrainingData
from upliftlens.models.solvers import ease, item_knn

N_USERS, N_ITEMS = 60, 25


def _data() -> tuple[TrainingData, np.ndarray]:
    """A log with structure (taste groups), duplicates and padding; and its 0/1 matrix in float64."""
    rng = np.random.default_rng(5)
    user = rng.integers(N_USERS - 1, size=700)
    item = np.where(rng.random(700) < 0.7, (user % 5) * 5 + rng.integers(5, size=700), rng.integers(24, size=700))
    item[item == 24] = 0  # an item without a row
    log = padded(interactions(user, item, np.ones(700), N_USERS, N_ITEMS), 720)
    x = np.zeros((N_USERS, N_ITEMS))
    x[user, item] = 1
    assert x.sum() < 650  # duplicates
    return TrainingData(log, log.weight, np.zeros((N_USERS, 0)), np.zeros((N_ITEMS, 0))), x


def _hyper(**options: float) -> Hyper:
    return Hyper({name: jnp.float32(value) for name, value in options.items()}, {}, {})


def _ease(data: TrainingData, l2: float) -> tuple[jax.Array, float]:
    method = ease.model.method(ease.Options(l2, "binary"))
    key, hp = jax.random.key(0), _hyper(l2=l2)
    state, loss = jax.jit(method.step)(method.init(key, data, hp), data, None, key, hp)
    return state, float(loss)


@pytest.mark.parametrize("l2", [0.5, 10.0, 500.0])
def test_ease_equals_the_closed_form_and_ridge_regressions_without_the_item_itself(l2: float) -> None:
    data, x = _data()
    state, loss = _ease(data, l2)
    p = np.linalg.inv(x.T @ x + l2 * np.eye(N_ITEMS))
    closed = -p / np.diag(p)
    np.fill_diagonal(closed, 0)
    np.testing.assert_allclose(state, closed, rtol=1e-4, atol=1e-6)
    ridge = np.zeros_like(closed)
    for j in range(N_ITEMS):
        others = np.delete(np.arange(N_ITEMS), j)
        z = x[:, others]
        ridge[others, j] = np.linalg.solve(z.T @ z + l2 * np.eye(N_ITEMS - 1), z.T @ x[:, j])
    np.testing.assert_allclose(state, ridge, rtol=1e-4, atol=1e-6)
    objective = ((x - x @ ridge) ** 2).sum() + l2 * (ridge**2).sum()
    np.testing.assert_allclose(loss * N_USERS, objective, rtol=1e-5)
    method = ease.model.method(ease.Options(l2, "binary"))
    scores = method.score(state, data, asked(method, data, range(N_USERS)))
    np.testing.assert_allclose(scores, x @ closed, rtol=1e-4, atol=1e-5)


def test_ease_stays_accurate_where_the_problem_is_badly_conditioned() -> None:
    """Condition number 4e4: float32 can lose almost five of its seven digits; three must be left of the largest."""
    rng = np.random.default_rng(6)
    x = (rng.random((400, 30)) < 0.4).astype(float)
    x[:, 1] = x[:, 0]  # two items that go together always
    gram, l2 = x.T @ x, 0.05
    assert np.linalg.cond(gram + l2 * np.eye(30)) > 4e4
    p = np.linalg.inv(gram + l2 * np.eye(30))
    closed = -p / np.diag(p)
    np.fill_diagonal(closed, 0)
    result, _ = ease.weights(jnp.asarray(gram, jnp.float32), jnp.float32(l2))
    np.testing.assert_allclose(result, closed, atol=1e-3 * np.abs(closed).max())


@pytest.mark.parametrize(("neighbours", "shrinkage"), [(4, 0.0), (4, 7.5), (10, 1.0), (40, 1.0)])
def test_item_knn_equals_numpy(neighbours: int, shrinkage: float) -> None:
    data, x = _data()
    method = item_knn.model.method(item_knn.Options(neighbours, shrinkage, "binary"))
    key, hp = jax.random.key(0), _hyper(shrinkage=shrinkage)
    state, _ = jax.jit(method.step)(method.init(key, data, hp), data, None, key, hp)
    gram = x.T @ x
    similarity = np.zeros_like(gram)
    for i in range(N_ITEMS):
        for j in range(N_ITEMS):
            if i != j and gram[i, j] > 0:
                similarity[i, j] = gram[i, j] / (np.sqrt(gram[i, i] * gram[j, j]) + shrinkage)
    k = min(neighbours, N_ITEMS)
    assert state.neighbours.shape == (N_ITEMS, k)
    # Which of several equally similar items is the last one kept is open; that the values are the largest is not.
    np.testing.assert_allclose(state.similarity, -np.sort(-similarity, axis=1)[:, :k], rtol=1e-5)
    np.testing.assert_allclose(
        state.similarity, np.take_along_axis(similarity, np.asarray(state.neighbours), axis=1), rtol=1e-5
    )
    kept = np.zeros_like(similarity)
    np.put_along_axis(kept, np.asarray(state.neighbours), np.asarray(state.similarity), axis=1)
    scores = method.score(state, data, asked(method, data, range(N_USERS)))
    np.testing.assert_allclose(scores, x @ kept.T, rtol=1e-5, atol=1e-6)

"""User-kNN, RP3β and graded histories against float64 NumPy."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from asking import asked

from upliftlens.causal.interactions import interactions, padded
from upliftlens.models.contract import Hyper, Solver, TrainingData
from upliftlens.models.solvers import ease, item_knn, rp3beta, user_knn
from upliftlens.models.solvers.history import History, graded, history, spans

N_USERS, N_ITEMS = 300, 25  # two blocks of users, the second ragged
kinds = pytest.mark.parametrize("kind", ["binary", "graded"])


def _data() -> tuple[TrainingData, dict[str, np.ndarray]]:
    """A log with taste groups, duplicates and padding, ratings from −1 to 4; and X of each kind in float64."""
    rng = np.random.default_rng(5)
    user = rng.integers(N_USERS - 1, size=2500)  # the last user has no row
    item = np.where(rng.random(2500) < 0.7, (user % 5) * 5 + rng.integers(5, size=2500), rng.integers(24, size=2500))
    item[item == 24] = 0  # an item without a row
    log = padded(interactions(user, item, rng.integers(-1, 5, 2500), N_USERS, N_ITEMS), 2540)
    positive = ((log.value >= 3) & (log.weight > 0)).astype(np.float32)
    x = {kind: np.zeros((N_USERS, N_ITEMS)) for kind in ("binary", "graded")}
    for u, i, value in zip(log.user[:2500], log.item[:2500], log.value[:2500]):
        x["binary"][u, i] = max(x["binary"][u, i], value >= 3)
        x["graded"][u, i] = max(x["graded"][u, i], value / 4)
    none = np.zeros((N_USERS, 0)), np.zeros((N_ITEMS, 0))
    return TrainingData(log, positive, *none, scale=(-1.0, 4.0)), x


def _fit(solver: Solver, options: Any, data: TrainingData) -> tuple[Any, np.ndarray]:
    """The state, and the scores of all users."""
    method, key = solver.method(options), jax.random.key(0)
    hp = Hyper({name: jnp.float32(x) for name, x in vars(options).items() if isinstance(x, float)}, {}, {})
    state, _ = jax.jit(method.step)(method.init(key, data, hp), data, None, key, hp)
    return state, np.asarray(method.score(state, data, asked(method, data, range(N_USERS))))


@kinds
def test_history_rows_hold_what_their_kind_says(kind: History) -> None:
    data, x = _data()
    data = graded(data) if kind == "graded" else data
    np.testing.assert_allclose(history(data, spans(data), jnp.arange(N_USERS)), x[kind], rtol=1e-6)


@kinds
@pytest.mark.parametrize(("neighbours", "shrinkage"), [(7, 0.0), (20, 3.0), (1000, 1.0)])
def test_user_knn_equals_numpy(neighbours: int, shrinkage: float, kind: History) -> None:
    data, every = _data()
    x = every[kind]
    state, scores = _fit(user_knn.model, user_knn.Options(neighbours, shrinkage, kind), data)
    similarity = np.zeros((N_USERS, N_USERS))
    for u in range(N_USERS):
        for v in range(N_USERS):
            if u != v and (common := x[u] @ x[v]) > 0:
                similarity[u, v] = common / (np.sqrt((x[u] @ x[u]) * (x[v] @ x[v])) + shrinkage)
    k = min(neighbours, N_USERS)
    # Which of several equally similar users is the last one kept is open; that the values are the largest is not.
    np.testing.assert_allclose(state.similarity, -np.sort(-similarity, axis=1)[:, :k], rtol=1e-5)
    index = np.asarray(state.neighbours)
    np.testing.assert_allclose(state.similarity, np.take_along_axis(similarity, index, axis=1), rtol=1e-5)
    kept = np.zeros_like(similarity)
    np.put_along_axis(kept, index, np.take_along_axis(similarity, index, axis=1), axis=1)
    np.testing.assert_allclose(scores, kept @ x, rtol=1e-5, atol=1e-5)


def _steps(x: np.ndarray, alpha: float, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """p^alpha [U, I], and the walk's last two steps from each item to each item, by the matrices of the paper."""
    p, q = (np.divide(x, total, out=np.zeros_like(x), where=total > 0) for total in (x.sum(1)[:, None], x.sum(0)))
    steps = np.einsum("vj,vi->ji", q**alpha, p**alpha) / np.maximum(x.sum(0), 1e-12) ** beta
    return p**alpha, np.where(np.eye(N_ITEMS) > 0, 0, steps)


@kinds
@pytest.mark.parametrize(("neighbours", "alpha", "beta"), [(4, 1.0, 0.0), (10, 0.6, 0.5), (1000, 1.7, 1.0)])
def test_rp3beta_equals_numpy(neighbours: int, alpha: float, beta: float, kind: History) -> None:
    data, x = _data()
    state, scores = _fit(rp3beta.model, rp3beta.Options(neighbours, alpha, beta, kind), data)
    first, steps = _steps(x[kind], alpha, beta)
    weights, k = np.asarray(state.weights), min(neighbours, N_ITEMS)
    np.testing.assert_allclose(-np.sort(-weights, axis=1)[:, :k], -np.sort(-steps, axis=1)[:, :k], rtol=1e-4)
    kept = np.where(weights > 0, steps, 0)
    assert ((kept > 0).sum(axis=1) <= k).all()
    np.testing.assert_allclose(weights, kept, rtol=1e-4)
    np.testing.assert_allclose(scores, first @ kept, rtol=1e-4, atol=1e-9)


def test_ease_and_item_knn_learn_from_graded_histories() -> None:
    data, every = _data()
    x = every["graded"]
    inverse = np.linalg.inv(x.T @ x + 2 * np.eye(N_ITEMS))
    closed = np.where(np.eye(N_ITEMS) > 0, 0, -inverse / np.diag(inverse))
    _, scores = _fit(ease.model, ease.Options(2.0, "graded"), data)
    np.testing.assert_allclose(scores, x @ closed, rtol=1e-4, atol=1e-5)
    norm = np.linalg.norm(x, axis=0)
    cosine = np.where(np.eye(N_ITEMS) > 0, 0, x.T @ x / (np.outer(norm, norm) + 3))
    _, scores = _fit(item_knn.model, item_knn.Options(N_ITEMS, 3.0, "graded"), data)
    np.testing.assert_allclose(scores, x @ cosine, rtol=1e-4, atol=1e-5)


def test_a_scale_without_a_top_above_0_has_no_grades() -> None:
    with pytest.raises(ValueError, match="history=graded divides by the top of the scale, 0"):
        graded(replace(_data()[0], scale=(-5.0, 0.0)))

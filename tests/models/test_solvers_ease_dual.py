"""EASE by users × users: the scores of the solution by items, in less memory."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from asking import asked

from upliftlens.benchmarks.evaluation.scoring import moments
from upliftlens.causal.interactions import interactions, padded
from upliftlens.models.contract import Hyper, Method, Query, TrainingData
from upliftlens.models.solvers import ease, ease_dual
from upliftlens.models.solvers.history import History

N_USERS, N_ITEMS = 45, 150
L2 = 3.0
HYPER = Hyper({"l2": jnp.float32(L2)}, {}, {})


@pytest.fixture(scope="module")
def data() -> TrainingData:
    """Ratings with repeated pairs, a user and an item without a row, and padding."""
    rng = np.random.default_rng(3)
    user, item = rng.integers(N_USERS - 1, size=900), rng.integers(N_ITEMS - 1, size=900)
    log = padded(interactions(user, item, rng.integers(1, 6, 900), N_USERS, N_ITEMS), 940)
    assert len(np.unique(user * N_ITEMS + item)) < 880
    positive = ((log.value >= 3) & (log.weight > 0)).astype(np.float32)
    return TrainingData(replace(log, time=None), positive, np.zeros((N_USERS, 0)), np.zeros((N_ITEMS, 0)))


@pytest.fixture
def by_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ease, "_LARGE", 0)
    monkeypatch.setattr(ease_dual, "_BLOCK", 16)  # three blocks, the last one ragged
    monkeypatch.setattr(ease_dual, "_ROWS", 128)


def _fit(data: TrainingData, history: History) -> tuple[Method, jax.Array | ease_dual.State, float]:
    method = ease.model.method(ease.Options(L2, history))
    state = method.init(jax.random.key(0), data, HYPER)
    state, loss = jax.jit(lambda state: method.step(state, data, None, jax.random.key(0), HYPER))(state)
    return method, state, float(loss)


def _as_new(method: Method, data: TrainingData) -> Query:
    rows = np.asarray(data.log.weight) > 0
    shown = jax.tree.map(lambda column: column[rows], data.log)
    query = moments(method, data, np.arange(N_USERS), shown, data.positive[rows]).query(np.arange(N_USERS))
    return jax.tree.map(jnp.asarray, query)


@pytest.mark.parametrize("history", ["binary", "graded"])
def test_the_dual_scores_as_the_solution_by_items(data: TrainingData, history: History, by_users: None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ease, "_LARGE", 2**60)
        method, primal, objective = _fit(data, history)
        query = asked(method, data, np.arange(N_USERS))
        expected = np.asarray(method.score(primal, data, query))
    assert primal.shape == (N_ITEMS, N_ITEMS) and np.abs(expected).max() > 0.3
    method, state, loss = _fit(data, history)
    assert isinstance(state, ease_dual.State) and state.inverse.shape == (48, 48)
    np.testing.assert_allclose(loss, objective, rtol=1e-5)
    np.testing.assert_allclose(method.score(state, data, query), expected, atol=2e-5)
    new = _as_new(method, data)
    assert (new.user == -1).all()
    np.testing.assert_allclose(method.score(state, data, new), expected, atol=2e-5)
    mixed = Query(jnp.where(jnp.arange(N_USERS) % 2, query.user, -1), *query[1:])
    np.testing.assert_allclose(method.score(state, data, mixed), expected, atol=2e-5)
    pairs = method.predict(state, data, query, jnp.arange(N_USERS) * 3)
    np.testing.assert_allclose(pairs, expected[np.arange(N_USERS), np.arange(N_USERS) * 3], atol=2e-5)


def test_the_sweep_inverts() -> None:
    rng = np.random.default_rng(4)
    root = rng.standard_normal((40, 24))
    a = root.T @ root + np.eye(24)
    np.testing.assert_allclose(ease_dual.inverted(jnp.asarray(a, jnp.float32), 8), np.linalg.inv(a), atol=1e-6)
    singular = ease_dual.inverted(jnp.zeros((16, 16)), 8)
    assert not np.isfinite(singular).any()


def test_the_sizes_of_the_data_decide() -> None:
    """Two of MovieLens' sets have fewer users than items, and keep their bits; Gowalla has too many items."""
    memory = ease.model.memory
    options = ease.Options(80.0, "binary")
    for shape in ((943, 1682), (610, 9_724), (138_493, 26_744)):
        assert memory(options, *shape) == 4 * 5 * shape[1] ** 2
    assert memory(options, 29_858, 40_981) == ease_dual.memory(29_858, 40_981) < 5e9 < 4 * 5 * 40_981**2

"""iALS against an independent dense float64 version of its objective and of its normal equations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upliftlens.causal.interactions import interactions, padded
from upliftlens.models.contract import Hyper, TrainingData
from upliftlens.models.solvers import ials
from upliftlens.models.solvers.history import History

N_USERS, N_ITEMS, DIM = 18, 13, 3
ALPHA0, L2, NU = 0.3, 0.05, 0.8


def _data() -> tuple[TrainingData, np.ndarray]:
    """A log with duplicates, negatives and padding; and the confidence c_ui of every pair (0 off O)."""
    rng = np.random.default_rng(7)
    user, item = rng.integers(N_USERS - 1, size=160), rng.integers(N_ITEMS - 1, size=160)
    log = padded(interactions(user, item, rng.integers(1, 6, 160), N_USERS, N_ITEMS), 170)
    positive = ((log.value >= 3) & (log.weight > 0)).astype(np.float32)
    confidence = np.zeros((N_USERS, N_ITEMS))
    np.add.at(confidence, (log.user, log.item), positive)
    assert confidence.max() > 1
    return TrainingData(log, positive, np.zeros((N_USERS, 0)), np.zeros((N_ITEMS, 0))), confidence


def _hyper() -> Hyper:
    options = {"alpha0": ALPHA0, "l2": L2, "nu": NU, "init_scale": 1.0}
    return Hyper({name: jnp.float32(value) for name, value in options.items()}, {}, {})


def _penalties(c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return L2 * (c.sum(1) + ALPHA0 * N_ITEMS) ** NU, L2 * (c.sum(0) + ALPHA0 * N_USERS) ** NU


def _objective(c: np.ndarray, v: np.ndarray, w: np.ndarray) -> float:
    user, item = _penalties(c)
    s = v @ w.T
    ridge = (user[:, None] * v**2).sum() + (item[:, None] * w**2).sum()
    return float((c * (1 - s) ** 2).sum() + ALPHA0 * (s**2).sum() + ridge)


def _solved(c: np.ndarray, fixed: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """The row-wise minimum, from the normal equations written out."""
    rows = []
    for confidence, strength in zip(c, penalty):
        a = fixed.T @ np.diag(confidence + ALPHA0) @ fixed + strength * np.eye(DIM)
        rows.append(np.linalg.solve(a, fixed.T @ confidence))
    return np.stack(rows)


def _run(
    cg_steps: int, epochs: int, history: History = "binary"
) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[float]]:
    data, _ = _data()
    method = ials.model.method(ials.Options(DIM, cg_steps, ALPHA0, L2, NU, 1.0, history))
    key, hp = jax.random.key(0), _hyper()
    step = jax.jit(method.step)
    state = method.init(key, data, hp)
    states, losses = [state], []
    for _ in range(epochs):
        state, loss = step(state, data, None, key, hp)
        states.append(state)
        losses.append(float(loss))
    return [(np.asarray(v, np.float64), np.asarray(w, np.float64)) for v, w, *_ in states], losses


def test_graded_ratings_are_confidences_of_every_rated_pair() -> None:
    data, binary = _data()
    c = np.zeros_like(binary)
    np.add.at(c, (data.log.user, data.log.item), data.log.value / 5)
    assert ((c > 0) & (binary == 0)).any()
    ((_, start_items), (users, items)), losses = _run(cg_steps=3 * DIM, epochs=1, history="graded")
    np.testing.assert_allclose(users, _solved(c, start_items, _penalties(c)[0]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(losses[0] * N_USERS, _objective(c, users, items), rtol=1e-5)


@pytest.mark.parametrize("chunk", [ials._CHUNK, 50 * DIM])
def test_half_sweeps_solve_the_normal_equations(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ials, "_CHUNK", chunk)  # the second: four chunks of the log, the last one ragged
    ials._build.cache_clear()
    _, c = _data()
    states, _ = _run(cg_steps=3 * DIM, epochs=1)
    (_, start_items), (users, items) = states
    user_penalty, item_penalty = _penalties(c)
    np.testing.assert_allclose(users, _solved(c, start_items, user_penalty), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(items, _solved(c.T, users, item_penalty), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cg_steps", [1, 2, 12])
def test_loss_is_the_objective_per_user_and_never_rises(cg_steps: int) -> None:
    _, c = _data()
    states, losses = _run(cg_steps, epochs=25)
    dense = [_objective(c, v, w) / N_USERS for v, w in states]
    np.testing.assert_allclose(losses, dense[1:], rtol=1e-5)
    assert (np.diff(dense) <= 1e-6 * dense[0]).all()
    assert dense[-1] < 0.7 * dense[0]


@pytest.mark.parametrize("cg_steps", [1, 3])
def test_the_gradient_vanishes_where_the_iteration_ends(cg_steps: int) -> None:
    """A fixed point of inexact half-sweeps is a stationary point of the objective, whatever their accuracy."""
    _, c = _data()
    user, item = _penalties(c)

    def gradient(v: np.ndarray, w: np.ndarray) -> float:
        inner = ALPHA0 * (v @ w.T) - c * (1 - v @ w.T)
        return max(np.abs(inner @ w + user[:, None] * v).max(), np.abs(inner.T @ v + item[:, None] * w).max())

    states, _ = _run(cg_steps, epochs=400)
    assert gradient(*states[-1]) < 2e-5 * gradient(*states[0])
    # The gradient above is that of the objective above.
    (v, w), shift = states[3], np.random.default_rng(8).normal(size=(N_USERS, DIM))
    inner = ALPHA0 * (v @ w.T) - c * (1 - v @ w.T)
    slope = (_objective(c, v + 1e-5 * shift, w) - _objective(c, v - 1e-5 * shift, w)) / 2e-5
    np.testing.assert_allclose(2 * (shift * (inner @ w + user[:, None] * v)).sum(), slope, rtol=1e-6)


def test_rows_without_positives_are_ranked_by_nothing() -> None:
    """Their normal equations have the solution 0."""
    states, _ = _run(cg_steps=3 * DIM, epochs=2)
    users, items = states[-1]
    assert np.abs(users[-1]).max() < 1e-6 and np.abs(items[-1]).max() < 1e-6


def test_factors_start_with_the_stated_spread() -> None:
    data = TrainingData(interactions([0], [0], [1.0], 4000, 2000), np.ones(1), np.zeros((4000, 0)), np.zeros((2000, 0)))
    method = ials.model.method(ials.Options(16, 1, ALPHA0, L2, NU, 0.1, "binary"))
    hp = Hyper({**_hyper().model, "init_scale": jnp.float32(0.1)}, {}, {})
    state = method.init(jax.random.key(0), data, hp)
    np.testing.assert_allclose([state.users.std(), state.items.std()], 0.1 / 4, rtol=0.02)
    assert not np.array_equal(state.users[:2000], state.items)

"""EASE: a linear item-item model with a closed form (Steck, WWW 2019, "Embarrassingly shallow autoencoders").

    minimise over B in R^(I×I)   ‖X − XB‖² + l2·‖B‖²   subject to diag(B) = 0
    P = (XᵀX + l2·I)⁻¹           B_ij = −P_ij / P_jj for i ≠ j, 0 on the diagonal          (eq. 8)
    s_u = X_u B

X is the history matrix of ``models.solvers.history``; X_u is the history of the query, so a new user has scores, too.
Each column of B is the ridge regression of an item on all others.

Time: 2·U·I² operations for the Gram matrix and 7/3·I³ for the inverse (Cholesky). All is float32: errors grow with the
condition number of XᵀX + l2·I, at most σ²/l2 + 1 with σ² the largest eigenvalue of XᵀX. On ML-100K they stay below 1e-6
of an entry of B for l2 ≥ 100 and below 3e-5 for l2 = 1. Where l2 is too small for the factorisation, the loss is NaN.

Where all this would take more than 2 GiB (from some 10,400 items on) and there are so few users that the dual takes
less, the dual is solved instead: ``models.solvers.ease_dual``. The sizes of the data decide, not the machine.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from upliftlens.causal.options import Above, Before, Traced
from upliftlens.models.contract import Array, Hyper, Method, Query, Solver, State, TrainingData
from upliftlens.models.query import history_matrix
from upliftlens.models.solvers import ease_dual
from upliftlens.models.solvers.history import History, gram, gram_bytes, in_blocks, spans, with_history

_LARGE = 2 << 30  # bytes of the solution by items: with fewer, users are never asked


@dataclass(frozen=True)
class Options:
    """``l2``: strength of the ridge penalty, in units of co-occurrence counts; ``history``: X."""

    l2: Annotated[Traced[float], Above(0)]
    history: Annotated[History, Before("binary")]


def weights(counts: Array, l2: Array) -> tuple[Array, Array]:
    """B f32[I, I] and the minimum of the objective f32[], from G = XᵀX f32[I, I].

    With A = G + l2·I and e_j − B_j = P_j / P_jj, column j's objective is (e_j − B_j)ᵀA(e_j − B_j) − l2 = 1/P_jj − l2.
    """
    eye = jnp.eye(counts.shape[0], dtype=counts.dtype)
    inverse = jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(counts + l2 * eye), eye)
    diagonal = jnp.diagonal(inverse)
    return jnp.where(eye > 0, 0.0, -inverse / diagonal), jnp.sum(1 / diagonal - l2)


def _by_users(n_users: int, n_items: int) -> bool:
    """Whether the dual is solved."""
    by_items = _bytes_by_items(n_users, n_items)
    return by_items > _LARGE and ease_dual.memory(n_users, n_items) < by_items


def _init(key: Array, data: TrainingData, hp: Hyper) -> State:
    if _by_users(data.n_users, data.n_items):
        return ease_dual.init(data, hp.model["l2"])
    return jnp.zeros((data.n_items, data.n_items))


def _step(state: State, data: TrainingData, batch: Any, key: Array, hp: Hyper) -> tuple[State, Array]:
    solution: State
    if isinstance(state, ease_dual.State):
        solution, objective = ease_dual.solve(state, data, hp.model["l2"])
    else:
        solution, objective = weights(gram(data, spans(data)), hp.model["l2"])
    return solution, objective / data.n_users


def _score(state: State, data: TrainingData, at: Query) -> Array:
    if isinstance(state, ease_dual.State):
        return ease_dual.score(state, data, at)
    return jnp.matmul(history_matrix(at, data.n_items), state, precision="highest")


def _predict(state: State, data: TrainingData, at: Query, items: Array) -> Array:
    def pairs(at: Query, items: Array) -> Array:
        if isinstance(state, ease_dual.State):
            return jnp.take_along_axis(ease_dual.score(state, data, at), items[:, None], axis=1)[:, 0]
        return jnp.sum(history_matrix(at, data.n_items) * state.T[items], axis=1)

    return in_blocks(pairs, at, items)


_METHOD = Method(
    _init,
    _step,
    _score,
    _predict,
    layout="full",
    link="rank",
    max_epochs=1,
    random=False,
    history="all",
    new_users="all",
)


def _bytes_by_items(n_users: int, n_items: int) -> int:
    # At the peak the Gram matrix, its Cholesky factor, the identity, P and B are alive.
    return max(gram_bytes(n_users, n_items), 4 * 5 * n_items**2)


def _memory(options: Options, n_users: int, n_items: int) -> int:
    bytes_of = ease_dual.memory if _by_users(n_users, n_items) else _bytes_by_items
    return bytes_of(n_users, n_items)


model = Solver("ease", Options, lambda options: with_history(_METHOD, options.history), _memory)

"""EASE: a linear item-item model with a closed form (Steck, WWW 2019, "Embarrassingly shallow autoencoders").

    minimise over B in R^(I×I)   ‖X − XB‖² + l2·‖B‖²   subject to diag(B) = 0
    P = (XᵀX + l2·I)⁻¹           B_ij = −P_ij / P_jj for i ≠ j, 0 on the diagonal          (eq. 8)
    s_u = X_u B

X is the history matrix of ``models.solvers.history``; X_u is the history of the query, so a new user has scores, too.
Each column of B is the ridge regression of an item on all others.

Time: 2·U·I² operations for the Gram matrix and 7/3·I³ for the inverse (Cholesky). All is float32: errors grow with the
condition number of XᵀX + l2·I, at most σ²/l2 + 1 with σ² the largest eigenvalue of XᵀX. On ML-100K they stay below 1e-6
of an entry of B for l2 ≥ 100 and below 3e-5 for l2 = 1. Where l2 is too small for the factorisation, the loss is NaN.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from upliftlens.causal.options import Above, Before, Traced
from upliftlens.models.contract import Array, Hyper, Method, Query, Solver, TrainingData
from upliftlens.models.query import history_matrix
from upliftlens.models.solvers.history import History, gram, gram_bytes, in_blocks, spans, with_history


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


def _init(key: Array, data: TrainingData, hp: Hyper) -> Array:
    return jnp.zeros((data.n_items, data.n_items))


def _step(state: Array, data: TrainingData, batch: Any, key: Array, hp: Hyper) -> tuple[Array, Array]:
    solution, objective = weights(gram(data, spans(data)), hp.model["l2"])
    return solution, objective / data.n_users


def _score(state: Array, data: TrainingData, at: Query) -> Array:
    return jnp.matmul(history_matrix(at, data.n_items), state, precision="highest")


def _predict(state: Array, data: TrainingData, at: Query, items: Array) -> Array:
    def pairs(at: Query, items: Array) -> Array:
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


def _memory(options: Options, n_users: int, n_items: int) -> int:
    # At the peak the Gram matrix, its Cholesky factor, the identity, P and B are alive.
    return max(gram_bytes(n_users, n_items), 4 * 5 * n_items**2)


model = Solver("ease", Options, lambda options: with_history(_METHOD, options.history), _memory)

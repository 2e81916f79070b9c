"""Causality-aware neighbourhoods, CUBN and CIBN (Sato et al. 2021), inside compiled programs.

    ŝ_ui = Σ_v w_uv Z_vi Y_vi / (b + Σ_v w_uv Z_vi) − Σ_v w_uv (1−Z_vi) Y_vi / (b + Σ_v w_uv (1−Z_vi))      (CUBN)

The outcome of those neighbours to whom the item was recommended, against that of the others. w is the cosine of
two users' rows of outcomes (CUBN-O) or of treatments (CUBN-T), over the k nearest; CIBN is the same over items. The
score estimates the effect in outcomes per recommendation, shrunk towards 0 by b. Nothing is minimised: the step's loss
is 0. The matrices are dense: 4·n_users·n_items bytes each.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal

import jax
import jax.numpy as jnp

from upliftlens.causal.options import AtLeast, Traced
from upliftlens.models.contract import Array, Hyper, Method, Solver, TrainingData
from upliftlens.models.solvers.matrix import matrix_method

_BLOCK = 128  # rows whose neighbours are sought at once; changes no number beyond rounding


@dataclass(frozen=True)
class Options:
    """``basis`` of the similarity, ``neighbours`` kept for each user or item, ``shrinkage`` b in neighbours."""

    basis: Literal["outcome", "treatment"]
    neighbours: Annotated[int, AtLeast(1)]
    shrinkage: Annotated[Traced[float], AtLeast(0)]


def dense(data: TrainingData) -> tuple[Array, Array, Array]:
    """(logged, treated, outcome), f32[n_users, n_items] each; 0 where a pair was not logged."""
    rows = data.recommendations
    assert rows is not None, "the harness has refused data without recommendations"
    cells = (rows.user, rows.item)
    zeros = jnp.zeros((data.n_users, data.n_items))
    return (
        zeros.at[cells].max(rows.weight),
        zeros.at[cells].max(jnp.where(rows.treated, rows.weight, 0)),
        zeros.at[cells].max(rows.value * rows.weight),
    )


def scores(logged: Array, treated: Array, outcome: Array, basis: Array, neighbours: int, shrinkage: Array) -> Array:
    """ŝ f32[n, m] for n rows with their neighbours among the rows; all arguments but the last two f32[n, m]."""
    n = basis.shape[0]
    norm = jnp.linalg.norm(basis, axis=1, keepdims=True)
    unit = jnp.where(norm > 0, basis / jnp.where(norm > 0, norm, 1.0), 0.0)
    control = logged - treated

    def arm(weight: Array, exposed: Array) -> Array:
        total = jnp.matmul(weight, outcome * exposed, precision="highest")
        mass = shrinkage + jnp.matmul(weight, exposed, precision="highest")
        return jnp.where(mass > 0, total / jnp.where(mass > 0, mass, 1.0), 0.0)

    def block(first: Array) -> Array:
        rows = jnp.minimum(first + jnp.arange(_BLOCK), n - 1)  # the last block repeats the last row
        cosine = jnp.maximum(jnp.matmul(unit[rows], unit.T, precision="highest"), 0.0)
        cosine = jnp.where(jnp.arange(n) == rows[:, None], 0.0, cosine)
        if neighbours < n:
            smallest = jax.lax.top_k(cosine, neighbours)[0][:, -1:]
            cosine = jnp.where(cosine >= smallest, cosine, 0.0)
        return arm(cosine, treated) - arm(cosine, control)

    return jax.lax.map(block, jnp.arange(0, n, _BLOCK)).reshape(-1, basis.shape[1])[:n]


@lru_cache
def _build(basis: str, neighbours: int, by_item: bool) -> Method:
    """The Method of a structure; cached, so that it compiles once for all values of the shrinkage."""

    def solve(data: TrainingData, hp: Hyper) -> Array:
        logged, treated, outcome = (part.T if by_item else part for part in dense(data))
        compared = outcome if basis == "outcome" else treated
        effect = scores(logged, treated, outcome, compared, neighbours, hp.model["shrinkage"])
        return effect.T if by_item else effect

    return matrix_method(solve)


def _memory(options: Options, n_users: int, n_items: int) -> int:
    return 4 * (10 * n_users * n_items + 4 * _BLOCK * max(n_users, n_items))


def _solver(name: str, by_item: bool) -> Solver:
    return Solver(
        name,
        Options,
        lambda options: _build(options.basis, options.neighbours, by_item),
        _memory,
        needs="recommendations",
    )


cubn = _solver("cubn", by_item=False)
cibn = _solver("cibn", by_item=True)

"""The logging policy itself: ranks by the recorded propensity of recommending; a baseline for learned models.

A pair that was not logged has propensity 0.
"""

import jax.numpy as jnp

from upliftlens.causal.options import NoOptions
from upliftlens.models.contract import Array, Hyper, Solver, TrainingData
from upliftlens.models.solvers.matrix import matrix_bytes, matrix_method


def _recorded(data: TrainingData, hp: Hyper) -> Array:
    rows = data.recommendations
    assert rows is not None, "the harness has refused data without recommendations"
    not_recommended = jnp.where(rows.treated, 1 - rows.propensity, rows.propensity)
    e = 1 - not_recommended  # rounded alike in both arms, so that equal propensities stay equal
    return jnp.zeros((data.n_users, data.n_items)).at[rows.user, rows.item].max(e * rows.weight)


_METHOD = matrix_method(_recorded)
model = Solver("logged_propensity", NoOptions, lambda options: _METHOD, matrix_bytes, needs="recommendations")

"""The logging policy itself: ranks by the recorded propensity of recommending. Is a learner better than what was shown?

A pair that was not logged has propensity 0.
"""

import jax.numpy as jnp

from upliftlens.causal.options import NoOptions
from upliftlens.models.contract import Array, Hyper, Method, Solver, TrainingData
from upliftlens.models.solvers.matrix import matrix_bytes, matrix_method


def _recorded(data: TrainingData, hp: Hyper) -> Array:
    rows = data.recommendations
    assert rows is not None, "the harness has refused data without recommendations"
    nobody = jnp.zeros((data.n_users, data.n_items))
    return nobody.at[rows.user, rows.item].max(rows.propensity * rows.weight)


_METHOD = matrix_method(_recorded)


def _method(options: NoOptions) -> Method:
    return _METHOD


model = Solver("logged_propensity", NoOptions, _method, matrix_bytes, needs="recommendations")

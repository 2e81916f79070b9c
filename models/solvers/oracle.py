"""The oracle: ranks by the true effect τ of recommending, in worlds that know it. The ceiling of every uplift metric.

It learns nothing and reads nothing. After training the harness replaces its state by the true effects,
f32[n_users, n_items]; it does so for no other model.
"""

import jax.numpy as jnp

from upliftlens.causal.options import NoOptions
from upliftlens.models.contract import Solver
from upliftlens.models.solvers.matrix import matrix_bytes, matrix_method

_METHOD = matrix_method(lambda data, hp: jnp.zeros((data.n_users, data.n_items)))
model = Solver("oracle", NoOptions, lambda options: _METHOD, matrix_bytes, needs="truth")

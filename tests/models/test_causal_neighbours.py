"""The compiled neighbourhoods against the NumPy ones."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import numpy_neighbours as neighbours
import pytest
from uplift_logs import random_log
from worlds import hyper, training_data

from upliftlens.benchmarks.splits.uplift_parts import recommendations
from upliftlens.causal.effects.treatment import treatment_propensity
from upliftlens.models.query import of_users
from upliftlens.models.solvers.causal_neighbours import Options, cibn, cubn
from upliftlens.models.solvers.logged_propensity import model as logged_propensity

SOLVERS = {"cubn": (cubn, neighbours.cubn), "cibn": (cibn, neighbours.cibn)}


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("basis", ["outcome", "treatment"])
@pytest.mark.parametrize(("k", "shrinkage"), [(3, 0.5), (1000, 0.0)])
def test_scores_are_those_of_the_numpy_implementation(name, basis, k, shrinkage):
    log, _ = random_log(150, 140, 3, share=0.5)  # more than one block of rows
    solver, oracle = SOLVERS[name]
    seen = training_data(n_users=150, n_items=140)
    seen = replace(seen, recommendations=recommendations(log, len(log) + 37))
    method = solver.method(Options(basis, k, 0.0))
    hp = hyper()._replace(model={"shrinkage": jnp.float32(shrinkage)})
    state, _ = jax.jit(method.step)(method.init(jax.random.key(0), seen, hp), seen, None, jax.random.key(1), hp)
    expected = oracle(log, basis, k, shrinkage, 64)
    users = jnp.array([3, 149, 0])
    np.testing.assert_allclose(method.score(state, seen, of_users(users)), expected[np.asarray(users)], atol=2e-5)
    items = jnp.array([1, 139, 5])
    np.testing.assert_allclose(method.predict(state, seen, of_users(users), items), expected[users, items], atol=2e-5)


def test_the_logging_policy_is_what_was_recorded():
    log, _ = random_log(9, 7, 3, share=0.5)
    seen = training_data(n_users=9, n_items=7, n=40, capacity=64)
    e = (
        np.round(treatment_propensity(log), 2).astype(np.float32).astype(float)
    )  # some are equal, in rows of both arms: they have to stay equal
    log = replace(log, propensity=np.where(log.treated, e, 1 - e))
    seen = replace(seen, recommendations=recommendations(log, len(log) + 5))
    method = logged_propensity.method(logged_propensity.options())
    start = method.init(jax.random.key(0), seen, hyper())
    state, _ = jax.jit(method.step)(start, seen, None, jax.random.key(0), hyper())
    score = np.asarray(method.score(state, seen, of_users(jnp.arange(9))))[log.user, log.item]
    np.testing.assert_allclose(score, e, atol=1e-7)
    assert len(np.unique(score)) == len(np.unique(e)) < len(e)

"""MF with features: equals MF where there is nothing to add, and its written objective where there is."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from worlds import ITEMS, LOSSES, USERS, hyper, rows, training_data

from upliftlens.benchmarks.training.feed import feed
from upliftlens.benchmarks.training.loop import fit
from upliftlens.causal.objectives.objective import naive
from upliftlens.models.backbones import mf, mf_features
from upliftlens.models.gradient import gradient_method
from upliftlens.models.query import of_users

OPTIONS = mf.MFOptions(dim=3, init=0.1, bias_penalty=0.3)


def trained(model, data, optimizer="adam", epochs=6, l2=1.0, tile=5):
    method = gradient_method(model, OPTIONS, LOSSES["squared"], naive, optimizer, "cosine", "tiles")
    source = feed(data, "tiles", "rating", 64, tile)
    hp = hyper(l2=l2, steps=epochs * source.n_steps)
    state = fit(method, data, source, hp, 0, epochs, None, lambda n, line: None).state
    return method, state


def test_without_features_it_is_mf_bit_by_bit():
    data = replace(training_data(), user_features=jnp.zeros((USERS, 0)), item_features=jnp.zeros((ITEMS, 0)))
    scores = [
        m.score(s, data, of_users(jnp.arange(USERS)))
        for m, s in (trained(item.model, data) for item in (mf, mf_features))
    ]
    np.testing.assert_array_equal(*scores)


def test_with_weights_of_zero_it_is_mf_and_with_others_the_written_score():
    data = training_data()
    module = mf_features.FeatureMF(OPTIONS, data, nnx.Rngs(1))
    plain = mf.MF(OPTIONS, data, nnx.Rngs(1))
    users, items = (jnp.asarray(x.ravel()) for x in np.indices((USERS, ITEMS)))
    np.testing.assert_array_equal(module(users, items), plain(users, items))
    np.testing.assert_array_equal(module.penalty(), plain.penalty())
    rng = np.random.default_rng(0)
    w, v = rng.normal(size=(3, 3)).astype(np.float32), rng.normal(size=(2, 3)).astype(np.float32)
    module.user_weights[...], module.item_weights[...] = jnp.asarray(w), jnp.asarray(v)
    p = np.asarray(module.user[...]) + np.asarray(data.user_features) @ w
    q = np.asarray(module.item[...]) + np.asarray(data.item_features) @ v
    np.testing.assert_allclose(module(users, items).reshape(USERS, ITEMS), p @ q.T, atol=1e-5)
    np.testing.assert_allclose(module.score_all(jnp.arange(USERS)), p @ q.T, atol=1e-5)
    assert abs(float(module.penalty() - plain.penalty()) - (w**2).sum() - (v**2).sum()) < 1e-4


def test_it_ends_at_a_stationary_point_of_its_written_objective():
    """The gradient of Σ_O (r − r̂)² + λ(‖P‖² + ‖Q‖² + ‖W‖² + ‖V‖² + …) by W and V, in NumPy, vanishes."""
    data, l2 = training_data(), 2.0
    _, state = trained(mf_features.model, data, "lbfgs", 300, l2, 10**6)
    m = {k: np.asarray(v, np.float64) for k, v in nnx.to_pure_dict(state.params["prediction"]).items()}
    x, z = np.asarray(data.user_features, np.float64), np.asarray(data.item_features, np.float64)
    p, q = m["user"] + x @ m["user_weights"], m["item"] + z @ m["item_weights"]
    user, item, value = rows(data)
    score = (p[user] * q[item]).sum(1) + m["user_bias"][user] + m["item_bias"][item]
    error = score + float(state.constants["prediction"]) - value
    by_w = x[user].T @ (error[:, None] * q[item]) + l2 * m["user_weights"]
    by_v = z[item].T @ (error[:, None] * p[user]) + l2 * m["item_weights"]
    assert np.abs(by_w).max() < 5e-2 and np.abs(by_v).max() < 5e-2
    assert np.abs(l2 * m["user_weights"]).max() > 0.1  # not the trivial point


def test_a_user_without_ratings_borrows_from_the_features():
    data = training_data()
    cold = jnp.where(data.log.user == 0, 0.0, data.log.weight)
    data = replace(data, log=replace(data.log, weight=cold), positive=data.positive * (cold > 0))
    scores = [
        m.score(s, data, of_users(jnp.arange(1))) for m, s in (trained(item.model, data) for item in (mf, mf_features))
    ]
    assert not np.allclose(*scores, atol=1e-2)
    assert all(jax.tree.leaves(jax.tree.map(lambda s: bool(np.isfinite(s).all()), scores)))

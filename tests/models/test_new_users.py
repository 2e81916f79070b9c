"""Scores of users from their histories alone: against the usual scores, and for iALS against another half-sweep."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from asking import asked

from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.config.plugins import entry, names
from upliftlens.benchmarks.evaluation.scoring import moments
from upliftlens.benchmarks.runs.compatible import FOR_NEW_USERS
from upliftlens.causal.interactions import interactions, padded
from upliftlens.causal.options import structural, traced_names
from upliftlens.models.contract import Hyper, Method, Query, Solver, TrainingData
from upliftlens.models.solvers import ials
from upliftlens.models.solvers.history import graded

N_USERS, N_ITEMS = 40, 25


def data() -> TrainingData:
    rng = np.random.default_rng(2)
    user, item = np.nonzero(rng.random((N_USERS, N_ITEMS)) < 0.3)
    user, item = np.append(user, user[:5]), np.append(item, item[:5])  # some pairs in two rows
    log = padded(interactions(user, item, rng.integers(1, 6, len(user)), N_USERS, N_ITEMS), len(user) + 7)
    positive = ((log.value >= 3) & (log.weight > 0)).astype(np.float32)
    return TrainingData(replace(log, time=None), positive, np.zeros((N_USERS, 0)), np.zeros((N_ITEMS, 0)))


def trained(name: str, epochs: int, *changes: str):
    """The Method of a model, its state and its options' floats."""
    options = configured([f"model={name}", "data=synthetic", *changes])[4]["model"]
    method = entry("models", name).value.method(structural(options))
    hp = Hyper({each: jnp.float32(getattr(options, each)) for each in traced_names(type(options))}, {}, {})
    state = method.init(jax.random.key(0), data(), hp)
    for _ in range(epochs):
        state, _ = jax.jit(method.step)(state, data(), None, jax.random.key(0), hp)
    return method, state, hp


def as_new(method: Method, of: TrainingData, users: np.ndarray) -> Query:
    """The queries of training users as if the method had never met them."""
    shown = jax.tree.map(lambda column: column[np.asarray(of.log.weight) > 0], of.log)
    relevant = np.asarray(of.positive)[np.asarray(of.log.weight) > 0]
    return jax.tree.map(jnp.asarray, moments(method, of, users, shown, relevant).query(users))


def test_the_models_for_new_users_are_those_that_say_so() -> None:
    said = {name for name in names("models") if isinstance(entry("models", name).value, Solver)}
    able = set()
    for name in said:
        options = configured([f"model={name}", "data=synthetic", "split=kfold"])[4]["model"]
        if entry("models", name).value.method(structural(options)).new_users is not None:
            able.add(name)
    assert able == set(FOR_NEW_USERS)


@pytest.mark.parametrize("history", ["binary", "graded"])
@pytest.mark.parametrize("name", ["ease", "item_knn", "rp3beta"])
def test_a_method_of_histories_scores_a_new_user_as_it_scores_one_with_that_history(name: str, history: str) -> None:
    method, state, _ = trained(name, 1, f"model.history={history}")
    users = np.arange(N_USERS)
    usual = method.score(state, data(), asked(method, data(), users))
    query = as_new(method, data(), users)
    assert (query.user == -1).all()
    np.testing.assert_array_equal(method.score(state, data(), query), usual)
    items = jnp.asarray(users % N_ITEMS)
    np.testing.assert_allclose(method.predict(state, data(), query, items), usual[users, items], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("history", ["binary", "graded"])
def test_user_knn_finds_the_neighbours_of_a_history(history: str) -> None:
    method, state, _ = trained("user_knn", 1, f"model.history={history}", "model.neighbours=7")
    users = np.arange(N_USERS)
    usual = method.score(state, data(), asked(method, data(), users))
    query = as_new(method, data(), users)
    # Who has an index is no neighbour of themselves, whether their neighbours are stored or sought.
    known = query._replace(user=jnp.asarray(users, jnp.int32))
    np.testing.assert_allclose(method.score(state, data(), known), usual, rtol=1e-5, atol=1e-6)
    # A new user with the same history has the old one for a neighbour, with the cosine of equal rows.
    x = np.zeros((N_USERS, N_ITEMS))
    log = data().log
    grade = np.asarray(log.value) / 5 if history == "graded" else np.asarray(data().positive)
    np.maximum.at(x, (log.user, log.item), np.where(log.weight > 0, grade, 0))
    norm = np.linalg.norm(x, axis=1)
    cosine = x @ x.T / (norm[:, None] * norm + float(state.shrinkage))
    kept = np.where(cosine >= np.sort(cosine, axis=1)[:, [-7]], cosine, 0)
    clear = np.count_nonzero(kept, axis=1) == 7  # without ties at the last place, which ``kept`` doesn't cut
    assert clear.sum() > 20
    new = np.asarray(method.score(state, data(), query))
    np.testing.assert_allclose(new[clear], (kept @ x)[clear], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("history", ["binary", "graded"])
def test_folding_a_user_into_ials_is_one_more_half_sweep(history: str) -> None:
    changes = (f"model.history={history}", "model.dim=6", "model.cg_steps=30", "model.nu=0.7")
    method, state, hp = trained("ials", 3, *changes)
    alpha0, l2, nu = (hp.model[name] for name in ("alpha0", "l2", "nu"))
    of = graded(data()) if history == "graded" else data()
    by_user, _ = ials.sides(of, 6)
    penalty = ials.penalties(by_user, N_USERS, N_ITEMS, alpha0, l2, nu)
    swept = ials.half_sweep(state.users, state.items, by_user, alpha0, penalty, 30)
    query = as_new(method, data(), np.arange(N_USERS))
    expected = np.asarray(swept) @ np.asarray(state.items).T
    np.testing.assert_allclose(method.score(state, data(), query), expected, rtol=2e-3, atol=2e-4)
    items = jnp.arange(N_USERS) % N_ITEMS
    predicted = method.predict(state, data(), query, items)
    np.testing.assert_allclose(predicted, expected[np.arange(N_USERS), items], rtol=2e-3, atol=2e-4)
    mixed = query._replace(user=jnp.where(jnp.arange(N_USERS) < 20, jnp.arange(N_USERS), -1))
    rows = np.asarray(method.score(state, data(), mixed))  # a user with a row keeps it, whatever the query holds
    np.testing.assert_allclose(
        rows[:20], np.asarray(state.users)[:20] @ np.asarray(state.items).T, rtol=1e-4, atol=1e-5
    )


def test_random_orders_of_new_users_differ_and_are_fixed() -> None:
    method, state, _ = trained("random", 1)
    score = partial(method.score, state, data())
    query = as_new(method, data(), np.arange(N_USERS))
    orders = {tuple(np.argsort(row)) for row in np.asarray(score(query))}
    assert len(orders) > 0.9 * N_USERS  # two histories may have the same sum
    np.testing.assert_array_equal(score(query), score(query))


@pytest.mark.parametrize("name", FOR_NEW_USERS)
def test_trained_and_new_users_may_be_asked_for_at_once(name: str) -> None:
    """As at several moments, when some users have no training row."""
    method, state, _ = trained(name, 2)
    users = np.arange(N_USERS)
    usual, new = asked(method, data(), users), as_new(method, data(), users)
    width = max(usual.items.shape[1], new.items.shape[1])

    def wide(at: Query) -> Query:
        def filled(part: jnp.ndarray, value: int) -> jnp.ndarray:
            return jnp.pad(part, ((0, 0), (width - part.shape[1], 0)), constant_values=value)

        return Query(at.user, filled(at.items, -1), filled(at.values, 0), filled(at.positive, 0))

    odd = users % 2 == 1
    mixed = jax.tree.map(lambda a, b: jnp.where(odd.reshape(-1, *[1] * (a.ndim - 1)), a, b), wide(new), wide(usual))
    expected = jnp.where(odd[:, None], method.score(state, data(), new), method.score(state, data(), usual))
    np.testing.assert_allclose(method.score(state, data(), mixed), expected, rtol=1e-4, atol=1e-5)

"""What every solver promises, whatever it computes."""

import importlib
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from asking import asked
from uplift_logs import random_log

from upliftlens.benchmarks.config.plugins import entry
from upliftlens.benchmarks.config.plugins import names as registered
from upliftlens.benchmarks.runs.method import _refuse_too_large
from upliftlens.benchmarks.splits.uplift_parts import recommendations
from upliftlens.causal.interactions import Interactions, interactions, padded, take
from upliftlens.models.contract import Hyper, Method, Solver, TrainingData

N_USERS, N_ITEMS = 23, 17
TRACED = {
    "random": {},
    "popularity": {},
    "ials": {"alpha0": 0.3, "l2": 0.05, "nu": 0.7, "init_scale": 0.5},
    "ease": {"l2": 3.0},
    "item_knn": {"shrinkage": 0.5},
    "user_knn": {"shrinkage": 0.5},
    "rp3beta": {"alpha": 0.7, "beta": 0.4},
    "normal": {},
    "baseline": {"l2_user": 3.0, "l2_item": 2.0},
    "knn_baseline": {"shrinkage": 2.0, "l2_user": 3.0, "l2_item": 2.0},
    "nmf": {"l2": 0.06, "init": 0.8},
    "svd": {"lr": 0.05, "l2": 0.02, "init": 0.3},
    "svdpp": {"lr": 0.01, "l2": 0.02, "init": 0.3},
    "cubn": {"shrinkage": 0.5},
    "cibn": {"shrinkage": 0.5},
    "logged_propensity": {},
    "oracle": {},
}
STRUCTURAL: dict[str, dict[str, Any]] = {
    "ials": {"dim": 4, "cg_steps": 2, "history": "binary"},
    "ease": {"history": "binary"},
    "item_knn": {"neighbours": 5, "history": "graded"},
    "user_knn": {"neighbours": 5, "history": "binary"},
    "rp3beta": {"neighbours": 5, "history": "graded"},
    "knn_baseline": {"by": "user", "similarity": "pearson_baseline", "neighbours": 5, "sweeps": 2},
    "nmf": {"dim": 4},
    "svd": {"dim": 4},
    "svdpp": {"dim": 4},
    "cubn": {"basis": "outcome", "neighbours": 5},
    "cibn": {"basis": "treatment", "neighbours": 5},
}


def _data(capacity: int = 150) -> TrainingData:
    """Random ratings and recommendations; user 22 and item 16 have no rating, some pairs are met twice."""
    rng = np.random.default_rng(0)
    user, item = rng.integers(N_USERS - 1, size=150), rng.integers(N_ITEMS - 1, size=150)
    log = padded(interactions(user, item, rng.integers(1, 6, 150), N_USERS, N_ITEMS), capacity)
    positive = ((log.value >= 3) & (log.weight > 0)).astype(np.float32)
    none = np.zeros((N_USERS, 0), np.float32), np.zeros((N_ITEMS, 0), np.float32)
    treated, _ = random_log(N_USERS, N_ITEMS, 0)
    return TrainingData(log, positive, *none, recommendations=recommendations(treated, len(treated) + capacity - 150))


def _solver(name: str) -> Solver:
    solver = entry("models", name).value
    assert isinstance(solver, Solver)
    return solver


def _hyper(name: str, factor: float = 1.0) -> Hyper:
    return Hyper({key: jnp.float32(value * factor) for key, value in TRACED[name].items()}, {}, {})


def _method(name: str) -> Method:
    solver = _solver(name)
    return solver.method(solver.options(**STRUCTURAL.get(name, {}), **TRACED[name]))


def _fit(name: str, data: TrainingData, seed: int = 1, factor: float = 1.0) -> Any:
    method, key, hp = _method(name), jax.random.key(seed), _hyper(name, factor)
    state = jax.jit(method.init)(key, data, hp)
    for _ in range(method.max_epochs or 3):
        state, loss = jax.jit(method.step)(state, data, None, key, hp)
        assert loss.shape == () and np.isfinite(loss)
    return state


def _scores(name: str, state: Any, data: TrainingData) -> np.ndarray:
    method = _method(name)
    return np.asarray(jax.jit(method.score)(state, data, asked(method, data, range(N_USERS))))


def _looks_real(rows: Interactions) -> Interactions:
    """Its rows of weight 0 as those of a pair that was recommended and taken."""
    fake = rows.weight == 0
    assert fake.any()
    like = {"user": 3, "item": 3, "treated": True, "value": 1, "propensity": 1}
    return replace(rows, **{name: jnp.where(fake, value, getattr(rows, name)) for name, value in like.items()})


names = pytest.mark.parametrize("name", TRACED)


def test_no_solver_is_left_out() -> None:
    assert set(TRACED) == {item for item in registered("models") if isinstance(entry("models", item).value, Solver)}


@names
def test_state_keeps_its_structure_and_scores_are_finite(name: str) -> None:
    method, data, hp = _method(name), _data(), _hyper(name)
    shape = jax.eval_shape(method.init, jax.random.key(0), data, hp)
    stepped, _ = jax.eval_shape(method.step, shape, data, None, jax.random.key(0), hp)
    assert jax.tree.structure(stepped) == jax.tree.structure(shape)
    assert [(x.shape, x.dtype) for x in jax.tree.leaves(stepped)] == [
        (x.shape, x.dtype) for x in jax.tree.leaves(shape)
    ]
    scores = _scores(name, _fit(name, data), data)
    assert scores.shape == (N_USERS, N_ITEMS) and scores.dtype == np.float32 and np.isfinite(scores).all()
    assert method.layout == "full" and method.link == ("rating" if _solver(name).needs == "ratings" else "rank")


@names
def test_the_seed_changes_what_a_method_says_it_changes(name: str) -> None:
    data = _data()
    first, second = (_scores(name, _fit(name, data, seed), data) for seed in (1, 2))
    assert np.array_equal(first, second) != _method(name).random


@names
def test_rows_of_weight_zero_change_nothing(name: str) -> None:
    data = _data()
    expected = _scores(name, _fit(name, data), data)
    longer = _data(capacity=190)
    np.testing.assert_allclose(_scores(name, _fit(name, longer), longer), expected, rtol=1e-5, atol=1e-6)
    # Rows of weight 0 that look like positives, at the front and in the middle of the log.
    rows = np.sort(np.r_[np.arange(150), np.full(30, 70), np.zeros(9, int)])
    fake = np.r_[False, rows[1:] == rows[:-1]]
    log = take(data.log, rows)
    log = replace(
        log, weight=np.where(fake, 0, log.weight).astype(np.float32), item=np.where(fake, 3, log.item).astype(np.int32)
    )
    shown = _looks_real(longer.recommendations)
    masked = replace(data, log=log, positive=np.where(fake, 1, data.positive[rows]).astype(np.float32))
    masked = replace(masked, recommendations=shown)
    np.testing.assert_allclose(_scores(name, _fit(name, masked), masked), expected, rtol=1e-5, atol=1e-6)


@names
def test_scores_do_not_depend_on_blocks_and_predict_agrees(name: str) -> None:
    method, data = _method(name), _data()
    state = _fit(name, data)
    whole = _scores(name, state, data)
    order = np.random.default_rng(1).permutation(N_USERS).astype(np.int32)
    score = jax.jit(method.score)
    for size in (1, 5, 23):
        blocks = [
            score(state, data, asked(method, data, order[start : start + size])) for start in range(0, N_USERS, size)
        ]
        np.testing.assert_allclose(np.concatenate(blocks), whole[order], rtol=1e-5, atol=1e-6)
    users, items = (x.ravel().astype(np.int32) for x in np.indices((N_USERS, N_ITEMS)))  # 391 pairs: two ragged blocks
    np.testing.assert_allclose(
        jax.jit(method.predict)(state, data, asked(method, data, users), items), whole.ravel(), rtol=1e-5, atol=1e-6
    )


@names
def test_another_seed_and_other_floats_compile_nothing(name: str) -> None:
    data, traces = _data(), []
    method = _method(name)
    everyone = asked(method, data, range(N_USERS))

    def run(key: jax.Array, hp: Hyper) -> jax.Array:
        traces.append(name)
        state, _ = method.step(method.init(key, data, hp), data, None, key, hp)
        return method.score(state, data, everyone)

    compiled = jax.jit(run)
    first = compiled(jax.random.key(0), _hyper(name))
    second = compiled(jax.random.key(1), _hyper(name, 2.0))
    assert traces == [name]
    if TRACED[name] or method.random:
        assert not np.allclose(first, second)
    # A harness that keys its programs by the method finds the same one again, whatever the traced options are.
    solver = _solver(name)
    other = {key: value * 2 for key, value in TRACED[name].items()}
    assert solver.method(solver.options(**STRUCTURAL.get(name, {}), **other)) == method


@names
def test_lanes_equal_single_runs(name: str) -> None:
    method, data = _method(name), _data()
    everyone = asked(method, data, range(N_USERS))
    seeds, factors = (1, 2), (1.0, 3.0)
    keys = jnp.stack([jax.random.key(seed) for seed in seeds])
    hps = jax.tree.map(lambda *x: jnp.stack(x), *(_hyper(name, factor) for factor in factors))

    def lane(key: jax.Array, hp: Hyper) -> jax.Array:
        state = method.init(key, data, hp)
        for _ in range(method.max_epochs or 3):
            state, _ = method.step(state, data, None, key, hp)
        return method.score(state, data, everyone)

    lanes = jax.jit(jax.vmap(lane))(keys, hps)
    for this_lane, seed, factor in zip(lanes, seeds, factors):
        expected = _scores(name, _fit(name, data, seed, factor), data)
        np.testing.assert_allclose(this_lane, expected, rtol=1e-4, atol=1e-5)


@names
def test_same_key_same_bits(name: str) -> None:
    data = _data()
    first, second = _fit(name, data), _fit(name, data)
    assert all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(first), jax.tree.leaves(second)))


@names
def test_config_states_every_option_and_its_range_lies_around_the_default(name: str) -> None:
    configs = importlib.import_module("upliftlens.configs.model")
    with open(f"{next(iter(configs.__path__))}/{name}.yaml") as file:
        config = yaml.safe_load(file)["model"]
    solver = _solver(name)
    assert config.pop("name") == name == solver.name
    for key, space in config.pop("space").items():
        if "choices" in space:
            assert config[key] in space["choices"]
        else:
            assert space["low"] < config[key] < space["high"]
    solver.options(**config)


def test_memory_is_asked_with_the_options_and_sees_the_quadratic_cost() -> None:
    def gigabytes(name: str, n_users: int, n_items: int) -> float:
        solver = _solver(name)
        options = solver.options(**STRUCTURAL.get(name, {}), **TRACED[name])
        return solver.memory(options, n_users, n_items) / 2**30

    # 138 thousand users × 20 thousand items: one item-item matrix is 1.5 GB; a dense history would be 10.3 GB.
    assert 5 * 1.5 - 0.1 < gigabytes("ease", 138_000, 20_000) < 8
    assert 2 * 1.4 < gigabytes("item_knn", 138_000, 20_000) < 4
    assert 3 * 1.49 - 0.1 < gigabytes("rp3beta", 138_000, 20_000) < 5
    assert 0.1 < gigabytes("user_knn", 138_000, 20_000) < 1  # all users × users would be 71 GB
    assert gigabytes("knn_baseline", 138_000, 20_000) > 8 * 138_000**2 / 2**30  # refused: all users × users, twice
    assert gigabytes("ials", 138_000, 20_000) < 0.1
    assert gigabytes("popularity", 138_000, 20_000) == gigabytes("random", 138_000, 20_000) == 0


def test_much_memory_is_told_before_it_is_taken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upliftlens.benchmarks.runs.method.available_memory", lambda: 1 << 40)
    solver, options = _solver("item_knn"), _solver("item_knn").options(neighbours=5, history="binary", shrinkage=0.5)
    for n_items, expected in ((1_000, False), (34_206, True)):
        _refuse_too_large(solver, options, 2_500, n_items)
        said = capsys.readouterr().err.replace("\n", " ")
        assert ("needs about" in said and "34206 items" in said) == expected

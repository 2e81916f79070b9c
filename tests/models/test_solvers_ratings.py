"""Solvers of ratings, each against its equations written again in loops over ratings, in NumPy and float64."""

from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from worlds import rows, training_data

from upliftlens.benchmarks.config.plugins import entry
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import interactions
from upliftlens.models.contract import Hyper, TrainingData
from upliftlens.models.query import of_users
from upliftlens.models.solvers import nmf
from upliftlens.models.solvers.svd import merged

USERS, ITEMS, RATINGS = 9, 70, 400  # about 44 rows of each user: more than SVD++ reads at once
L2_USER, L2_ITEM, SHRINKAGE = 3.0, 2.0, 4.0
LR, L2 = 0.03, 0.05


@cache
def _data() -> TrainingData:
    """Ratings with decimals, so that few neighbours are equally near. The last user and item have no rating."""
    data = training_data(3, RATINGS, 420, USERS, ITEMS)
    value = data.log.value + np.random.default_rng(0).uniform(0, 0.5, 420).astype(np.float32)
    return replace(data, log=replace(data.log, n_users=USERS + 1, n_items=ITEMS + 1, value=value))


def _fit(name: str, options: dict[str, Any], steps: int, data: TrainingData) -> tuple[list[Any], np.ndarray]:
    """The states from the first on, and the last one's scores of all pairs."""
    solver = entry("models", name).value
    traced = {option: jnp.float32(value) for option, value in options.items() if isinstance(value, float)}
    method, key, hp = solver.method(solver.options(**options)), jax.random.key(5), Hyper(traced, {}, {})
    states = [jax.jit(method.init)(key, data, hp)]
    step = jax.jit(method.step)
    for _ in range(steps):
        states.append(step(states[-1], data, None, key, hp)[0])
    scores = np.asarray(jax.jit(method.score)(states[-1], data, of_users(jnp.arange(data.n_users))))
    user, items = map(jnp.asarray, np.divmod(np.arange(scores.size), data.n_items))
    predicted = jax.jit(method.predict)(states[-1], data, of_users(user), items)
    np.testing.assert_allclose(predicted, scores.ravel(), rtol=1e-5, atol=1e-6)
    return states, scores


def _biases(user: np.ndarray, item: np.ndarray, value: np.ndarray, sweeps: int) -> tuple[float, np.ndarray, np.ndarray]:
    mean, of_user, of_item = value.mean(), np.zeros(USERS + 1), np.zeros(ITEMS + 1)
    for _ in range(sweeps):
        for i in range(ITEMS + 1):
            there = [k for k in range(len(value)) if item[k] == i]
            of_item[i] = sum(value[k] - mean - of_user[user[k]] for k in there) / (L2_ITEM + len(there))
        for u in range(USERS + 1):
            there = [k for k in range(len(value)) if user[k] == u]
            of_user[u] = sum(value[k] - mean - of_item[item[k]] for k in there) / (L2_USER + len(there))
    return mean, of_user, of_item


def test_baseline_is_alternating_least_squares() -> None:
    _, scores = _fit("baseline", {"l2_user": L2_USER, "l2_item": L2_ITEM}, 3, _data())
    mean, of_user, of_item = _biases(*rows(_data()), 3)
    np.testing.assert_allclose(scores, mean + of_user[:, None] + of_item, atol=2e-6)
    assert np.ptp(of_user) > 0.1 and np.ptp(of_item) > 0.1


def _similarity(first: dict[int, tuple[float, float]], second: dict[int, tuple[float, float]], kind: str) -> float:
    """Of two rows {column: (rating, residual)}."""
    common = [(*first[c], *second[c]) for c in first if c in second]
    if kind == "msd":
        return 1 / (1 + sum((r - s) ** 2 for r, _, s, _ in common) / len(common)) if common else 0.0
    if len(common) < 2:
        return 0.0
    product, left, right = (sum(x) for x in zip(*[(d * e, d * d, e * e) for _, d, _, e in common], strict=True))
    return (len(common) - 1) / (len(common) - 1 + SHRINKAGE) * product / (left * right) ** 0.5


@pytest.mark.parametrize("by", ["user", "item"])
@pytest.mark.parametrize("kind", ["msd", "pearson_baseline"])
@pytest.mark.parametrize("most", [2, 500])
def test_knn_baseline_is_a_weighted_mean_of_the_nearest_residuals(by: str, kind: str, most: int) -> None:
    options = {"by": by, "similarity": kind, "neighbours": most, "sweeps": 2}
    options |= {"shrinkage": SHRINKAGE, "l2_user": L2_USER, "l2_item": L2_ITEM}
    _, scores = _fit("knn_baseline", options, 1, _data())
    user, item, value = rows(_data())
    mean, of_user, of_item = _biases(user, item, value, 2)
    known: dict[int, dict[int, tuple[float, float]]] = {n: {} for n in range(1 + (USERS if by == "user" else ITEMS))}
    for u, i, r in zip(user, item, value, strict=True):
        row, column = (u, i) if by == "user" else (i, u)
        known[row][column] = r, r - mean - of_user[u] - of_item[i]
    alike = {(a, b): _similarity(known[a], known[b], kind) for a in known for b in known if a != b}
    ties = 0
    for u in range(USERS + 1):
        for i in range(ITEMS + 1):
            row, column = (u, i) if by == "user" else (i, u)
            others = [(alike[row, b], known[b][column][1]) for b in known if b != row and column in known[b]]
            *near, following = [*sorted(others, reverse=True), (0.0, 0.0)][: most + 1]
            if len(near) == most and following[0] > 0 and near[-1][0] - following[0] < 1e-4:
                ties += 1  # rounding in float32 decides who is the nearest
                continue
            near = [other for other in near if other[0] > 0]
            added = sum(s * d for s, d in near) / sum(s for s, _ in near) if near else 0.0
            assert scores[u, i] == pytest.approx(mean + of_user[u] + of_item[i] + added, abs=2e-5)
    assert ties < 0.05 * scores.size


def test_nmf_is_the_multiplicative_update_and_stays_non_negative() -> None:
    states, scores = _fit("nmf", {"dim": 3, "l2": L2, "init": 0.9}, 4, _data())
    user, item, value = rows(_data())
    p, q = (np.asarray(x, np.float64) for x in states[0][:2])
    assert p.min() >= 0 and q.min() >= 0 and 0.8 < max(p.max(), q.max()) <= 0.9
    for state in states[1:]:
        sums = [np.zeros_like(x) for x in (p, p, q, q)]
        for u, i, r in zip(user, item, value, strict=True):
            estimate = p[u] @ q[i]
            sums[0][u] += q[i] * r
            sums[1][u] += q[i] * estimate + L2 * p[u]
            sums[2][i] += p[u] * r
            sums[3][i] += p[u] * estimate + L2 * q[i]
        p = p * sums[0] / np.where(sums[1] > 0, sums[1], 1)
        q = q * sums[2] / np.where(sums[3] > 0, sums[3], 1)
        np.testing.assert_allclose(state.users, p, rtol=2e-5, atol=1e-6)
        np.testing.assert_allclose(state.items, q, rtol=2e-5, atol=1e-6)
        assert min(np.min(state.users), np.min(state.items)) >= 0
    rated = np.isin(np.arange(USERS + 1), user)[:, None] & np.isin(np.arange(ITEMS + 1), item)
    assert not rated[-1].any() and not rated[:, -1].any()
    np.testing.assert_allclose(scores, np.where(rated, p @ q.T, value.mean()), rtol=1e-4)


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_an_update_of_one_side_of_nmf_never_raises_the_objective(l2: float) -> None:
    data, rng = _data(), np.random.default_rng(0)
    log = data.log
    users, items = (jnp.asarray(rng.uniform(size=(n, 4)), jnp.float32) for n in (USERS + 1, ITEMS + 1))
    values = [float(nmf.objective(users, items, data, jnp.float32(l2)))]
    for turn in range(40):
        if turn % 2:
            items = nmf.updated(items, users, log.item, log.user, log.weight, log.value, l2)
        else:
            users = nmf.updated(users, items, log.user, log.item, log.weight, log.value, l2)
        values.append(float(nmf.objective(users, items, data, jnp.float32(l2))))
    assert (np.diff(values) <= 1e-5 * np.array(values[:-1])).all() and values[-1] < 0.5 * values[0]


def test_nmf_refuses_a_scale_below_0() -> None:
    with pytest.raises(UpliftlensError, match=r"ratings of 0 or more, and the scale begins at -1: use model=svd"):
        _fit("nmf", {"dim": 3, "l2": L2, "init": 0.9}, 0, replace(_data(), scale=(-1.0, 1.0)))


@pytest.mark.parametrize("name", ["svd", "svdpp"])
def test_svd_descends_rating_by_rating(name: str) -> None:
    """SVD++ as its source states it: every rating of a user changes y of all items that the user rated."""
    states, scores = _fit(name, {"dim": 3, "lr": LR, "l2": L2, "init": 0.5}, 3, _data())
    user, item, value = rows(_data())
    mean, of_user, of_item = value.mean(), np.zeros(USERS + 1), np.zeros(ITEMS + 1)
    p, q = (np.array(x, np.float64) for x in (states[0].users, states[0].items))
    y = np.array(states[0].implicit, np.float64) if name == "svdpp" else np.zeros_like(q)
    assert not p[-1].any() and not q[-1].any() and p[:-1].std() > 0.3
    sets = [np.unique(item[user == u]) for u in range(USERS + 1)]
    assert max(map(len, sets)) > 32
    for _ in range(3):
        for u, i, r in zip(user, item, value, strict=True):
            root, p_u, q_i = np.sqrt(len(sets[u])), p[u].copy(), q[i].copy()
            taste = p_u + y[sets[u]].sum(0) / root
            e = r - (mean + of_user[u] + of_item[i] + q_i @ taste)
            of_user[u] += LR * (e - L2 * of_user[u])
            of_item[i] += LR * (e - L2 * of_item[i])
            p[u] += LR * (e * q_i - L2 * p_u)
            q[i] += LR * (e * taste - L2 * q_i)
            if name == "svdpp":
                for j in sets[u]:
                    y[j] += LR * (e * q_i / root - L2 * y[j])
    tastes = p + np.stack([y[s].sum(0) / np.sqrt(max(1, len(s))) for s in sets])
    np.testing.assert_allclose(scores, mean + of_user[:, None] + of_item + tastes @ q.T, atol=1e-4)
    np.testing.assert_allclose(states[-1].items, q, atol=3e-5)


def test_rows_of_one_pair_count_as_one() -> None:
    user, item = np.array([0, 0, 0, 1, 1, 0]), np.array([2, 1, 2, 0, 0, 2])
    log = interactions(user, item, [1.0, 2.0, 4.0, 5.0, 3.0, 4.0], 2, 3)
    log = replace(log, weight=np.array([1, 1, 1, 1, 0, 2], np.float32))
    weight, value = merged(replace(_data(), log=log))
    np.testing.assert_array_equal(weight, [4, 1, 0, 1, 0, 0])
    np.testing.assert_allclose(np.asarray(value)[[0, 1, 3]], [(1 + 4 + 2 * 4) / 4, 2, 5])


def test_normal_draws_from_the_distribution_of_the_ratings() -> None:
    log = interactions([0, 0, 1, 1], [0, 1, 2, 3], [1.0, 2.0, 4.0, 9.0], 150, 100)
    log = replace(log, weight=np.array([1, 1, 1, 0], np.float32))
    data = replace(_data(), log=log)
    _, scores = _fit("normal", {}, 1, data)
    drawn = (scores - 7 / 3) / np.std([1, 2, 4])
    # 15,000 draws: the standard errors of mean and variance are .008 and .012, of the share 0.004.
    assert abs(drawn.mean()) < 0.04 and abs(drawn.var() - 1) < 0.05 and abs((drawn < 1).mean() - 0.8413) < 0.015
    assert abs(np.corrcoef(drawn[:-1].ravel(), drawn[1:].ravel())[0, 1]) < 0.04 and len(np.unique(drawn)) > 14_900

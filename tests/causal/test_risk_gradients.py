"""Objectives in minibatches, in exact expectation, and the gradients that must vanish."""

from collections.abc import Iterator
from importlib.metadata import entry_points
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from objective_world import (
    ALL,
    DR,
    HP,
    LABEL,
    LINEAR,
    N_USERS,
    NAMES,
    OBSERVED,
    RATING,
    RATIOS,
    D,
    N,
    P,
    Params,
    distance,
    gradient,
    loss_and_target,
    params,
    pointwise,
    sparse,
    tile,
    triples,
)
from scipy.special import expit
from worlds import LOSSES

from upliftlens.causal.losses import logistic, squared
from upliftlens.causal.objectives import (
    cvib as objective_cvib,
)
from upliftlens.causal.objectives import (
    dr as objective_dr,
)
from upliftlens.causal.objectives import (
    implicit as objective_implicit,
)
from upliftlens.causal.objectives import (
    ips as objective_ips,
)
from upliftlens.causal.objectives import (
    multitask as objective_multitask,
)
from upliftlens.causal.objectives.objective import Objective
from upliftlens.causal.sample import Batch


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def mean_gradients(objective: Objective, loss, target: np.ndarray, layout: str) -> list[Params]:  # type: ignore[no-untyped-def]
    """Of each phase, the mean over all minibatches: 3 rows of O with 2 pairs of D, or tiles of one user."""

    def one(batch: Batch) -> list[Params]:
        return full_gradients(objective, loss, batch)

    if layout == "tile":
        batches = [tile(target, np.array([user])) for user in range(N_USERS)]
    else:
        rows, pairs = list(combinations(range(N), 3)), list(combinations(range(D), 2))
        # Every subset of either kind, each as often as any other; the pairing of the two is irrelevant to a mean.
        n = np.lcm(len(rows), len(pairs))
        batches = [sparse(target, np.array(rows[k % len(rows)]), np.array(pairs[k % len(pairs)])) for k in range(n)]
        assert n < 5000
    if not pointwise(objective):
        batches = [triples(batch) for batch in batches]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *batches)
    gradients = jax.jit(jax.vmap(one))(stacked)
    return jax.tree.map(lambda g: g.mean(axis=0), gradients)


def full_gradients(objective: Objective, loss, batch: Batch) -> list[Params]:  # type: ignore[no-untyped-def]
    return [gradient(objective, index, params(), batch, loss) for index in range(len(objective.phases))]


EXACT = [
    pytest.param(objective, loss, layout, id=f"{objective.name}-{loss}-{layout}")
    for objective in LINEAR
    for loss, layout in (("squared", "sparse"), ("logistic", "sparse"), ("logistic", "tile"), ("bpr", "sparse"))
    if LOSSES[loss].link in objective.links and (loss == "bpr") != pointwise(objective)
]


@pytest.mark.parametrize(("objective", "loss_name", "layout"), EXACT)
def test_expected_minibatch_gradient_is_the_full_gradient(objective: Objective, loss_name: str, layout: str) -> None:
    loss = LOSSES[loss_name]
    target = RATING if loss.link == "rating" else LABEL
    batch = sparse(target) if pointwise(objective) else triples(sparse(target))
    expected = mean_gradients(objective, loss, target, layout)
    for full, mean in zip(full_gradients(objective, loss, batch), expected, strict=True):
        assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(full)) > 1e-3
        assert distance(mean, full) < 1e-10


BIAS = {"snips": 0.0642, "stable_dr": 0.105, "stable_dr_given": 0.109, "cvib": 0.0996, "rel_mf": 0.0438}
"""Largest error of the mean minibatch gradient, as a share of the full gradient's largest entry: 3 of 7 rows of O."""


@pytest.mark.parametrize("objective", RATIOS, ids=lambda o: o.name)
def test_ratios_are_biased_in_minibatches_and_say_so(objective: Objective) -> None:
    """The full batch is the definition (``test_full_batch_is_the_formula``); how far a minibatch is off is here."""
    full = full_gradients(objective, logistic, sparse(LABEL))
    size = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(full))
    bias = distance(mean_gradients(objective, logistic, LABEL, "sparse"), full) / size
    assert bias == pytest.approx(BIAS[objective.name], rel=0.01) and bias > 0.01
    modules = {
        "snips": objective_ips, "stable_dr": objective_dr, "stable_dr_given": objective_dr, "cvib": objective_cvib,
        "rel_mf": objective_implicit,
    }  # fmt: skip
    assert "minibatch" in (modules[objective.name].__doc__ or "")


def test_every_objective_is_linear_in_its_sums_or_a_ratio() -> None:
    """Those of logs of recommendations have tests of their own (``test_uplift_objectives``)."""
    built_in = [entry.load() for entry in entry_points(group="upliftlens.objectives") if "upliftlens." in entry.value]
    debiasing = {item.name for item in built_in if "recommendations" not in item.needs}
    assert debiasing == {line.name for line in ALL} and len(ALL) == len(debiasing)


@pytest.mark.parametrize(
    "objective", [*DR, objective_dr.eib, objective_dr.stable_dr, objective_dr.stable_dr_given], ids=lambda o: o.name
)
def test_stopped_gradients_are_zero(objective: Objective) -> None:
    for index, phase in enumerate(objective.phases):
        mine = gradient(objective, index, params(), sparse(LABEL))
        for name in NAMES:
            size = float(jnp.abs(mine[name]["table"]).max())
            if name in phase.moves:
                assert size > 1e-4
            else:
                assert size == 0, (objective.name, index, name)


def test_escm2_stops_the_weights_and_the_pseudo_labels() -> None:
    escm2 = objective_multitask.escm2_dr
    imputation, tasks = (gradient(escm2, index, params(), sparse(LABEL)) for index in range(2))
    assert float(jnp.abs(tasks["imputation"]["tower"]).max()) == 0
    assert float(jnp.abs(imputation["prediction"]["table"]).max()) == 0
    assert float(jnp.abs(imputation["propensity"]["tower"]).max()) == 0
    # Without the joint loss, nothing but the exposure's own entropy moves its tower: 1/p is a constant.
    alone = gradient(escm2, 1, params(), sparse(LABEL), hp={**HP, "joint": 0.0})
    bare = gradient(escm2, 1, params(), sparse(LABEL), hp={**HP, "joint": 0.0, "risk": 0.0})
    np.testing.assert_array_equal(alone["propensity"]["tower"], bare["propensity"]["tower"])


@pytest.mark.parametrize("loss_name", ["squared", "logistic"])
def test_the_gradient_of_dr_is_not_that_of_ips(loss_name: str) -> None:
    loss, target = loss_and_target(objective_dr.dr_jl, loss_name)
    robust = gradient(objective_dr.dr_jl, 1, params(), sparse(target), loss)["prediction"]["table"]
    plain = gradient(objective_ips.ips, 0, params(), sparse(target), loss)["prediction"]["table"]
    assert float(jnp.abs(robust - plain).max()) > 0.01
    # It goes through r̂ in both e and ê, g being a number: the derivative by hand.
    s = np.asarray(params()["prediction"]["table"])
    g = np.asarray(params()["imputation"]["table"])
    slope = (lambda t: 2 * (s - t)) if loss_name == "squared" else (lambda t: expit(s) - t)
    g = g if loss_name == "squared" else expit(g)
    np.testing.assert_allclose(robust, (slope(g) + OBSERVED / P * (slope(target) - slope(g))) / D, atol=1e-12)


def test_perfect_pseudo_labels_make_dr_the_full_information_gradient() -> None:
    modules = params()
    right = {**modules, "imputation": {**modules["imputation"], "table": jnp.asarray(RATING)}}
    robust = gradient(objective_dr.dr_jl, 1, right, sparse(RATING), squared)["prediction"]["table"]
    s = np.asarray(modules["prediction"]["table"])
    np.testing.assert_allclose(robust, 2 * (s - RATING) / D, atol=1e-12)

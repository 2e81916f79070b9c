"""Objectives on the full batch against plain NumPy formulas, and their identities."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from objective_world import (
    ALL,
    HP,
    IPS,
    ITEMS,
    LABEL,
    LINEAR,
    N_ITEMS,
    N_USERS,
    OBSERVED,
    RATING,
    USERS,
    D,
    N,
    P,
    Params,
    distance,
    gradient,
    last,
    numpy_losses,
    numpy_tower,
    params,
    pointwise,
    sparse,
    tile,
    value,
    view_of,
)
from scipy.special import expit, logit

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.losses import bpr, logistic, squared
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
from upliftlens.causal.objectives.objective import Objective, naive
from upliftlens.causal.options import NoOptions
from upliftlens.causal.sample import Batch, Sample


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


CASES = [(o, link) for o in ALL if pointwise(o) for link in ("rating", "probability") if link in o.links]


@pytest.mark.parametrize(("objective", "link"), CASES, ids=lambda c: getattr(c, "name", c))
@pytest.mark.parametrize("layout", ["sparse", "tile"])
def test_full_batch_is_the_formula(objective: Objective, link: str, layout: str) -> None:
    loss, target = (squared, RATING) if link == "rating" else (logistic, LABEL)
    batch = sparse(target) if layout == "sparse" else tile(target, np.arange(N_USERS))
    expected = numpy_losses(objective.name, link)
    assert len(expected) == len(objective.phases)
    # Compiled, as in training: values are then unknown, and what stands in unobserved cells can't be checked.
    got = jax.jit(lambda m: [value(objective, index, m, batch, loss) for index in range(len(expected))])(params())
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("objective", [o for o in ALL if pointwise(o)], ids=lambda o: o.name)
def test_a_phase_scores_a_sample_once_by_the_modules_that_it_moves(objective: Objective) -> None:
    # With dropout a second pass is a second mask, which the compiler can't merge with the first: terms of one loss
    # would see different modules, and the draw of masks is over half of an MLP's epoch.
    batch = sparse(LABEL)
    for phase in objective.phases:
        seen: list[tuple[str, int]] = []
        view = view_of(params())

        def score(name: str, sample: Sample, seen=seen, view=view) -> jax.Array:  # type: ignore[no-untyped-def]
            seen.append((name, id(sample)))
            return view.score(name, sample)

        phase.loss(view._replace(score=score), batch, HP)
        trained = [item for item in seen if item[0] in phase.moves]
        assert len(trained) == len(set(trained)), f"{objective.name} scores with {phase.moves} more than once"


def test_ubpr_weighs_each_positive_by_its_inverse_propensity() -> None:
    negatives = np.array([1, 3, 0, 0, 0, 1, 2])[:N]
    batch = sparse(LABEL)
    observed = batch.observed._replace(negatives=negatives, target=np.ones(N))
    s = np.asarray(params()["prediction"]["table"])
    gap = s[USERS, ITEMS] - s[USERS, negatives]
    expected = (np.log1p(np.exp(-gap)) / P[USERS, ITEMS]).mean()
    got = value(objective_implicit.ubpr, 0, params(), batch._replace(observed=observed), bpr)
    assert abs(float(got) - expected) < 1e-12


def test_macr_ranks_by_the_score_above_the_reference() -> None:
    rank = objective_implicit.macr.rank
    assert rank is not None
    got = rank(view_of(params()), tile(LABEL, np.arange(N_USERS)).everything, HP)
    s = np.asarray(params()["prediction"]["table"])
    sides = expit(numpy_tower("user", use_item=False)) * expit(numpy_tower("item", use_user=False))
    np.testing.assert_allclose(got, (s - HP["reference"]) * sides, rtol=1e-12)


def test_everything_observed_with_propensity_one_is_the_mean_loss() -> None:
    u, i = np.divmod(np.arange(D), N_ITEMS)
    full = Sample(u, i, RATING[u, i], np.full(D, 1 / D), propensity=np.ones(D))
    batch = Batch(full, full, jnp.asarray(1.0))
    mean = value(naive, 0, params(), batch, squared)
    for objective in [item for item in [*LINEAR, objective_ips.snips] if "rating" in item.links]:
        assert abs(float(value(objective, last(objective), params(), batch, squared) - mean)) < 1e-12
    # MRDR's imputation then has nothing to fit: its weight (1 − p)/p² is 0.
    assert float(value(objective_dr.mrdr, 0, params(), batch, squared, hp={**HP, "anchor": 0.0})) == 0


@pytest.mark.parametrize("objective", IPS, ids=lambda o: o.name)
def test_a_constant_propensity_is_naive(objective: Objective) -> None:
    batch = sparse(RATING)
    batch = batch._replace(observed=batch.observed._replace(propensity=np.full(N, N / D)))
    assert distance(
        gradient(objective, 0, params(), batch, squared), gradient(naive, 0, params(), batch, squared)
    ) < 1e-12  # fmt: skip


def test_weights_of_zero_reduce_to_the_base() -> None:
    batch, modules = sparse(LABEL), params()
    nothing = dict.fromkeys(HP, 0.0)
    cvib = gradient(objective_cvib.cvib, 0, modules, batch, hp=nothing)
    assert distance(cvib, gradient(naive, 0, modules, batch)) < 1e-12
    # ESCM² without the joint loss: the rating's gradient is θ times that of DR with the exposure tower's p and its g.
    tower = {name: jnp.asarray(numpy_tower(name)) for name in ("propensity", "imputation")}
    p = expit(np.asarray(tower["propensity"]))[USERS, ITEMS]
    same = {**modules, "imputation": {**modules["imputation"], "table": tower["imputation"]}}
    base = gradient(objective_dr.dr_jl, 1, same, batch._replace(observed=batch.observed._replace(propensity=p)))
    escm2 = gradient(objective_multitask.escm2_dr, 1, modules, batch, hp={**HP, "joint": 0.0, "floor": 0.0})
    np.testing.assert_allclose(escm2["prediction"]["table"], HP["risk"] * base["prediction"]["table"], atol=1e-12)
    # Rel-MF without a weight on what is not labelled: the squared loss of the positives alone.
    rel = value(objective_implicit.rel_mf, 0, modules, batch, hp=nothing)
    s, y = np.asarray(modules["prediction"]["table"]), OBSERVED * LABEL
    assert abs(float(rel) - (y / P * (1 - expit(s)) ** 2).sum() / y.sum()) < 1e-12


def test_an_anchored_imputation_has_no_mirrored_solution() -> None:
    """Squared loss: (e − ê)² is 0 at g = r and at g = 2r̂ − r, the anchor α·4(r − r̂)² at the second only."""
    modules, batch = params(), sparse(RATING)
    seen = modules["prediction"]["table"]
    for table, anchored in ((jnp.asarray(RATING), 0.0), (2 * seen - RATING, 4 * float(gap_of(seen)))):
        at = {**modules, "imputation": {**modules["imputation"], "table": table}}
        for alpha in (0.0, 0.4):
            got = value(objective_dr.dr_jl, 0, at, batch, squared, hp={**HP, "anchor": alpha})
            assert abs(float(got) - alpha * anchored) < 1e-12


def gap_of(seen: jax.Array) -> jax.Array:
    return jnp.mean((RATING - seen)[USERS, ITEMS] ** 2)


def test_stable_dr_with_propensities_that_balance_pays_no_penalty() -> None:
    modules = params()
    seen = modules["prediction"]["table"]
    imputed = np.asarray(squared.error(seen, modules["imputation"]["table"]))
    constant = {**modules, "propensity": {**modules["propensity"], "table": jnp.full((N_USERS, N_ITEMS), logit(0.3))}}
    gap = ((1 - OBSERVED / 0.3) * (imputed - imputed.mean())).mean()
    with_penalty = value(objective_dr.stable_dr, 0, constant, sparse(RATING), squared)
    without = value(objective_dr.stable_dr, 0, constant, sparse(RATING), squared, hp={**HP, "balance": 0.0})
    assert abs(float(with_penalty - without) - HP["balance"] * gap**2) < 1e-12


@pytest.mark.parametrize("batch", [sparse(RATING), tile(RATING, np.arange(N_USERS))], ids=["sparse", "tile"])
def test_stable_dr_that_holds_a_given_propensity_is_snips(batch: Batch) -> None:
    held = {**params(), "propensity": {**params()["propensity"], "table": jnp.zeros((N_USERS, N_ITEMS))}}
    hp, given = {**HP, "floor": 0.0}, objective_dr.stable_dr_given
    expected = value(objective_ips.snips, 0, held, batch, squared)
    assert float(value(given, last(given), held, batch, squared, hp)) == pytest.approx(float(expected), rel=1e-12)
    with pytest.raises(UpliftlensError, match="starts from the propensities"):
        value(given, 0, held, batch._replace(observed=batch.observed._replace(propensity=None)), squared)


def test_names_are_unique_and_what_is_moved_exists() -> None:
    assert len({o.name for o in ALL}) == len(ALL)
    for objective in ALL:
        moved = {name for phase in objective.phases for name in phase.moves}
        assert moved == set(objective.modules)
        assert objective.modules[0] == "prediction"
        assert objective.needs <= {"everything", "propensity", "everywhere"}
        assert objective.links and objective.links <= {"rating", "probability", "rank"}
        assert objective.options is NoOptions or objective.options.__doc__


@pytest.mark.parametrize("objective", ALL, ids=lambda o: o.name)
def test_a_batch_that_lacks_what_is_needed_is_refused(objective: Objective) -> None:
    batch = sparse(LABEL)
    without = {
        "everything": batch._replace(everything=None),
        "propensity": batch._replace(observed=batch.observed._replace(propensity=None)),
    }
    for need, poorer in without.items():
        if need in objective.needs:
            with pytest.raises(ValueError, match=r"everything|propensities"):
                for index in range(len(objective.phases)):
                    value(objective, index, params(), poorer)
        else:
            for index in range(len(objective.phases)):
                assert np.isfinite(float(value(objective, index, params(), poorer)))


def single(leaf: np.ndarray) -> jax.Array:
    """float64 to float32, integers as they are."""
    return jnp.asarray(leaf, jnp.float32) if jnp.asarray(leaf).dtype == jnp.float64 else jnp.asarray(leaf)


@pytest.mark.parametrize("objective", [o for o in ALL if pointwise(o)], ids=lambda o: o.name)
def test_extreme_scores_and_padding_give_finite_gradients(objective: Objective) -> None:
    modules = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params())
    modules = {name: {**module, "table": module["table"] * 60} for name, module in modules.items()}
    batch = jax.tree.map(single, tile(LABEL, np.arange(N_USERS)))
    empty = batch._replace(observed=batch.observed._replace(weight=jnp.zeros((N_USERS, N_ITEMS), jnp.float32)))

    @jax.jit
    def every_phase(modules: Params, batch: Batch) -> list[tuple[jax.Array, Params]]:
        phases = range(len(objective.phases))
        return [jax.value_and_grad(lambda m, k=k: value(objective, k, m, batch))(modules) for k in phases]

    for each in (batch, empty):
        for number in jax.tree.leaves(every_phase(modules, each)):
            assert np.isfinite(number).all()

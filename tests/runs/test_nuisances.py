"""The nuisances of an objective, its imputation and its propensity: what λ they meet, and what they start from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit
from shell import call, records
from test_gradient import BACKBONES
from worlds import ITEMS, LOSSES, USERS, hyper, training_data

from upliftlens.benchmarks.training.feed import Wants, feed
from upliftlens.benchmarks.training.loop import fit
from upliftlens.causal.objectives import dr
from upliftlens.causal.objectives.multitask import escm2_dr
from upliftlens.causal.objectives.objective import naive
from upliftlens.causal.propensities.logistic import logistic_regression
from upliftlens.models.gradient import gradient_method

DOUBLY = [dr.eib, dr.dr, dr.dr_jl, dr.mrdr, dr.stable_dr]
DATA = training_data()
PROPENSITY = np.clip(np.asarray(DATA.log.value) / 6, 0.1, 0.9).astype(np.float32)
EXPOSURE = np.random.default_rng(0).uniform(0.1, 0.9, (USERS, ITEMS)).astype(np.float32)


def test_the_imputation_has_a_share_of_lambda_of_its_own():
    """dr's imputation is an outcome model that nothing else touches: with share s it is naive's fit with s·λ."""
    model, options = BACKBONES["additive"]
    wants, scores = Wants(PROPENSITY, True, 1.0), {}
    for objective, module, l2, share in ((dr.dr, "imputation", 1.0, 6.0), (naive, "prediction", 6.0, 1.0)):
        learner = gradient_method(model, options, LOSSES["squared"], objective, "adam", "constant", "tiles")
        hp = hyper(l2=l2)._replace(objective={"imputation_l2": jnp.float32(share)})
        done = fit(learner, DATA, feed(DATA, "tiles", "rating", 64, 8, wants), hp, 0, 10, None, lambda n, line: None)
        scores[objective.name] = jax.tree.leaves((done.state.params[module], done.state.constants[module]))
    for score, alone in zip(scores["dr"], scores["naive"], strict=True):
        np.testing.assert_allclose(score, alone, atol=1e-6)
    shared = [
        phase.l2 for objective in (*DOUBLY, escm2_dr) for phase in objective.phases if "imputation" in phase.moves
    ]
    assert shared == [(("imputation", "imputation_l2"),)] * 6


@pytest.mark.parametrize("layout", ["tiles", "pairs"])
def test_a_learned_propensity_is_penalised_as_a_sum_over_all_pairs(layout):
    """Without its constraint stable_dr's propensity is logistic regression on the ids: Σ_D CE + s·λ‖θ‖²."""
    model, options = BACKBONES["additive"]
    learner = gradient_method(model, options, LOSSES["squared"], dr.stable_dr, "adam", "cosine", layout)
    floats = {"balance": 0.0, "propensity_l2": 0.5, "floor": 0.05, "imputation_l2": 1.0, "anchor": 0.0}
    hp = hyper(l2=6.0)._replace(objective={name: jnp.float32(value) for name, value in floats.items()})
    hp = hp._replace(train={**hp.train, "lr": jnp.float32(0.05), "steps": jnp.float32(400)})
    # As many draws of D per row as there are pairs keep the noise of the layout pairs small.
    source = feed(DATA, layout, "rating", None, None, Wants(None, True, 1.0 if layout == "tiles" else 200.0))
    done = fit(learner, DATA, source, hp, 0, 400, None, lambda n, line: None)
    module, constant = done.state.params["propensity"], done.state.constants["propensity"]
    parts = [np.asarray(leaf).ravel() for leaf in jax.tree.leaves(module)]
    user, item = (next(part for part in parts if len(part) == n) for n in (USERS, ITEMS))
    none = np.zeros((USERS, 0)), np.zeros((ITEMS, 0))
    expected = logistic_regression(DATA.log, *none, 3.0, 1000).everywhere(np.arange(USERS))
    tolerance = 2e-3 if layout == "tiles" else 2e-2
    np.testing.assert_allclose(expit(user[:, None] + item + constant), expected, atol=tolerance)


@pytest.mark.parametrize(("layout", "size"), [("tiles", 7), ("pairs", 16)])
def test_batches_hold_the_propensity_of_every_pair(layout, size):
    """Off O, too, and nothing that is not finite in the padding of the last tile."""
    log = DATA.log
    p = EXPOSURE[np.asarray(log.user), np.asarray(log.item)]
    source = feed(DATA, layout, "rating", size, size, Wants(p, True, 1.0, exposure=EXPOSURE))
    order = source.order(np.random.default_rng(1))
    for step in range(source.n_steps):
        batch = source.cut(source.arrays, jax.tree.map(lambda column, step=step: jnp.asarray(column[step]), order))
        for sample in (batch.observed, batch.everything):
            items = np.arange(ITEMS) if sample.items is None else np.asarray(sample.items)
            users = np.asarray(sample.users)[:, None] if sample.items is None else np.asarray(sample.users)
            real = np.asarray(sample.weight) > 0
            expected = np.broadcast_to(EXPOSURE[users, items], real.shape)
            np.testing.assert_array_equal(np.asarray(sample.propensity)[real], expected[real])
            assert np.isfinite(dr.from_given(jnp.zeros(real.shape), sample)).all()


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        (["propensity=none"], "objective=stable_dr_given divides by propensities and there are none"),
        (
            ["propensity=naive_bayes", "propensity.mar_share=0"],
            "not defined for unobserved pairs: choose one that is (popularity, logistic",
        ),
    ],
)
def test_a_propensity_that_can_not_be_started_from_is_refused(options, fragment, tmp_path, capsys):
    assert call("run", tmp_path, "model=mf", "objective=stable_dr_given", *options) == 1
    assert fragment in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [["train.layout=tiles"], ["model=mlp", "model.layers=[4]", "objective=escm2_dr_given", "loss=logistic"]]
)
def test_a_run_starts_from_the_propensities_of_its_configuration(options, tmp_path):
    for propensity in ("popularity", "oracle"):
        words = ["model=mf", "objective=stable_dr_given", f"propensity={propensity}", *options]
        assert call("run", tmp_path, *words) == 0
    first, second = ([m["value"] for m in record["metrics"].values()] for record in records(tmp_path))
    assert first != second

"""Every objective under every backbone that fits it, and propensities from configuration to record."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize
from shell import call, records
from test_gradient import BACKBONES
from worlds import ITEMS, LOSSES, USERS, hyper, training_data
from worlds import rows as real_rows

from upliftlens.benchmarks.training.feed import Wants, choose_layout, feed
from upliftlens.benchmarks.training.loop import fit
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
from upliftlens.causal.objectives.objective import naive
from upliftlens.models.backbones import mf
from upliftlens.models.gradient import gradient_method, module_offers
from upliftlens.models.query import of_users

HP = {
    "balance": 0.7, "floor": 0.05, "confidence": 0.01, "joint": 1.0, "risk": 1.0,
    "unlabelled": 0.1, "item_weight": 0.1, "user_weight": 0.1, "reference": 0.3, "imputation_l2": 2.0,
    "propensity_l2": 0.5, "anchor": 0.4,
}  # fmt: skip
OBJECTIVES = [
    objective_ips.ips, objective_ips.snips, objective_dr.eib, objective_dr.dr, objective_dr.dr_jl, objective_dr.mrdr,
    objective_dr.stable_dr, objective_dr.stable_dr_given, objective_multitask.escm2_dr_given, objective_cvib.cvib,
    objective_multitask.escm2_dr, objective_implicit.rel_mf,
    objective_implicit.ubpr, objective_implicit.macr,
]  # fmt: skip
FAST = {
    ("dr_jl", "mf"),
    ("stable_dr_given", "mf"),
    ("escm2_dr", "mlp"),
    ("macr", "two_tower"),
    ("ubpr", "mf"),
}  # and test_gradient's naive ones
DATA = training_data()
P = np.clip(np.asarray(DATA.log.value) / 6, 0.1, 0.9).astype(np.float32)


def fitting(objective, offers):
    return objective.requires <= offers


def cases():
    for objective in OBJECTIVES:
        for name, (model, options) in BACKBONES.items():
            if fitting(objective, module_offers(model, options, DATA)):
                marks = () if (objective.name, name) in FAST else (pytest.mark.slow,)
                yield pytest.param(objective, name, marks=marks, id=f"{objective.name}-{name}")


@pytest.mark.parametrize(("objective", "backbone"), list(cases()))
def test_every_objective_trains_every_backbone_that_fits_it(objective, backbone, quick_compilation):
    model, options = BACKBONES[backbone]
    loss = next(this_loss for this_loss in LOSSES.values() if this_loss.link in objective.links)
    dense = "score_all" in module_offers(model, options, DATA)
    layout = choose_layout("auto", loss.pairwise, dense, USERS, ITEMS, 10**6)
    learner = gradient_method(model, options, loss, objective, "adam", "constant", layout)
    wants = Wants(P if "propensity" in objective.needs else None, "everything" in objective.needs, 1.0)
    if "everywhere" in objective.needs:
        wants = wants._replace(exposure=np.full((USERS, ITEMS), 0.3, np.float32))
    hp = hyper()._replace(objective={name: jnp.float32(value) for name, value in HP.items()})
    source = feed(DATA, layout, loss.link, 64, 8, wants)
    start = learner.init(jax.random.key(0), DATA, hp)
    users = jnp.arange(USERS)
    before = np.asarray(learner.score(start, DATA, of_users(users)))
    # Step by step, `init` shares its programs among objectives; compiled as a whole it costs as much as the epoch.
    learner = learner._replace(init=lambda key, data, hp: jax.tree.map(jnp.copy, start))
    done = fit(learner, DATA, source, hp, 0, 15, None, lambda n, line: None)
    after = np.asarray(learner.score(done.state, DATA, of_users(users)))
    assert np.isfinite(after).all() and after.shape == (USERS, ITEMS)
    assert np.abs(after - before).max() > 0.05
    user, item, value = real_rows(DATA)
    likes = np.corrcoef(after[user, item], value >= 4)[0, 1]
    assert likes > 0.25, "the penalty alone moves scores too, but they follow the ratings as little as at the start"
    again = fit(learner, DATA, source, hp, 0, 15, None, lambda n, line: None)
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), done.state, again.state)))
    if objective.rank is None:
        pairs = learner.predict(
            done.state, DATA, of_users(jnp.repeat(users, ITEMS)), jnp.tile(jnp.arange(ITEMS), USERS)
        )
        assert np.isfinite(np.asarray(pairs)).all()


def test_ips_with_constant_propensities_is_naive_and_dr_with_true_ones_is_not():
    model, options = BACKBONES["additive"]
    states = {}
    for objective in (naive, objective_ips.ips):
        learner = gradient_method(model, options, LOSSES["squared"], objective, "lbfgs", "constant", "tiles")
        density = np.full(len(DATA.log), 180 / (USERS * ITEMS), np.float32)
        for name, p in (("even", density), ("true", P)):
            source = feed(DATA, "tiles", "rating", 64, 10**6, Wants(p) if objective is not naive else Wants())
            done = fit(learner, DATA, source, hyper(), 0, 40, None, lambda n, line: None)
            states[objective.name, name] = np.asarray(learner.score(done.state, DATA, of_users(jnp.arange(USERS))))
    np.testing.assert_allclose(states["ips", "even"], states["naive", "even"], atol=1e-3)
    assert np.abs(states["ips", "true"] - states["naive", "even"]).max() > 0.1


def test_the_optimum_of_mf_ips_agrees_with_scipy():
    """Σ_O (r − v·w − a_u − b_i − c)²/p / |D| + λ/|O|·(‖V‖² + ‖W‖² + s·(‖a‖² + ‖b‖²)), by its gradient in NumPy.

    With so large a λ the optimum has fewer dimensions than the model, and is the only one in its scores.
    """
    dim, l2, share = 3, 6.0, 0.3
    learner = gradient_method(
        mf.model, mf.MFOptions(dim, 0.3, share), LOSSES["squared"], objective_ips.ips, "lbfgs", "constant", "tiles"
    )
    source = feed(DATA, "tiles", "rating", 64, 10**6, Wants(P))
    done = fit(learner, DATA, source, hyper(l2=l2), 0, 200, None, lambda n, line: None)
    ours = np.asarray(learner.score(done.state, DATA, of_users(jnp.arange(USERS))))

    user, item, value = real_rows(DATA)
    p = P[np.asarray(DATA.log.weight) > 0].astype(float)
    ends = np.cumsum([USERS * dim, ITEMS * dim, USERS, ITEMS])
    scale = l2 / len(value) * np.repeat([1.0, 1.0, share, share, 0.0], np.diff([0, *ends, ends[-1] + 1]))

    def parts(theta):
        v, w, a, b, c = np.split(theta, ends)
        return v.reshape(USERS, dim), w.reshape(ITEMS, dim), a, b, c[0]

    def written(theta):
        v, w, a, b, c = parts(theta)
        residual = (v[user] * w[item]).sum(1) + a[user] + b[item] + c - value
        slope = np.zeros((USERS, ITEMS))
        slope[user, item] = 2 * residual / p / (USERS * ITEMS)
        by_part = (slope @ w, slope.T @ v, slope.sum(1), slope.sum(0), slope.sum())
        gradient = np.concatenate([np.ravel(this_item) for this_item in by_part]) + 2 * scale * theta
        return (residual**2 / p).sum() / (USERS * ITEMS) + (scale * theta**2).sum(), gradient

    start = np.random.default_rng(1).normal(0, 0.3, ends[-1] + 1)
    best = minimize(written, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-9, "ftol": 1e-15, "maxiter": 5000})
    v, w, a, b, c = parts(best.x)
    assert np.linalg.svd(v @ w.T)[1][0] > 0.1, "there is a taste to find"
    np.testing.assert_allclose(ours, v @ w.T + a[:, None] + b + c, atol=5e-3)


def test_what_the_objective_ranks_by_is_what_is_scored():
    """MACR: (y_k − c)·σ(y_u)·σ(y_i); another c gives another order, the prediction stays."""
    model, options = BACKBONES["mlp"]
    learner = gradient_method(model, options, LOSSES["logistic"], objective_implicit.macr, "adam", "constant", "pairs")
    scores, predictions = [], []
    for reference in (0.0, 5.0):
        floats = {**HP, "reference": reference}
        hp = hyper()._replace(objective={name: jnp.float32(value) for name, value in floats.items()})
        state = learner.init(jax.random.key(1), DATA, hp)
        scores.append(np.asarray(learner.score(state, DATA, of_users(jnp.arange(3)))))
        predictions.append(np.asarray(learner.predict(state, DATA, of_users(jnp.arange(3)), jnp.arange(3))))
    np.testing.assert_array_equal(*predictions)
    change = scores[0] - scores[1]
    assert (change > 0).all() and (change < 5).all(), "5·σ(y_u)·σ(y_i)"


def test_a_propensity_goes_from_configuration_to_record(tmp_path, capsys):
    assert call("run", tmp_path, "model=mf", "model.dim=3", "objective=ips", "propensity=popularity") == 0
    said = capsys.readouterr().err
    assert "propensity popularity:" in said
    assert re.search(r"done .* rmse \d\.\d+  rmse/snips \d\.\d+  recall@10", said), "debiased beside naive"
    (record,) = records(tmp_path)
    this_said = record["diagnostics"]["propensity"]
    assert this_said["verdict"] == "good" and sum(this_said["overlap"]["all"]) == 40 * 30 and this_said["ece"] < 1e-6
    assert 0 < this_said["effective_sample_size"] <= this_said["n_observed"]
    assert record["diagnostics"]["uses_mar_data"] is False
    assert {"rmse", "rmse/snips", "mae", "mae/snips"} <= set(record["metrics"])
    assert record["metrics"]["rmse/snips"]["value"] != record["metrics"]["rmse"]["value"]


@pytest.mark.parametrize(
    ("options", "verdict", "reason"),
    [
        (("propensity=constant",), "fair", r"differ by 0\.\d+ sd in item feature 0"),
        (("propensity=popularity", "propensity.floor=0.5"), "poor", r"rows are clipped at 0\.5"),
        (("propensity=oracle",), "fair", r"rows effective; one pair carries"),
    ],
)
def test_a_run_says_what_is_wrong_with_its_propensity(options, verdict, reason, tmp_path, capsys):
    assert call("run", tmp_path, "model=additive", "objective=ips", *options) == 0
    said = records(tmp_path)[0]["diagnostics"]["propensity"]
    assert said["verdict"] == verdict and re.search(reason, said["reason"])
    assert f"{said['name']}: {verdict} ({said['reason']})" in capsys.readouterr().err


def test_every_risk_estimator_debiases_the_test_log(tmp_path, capsys):
    estimators = ("ips", "snips", "clipped", "eib", "dr", "sndr", "stable-dr")
    names = [
        "rmse",
        *(f"rmse/{estimator}" for estimator in estimators),
        *(f"mae/{estimator}" for estimator in estimators),
        "brier/dr",
    ]
    options = ("model=additive", f"metrics.names=[{','.join(names)}]", "metrics.interval.resamples=60")
    options += ("metrics.debiased.floor=0.1",)
    assert call("run", tmp_path, *options, "propensity=popularity") == 0
    assert call("run", tmp_path, *options, "propensity=popularity", "metrics.debiased.shrinkage=50") == 0
    assert call("run", tmp_path, *options) == 0
    assert (
        call("run", tmp_path, "model=popularity", "data.feedback=implicit", "metrics.names=[rmse/eib,recall@10]") == 0
    )
    first, shrunk, without, implicit = records(tmp_path)
    values = {name: result["value"] for name, result in first["metrics"].items()}
    assert set(values) == set(names) - {"brier/dr"} and len(set(values.values())) == len(values)
    assert all(result["lo"] < result["value"] < result["hi"] for result in first["metrics"].values())
    assert "predict a probability" in first["diagnostics"]["absent"]["brier/dr"]
    changed = {name for name in values if shrunk["metrics"][name]["value"] != values[name]}
    assert changed == {name for name in values if name.partition("/")[2] in ("eib", "dr", "sndr", "stable-dr")}
    assert set(without["metrics"]) == {"rmse", "rmse/eib", "mae/eib"}
    assert "add propensity=" in without["diagnostics"]["absent"]["rmse/dr"]
    assert "implicit log" in implicit["diagnostics"]["absent"]["rmse/eib"]


def test_only_what_reads_a_propensity_is_trained_again_for_another(tmp_path):
    runs = (
        ("objective=naive",), ("objective=naive", "propensity=popularity"), ("objective=naive", "propensity=constant"),
        ("objective=ips", "propensity=popularity"), ("objective=ips", "propensity=popularity", "propensity.power=0.5"),
        ("objective=naive", "propensity=popularity", "train.monitor=rmse/snips"),
    )  # fmt: skip
    for options in runs:
        assert call("run", tmp_path, "model=additive", *options) == 0
    stored = records(tmp_path)
    assert len({item["key"] for item in stored}) == 6
    by = {}
    for item in stored:
        by.setdefault(item["fit_key"], []).append((item["objective"], item["config"]["propensity"]["name"]))
    assert sorted(map(len, by.values())) == [1, 1, 1, 3], "three naive runs share their fit"


def test_naive_bayes_takes_its_sample_out_of_the_test_set(tmp_path, capsys):
    options = ("model=additive", "split=given", "objective=ips", "propensity=naive_bayes")
    assert call("run", tmp_path, *options, "propensity.mar_share=0.25") == 0
    assert "propensity=naive_bayes takes 40 of 160 test rows as its sample" in " ".join(capsys.readouterr().err.split())
    assert call("run", tmp_path, *options, "propensity.mar_share=0") == 0
    first, second = sorted(records(tmp_path), key=lambda record: record["diagnostics"]["evaluation"]["test_pairs"])
    assert first["diagnostics"]["uses_mar_data"] and not second["diagnostics"]["uses_mar_data"]
    assert first["diagnostics"]["evaluation"]["test_pairs"] == 120
    assert second["diagnostics"]["evaluation"]["test_pairs"] == 160
    assert first["split"]["fingerprint"] != second["split"]["fingerprint"]
    assert "equally common" in second["diagnostics"]["propensity"]["assumes"]
    assert "no random share" in second["diagnostics"]["absent"]["rmse/snips"]


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        (["objective=dr_jl"], "add propensity="),
        (["objective=cvib"], "use loss=logistic"),
        (["objective=escm2_dr", "loss=logistic"], "embed, tower"),
        (["objective=ips", "propensity=given"], "ships no propensities"),
        (["objective=ips", "propensity=naive_bayes"], "split=given"),
        (["objective=ips", "propensity=oracle", "split=temporal"], "split=kfold or given"),
        (["propensity=popularity", "split=leave_last", "train.monitor=rmse/ips"], "no known propensity"),
        (["objective=ips", "propensity=popularity", "propensity.floor=-1"], "floor must lie in"),
        (["objective=ips", "propensity=popularty"], "did you mean 'popularity'"),
        (["model=mlp", "objective=dr_jl", "propensity=constant", "train.optimizer=lbfgs"], "lbfgs needs the same sums"),
    ],
)
def test_bad_requests_are_refused_with_the_fix(tmp_path, capsys, options, fragment):
    assert (
        call("run", tmp_path, *(["model=mf"] if not any("model=" in option for option in options) else []), *options)
        == 1
    )
    shown = capsys.readouterr().err
    assert fragment in " ".join(shown.split()), shown
    assert "Traceback" not in shown

"""Learners of uplift in training: their batches, every one under every backbone, DLCE again in NumPy, no truth read."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from shell import programs
from test_gradient import BACKBONES
from uplift_logs import random_log
from worlds import LOSSES, hyper, training_data

from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.config.plugins import entry, names
from upliftlens.benchmarks.data.world import World
from upliftlens.benchmarks.runs import run as experiment
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.benchmarks.splits.uplift_parts import logged, recommendations
from upliftlens.benchmarks.system.talk import quiet
from upliftlens.benchmarks.tables.table import definition
from upliftlens.benchmarks.training.feed import Wants, choose_layout, feed
from upliftlens.benchmarks.training.loop import fit
from upliftlens.causal.effects.treatment import treatment_propensity
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import interactions, padded
from upliftlens.models.gradient import gradient_method, module_offers
from upliftlens.models.query import of_users

USERS, ITEMS = 12, 9
OBJECTIVES = {name: entry("objectives", name).value for name in names("objectives")}
LEARNERS = {
    name: this_objective for name, this_objective in OBJECTIVES.items() if "recommendations" in this_objective.needs
}
TABLE = definition("uplift-ml-100k")
HP = {"chi": 0.2, "alpha": 0.3, "effect": 0.5}


def data():
    log, _ = random_log(USERS, ITEMS, 3)
    bought = np.flatnonzero(log.value > 0)
    rows = interactions(log.user[bought], log.item[bought], log.value[bought], USERS, ITEMS)
    base = training_data(n_users=USERS, n_items=ITEMS, n=40)
    consumed = jax.tree.map(jnp.asarray, padded(rows, len(bought) + 5))
    return replace(
        base,
        log=consumed,
        positive=(consumed.weight > 0).astype(jnp.float32),
        recommendations=recommendations(log, len(log) + 7),
    )


DATA = data()
LOG = logged(DATA)
CELLS = {(int(u), int(i)): row for row, (u, i) in enumerate(zip(LOG.user, LOG.item))}


def source_of(objective, layout, size=16, tile=5):
    triples = None if objective.triples is None else objective.triples(LOG, HP)
    return feed(DATA, layout, "rank", size, tile, Wants(recommendations=True, triples=triples))


@pytest.mark.parametrize(("name", "layout"), [("ulrmf", "tiles"), ("ulrmf", "pairs"), ("dlce", "triples")])
def test_treatments_stand_beside_their_rows(name, layout):
    source = source_of(LEARNERS[name], layout)
    order = source.order(np.random.default_rng(0))
    seen = np.zeros(len(LOG))
    for step in range(source.n_steps):
        sample = source.cut(source.arrays, jax.tree.map(lambda a, s=step: jnp.asarray(a[s]), order)).observed
        users = np.broadcast_to(
            np.asarray(sample.users)[:, None] if layout == "tiles" else sample.users, sample.weight.shape
        )
        items = np.broadcast_to(np.arange(ITEMS), sample.weight.shape) if layout == "tiles" else sample.items
        for place in zip(*np.nonzero(np.asarray(sample.weight) > 0)):
            row = CELLS[int(users[place]), int(items[place])]
            seen[row] += float(sample.weight[place])
            said = (sample.target[place], sample.treated[place], sample.propensity[place])
            assert said == (LOG.value[row], LOG.treated[row], LOG.propensity[row])
    if layout == "triples":
        assert seen.sum() == pytest.approx(source.n_steps, rel=1e-5)
    else:  # every logged row once, so that an epoch is the mean over the log
        np.testing.assert_allclose(seen, source.n_steps / len(LOG), rtol=1e-5)


def learner_of(objective, backbone):
    model, options = BACKBONES[backbone]
    loss = next(
        this_loss for this_loss in LOSSES.values() if this_loss.link in objective.links and this_loss.name != "squared"
    )
    dense = "score_all" in module_offers(model, options, DATA)
    layout = choose_layout("auto", loss.pairwise, dense, USERS, ITEMS, 10**6)
    return gradient_method(model, options, loss, objective, "adam", "constant", layout)


HYPER = hyper()._replace(objective={name: jnp.float32(value) for name, value in HP.items()})
EVERYONE = of_users(jnp.arange(USERS))
PAIRS = of_users(jnp.repeat(jnp.arange(USERS), ITEMS)), jnp.tile(jnp.arange(ITEMS), USERS)


def learners_and_backbones():
    """Each of either kind, and the rest of their pairs among the slow tests."""
    for name, objective in LEARNERS.items():
        for backbone in BACKBONES:
            marks = () if backbone == "mf" or name in ("dlce", "dr_learner") else pytest.mark.slow
            yield pytest.param(objective, backbone, id=f"{name}-{backbone}", marks=marks)


@pytest.mark.parametrize(("objective", "backbone"), list(learners_and_backbones()))
def test_every_learner_fits_every_backbone(objective, backbone):
    """A step keeps the state's structure, and scores have their shape: traced, not compiled."""
    learner = learner_of(objective, backbone)
    source = source_of(objective, learner.layout)
    index = jax.tree.map(lambda a: jnp.asarray(a[0]), source.order(np.random.default_rng(0)))

    def epoch(key):
        state = learner.init(key, DATA, HYPER)
        after, loss = learner.step(state, DATA, source.cut(source.arrays, index), key, HYPER)
        return (state, after, loss, learner.score(after, DATA, EVERYONE), learner.predict(after, DATA, *PAIRS))

    state, after, loss, score, pairs = jax.eval_shape(epoch, jax.random.key(0))
    assert jax.tree.structure(state) == jax.tree.structure(after)
    assert jax.tree.leaves(state) == jax.tree.leaves(after)
    assert (loss.shape, score.shape, pairs.shape) == ((), (USERS, ITEMS), (USERS * ITEMS,))
    assert learner.link == "rank"


@pytest.mark.parametrize(("name", "backbone"), [("dlce", "mf"), ("ulrmf", "mlp"), ("t_learner", "additive")])
def test_learners_train_and_predict_what_they_rank_by(name, backbone):
    learner = learner_of(LEARNERS[name], backbone)
    start = np.asarray(learner.score(learner.init(jax.random.key(0), DATA, HYPER), DATA, EVERYONE))
    done = fit(learner, DATA, source_of(LEARNERS[name], learner.layout), HYPER, 0, 8, None, lambda n, line: None)
    score = np.asarray(learner.score(done.state, DATA, EVERYONE))
    assert np.isfinite(score).all() and np.abs(score - start).max() > 0.02
    np.testing.assert_allclose(learner.predict(done.state, DATA, *PAIRS), score.ravel(), atol=1e-5)


def test_dlce_again_in_numpy():
    """Five steps of plain gradient descent on biased MF, gradients by hand: the same scores."""
    objective, (model, options), chi, rate, l2 = LEARNERS["dlce"], BACKBONES["mf"], 0.2, 0.4, 0.7
    learner = gradient_method(model, options, LOSSES["bpr"], objective, "sgd", "constant", "triples")
    source = source_of(objective, "triples")
    hp = hyper(lr=rate, l2=l2)._replace(objective={"chi": jnp.float32(chi)})
    state = learner.init(jax.random.key(4), DATA, hp)
    mine = {k: np.asarray(v, np.float64) for k, v in nnx.to_pure_dict(state.params["prediction"]).items()}
    p, q, b = mine["user"], mine["item"], mine["item_bias"]
    order = source.order(np.random.default_rng(8))
    advance = jax.jit(lambda state, step: learner.step(state, DATA, source.cut(None, step), jax.random.key(0), hp)[0])
    n = float(DATA.log.weight.sum())
    for index in range(5):
        step = jax.tree.map(lambda a, s=index % source.n_steps: jnp.asarray(a[s]), order)
        state = advance(state, step)
        user, item, *_, negative = (np.asarray(a) for a in step)
        slopes = [l2 / n * 2 * mine["user"], l2 / n * 2 * q, l2 / n * 2 * options.bias_penalty * b]
        for u, i, j in zip(user, item, negative):
            row = CELLS[u, i]
            z, y, e = LOG.treated[row], LOG.value[row], float(treatment_propensity(LOG)[row])
            w = y / max(e, chi) if z else -y / max(1 - e, chi)
            x = p[u] @ (q[i] - q[j]) + b[i] - b[j]
            slope = (-w / (1 + np.exp(x)) if w > 0 else -w / (1 + np.exp(-x))) / len(user)
            slopes[0][u] += slope * (q[i] - q[j])
            slopes[1][i] += slope * p[u]
            slopes[1][j] -= slope * p[u]
            slopes[2][i] += slope
            slopes[2][j] -= slope
        p, q, b = (value - rate * slope for value, slope in zip((p, q, b), slopes))
        mine["user"] = p
    score = p @ q.T + mine["user_bias"][:, None] + b
    assert (
        np.abs(
            score
            - np.asarray(learner.score(learner.init(jax.random.key(4), DATA, hp), DATA, of_users(jnp.arange(USERS))))
        ).max()
        > 0.1
    )
    np.testing.assert_allclose(learner.score(state, DATA, of_users(jnp.arange(USERS))), score, atol=2e-5)


WORLD = (
    *(
        "data=uplift-synthetic",
        "data.n_users=40",
        "data.n_items=30",
        "data.per_user=6",
        "split=draws",
        "metrics=uplift",
    ),
    *("train.epochs=1", "progress=false", "trial=true"),
)
SMALL = ("model=mf", "model.dim=2")


def run(tmp_path, *words: str):
    words = (*WORLD, *words, f"store={tmp_path}", f"cache={tmp_path}/cache")
    return experiment.run(plan(configured(list(words))), quiet)[0]


FAST = {"dlce", "s-learner", "ials", "cubn-o", "popularity"}  # a row of each kind
ROWS = [
    pytest.param(row, marks=() if row in FAST else pytest.mark.slow)
    for row in sorted(TABLE["rows"].keys() - {"oracle"})
]


@pytest.mark.parametrize("row", ROWS)
def test_no_row_of_the_table_learns_or_is_tuned_with_the_truth(row, tmp_path, monkeypatch, quick_compilation):
    """A small version of each row, as its tuning runs it, in a world whose truth raises. Its defaults go together."""

    def fails(self: World, part: Any) -> Any:
        raise AssertionError("the truth was read")

    monkeypatch.setattr(World, "_read", fails)
    record = run(tmp_path, *TABLE["rows"][row], f"train.monitor={TABLE['criterion']}")
    assert set(record.metrics) == {"validation/uplift@10/snips"}
    if (objective := record.objective) in LEARNERS:
        assert record.diagnostics["layout"] == ("triples" if LEARNERS[objective].triples else "tiles")


def test_every_learner_is_a_row_of_the_table():
    chosen = {word.partition("=")[2] for row in TABLE["rows"].values() for word in row if word.startswith("objective=")}
    assert chosen == set(LEARNERS)


def test_an_option_that_is_a_float_compiles_nothing_new(tmp_path):
    run(tmp_path, *SMALL, "objective=dlce")
    other = run(tmp_path, *SMALL, "objective=dlce", "objective.chi=0.03", "seed=1", "train.lr=0.01")
    assert programs(other.diagnostics) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["objective=dlce", "loss=logistic"], "objective=dlce makes no sense with loss=logistic: use loss=bpr"),
        (["objective=t_learner", "loss=bpr"], r"use loss=.*loss=logistic or loss=squared"),
        (["objective=dlce", "objective.chi=1"], r"chi must lie in \[0, 1\)"),
        (["objective=ulbpr", "objective.alpha=-1"], r"alpha must lie in \[0, 1\]"),
        (["objective=dr_learner", "objective.effect=0"], "objective.effect must be above 0"),
    ],
)
def test_what_does_not_go_together_is_said(words, message, tmp_path):
    with pytest.raises(UpliftlensError, match=message):
        run(tmp_path, *SMALL, *words)


def test_plain_ratings_have_no_uplift_to_learn(tmp_path):
    words = ["data=synthetic", "data.n_users=30", "data.n_items=20", "data.ratings_per_user=8"]
    words += ["data.test_per_user=4", "progress=false"]
    for name in ("dlce", "dr_learner"):
        this_plan = plan(configured([*words, f"objective={name}", f"store={tmp_path}"]))
        with pytest.raises(UpliftlensError, match=f"objective={name} learns from what was recommended"):
            experiment.run(this_plan, quiet)

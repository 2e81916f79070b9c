"""Gradient training against closed forms, and the properties that every backbone × loss × layout must have."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from worlds import ITEMS, LOSSES, USERS, hyper, rows, training_data

from upliftlens.benchmarks.config.plugins import entry, names
from upliftlens.benchmarks.training import loop
from upliftlens.benchmarks.training.feed import choose_layout, feed
from upliftlens.benchmarks.training.loop import Diverged, Stopping, fit
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.objectives.objective import Objective, Phase, naive
from upliftlens.causal.options import NoOptions
from upliftlens.models.backbones import additive, mf, mf_features, mlp, two_tower
from upliftlens.models.backbones.dense import DenseOptions
from upliftlens.models.contract import Backbone
from upliftlens.models.gradient import gradient_method
from upliftlens.models.query import of_users

BACKBONES = {
    "additive": (additive.model, NoOptions()),
    "mf": (mf.model, mf.MFOptions(dim=4, init=0.1, bias_penalty=0.3)),
    "mf_features": (mf_features.model, mf.MFOptions(dim=4, init=0.1, bias_penalty=0.3)),
    "mlp": (mlp.model, DenseOptions(dim=4, layers=(8, 4), dropout=0.2, init=0.1)),
    "two_tower": (two_tower.model, DenseOptions(dim=4, layers=(6,), dropout=0.0, init=0.1)),
}


def test_no_backbone_is_left_out():
    group = "models"
    known = {name: entry(group, name).value for name in names(group)}
    assert {name: model for name, (model, _) in BACKBONES.items()} == {
        name: model for name, model in known.items() if isinstance(model, Backbone)
    }


@cache
def method(backbone, loss="squared", optimizer="adam", layout="pairs", schedule="cosine"):
    model, options = BACKBONES[backbone]
    return gradient_method(model, options, LOSSES[loss], naive, optimizer, schedule, layout)


def train(learner, data, layout, epochs, seed=0, hp=None, stopping=None, size=64, tile=5):
    source = feed(data, layout, learner.link, size, tile)
    return fit(
        learner, data, source, hp or hyper(steps=epochs * source.n_steps), seed, epochs, stopping, lambda n, line: None
    )


def everyone():
    users, items = np.divmod(np.arange(USERS * ITEMS, dtype=np.int32), ITEMS)
    return jnp.asarray(users), jnp.asarray(items)


@pytest.mark.parametrize("layout", ["tiles", "pairs"])
def test_additive_is_the_exact_ridge_solution(layout):
    data, l2 = training_data(), 2.5
    user, item, value = rows(data)
    design = np.zeros((len(value), 1 + USERS + ITEMS))
    design[:, 0] = design[np.arange(len(value)), 1 + user] = design[np.arange(len(value)), 1 + USERS + item] = 1
    ridge = l2 * np.diag([0.0] + [1.0] * (USERS + ITEMS))  # the constant is not regularised
    exact = np.linalg.solve(design.T @ design + ridge, design.T @ value)
    learner = method("additive", optimizer="lbfgs", layout=layout)
    done = train(learner, data, layout, 40, hp=hyper(l2=l2), size=10**6, tile=10**6)
    users, items = everyone()
    expected = exact[0] + exact[1 + users] + exact[1 + USERS + items]
    np.testing.assert_allclose(learner.predict(done.state, data, of_users(users), items), expected, atol=2e-4)


def test_mf_ends_at_a_stationary_point_of_its_written_objective():
    """Gradient of Σ_O (r − r̂)² + λ(‖P‖² + ‖Q‖² + share·(‖b_u‖² + ‖b_i‖²)), written out in NumPy, vanishes."""
    data, l2, share = training_data(), 2.0, 0.3
    learner = method("mf", optimizer="lbfgs", layout="tiles")
    state = train(learner, data, "tiles", 300, hp=hyper(l2=l2), tile=10**6).state
    module = {k: np.asarray(v, np.float64) for k, v in nnx.to_pure_dict(state.params["prediction"]).items()}
    user, item, value = rows(data)
    p, q, a, b = (module[name] for name in ("user", "item", "user_bias", "item_bias"))
    error = (p[user] * q[item]).sum(1) + a[user] + b[item] + float(state.constants["prediction"]) - value
    gradient_p, gradient_b = l2 * p, share * l2 * b
    np.add.at(gradient_p, user, error[:, None] * q[item])
    np.add.at(gradient_b, item, error)
    assert np.abs(gradient_p).max() < 2e-2 and np.abs(gradient_b).max() < 2e-2
    assert abs(error.sum()) < 2e-2  # the constant
    assert np.abs(l2 * p).max() > 0.5  # not the trivial point


@pytest.mark.parametrize("layout", ["tiles", "pairs"])
@pytest.mark.parametrize("link", ["rating", "probability"])
def test_batches_cover_every_row_once_and_add_up_to_the_mean(layout, link):
    """Σ_steps weight·f / n_steps = mean_O f, so an objective that is linear in its sums has an unbiased gradient."""
    data = training_data()
    source = feed(data, layout, link, 50, 6)
    user, item, value = rows(data)
    target = value if link == "rating" else (value >= 4).astype(float)
    f = np.random.default_rng(1).normal(size=(USERS, ITEMS))
    seen, total = np.zeros((USERS, ITEMS)), 0.0
    for index in source.order(np.random.default_rng(2)):
        sample = source.cut(source.arrays, jnp.asarray(index)).observed
        cells = (sample.users, sample.items)
        if layout == "tiles":
            cells = (np.asarray(sample.users)[:, None], np.arange(ITEMS)[None])
        np.add.at(seen, cells, np.asarray(sample.weight) * np.asarray(sample.target))
        total += float((sample.weight * f[cells]).sum()) / source.n_steps
    assert total == pytest.approx(f[user, item].mean(), abs=1e-6)
    expected = np.zeros((USERS, ITEMS))
    expected[user, item] = target * source.n_steps / len(value)
    np.testing.assert_allclose(seen, expected, atol=1e-5)


def test_triples_pair_every_positive_with_an_item_that_is_not_one():
    data = training_data()
    source = feed(data, "triples", "rank", 64, 5)
    user, item, value = rows(data)
    positives = {(u, i) for u, i, r in zip(user, item, value, strict=True) if r >= 4}
    users, items, negatives = (a.ravel() for a in source.order(np.random.default_rng(0)))
    assert set(zip(users, items, strict=True)) == positives
    assert not positives & set(zip(users, negatives, strict=True))
    assert len(set(negatives)) == ITEMS


def test_triples_draw_every_positive_equally_often():
    """Also where the draws are no multiple of the positives: the rest is a fresh sample each epoch."""
    data = training_data()
    source = feed(data, "triples", "rank", 64, 5)
    drawn, rng, epochs = np.zeros((USERS, ITEMS)), np.random.default_rng(0), 400
    for _ in range(epochs):
        users, items, _ = (a.ravel() for a in source.order(rng))
        np.add.at(drawn, (users, items), 1)
    user, item, value = rows(data)
    counts = drawn[user[value >= 4], item[value >= 4]]
    assert drawn.sum() == counts.sum()
    share = counts.mean() / epochs % 1  # of the epochs in which a positive is drawn once more
    assert np.abs(counts - counts.mean()).max() < 5 * np.sqrt(epochs * share * (1 - share))


def test_triples_without_a_positive_are_refused():
    data = training_data()
    object.__setattr__(data, "positive", jnp.zeros_like(data.positive))
    with pytest.raises(UpliftlensError, match="no training row is positive"):
        feed(data, "triples", "rank", 64, 5)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_scoring_all_items_equals_scoring_pairs(backbone):
    data = training_data()
    learner = method(backbone)
    state = learner.init(jax.random.key(3), data, hyper())
    users, items = everyone()
    pairs = learner.predict(state, data, of_users(users), items).reshape(USERS, ITEMS)
    np.testing.assert_allclose(learner.score(state, data, of_users(jnp.arange(USERS))), pairs, atol=1e-5)


def test_a_module_without_score_all_is_called_for_every_pair():
    class Pairs(nnx.Module):
        def __init__(self, options, data, rngs):
            self.inner = mf.MF(options, data, rngs)

        def __call__(self, users, items):
            return self.inner(users, items)

    scores, data = [], training_data()
    for model in (mf.model, Backbone("pairs", mf.MFOptions, Pairs)):
        learner = gradient_method(model, BACKBONES["mf"][1], LOSSES["squared"], naive, "adam", "constant", "pairs")
        state = learner.init(jax.random.key(3), data, hyper())
        scores.append(learner.score(state, data, of_users(jnp.array([4, 1]))))
    np.testing.assert_allclose(*scores, atol=1e-6)
    assert scores[0].shape == (2, ITEMS) and np.ptp(scores[0]) > 0.01


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_backbone_learns_under_every_loss(backbone, loss, monkeypatch):
    # `init` runs step by step, with programs that losses and backbones share; other tests compile it as a whole.
    compiled = loop.compiled

    def step_by_step(method, cut):
        return lambda *given: jax.tree.map(jnp.copy, method.init(*given)), compiled(method, cut)[1]

    monkeypatch.setattr(loop, "compiled", step_by_step)
    data = training_data()
    layout = choose_layout("auto", LOSSES[loss].pairwise, backbone != "mlp", USERS, ITEMS, 10**6)
    learner = method(backbone, loss, layout=layout)
    first = train(learner, data, layout, 25)
    again = train(learner, data, layout, 25)
    assert first.epochs[-1]["loss"] < 0.9 * first.epochs[0]["loss"]
    same = jax.tree.map(lambda a, b: bool((a == b).all()), first.state, again.state)
    assert all(jax.tree.leaves(same)), "the same key must give the same bits"
    other = train(learner, data, layout, 25, seed=1)
    if backbone != "additive":  # which starts at zero whatever the seed
        assert other.epochs[0]["loss"] != first.epochs[0]["loss"]


def test_tiles_and_full_pairs_are_the_same_problem():
    data = training_data()
    ends = []
    for layout in ("tiles", "pairs"):
        learner = method("additive", "logistic", "lbfgs", layout)
        state = train(learner, data, layout, 30, size=10**6, tile=10**6).state
        ends.append(learner.score(state, data, of_users(jnp.arange(USERS))))
    np.testing.assert_allclose(*ends, atol=1e-3)


def test_padding_carries_no_information():
    learner = method("mf", layout="tiles")
    states = [train(learner, training_data(capacity=c), "tiles", 5).state for c in (180, 512)]
    same = jax.tree.map(lambda a, b: np.allclose(a, b, atol=1e-6), *states)
    assert all(jax.tree.leaves(same))


def test_dropout_acts_in_training_only():
    data = training_data()
    learner = method("mlp")
    state = train(learner, data, "pairs", 2).state
    users, items = everyone()
    once, twice = (learner.predict(state, data, of_users(users), items) for _ in range(2))
    np.testing.assert_array_equal(once, twice)
    still = gradient_method(
        mlp.model, DenseOptions(4, (8, 4), 0.0, 0.1), LOSSES["squared"], naive, "adam", "cosine", "pairs"
    )
    assert train(still, data, "pairs", 2).epochs[-1]["loss"] != train(learner, data, "pairs", 2).epochs[-1]["loss"]


def test_only_the_modules_that_a_phase_moves_drop_out():
    seen = {}

    def watched(moved):
        def loss(view, batch, hp):
            modules = {name: view.module(name) for name in ("prediction", "imputation")}
            seen[moved] = {name: not module.dense.dropout.deterministic for name, module in modules.items()}
            return view.error(view.score(moved, batch.observed), batch.observed.target).mean()

        return Phase(loss, moves=(moved,))

    phases = (watched("imputation"), watched("prediction"))
    probe = Objective("probe", NoOptions, phases=phases, modules=("prediction", "imputation"))
    learner = gradient_method(*BACKBONES["mlp"], LOSSES["squared"], probe, "adam", "constant", "pairs")
    train(learner, training_data(), "pairs", 1)
    assert seen == {
        "imputation": {"prediction": False, "imputation": True},
        "prediction": {"prediction": True, "imputation": False},
    }


def test_early_stopping_keeps_the_best_state_and_counts_patience():
    data = training_data()
    learner = method("mf", layout="tiles")
    values = iter([3.0, 1.0, 2.0, 2.0, 2.0, 0.0])
    states = []

    def monitor(state):
        states.append(jax.tree.map(np.array, state.params))
        return next(values)

    done = train(learner, data, "tiles", 6, stopping=Stopping(monitor, True, 3))
    assert (done.best_epoch, len(done.epochs)) == (2, 5)
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), done.state.params, states[1])))


def test_without_patience_the_last_state_is_kept_and_it_alone_is_measured():
    data, seen = training_data(), []

    def monitor(state):
        seen.append(jax.tree.map(np.array, state.params))
        return 7.0

    done = train(method("mf", layout="tiles"), data, "tiles", 6, stopping=Stopping(monitor, True, 0))
    assert done.best_epoch == len(done.epochs) == 6 and len(seen) == 1
    assert [line.get("validation") for line in done.epochs] == [None] * 5 + [7.0]
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), done.state.params, seen[0])))


def test_divergence_is_an_error_that_names_the_fix():
    learner = method("mf", optimizer="sgd", layout="tiles", schedule="constant")
    with pytest.raises(Diverged, match=r"training diverged: .*Lower train.lr"):
        train(learner, training_data(), "tiles", 40, hp=hyper(lr=1e6))


def test_duplicate_pairs_do_not_fit_a_tile():
    data = training_data()
    user, item = data.log.user, data.log.item
    twice = replace(data.log, user=user.at[1].set(user[0]), item=item.at[1].set(item[0]))
    data = replace(data, log=twice)
    with pytest.raises(ValueError, match="two rows for one item"):
        feed(data, "tiles", "rating", 64, 5)


def test_layout_rule():
    assert choose_layout("auto", True, True, 10, 10, 100) == "triples"
    assert choose_layout("auto", False, True, 10, 10, 100) == "tiles"
    assert choose_layout("auto", False, True, 10, 11, 100) == "pairs"
    assert choose_layout("auto", False, False, 10, 10, 100) == "pairs"
    assert choose_layout("pairs", False, True, 10, 10, 100) == "pairs"

"""Learners of uplift: their losses against the published ones as loops over a tiny log, and what their draws are."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from objective_world import view_of
from uplift_logs import dense, log_of, random_log

from upliftlens.causal.effects.treatment import treatment_propensity
from upliftlens.causal.interactions import Interactions, take
from upliftlens.causal.losses import bpr, logistic, squared
from upliftlens.causal.objectives import outcomes as objective_outcomes
from upliftlens.causal.objectives import uplift as objective_uplift
from upliftlens.causal.options import check_ranges
from upliftlens.causal.sample import Batch, Sample

USERS, ITEMS, CHI = 6, 8, 0.3
MODULES = ("prediction", "control", "treated", "control_other", "treated_other")
HP = {"chi": CHI, "alpha": 0.4, "effect": 0.7}


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def log() -> Interactions:
    return random_log(USERS, ITEMS, 9)[0]


def tables(seed: int = 0) -> dict[str, dict[str, jax.Array]]:
    rng = np.random.default_rng(seed)
    return {name: {"table": jnp.asarray(rng.normal(size=(USERS, ITEMS)))} for name in MODULES}


def columns(log: Interactions, negatives: np.ndarray | None = None) -> Batch:
    weight = np.full(len(log), 1 / len(log))
    p, z = log.propensity, log.treated.astype(float)
    return Batch(Sample(log.user, log.item, log.value.astype(float), weight, negatives, p, z))


def tile(log: Interactions) -> Batch:
    """The same as a tile; off the log everything but the weight is rubbish that nothing may read."""
    logged, treated, outcome = dense(log)
    p = np.full(logged.shape, 0.5)
    p[log.user, log.item] = log.propensity
    outcome, treated = np.where(logged > 0, outcome, 7.0), np.where(logged > 0, treated, 1.0)
    return Batch(Sample(np.arange(USERS), None, outcome, logged / len(log), None, p, treated))


def rows(log: Interactions) -> Iterator[tuple[int, int, bool, float, float]]:
    for u, i, z, y, e in zip(log.user, log.item, log.treated, log.value, treatment_propensity(log), strict=True):
        yield int(u), int(i), bool(z), float(y), float(e)


def softplus(x: float) -> float:
    return float(np.log1p(np.exp(x)))


@pytest.mark.parametrize("name", ["dlce", "blce", "dlto"])
def test_pairwise_learners_minimise_the_published_loss(name: str, log: Interactions) -> None:
    objective = getattr(objective_uplift, name)
    draw = objective.triples(log, HP)(np.random.default_rng(1), 60)
    negative = np.zeros(len(log), int)
    drawn = np.zeros(len(log), bool)
    negative[draw.row], drawn[draw.row] = draw.negative, True
    score = np.asarray(tables()["prediction"]["table"])
    expected, used = 0.0, 0
    for r, (u, i, z, y, e) in enumerate(rows(log)):
        usable = y > 0 and (name == "blce" or 0 < e < 1) and (name != "dlto" or z)
        assert usable == drawn[r]  # 60 draws hold every usable row, and no other
        if not usable:
            continue
        used, x = used + 1, score[u, i] - score[u, negative[r]]
        if name == "blce":
            w = 1.0 if z else -1.0
        else:
            w = 1 / max(e, CHI) if z else -1 / max(1 - e, CHI)
        expected += w * softplus(-x) if w > 0 else abs(w) * softplus(x)
    kept = np.flatnonzero(drawn)
    some = take(log, kept)

    def loss(modules):  # type: ignore[no-untyped-def]
        return objective.phases[0].loss(view_of(modules, bpr), columns(some, negative[kept]), HP)

    assert float(loss(tables())) == pytest.approx(expected / used, rel=1e-6)
    # softplus(x) rather than −softplus(−x): descending must push a pair that sells by itself down.
    assert np.isfinite(jax.grad(loss)(tables())["prediction"]["table"]).all()


def test_dlce_weighs_a_treated_purchase_up_and_an_untreated_one_down_in_expectation_by_the_effect() -> None:
    """E[w] = μ1 − μ0 = τ for χ = 0: why ranking by DLCE ranks by uplift. At x = 0 the slope in x is −w/2."""
    e, mu1, mu0 = 0.2, 0.7, 0.4
    flat = {"prediction": {"table": jnp.zeros((1, 2))}}
    expected = 0.0
    for z, chance in ((1, e * mu1), (0, (1 - e) * mu0)):
        item = log_of(np.array([[z, 0]]), np.array([[1, 0]]), np.array([[e, e]]), np.array([[1, 0]]))

        def loss(modules, one=item):  # type: ignore[no-untyped-def]
            batch = columns(one, np.array([1]))
            return objective_uplift.dlce.phases[0].loss(view_of(modules, bpr), batch, {"chi": 0.0})

        expected += chance * -2 * float(jax.grad(loss)(flat)["prediction"]["table"][0, 0])
    assert expected == pytest.approx(mu1 - mu0, rel=1e-6)


@pytest.mark.parametrize("make", [columns, tile])
@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_ulrmf_is_the_expectation_over_its_coin(alpha: float, make, log: Interactions) -> None:  # type: ignore[no-untyped-def]
    score = np.asarray(tables()["prediction"]["table"])
    expected = 0.0
    for u, i, z, y, _ in rows(log):
        positive, negative = softplus(-score[u, i]), softplus(score[u, i])
        if z:
            expected += positive if y else negative
        else:
            expected += negative if y else alpha * positive + (1 - alpha) * negative
    got = objective_uplift.ulrmf.phases[0].loss(view_of(tables()), make(log), {"alpha": alpha})
    assert float(got) == pytest.approx(expected / len(log), rel=1e-6)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def half_of(user: int, item: int) -> int:
    mixed = (user * 0x9E3779B1 + item) % 2**32
    for factor in (0x85EBCA6B, 0xC2B2AE35):
        mixed = (mixed ^ mixed >> 16) * factor % 2**32
    return mixed >> 31


@pytest.mark.parametrize("make", [columns, tile])
@pytest.mark.parametrize("loss", [logistic, squared], ids=lambda item: item.name)
def test_outcome_learners_minimise_the_published_losses(make, loss, log: Interactions) -> None:  # type: ignore[no-untyped-def]
    score = {name: np.asarray(table["table"]) for name, table in tables().items()}
    mean = sigmoid if loss is logistic else (lambda x: x)
    arms = {"t": 0.0, "s": 0.0, "dr": 0.0}
    effect = 0.0
    for u, i, z, y, e in rows(log):
        t, c, other_t, other_c = (
            score[name][u, i] for name in ("treated", "control", "treated_other", "control_other")
        )
        if half_of(u, i):  # the other models learn from this row, and these correct it
            t, c, other_t, other_c = other_t, other_c, t, c
        p, s_t = score["prediction"][u, i], score["control"][u, i]
        for name, mine in (("t", p if z else s_t), ("s", s_t + p if z else s_t), ("dr", t if z else c)):
            arms[name] += (softplus(mine) - y * mine) if loss is logistic else (y - mine) ** 2
        if 0 < e < 1:
            m1, m0 = mean(other_t), mean(other_c)
            phi = m1 - m0 + ((y - m1) / max(e, CHI) if z else -(y - m0) / max(1 - e, CHI))
            effect += (p - phi) ** 2
    view, batch = view_of(tables(), loss), make(log)
    learners = (objective_outcomes.t_learner, objective_outcomes.s_learner, objective_outcomes.dr_learner)
    for (name, expected), learner in zip(arms.items(), learners, strict=True):
        assert float(learner.phases[0].loss(view, batch, HP)) == pytest.approx(expected / len(log), rel=1e-6), name
    got = learners[2].phases[1].loss(view, batch, HP)
    assert float(got) == pytest.approx(HP["effect"] * effect / len(log), rel=1e-6)
    everyone = Sample(np.arange(USERS), None, *np.ones((2, USERS, ITEMS)))
    t, s = (learner.rank(view, everyone, HP) for learner in learners[:2])  # type: ignore[misc]
    np.testing.assert_allclose(t, mean(score["prediction"]) - mean(score["control"]), atol=1e-12)
    np.testing.assert_allclose(s, mean(score["control"] + score["prediction"]) - mean(score["control"]), atol=1e-12)


def test_the_pseudo_outcome_is_a_constant_to_the_gradient_and_unbiased_if_either_side_is_right() -> None:
    """E[φ] = τ with right propensities and wrong outcome models, and the other way round: every (Z, Y) enumerated."""
    e, mu1, mu0 = 0.3, 0.7, 0.2
    for recorded, m1, m0 in ((e, 0.9, 0.6), (0.8, mu1, mu0)):
        modules = {name: {"table": jnp.full((1, 1), m1 if "treated" in name else m0)} for name in MODULES[1:]}
        expected = 0.0
        for z in (0, 1):
            for y in (0, 1):
                mu = mu1 if z else mu0
                chance = (e if z else 1 - e) * (mu if y else 1 - mu)
                item = log_of(np.array([[z]]), np.array([[y]]), np.array([[recorded]]))
                view, sample = view_of(modules, squared), columns(item).observed
                expected += chance * float(objective_outcomes.pseudo_outcome(view, sample, jnp.zeros(()))[0])
        assert expected == pytest.approx(mu1 - mu0, abs=1e-6)
    phase = objective_outcomes.dr_learner.phases[1]
    log = random_log(USERS, ITEMS, 9)[0]
    slopes = jax.grad(lambda modules: phase.loss(view_of(modules), columns(log), HP))(tables())
    assert np.abs(slopes["prediction"]["table"]).max() > 0
    assert all(np.abs(slopes[name]["table"]).max() == 0 for name in MODULES[1:])


def test_no_row_teaches_the_models_that_correct_it() -> None:
    """Cross-fitting: a model's gradient comes from its own half, and φ there moves with the other models only."""
    log = random_log(40, 50, 2)[0]
    mine = np.array([half_of(int(u), int(i)) for u, i in zip(log.user, log.item)])
    assert abs(mine.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(log))
    for side in (log.user, log.item):  # both halves know everyone
        share = np.bincount(side, mine) / np.bincount(side)
        assert share.min() > 0.1 and share.max() < 0.9
    rng = np.random.default_rng(0)
    modules = {name: {"table": jnp.asarray(rng.normal(size=(40, 50)))} for name in MODULES}
    batch, dr_learner = columns(log), objective_outcomes.dr_learner
    slopes = jax.grad(lambda item: dr_learner.phases[0].loss(view_of(item), batch, HP))(modules)
    before = np.asarray(objective_outcomes.pseudo_outcome(view_of(modules), batch.observed, jnp.asarray(CHI)))
    for end, taught in (("", mine == 0), ("_other", mine == 1)):
        touched = sum(
            np.abs(np.asarray(slopes[f"{arm}{end}"]["table"]))[log.user, log.item] for arm in ("treated", "control")
        )
        assert (touched[taught] > 0).all() and (touched[~taught] == 0).all()
        changed = {
            **modules,
            **{f"{arm}{end}": {"table": modules[f"{arm}{end}"]["table"] + 1} for arm in ("treated", "control")},
        }
        after = objective_outcomes.pseudo_outcome(view_of(changed), batch.observed, jnp.asarray(CHI))
        moved = np.abs(np.asarray(after) - before) > 1e-9
        assert not moved[taught].any() and moved[~taught].mean() > 0.9


def test_dlce_draws_every_row_alike_against_an_item_uniform_over_all(log: Interactions) -> None:
    draw, rng = objective_uplift.dlce.triples(log, HP), np.random.default_rng(0)  # type: ignore[misc]
    usable = np.flatnonzero((log.value > 0) & (log.propensity > 0) & (log.propensity < 1))
    counts, items = np.zeros(len(log)), np.zeros(ITEMS)
    for _ in range(300):
        triples = draw(rng, 2 * len(usable) + 3)
        item = np.bincount(triples.row, minlength=len(log))
        assert len(triples.row) == len(triples.negative) == 2 * len(usable) + 3
        assert set(item[usable]) <= {2, 3} and item.sum() == item[usable].sum()
        counts += item
        items += np.bincount(triples.negative, minlength=ITEMS)
    for drawn in (counts[usable], items):
        assert np.abs(drawn / drawn.sum() * len(drawn) - 1).max() < 0.1


def test_ulbpr_draws_pairs_in_proportion_to_their_classes() -> None:
    # One user and one item per class: Z=1,Y=1 | Z=0,Y=0 | Z=1,Y=0 | Z=0,Y=1; a second user has positives only.
    treated, outcome = np.array([[1, 1, 1, 1], [1, 0, 1, 0]]), np.array([[1, 1, 1, 1], [1, 0, 0, 1]])
    log = log_of(treated, outcome, np.full((2, 4), 0.5))
    alpha, n = 0.25, 40_000
    shuffled = np.random.default_rng(3).permutation(len(log))
    log = take(log, shuffled)
    triples = objective_uplift.ulbpr.triples(log, {"alpha": alpha})(np.random.default_rng(0), n)  # type: ignore[misc]
    assert (log.user[triples.row] == 1).all() and len(triples.row) == n
    counts = np.zeros((4, 4))
    np.add.at(counts, (log.item[triples.row], triples.negative), 1)
    positive, negative = np.array([1, alpha, 0, 0]), np.array([0, 1 - alpha, 1, 1])
    expected = n * np.outer(positive, negative) / positive.sum() / negative.sum()
    assert np.abs(counts - expected).max() < 5 * np.sqrt(n * 0.1)
    assert counts[expected == 0].sum() == 0
    batch = columns(log_of(np.eye(2), np.ones((2, 2)), np.full((2, 2), 0.5)), np.array([1, 2, 3, 0]))
    score = np.asarray(tables()["prediction"]["table"])
    rows, other = batch.observed, np.array([1, 2, 3, 0])
    loss = np.mean([softplus(score[u, j] - score[u, i]) for u, i, j in zip(rows.users, rows.items, other)])
    got = objective_uplift.ulbpr.phases[0].loss(view_of(tables(), bpr), batch, {})
    assert float(got) == pytest.approx(loss, rel=1e-6)


def test_learners_without_anything_to_learn_from_say_so() -> None:
    nothing = log_of(np.array([[1, 0]]), np.array([[0, 0]]), np.array([[0.5, 0.5]]))
    untreated = log_of(np.array([[1, 0]]), np.array([[0, 1]]), np.array([[0.5, 0.5]]))
    always = log_of(np.array([[1, 0]]), np.array([[1, 1]]), np.array([[1.0, 0.0]]))
    none = {"alpha": 0.0, "chi": CHI}
    for name, log, message in (
        ("dlce", nothing, "no row with an outcome above 0"),
        ("blce", nothing, "no row with an outcome above 0"),
        ("dlto", untreated, "no row with an outcome above 0"),
        ("dlce", always, "no overlap: all 2 rows"),
        ("ulbpr", nothing, "no user of the log has a row that can count as a positive"),
    ):
        with pytest.raises(ValueError, match=message):
            getattr(objective_uplift, name).triples(log, none)
    for options, name in ((objective_uplift.CappedOptions, "chi"), (objective_uplift.CoinOptions, "alpha")):
        with pytest.raises(ValueError, match=f"{name} must"):
            check_ranges(options, {name: 1.5})

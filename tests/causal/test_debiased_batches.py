"""Batches for objectives that divide by propensities or sum over all pairs: exact in tiles, unbiased where drawn."""

from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from worlds import ITEMS, USERS, rows, training_data

from upliftlens.benchmarks.training.feed import Wants, feed
from upliftlens.causal.losses import squared
from upliftlens.causal.objectives import dr as objective_dr
from upliftlens.causal.objectives import implicit as objective_implicit
from upliftlens.causal.objectives import ips as objective_ips
from upliftlens.causal.objectives.objective import View, naive
from upliftlens.causal.propensities.propensity import given
from upliftlens.causal.propensities.trimming import trimmed
from upliftlens.causal.sample import Batch, Sample

DATA = training_data()
USER, ITEM, VALUE = rows(DATA)
TRUE = np.random.default_rng(5).uniform(0.1, 0.9, (USERS, ITEMS)).astype(np.float32)
PROPENSITY = np.where(
    np.asarray(DATA.log.weight) > 0, TRUE[np.asarray(DATA.log.user), np.asarray(DATA.log.item)], np.nan
)
WANTS = Wants(PROPENSITY, True, 1.0)
LINEAR = [naive, objective_ips.ips, objective_dr.eib, objective_dr.dr, objective_dr.dr_jl, objective_dr.mrdr]
TABLES = {
    name: jnp.asarray(np.random.default_rng(seed).normal(3, 1, (USERS, ITEMS)), jnp.float32)
    for seed, name in enumerate(("prediction", "imputation"))
}


def view(tables):
    def score(name, sample):
        return tables[name][sample.users] if sample.items is None else tables[name][sample.users, sample.items]

    return View(score, squared.error, lambda name: None, squared.predict)


def gradient(objective, batch):
    def total(tables):
        return sum(phase.loss(view(tables), batch, {"anchor": 0.5}) for phase in objective.phases)

    return jax.grad(total)(TABLES)


def full():
    """The whole problem, written without the feed."""
    n = len(USER)
    observed = Sample(USER, ITEM, VALUE, np.full(n, 1 / n), propensity=TRUE[USER, ITEM])
    users, items = np.divmod(np.arange(USERS * ITEMS), ITEMS)
    everything = Sample(users, items, np.zeros(len(users)), np.full(len(users), 1 / len(users)))
    return Batch(observed, everything, jnp.float32(n / (USERS * ITEMS)))


def batches(layout, wants=WANTS, size=50, tile=6, seed=2, link="rating"):
    source = feed(DATA, layout, link, size, tile, wants)
    order = source.order(np.random.default_rng(seed))
    steps = jax.tree.leaves(order)[0].shape[0]
    assert steps == source.n_steps
    return [source.cut(source.arrays, jax.tree.map(lambda a, s=s: jnp.asarray(a[s]), order)) for s in range(steps)]


@pytest.mark.parametrize("objective", LINEAR, ids=lambda item: item.name)
def test_tiles_add_up_to_the_full_gradient(objective):
    """Every epoch of tiles visits all of D once: the mean over its steps is exact, not only in expectation."""
    expected = gradient(objective, full())
    parts = [gradient(objective, batch) for batch in batches("tiles")]
    for name, value in expected.items():
        mean = np.mean([part[name] for part in parts], axis=0)
        np.testing.assert_allclose(mean, value, atol=2e-6)
        if name == "prediction":
            assert np.abs(value).max() > 1e-3


KEPT = trimmed(given(TRUE, "true"), DATA.log, 0.4)


@pytest.mark.parametrize("objective", LINEAR[1:], ids=lambda item: item.name)
def test_trimmed_tiles_add_up_to_the_full_gradient_of_the_kept_pairs(objective):
    whole = full()
    o, d = whole.observed, whole.everything
    rows, pairs = KEPT.of(o.users, o.items), KEPT.of(d.users, d.items)
    assert 0 < rows.sum() < len(rows) and pairs.sum() == KEPT.n_pairs
    observed = Sample(*(column[rows] for column in (o.users, o.items, o.target, o.weight)), None, o.propensity[rows])
    observed = observed._replace(weight=observed.weight / observed.weight.sum())
    everything = Sample(d.users[pairs], d.items[pairs], d.target[pairs], np.full(KEPT.n_pairs, 1 / KEPT.n_pairs))
    expected = gradient(objective, Batch(observed, everything, jnp.float32(rows.sum() / KEPT.n_pairs)))
    parts = [gradient(objective, batch) for batch in batches("tiles", WANTS._replace(kept=KEPT))]
    for name, value in expected.items():
        np.testing.assert_allclose(np.mean([part[name] for part in parts], axis=0), value, atol=2e-6)
    assert np.abs(expected["prediction"] - gradient(objective, whole)["prediction"]).max() > 1e-3


def test_only_pairs_that_were_just_drawn_are_asked_for():
    asked = []

    class Asked(NamedTuple):
        n_pairs: int

        def of(self, users, items):
            asked.append(len(users))
            return KEPT.of(users, items)

    def order(kept):
        return feed(DATA, "pairs", "rating", 50, 6, WANTS._replace(kept=kept)).order(np.random.default_rng(2))

    drawn = order(Asked(KEPT.n_pairs))
    n_rows, first, *again = asked
    assert (n_rows, first) == (len(DATA.log), drawn[1].size) and first > again[0] > 0
    assert all(before >= after for before, after in pairwise(again))
    assert KEPT.of(drawn[1].ravel(), drawn[2].ravel()).all()
    for mine, other in zip(drawn, order(KEPT), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_trimmed_pairs_draw_from_the_kept_pairs_alike():
    total, wants = np.zeros((USERS, ITEMS)), WANTS._replace(kept=KEPT)
    for seed in range(200):
        for batch in batches("pairs", wants, seed=seed):
            o, d = batch.observed, batch.everything
            counted = np.asarray(o.weight) > 0
            assert KEPT.of(np.asarray(o.users)[counted], np.asarray(o.items)[counted]).all()
            np.add.at(total, (np.asarray(d.users), np.asarray(d.items)), 1)
    assert float(batch.density) == pytest.approx(KEPT.of(USER, ITEM).sum() / KEPT.n_pairs)
    inside = KEPT.everywhere(np.arange(USERS))
    assert (total[~inside] == 0).all()
    mean = total.sum() / KEPT.n_pairs
    assert np.abs(total[inside] - mean).max() < 5 * np.sqrt(mean)
    sums = [float(batch.observed.weight.sum()) for batch in batches("pairs", wants)]
    assert np.mean(sums) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("share", [1.0, 0.4])
def test_pairs_drawn_from_everything_are_unbiased(share):
    """The mean gradient over many draws is within 5 standard errors of the full one in each parameter."""
    objective = objective_dr.dr_jl
    expected = np.asarray(gradient(objective, full())["prediction"])
    source = feed(DATA, "pairs", "rating", 50, 6, Wants(PROPENSITY, True, share))

    @jax.jit
    def epoch(order):
        return jax.vmap(lambda index: gradient(objective, source.cut(source.arrays, index))["prediction"])(order).mean(
            0
        )

    rng = np.random.default_rng(0)
    draws = np.stack([epoch(source.order(rng)) for _ in range(400)])
    error = draws.std(0) / np.sqrt(len(draws))
    assert (np.abs(draws.mean(0) - expected) < 5 * error + 1e-6).all()
    assert np.abs(expected).max() > 20 * error.max() / 5, "the test could not tell a wrong scale"
    item = source.order(rng)
    assert item[1].shape == (source.n_steps, round(share * item[0].shape[1]))


@pytest.mark.parametrize("layout", ["tiles", "pairs"])
def test_propensities_stand_beside_their_rows(layout):
    for batch in batches(layout):
        sample = batch.observed
        users = np.asarray(sample.users)[:, None] if layout == "tiles" else np.asarray(sample.users)
        items = np.arange(ITEMS)[None] if layout == "tiles" else np.asarray(sample.items)
        counted = np.asarray(sample.weight) > 0
        p = np.broadcast_to(TRUE[users, items], counted.shape)
        np.testing.assert_array_equal(np.asarray(sample.propensity)[counted], p[counted])


def test_the_density_counts_real_rows_only():
    for layout in ("tiles", "pairs"):
        assert float(batches(layout)[0].density) == pytest.approx(len(USER) / (USERS * ITEMS))


def test_triples_carry_the_propensity_of_the_positive():
    for batch in batches("triples", Wants(PROPENSITY), link="rank"):
        sample = batch.observed
        np.testing.assert_array_equal(sample.propensity, TRUE[np.asarray(sample.users), np.asarray(sample.items)])
        assert np.isfinite(objective_implicit.ubpr.phases[0].loss(_pairwise(), batch, {}))


def _pairwise():
    return View(
        lambda name, s: TABLES[name][s.users, s.items] - TABLES[name][s.users, s.negatives],
        squared.error,
        lambda name: None,
        squared.predict,
    )


@pytest.mark.parametrize("layout", ["tiles", "pairs"])
def test_an_objective_that_wants_nothing_costs_nothing(layout):
    """No array, no draw and no operation more than before: the naive path's batches hold the observed rows alone."""
    plain = batches(layout, Wants())
    assert all(len(jax.tree.leaves(batch)) == (3 if layout == "tiles" else 4) for batch in plain)
    for with_all, without in zip(batches(layout), plain, strict=True):
        np.testing.assert_array_equal(with_all.observed.users, without.observed.users)
        np.testing.assert_array_equal(with_all.observed.weight, without.observed.weight)


@pytest.mark.parametrize("layout", ["tiles", "pairs"])
def test_the_weights_of_everything_sum_to_one_and_treat_all_pairs_alike(layout):
    total = np.zeros((USERS, ITEMS))
    epochs = 300 if layout == "pairs" else 1
    for seed in range(epochs):
        for batch in batches(layout, size=200, seed=seed):
            sample = batch.everything
            if layout == "pairs":
                assert float(sample.weight.sum()) == pytest.approx(1, abs=1e-5)
                np.add.at(total, (np.asarray(sample.users), np.asarray(sample.items)), np.asarray(sample.weight))
            else:
                np.add.at(total, np.asarray(sample.users), np.asarray(sample.weight))
    share = total / total.sum()
    if layout == "tiles":
        np.testing.assert_allclose(share, 1 / total.size, rtol=1e-5)
        assert total.sum() == pytest.approx(len(batches(layout, size=200)), rel=1e-5)
    else:
        n = epochs * 2 * 128  # draws: two steps of 128 rows each
        z = (share - 1 / total.size) / np.sqrt((1 / total.size) * (1 - 1 / total.size) / n)
        assert np.abs(z).max() < 5 and z.std() == pytest.approx(1, abs=0.15)

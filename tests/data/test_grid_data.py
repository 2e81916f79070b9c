"""The grid world as a data set: its log, its truth, and what a method learns of it."""

from dataclasses import replace

import numpy as np
import pytest

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.data import configure, load
from upliftlens.benchmarks.runs.store import list_records, open_store
from upliftlens.causal.errors import UpliftlensError

SMALL = ("data.n_users=60", "data.n_items=50", "data.test_per_user=6", "data.density=0.08")


def made(tmp_path, *changes):
    config = configure("grid", [*SMALL, *changes])
    return config, load(config, tmp_path)


def test_the_log_is_drawn_with_the_stated_propensities(tmp_path):
    """Over masks of one world each pair is in the log as often as its propensity says."""
    from upliftlens.benchmarks.worlds.drawn import log_and_test

    _, world = made(tmp_path)
    p, ratings = world.world.propensity, world.world.ratings
    assert p.mean() == pytest.approx(0.08 * (1 - 6 / 50), rel=1e-4)
    exposure, count, draws = p / (1 - 6 / 50), np.zeros(p.shape), 300
    for draw in range(draws):
        log, test = log_and_test(ratings, exposure, 6, draw)
        count[log.user, log.item] += 1
        assert (np.bincount(test.user) == 6).all()
        assert not {*zip(log.user, log.item, strict=True)} & {*zip(test.user, test.item, strict=True)}
    z = (count - draws * p) / np.sqrt(draws * p * (1 - p))
    assert abs(z.mean()) < 0.1 and z.std() == pytest.approx(1, abs=0.06)
    np.testing.assert_array_equal(world.log.value, ratings[world.log.user, world.log.item])
    assert world.test_kind == "mar" and world.propensity is None and not world.world.knows_effects


def test_levels_have_their_shares_and_set_the_exposure(tmp_path):
    _, world = made(tmp_path, "data.levels=[0,2,5]", "data.shares=[0.5,0.3,0.2]", "data.exposure=[1,1,3]",
                     "data.prediction=[[1,0,0],[0,1,0],[0,0,1]]", "data.scale=[0,5]")  # fmt: skip
    p, ratings = world.world.propensity, world.world.ratings
    np.testing.assert_allclose([(ratings == level).mean() for level in (0, 2, 5)], [0.5, 0.3, 0.2], atol=1e-3)
    assert p[ratings == 5].min() == pytest.approx(3 * p[ratings == 0].max(), rel=1e-5)


def test_structure_says_how_much_users_and_items_explain(tmp_path):
    """The share of the ratings' variance in the leading ``dim`` singular values, of the centred matrix."""

    def share(structure):
        ratings = made(tmp_path, f"data.structure={structure}", "data.dim=2")[1].world.ratings
        values = np.linalg.svd(ratings - ratings.mean(), compute_uv=False) ** 2
        return values[:2].sum() / values.sum()

    assert share(0) < 0.2 < 0.5 < share(1)


def test_shipped_propensities_are_wrong_by_the_knob(tmp_path):
    def shipped(amount):
        world = made(tmp_path, f"data.misspecification={amount}")[1]
        return world.propensity, world.world.propensity

    for amount, holds in ((0, lambda p, true: np.allclose(p, true)), (1, lambda p, true: np.ptp(p) < 1e-8)):
        assert holds(*shipped(amount))
    reversed_, true = shipped(2)
    assert np.corrcoef(reversed_.ravel(), true.ravel())[0, 1] < 0


def test_the_same_draw_is_the_same_data_set(tmp_path):
    config, first = made(tmp_path)
    assert first.fingerprint == load(config, tmp_path).fingerprint
    assert first.fingerprint != load(replace(config, draw=1), tmp_path).fingerprint


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("data.density=0.9", "can't be reached"),
        ("data.shares=[0.5,0.5]", "shares must name a share for each level"),
        ("data.levels=[1,2,3,4,9]", r"data\.levels must be .* in data\.scale"),
        ("data.levels=[1,1,2,3,4]", r"data\.levels must be two or more different"),
        ("data.n_items=1", r"leave an item: raise data\.n_items"),
        ("data.test_per_user=50", r"data\.test_per_user must lie in 1 … 49"),
        ("data.structure=2", r"data\.structure must lie in \[0, 1\], got 2"),
        ("data.misspecification=3", r"data\.misspecification must lie in \[0, 2\], got 3"),
    ],
)
def test_a_world_that_cannot_be_is_refused(tmp_path, change, sentence):
    with pytest.raises(UpliftlensError, match=sentence):
        made(tmp_path, change)


def test_objectives_run_on_it_with_its_true_propensities(tmp_path):
    words = ["data=grid", *SMALL, "split=given", "model=mf", "model.dim=2", "train.epochs=5", f"store={tmp_path}"]
    assert main(["sweep", *words, "propensity=oracle", "objective=ips,dr_jl", f"cache={tmp_path}/cache"]) == 0
    assert [record.status for record in list_records(open_store(tmp_path)).records] == ["done"] * 2


def test_tastes_do_not_share_random_numbers_with_the_test_set_and_the_log(tmp_path, monkeypatch):
    seeds, drawn = [], np.random.default_rng

    def noted(seed):
        seeds.append(tuple(seed))
        return drawn(seed)

    monkeypatch.setattr(np.random, "default_rng", noted)
    made(tmp_path, "data.draw=77")
    assert len(seeds) == 3 == len({*seeds}) and {draw for draw, _ in seeds} == {77}

"""Schnabel's semi-synthetic world as a data set, on a small base."""

from dataclasses import replace

import numpy as np
import pytest

from upliftlens.benchmarks.data.registry import configure, load
from upliftlens.benchmarks.worlds import schnabel
from upliftlens.benchmarks.worlds.config import CompletionConfig
from upliftlens.causal.errors import UpliftlensError

SHARES = (0.5263, 0.2419, 0.1440, 0.0623, 0.0255)
CONFIG = replace(
    configure("schnabel-ml-100k"), name="small", base="synthetic", marginal=SHARES, alpha=0.25, density=0.08,
    test_per_user=6, completion=CompletionConfig(2, 0.05, 5.0, 0.3, 0.03, 5, 0),
)  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    config = configure("synthetic", ["data.n_users=60", "data.n_items=50", "data.ratings_per_user=15"])
    return load(config, tmp_path_factory.mktemp("cache"))


def test_the_log_is_drawn_with_the_stated_propensities(base):
    """Over draws each pair is in the log as often as its propensity says, and never while it is tested."""
    p = schnabel.propensity_of(CONFIG, base)
    count, draws = np.zeros(p.shape), 300
    for draw in range(draws):
        world = schnabel.generate(replace(CONFIG, draw=draw), base)
        count[world.log.user, world.log.item] += 1
        tested = np.zeros(p.shape, bool)
        tested[world.test.user, world.test.item] = True
        assert not tested[world.log.user, world.log.item].any()
        assert (tested.sum(1) == 6).all()
    z = (count - draws * p) / np.sqrt(draws * p * (1 - p))
    assert abs(z.mean()) < 0.1 and z.std() == pytest.approx(1, abs=0.06)
    assert p.mean() == pytest.approx(0.08 * (1 - 6 / 50), rel=1e-4)


def test_ratings_have_the_marginal_and_exposure_follows_them(base):
    many = [schnabel.generate(replace(CONFIG, draw=draw), base) for draw in range(40)]
    test = np.concatenate([item.test.value for item in many])
    log = np.concatenate([item.log.value for item in many])
    p = CONFIG.alpha ** np.maximum(0, 4 - np.arange(1, 6))
    seen = SHARES * p / (SHARES * p).sum()
    for values, shares in ((test, SHARES), (log, seen)):
        result = np.bincount(values.astype(int), minlength=6)[1:] / len(values)
        np.testing.assert_allclose(result, shares, atol=0.03)


def test_the_same_draw_is_the_same_data_set(base):
    first, again, other = (schnabel.generate(replace(CONFIG, draw=draw), base) for draw in (3, 3, 4))
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert first.test_kind == "mar" and first.propensity is None, "the truth is not part of what a method may see"


@pytest.mark.parametrize(
    ("change", "fragment"),
    [({"density": 0.5}, "can't be reached"), ({"test_per_user": 50}, "test_per_user"), ({"alpha": 0.0}, "alpha")],
)
def test_a_world_that_cannot_be_is_refused(base, change, fragment):
    with pytest.raises(UpliftlensError, match=fragment):
        schnabel.generate(replace(CONFIG, **change), base)

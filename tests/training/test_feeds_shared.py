"""Feeds are built once for all runs that differ in seeds and floats, and sharing them changes no bit."""

from collections import Counter

import numpy as np
import pytest
from shell import call, records

from upliftlens.benchmarks.runs import feeding
from upliftlens.benchmarks.training.feed import FEEDS

SWEEP = ("model=mlp", "model.dim=2", "model.layers=[4]", "seed=0,1,2", "train.lr=0.01,0.02", "train.epochs=2")


@pytest.fixture
def built(monkeypatch):
    """How often a feed of each layout was built, and how often the rows of a split."""
    counts = Counter()

    def count(name, function):
        def counting(*arguments):
            counts[name] += 1
            return function(*arguments)

        return counting

    for name, build in FEEDS.items():
        monkeypatch.setitem(FEEDS, name, count(name, build))
    monkeypatch.setattr(feeding, "training_data", count("rows", feeding.training_data))
    once = feeding._once
    once.cache_clear()
    yield counts
    once.cache_clear()


def states(store):
    """Of each run: its metrics and the arrays of its state."""
    result = {}
    for record in records(store):
        with np.load(store / "fits" / record["fit_key"] / "state.npz") as state:
            result[record["key"]] = record["metrics"], {name: state[name].tobytes() for name in state.files}
    return result


def test_a_sweep_over_seeds_and_floats_builds_each_feed_once(built, tmp_path, monkeypatch):
    assert call("sweep", tmp_path / "shared", *SWEEP) == 0
    assert built == {"pairs": 2, "rows": 2}, "of the fit and of the refit"
    built.clear()
    monkeypatch.setattr(feeding, "_once", lambda asked: asked.build())
    assert call("sweep", tmp_path / "anew", *SWEEP) == 0
    assert built["pairs"] == 2 * 6 and len(states(tmp_path / "anew")) == 6
    assert states(tmp_path / "shared") == states(tmp_path / "anew")


WEIGHED = ("model=mf", "objective=ips", "propensity=popularity", "train.layout=pairs", "train.epochs=1", "model.dim=2")


@pytest.mark.parametrize(
    ("words", "feeds"),
    [
        (("train.batch_size=64",), 2), (("propensity.power=0.7",), 2), (("split.seed=4",), 2), (("loss=logistic",), 2),
        (("train.layout=tiles",), 2), (("objective=dr_jl", "train.everything_share=0.5"), 2),
        (("train.l2=2.5", "seed=3", "train.epochs=2"), 0), (("train.refit=false", "model.dim=3"), 0),
    ],
)  # fmt: skip
def test_what_changes_batches_builds_a_feed_anew(words, feeds, built, tmp_path):
    assert call("run", tmp_path, *WEIGHED) == 0
    built.clear()
    assert call("run", tmp_path, *WEIGHED, *words) == 0
    assert built["pairs"] + built["tiles"] == feeds


def test_every_share_of_everything_is_a_feed_of_its_own(built, tmp_path):
    for share, feeds in ((0.5, 2), (0.25, 4), (0.5, 4)):
        words = ("objective=dr_jl", f"train.everything_share={share}", f"seed={feeds}")
        assert call("run", tmp_path, *WEIGHED, *words) == 0
        assert built["pairs"] == feeds


def test_draws_of_an_objective_follow_its_options(built, tmp_path):
    world = ("data=uplift-synthetic", "data.n_users=40", "data.n_items=30", "data.per_user=6", "split=draws")
    few = ("metrics=uplift", "metrics.interval.resamples=50", "train.epochs=1", "model=mf", "model.dim=2")
    places = (f"store={tmp_path}", f"cache={tmp_path}/cache", "progress=false", "objective=ulbpr")
    from upliftlens.benchmarks.cli.main import main

    for alpha, feeds in ((0.2, 1), (0.4, 2), (0.2, 2)):  # the parts of such a log are never put together
        words = (f"objective.alpha={alpha}", f"seed={feeds}", "model.init=0.2")
        assert main(["run", *world, *few, *places, *words]) == 0
        assert built["triples"] == feeds

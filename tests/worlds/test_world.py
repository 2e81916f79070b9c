"""The one door to a world's truth: what it gives, when it computes it, and that it is locked while something learns."""

from dataclasses import replace

import numpy as np
import pytest
from shell import TINY

from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.data import TruthRead, World, configure, load
from upliftlens.benchmarks.data.world import hidden
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.benchmarks.runs.prepare import prepare
from upliftlens.benchmarks.runs.run import RunFailed, run
from upliftlens.benchmarks.system.talk import quiet
from upliftlens.causal.worlds.potential import potential_world
from upliftlens.models.contract import Solver

PARTS = {
    "propensity": lambda world: world.propensity,
    "ratings": lambda world: world.ratings,
    "potential": lambda world: world.potential,
    "tau": lambda world: world.tau,
    "realised": lambda world: world.realised(),
}
HALF = np.full((3, 2), 0.5, np.float32)
EFFECTS = potential_world(HALF, HALF / 2, HALF)
FULL = World(lambda: HALF, lambda: 4 * HALF.astype(np.float64), EFFECTS, test_seed=1)
SMALL = ("data.n_users=30", "data.n_items=20", "data.test_per_user=2")


def test_every_way_in_is_listed_here():
    ways = {name for name, way in vars(World).items() if isinstance(way, property) or not name.startswith("_")}
    assert ways == {*PARTS, "knows_effects"}


@pytest.mark.parametrize("part", PARTS)
def test_reading_any_part_of_a_world_while_it_is_hidden_raises(part):
    for world in (FULL, World()):  # that nothing is known is told to nobody either
        with hidden(), pytest.raises(TruthRead, match="only evaluation may"):
            PARTS[part](world)
    assert PARTS[part](FULL) is not None and PARTS[part](World()) is None
    with hidden():
        assert FULL.knows_effects and not World().knows_effects and FULL.fingerprint


def test_what_is_computed_is_computed_when_it_is_read():
    calls = []
    world = World(propensity=lambda: calls.append("p") or HALF, ratings=lambda: calls.append("r") or HALF)
    assert not calls
    assert world.propensity is HALF and world.propensity is HALF and world.ratings is HALF
    assert calls == ["p", "p", "r"]


@pytest.mark.parametrize(
    ("name", "more", "known"),
    [("synthetic", ["data.ratings_per_user=8"], {"propensity"}), ("grid", [], {"propensity", "ratings"})],
)
def test_a_generated_world_is_behind_the_door_and_not_in_the_fingerprint(name, more, known, tmp_path):
    dataset = load(configure(name, [*SMALL, *more]), tmp_path)
    assert {part for part, read in PARTS.items() if read(dataset.world) is not None} == known
    assert dataset.world.propensity.shape == (30, 20) and dataset.world.propensity.dtype == np.float32
    assert dataset.world.fingerprint is None


@pytest.mark.parametrize("part", ["propensity", "ratings"])
def test_a_learner_that_opens_the_door_is_stopped(part, tmp_path):
    words = [*TINY, "model=random", "propensity=oracle", f"store={tmp_path}", f"cache={tmp_path}"]
    honest = plan(configured([*words, "split=given"]))
    world = prepare(honest, quiet).dataset.world

    def peeking(options):
        method = honest.learning.model.value.method(options)
        return method._replace(init=lambda *given: (PARTS[part](world), method.init(*given))[1])

    thief = honest.learning.model._replace(value=Solver("thief", honest.learning.model.value.options, peeking))
    with pytest.raises(RunFailed, match="read the truth of a world"):
        run(replace(honest, learning=honest.learning._replace(model=thief)), quiet)
    assert run(honest, quiet)[0].status == "done", "the oracle's propensity is read before the door is locked"

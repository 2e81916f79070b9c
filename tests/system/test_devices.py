"""Ranks, predictions, values and intervals are the same on one device, on two, and with a state that two share."""

import os
import subprocess
import sys

import pytest

_WORLD = """
import jax, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from upliftlens.benchmarks.evaluation.evaluate import evaluate
from upliftlens.benchmarks.evaluation.exam import HeldOut, PairWeights
from upliftlens.benchmarks.metrics.registry import MetricsConfig
from upliftlens.benchmarks.evaluation.ranking import rank, targets
from upliftlens.benchmarks.evaluation.scoring import moments
from upliftlens.causal.interactions import interactions
from upliftlens.causal.intervals import Interval
from upliftlens.models.contract import Method, TrainingData
n_users, n_items, sharded = 64, 40, {sharded}
assert len(jax.devices()) == {devices}
rng = np.random.default_rng(0)
users, items = (rng.integers(-3, 4, (n, 8)).astype(np.float32) for n in (n_users, n_items))
state = (users, items)
if sharded:
    rows = NamedSharding(Mesh(jax.devices(), ("rows",)), PartitionSpec("rows"))
    state = jax.device_put(state, (rows, rows))
    assert len(state[0].sharding.device_set) == 2
def some():
    users, items = np.nonzero(rng.random((n_users, n_items)) < 0.2)
    return interactions(users, items, rng.integers(1, 6, len(users)), n_users, n_items)
test, seen = some(), some()
data = TrainingData(seen, seen.value, np.zeros((n_users, 0), np.float32), np.zeros((n_items, 0), np.float32))
def score(s, d, at):
    return s[0][at.user] @ s[1].T
"""

RANK = """
wanted = targets(test, np.ones(len(test), bool), seen)
known = moments(Method(None, None, score, None, "full", "rank"), data, wanted.users, None, None)
ranking = rank(score, state, data, known, wanted, 16, 0, 10)
print(ranking.rank.tolist(), ranking.lists.tolist())
"""

EVALUATE = """
names = ("rmse", "mae", "auc", "rmse/snips", "recall@5", "ndcg@5", "coverage@5")
predict = lambda s, d, at, i: (s[0][at.user] * s[1][i]).sum(axis=-1)
method = Method(None, None, score, predict, "full", "rating")
weights = PairWeights(rng.uniform(0.1, 0.9, len(test)).astype(np.float32), "")
held = HeldOut(test, seen, 4, (1.0, 5.0), "explicit", weights=weights)
found = evaluate(method, state, data, held, MetricsConfig(names, 16, 0, Interval(0.95, 100, 0)))
assert not found.absent, found.absent
print({name: tuple(map(float, one)) for name, one in found.summaries.items()})
"""


@pytest.mark.slow
@pytest.mark.parametrize("program", [RANK, EVALUATE], ids=["ranks", "metrics"])
def test_the_number_of_devices_changes_nothing(program):
    def output(devices: int, sharded: bool) -> str:
        flags = f"--xla_force_host_platform_device_count={devices}"
        whole = _WORLD.format(devices=devices, sharded=sharded) + program
        environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        done = subprocess.run([sys.executable, "-c", whole], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    alone = output(1, False)
    assert alone[0] in "[{" and alone == output(2, False) == output(2, True)

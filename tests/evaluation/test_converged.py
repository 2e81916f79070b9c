"""The shipped ``additive`` is trained to convergence, so that the rounding of sums is all that cores can change."""

import os
import subprocess
import sys

import pytest
from shell import records

from upliftlens.benchmarks.cli.main import main


def rmse(store):
    return [record["metrics"]["rmse"]["value"] for record in records(store)]


def test_more_steps_change_nothing(tmp_path):
    world = ("data.n_users=200", "data.n_items=150", "data.ratings_per_user=20", "metrics.names=[rmse]")
    for more in ((), ("train.epochs=600", "train.patience=0")):
        words = ("data=synthetic", *world, "model=additive", f"store={tmp_path}", f"cache={tmp_path}/cache")
        assert main(["run", *words, "progress=false", "metrics.interval.resamples=50", *more]) == 0
    short, long = rmse(tmp_path)
    assert short == pytest.approx(long, abs=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_the_number_of_cores_changes_no_number(tmp_path, ml_100k, cache):
    for cores in (1, 2):
        words = ("data=ml-100k", "model=additive", "metrics.names=[rmse,mae]", f"store={tmp_path / str(cores)}")
        some = set(sorted(os.sched_getaffinity(0))[:cores])
        subprocess.run(
            [sys.executable, "-m", "upliftlens.benchmarks.cli", "run", *words, f"cache={cache}", "progress=false"],
            preexec_fn=lambda some=some: os.sched_setaffinity(0, some),
            check=True,
        )
    (alone,), (beside,) = (rmse(tmp_path / str(cores)) for cores in (1, 2))
    assert alone == pytest.approx(beside, abs=1e-6)

"""Options that change nothing are told: those that a model does not read, those that a stored run has otherwise."""

import pytest
from shell import call, records

from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.benchmarks.system.talk import say_once


def test_in_a_sweep_options_that_a_solver_does_not_read_are_told_once(tmp_path, capsys):
    assert call("sweep", tmp_path, "model=popularity", "objective=naive,ips", "propensity=popularity", "seed=0,1") == 0
    assert capsys.readouterr().err.count("does not read objective") == 1
    assert len(records(tmp_path)) == 2


def test_options_that_training_does_not_read_are_told_once_and_change_nothing_but_the_key(tmp_path, capsys):
    assert call("sweep", tmp_path, "model=additive", "train.lr=0.3,0.2", "train.tile_users=7") == 0
    words = (
        "train.lr, train.tile_users: not read with model=additive loss=squared objective=naive train.optimizer=lbfgs"
    )
    assert capsys.readouterr().err.count(words) == 1
    first, second = records(tmp_path)
    assert first["key"] != second["key"] and first["metrics"] == second["metrics"]


@pytest.mark.parametrize(
    ("words", "idle"),
    [
        (["model=mf", "train.lr=1", "train.batch_size=8", "train.tile_users=8", "train.dense_cells=9"], []),
        (["model=mf", "train.everything_share=1"], ["everything_share"]),
        (["model=mf", "objective=eib", "train.everything_share=1"], []),
        (
            ["model=mf", "train.layout=pairs", "train.tile_users=8", "train.dense_cells=9"],
            ["tile_users", "dense_cells"],
        ),
        (["model=mf", "train.layout=tiles", "train.tile_users=8", "train.batch_size=9"], ["batch_size"]),
        (["loss=bpr", "train.layout=pairs", "train.tile_users=8", "train.batch_size=9"], ["layout", "tile_users"]),
        (["model=additive", "train.epochs=2", "train.l2=1", "train.schedule=constant"], ["schedule"]),
        (["model=additive", "train.optimizer=adam", "train.lr=1"], []),
        (["model=ials", "train.patience=1"], []),
    ],
)
def test_what_training_does_not_read_follows_from_its_optimiser_layout_and_objective(words, idle):
    assert plan(configured(words)).idle == tuple(f"train.{name}" for name in idle)


def test_options_outside_the_key_that_a_stored_run_has_otherwise_are_told(tmp_path, capsys):
    def said(*words, verb="run"):
        say_once.cache_clear()
        assert call(verb, tmp_path, "model=popularity", *words) == 0
        return capsys.readouterr().err

    assert "is stored with" not in said()
    assert "is stored with data.name=synthetic: its key does not depend on that" in said("data.name=other")
    assert "is stored with" not in said("progress=true", "group=g", "tune_seed=3", "metrics.block=16")
    assert "is stored with" not in said("train.lr=0.5", verb="sweep"), "a remark says that it is not read"
    assert "is stored with" not in said("trial=true")
    assert "is stored with" not in said("trial=true", "metrics.names=[rmse]"), "a trial measures none of them"
    stored, _ = records(tmp_path)
    assert stored["data"]["name"] == "synthetic"

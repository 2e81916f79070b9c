"""Options that change nothing are told: those that a model does not read, those that a stored run has otherwise."""

import re

import numpy as np
import pytest
from shell import call, records

from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.runs import run
from upliftlens.benchmarks.runs.fit import train
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.benchmarks.system.talk import say_once
from upliftlens.benchmarks.training.feed import READS
from upliftlens.models.descent import NOT_READ


def test_in_a_sweep_options_that_a_solver_does_not_read_are_told_once(tmp_path, capsys):
    assert call("sweep", tmp_path, "model=popularity", "objective=naive,ips", "propensity=popularity", "seed=0,1") == 0
    said = capsys.readouterr().err
    assert said.count("does not read objective") == 1
    assert re.findall(r"^done  (\d of \d)", said, re.MULTILINE) == [
        "1 of 2",
        "2 of 2",
    ]  # not four lines, two of them found
    assert len(records(tmp_path)) == 2


def test_seeds_of_a_method_without_randomness_share_a_fit(tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr(run, "train", lambda *args: trained.append(args) or train(*args))
    monkeypatch.setattr(run, "_SEEDLESS", {})
    assert call("sweep", tmp_path, "model=ease,popularity,random", "seed=0,1,2") == 0
    assert len(trained) == 1 + 1 + 3
    of = {(record["model"], record["seed"]): record for record in records(tmp_path)}
    assert len({record["fit_key"] for record in of.values()}) == len(of) == 9
    for seed in (1, 2):
        assert of["ease", seed]["metrics"] == of["ease", 0]["metrics"]
        assert of["random", seed]["metrics"] != of["random", 0]["metrics"]
    alone = tmp_path / "alone"
    assert call("run", alone, "model=ease", "seed=1") == 0
    assert [record["key"] for record in records(alone)] == [of["ease", 1]["key"]]


def test_another_penalty_is_another_fit(tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr(run, "train", lambda *args: trained.append(args) or train(*args))
    assert call("sweep", tmp_path, "model=ease", "model.l2=20,30", "seed=0,1") == 0
    assert len(trained) == 2
    values = {record["config"]["model"]["l2"]: record["metrics"]["ndcg@10"]["value"] for record in records(tmp_path)}
    assert values[20] != values[30]


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


OTHER = {
    "lr": 0.5, "schedule": "constant", "layout": "tiles", "dense_cells": 1, "batch_size": 7, "tile_users": 7,
    "everything_share": 0.9,
}  # fmt: skip


def trained(folder, *words):
    """The arrays of a run's trained state."""
    assert call("run", folder, "train.epochs=2", "metrics.names=[rmse]", *words) == 0
    (record,) = records(folder)
    with np.load(folder / "fits" / record["fit_key"] / "state.npz") as state:
        return {name: state[name] for name in state.files}


@pytest.mark.parametrize(
    ("words", "layout", "read"),
    [
        (("model=mf", "train.layout=pairs"), "pairs", "train.batch_size=9"),
        (("model=mf", "train.layout=tiles"), "tiles", "train.tile_users=9"),
        (("model=mf", "train.layout=tiles", "objective=eib"), "tiles", "train.tile_users=9"),
        (("model=mf", "loss=bpr", "metrics.names=[recall@10]"), "triples", "train.batch_size=9"),
        (("model=additive", "train.layout=pairs"), "pairs", "train.l2=9"),
        (("model=additive", "train.layout=tiles"), "tiles", "train.l2=9"),
    ],
)
def test_what_is_told_to_be_unread_changes_no_fit(words, layout, read, tmp_path):
    """All that ``idle`` tells, varied at once: the lists READS and NOT_READ are what training does."""
    given = ["layout"] if "loss=bpr" not in words else []  # else it would change what is read
    every = [f"train.{name}={value}" for name, value in OTHER.items() if name not in given]
    idle = plan(configured([*words, *every])).idle
    unread = frozenset().union(*READS.values()) - READS[layout]
    unread |= NOT_READ["lbfgs"] if words[0] == "model=additive" else frozenset()
    assert {f"train.{name}" for name in unread} <= set(idle)
    usual, other, changed = (
        trained(tmp_path / name, *words, *more)
        for name, more in (
            ("usual", ()),
            ("other", [option for option in every if option.partition("=")[0] in idle]),
            ("changed", [read]),
        )
    )
    for name, array in usual.items():
        np.testing.assert_array_equal(array, other[name])
    assert any(not np.array_equal(array, changed[name]) for name, array in usual.items())


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


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["model=mf", "train.batch_size=7"], "train.batch_size: not read with model=mf .* train.layout=tiles[.] Runs"),
        (["model=mf", "train.batch_size=7", "train.dense_cells=1"], None),
        (["model=mf", "train.dense_cells=9"], None),
        (
            ["model=popularity", "train.epochs=9", "train.monitor=ndcg@10"],
            "epochs, train.monitor: not read with model=pop",
        ),
        (
            ["model=mf", "split.validation=0", "train.patience=1", "train.refit=false"],
            "patience, train.refit: not read",
        ),
        (["model=mf", "train.patience=1"], None),
        (["model=ease", "train.monitor=ndcg@10", "trial=true"], "^train.epochs: not read with model=ease"),
    ],
)
def test_what_only_the_data_tell_to_be_unread_is_told_after_they_are_loaded(words, expected, tmp_path, capsys):
    say_once.cache_clear()
    assert call("run", tmp_path, *words) == 0
    shown = " ".join(capsys.readouterr().err.split())
    assert re.search(expected, shown) if expected else "not read" not in shown


def test_a_search_over_options_that_training_does_not_read_says_so(tmp_path, capsys):
    space = "+model.space={train.lr:{choices:[0.1,0.2]}}"
    assert call("tune", tmp_path, "model=additive", "budget=1", space) == 0
    assert "train.lr: not read with model=additive" in " ".join(capsys.readouterr().err.split())
    assert call("tune", tmp_path, "model=popularity", "budget=1", space) == 0
    assert "train.lr: not read with model=popularity" in " ".join(capsys.readouterr().err.split())

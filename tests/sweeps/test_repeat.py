"""The command that a record gives repeats its run: the same plan, and the same key."""

import shlex

import pytest
from shell import TINY, call

from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.runs.plan import fit_identity, plan
from upliftlens.benchmarks.runs.repeat import repeating
from upliftlens.benchmarks.runs.store import Store, list_records
from upliftlens.benchmarks.sweeps.repeat import commands
from upliftlens.causal.errors import UpliftlensError

RUNS = {
    "a choice that is the default is not stated": ["model=mf", "objective=naive"],
    "other options": ["model=mf", "model.dim=4", "train.lr=0.02", "seed=3"],
    "a propensity and its option": ["model=mf", "objective=ips", "propensity=popularity", "propensity.power=0.5"],
    "a solver, which reads no loss": ["model=ials", "model.dim=4", "split=leave_last"],
    "a solver in a sweep over losses": ["model=popularity", "loss=logistic", "train.l2=2"],
    "a list": ["model=popularity", "metrics.names=[recall@5,ndcg@5]"],
    "a fold": ["model=popularity", "split.fold=2"],
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("repeat") / "runs"


@pytest.mark.parametrize("name", RUNS)
def test_the_command_of_a_run_finds_it(name, store, capsys):
    assert call("sweep", store, *RUNS[name]) == 0
    record = list_records(Store(store)).records[-1]
    (command,) = commands([record])
    verb, *words = shlex.split(command)[1:]
    assert (
        verb == "run"
        and {*TINY[:5], "train.epochs=4"} - {*words} <= {"train.epochs=4"}
        and not any("store" in word for word in words)
    )
    assert fit_identity(plan(configured(words))) == fit_identity(plan(configured([*TINY, *RUNS[name]])))
    assert len(words) <= len(TINY) + len(RUNS[name]) + 1, "no default is stated but the seed"
    capsys.readouterr()
    assert call("run", store, *words) == 0
    said = "".join(capsys.readouterr())
    assert record.key in said and "(found)" in said


def test_seeds_and_folds_are_a_sweep_where_all_combinations_are_there(store):
    words = ["model=popularity", "metrics.names=[hit@3]", "split.fold=0,1", "seed=0,2"]
    assert call("sweep", store, *words) == 0
    runs = [run for run in list_records(Store(store)).records if "hit@3" in run.metrics]
    (command,) = commands(runs)
    assert shlex.split(command)[1] == "sweep" and shlex.split(command)[-2:] == ["seed=0,2", "split.fold=0,1"]
    assert [shlex.split(command)[1] for command in commands(runs[:3])] == ["run"] * 3


def test_what_is_not_there_any_more_has_no_command(store):
    record = list_records(Store(store)).records[0]
    with pytest.raises(UpliftlensError, match="gone"):
        repeating({**record.config, "model": {"name": "gone"}})
    with pytest.raises(UpliftlensError, match="the record states no objective"):
        repeating({name: part for name, part in record.config.items() if name != "objective"})

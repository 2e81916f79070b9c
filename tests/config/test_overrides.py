"""What a user types and Hydra would not take: paths with odd characters, models from files beside others."""

import re

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from plugin_sources import BACKBONE, SOLVER
from shell import call, records

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.config.compose import changed, composed, prepare_overrides
from upliftlens.benchmarks.config.overrides import quoted, read_with_jobs
from upliftlens.causal.errors import UpliftlensError

ODD = "my räw, [d]=a'ta\" {1} \\x.csv"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1))
def test_any_path_comes_through_hydra_as_it_was_typed(name):
    path = f"/nowhere/{name}/x"
    if "${" not in path:
        assert OverridesParser.create().parse_override(quoted(f"store={path}")).value() == path


@pytest.fixture
def models(tmp_path):
    for name, text in (("mine.py", BACKBONE), ("mean, 2.py", SOLVER)):
        (tmp_path / name).write_text(text)
    return [tmp_path / "mine.py", tmp_path / "mean, 2.py"]


def test_a_file_of_any_name_runs_and_its_full_path_is_recorded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (ODD, "plain.csv"):
        (tmp_path / name).write_text(
            "user,item,rating\n" + "".join(f"u{k % 7},i{k % 11},{1 + k % 5}\n" for k in range(77))
        )
    words = ("model=random", "metrics.interval.resamples=50", "progress=false", "store=a store")
    assert main(["run", "data=csv", f"data.path={ODD}", *words]) == 0
    assert main(["sweep", "data=csv", f"data.path=plain.csv,{tmp_path}/plain.csv", *words, "seed=1"]) == 0
    result = {record["seed"]: record["config"]["data"]["path"] for record in records(tmp_path / "a store")}
    assert result == {0: str(tmp_path / ODD), 1: str(tmp_path / "plain.csv")}
    assert main(["data", "check", ODD]) == 0 and main(["data", "card", "csv", f"data.path={ODD}"]) == 0


def test_models_from_files_run_beside_others(models, tmp_path):
    store, (mine, mean) = tmp_path / "runs", models
    assert call("sweep", store, "model=random,mine,shrunken_mean", f"model.file={mine},{str(mean)!r}") == 0
    assert {record["model"] for record in records(store)} == {"random", "mine", "shrunken_mean"}
    assert call("run", store, f"model.file={mean}") == 0
    assert len(records(store)) == 3, "what is read beside a model is no part of its key"


def test_models_of_files_are_named_or_refused(models):
    mine, mean = models
    assert prepare_overrides([f"model.file={mine}", "seed=1"]) == ["model=mine", "seed=1"]
    assert prepare_overrides([f"model.file={mine}", "model=mf,mine"]) == ["model=mf,mine"]
    with pytest.raises(
        UpliftlensError, match="which model=mf does not name: write model=mine, or in a sweep model=mf,mine"
    ):
        prepare_overrides([f"model.file={mine}", "model=mf"])
    mean.write_text(BACKBONE)
    with pytest.raises(UpliftlensError, match="both define 'mine'"):
        prepare_overrides([f"model.file={mine},{str(mean)!r}"])


@pytest.mark.parametrize("name", ["csv", "recbole"])
def test_a_file_without_ratings_is_implicit(name):
    from upliftlens.benchmarks import data

    with pytest.raises(UpliftlensError, match=r"so add data\.feedback=implicit"):
        data.configure(name, ["data.columns.value=null"])
    assert data.configure(name, ["data.columns.value=null", "data.feedback=implicit"]).columns.value is None


def test_a_configuration_says_where_data_are_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert composed(prepare_overrides(["data=csv", "data.path=x.csv"]))["data"]["path"] == str(tmp_path / "x.csv")
    assert composed(prepare_overrides(["data=csv", "data.path=null"]))["data"]["path"] is None


def test_a_store_may_be_named_by_hydra():
    assert composed(["store=runs/${hydra:job.config_name}"])["store"] == "runs/config"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("train.optimizer={'a': 1}", "not a value that an option can have"),
        ("train.patience=1,2", "holds several values"),
    ],
)
def test_a_change_that_is_no_value_is_an_error_with_its_name(change, message):
    with pytest.raises(UpliftlensError, match=f"{re.escape(change)}.*{message}"):
        changed(composed([], resolve=False), [change])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed=glob(*)"], "glob chooses among the files of a group, and seed is none"),
        (["model=glob(zz*)"], "no choice of model fits. There is: additive, baseline"),
        (
            ["model=mf,mlp", "--cfg", "job"],
            "--cfg shows the configuration of one run, and a sweep has several",
        ),
    ],
)
def test_sweeps_of_nothing_and_of_one_run_are_refused(words, message, tmp_path, capsys):
    assert main(["sweep", *words, f"store={tmp_path}/runs"]) == 1
    assert message in capsys.readouterr().err


def test_options_that_are_left_to_the_jobs_keep_their_values():
    words = ["model=mf,mlp", "train.lr=1e-2", "metrics.names=[ndcg@10,rmse/snips]", "data.a='b c,d'", "model.x=null"]
    words += ["+model.space={dim:{choices:[8,16]}}", "logger.project=", "data.b=${data.c}", "model.f=inf", "seed=3"]
    read = read_with_jobs(words)
    assert read[1:3] == ["train.lr=choice(1e-2)", "metrics.names=choice([ndcg@10,rmse/snips])"] and read[0] == words[0]
    jobs = [
        BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(each), None) for each in (words, read)
    ]
    assert jobs[0] == jobs[1]
    assert read_with_jobs(words[1:]) == words[1:], "without several choices Hydra finds a wrong option at once"


def test_a_pattern_chooses_among_the_files_of_a_group(tmp_path):
    assert call("sweep", tmp_path, "model=glob(pop*)") == 0
    assert [record["model"] for record in records(tmp_path)] == ["popularity"]

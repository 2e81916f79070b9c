"""A job is composed once and planned once, whatever started it; groups of runs leave plain outcomes."""

import json
import os
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from shell import TINY, call, records
from test_table_tuned import SMALL, WORLD
from test_tables import options, where

from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.data import DataUnavailable
from upliftlens.benchmarks.runs import many
from upliftlens.benchmarks.runs import plan as plans
from upliftlens.benchmarks.runs.many import NoData, Outcome, record_of, run_many
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.benchmarks.sweeps import tune
from upliftlens.benchmarks.system import talk
from upliftlens.benchmarks.tables import run as tables
from upliftlens.benchmarks.tables import table as tables_of
from upliftlens.benchmarks.tables.kinds.cross_validated import cross_validated_cells
from upliftlens.benchmarks.tables.kinds.tuned import rows, tuned_cells
from upliftlens.causal.errors import UpliftlensError


@pytest.fixture
def counted(monkeypatch):
    """How often a configuration was composed and planned."""
    counts = Counter()

    def count(name, function):
        def counting(*arguments, **options):
            counts[name] += 1
            return function(*arguments, **options)

        return counting

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", count("composed", ConfigLoaderImpl.load_configuration))
    for module in (tune, tables, plans):
        monkeypatch.setattr(module, "plan", count("planned", plan))
    return counts


def test_a_run_is_composed_and_planned_once(counted, tmp_path):
    assert call("run", tmp_path, "model=popularity") == 0
    assert counted == {"composed": 1, "planned": 1}


@pytest.mark.parametrize(("words", "composed"), [((), 1 + 4), (("hydra/launcher=basic",), 1 + 2 * 4)])
def test_a_job_of_a_sweep_is_composed_and_planned_once(words, composed, counted, tmp_path):
    """Besides the command itself. Of another launcher's jobs Hydra composes each beforehand: they may run elsewhere."""
    assert call("sweep", tmp_path, "model=popularity,random", "seed=0,1", *words) == 0
    assert counted == {"composed": composed, "planned": 4} and len(records(tmp_path)) == 4


def test_the_quickstart_composes_and_plans_what_it_runs(counted, tmp_path):
    words = ("model=popularity,random", "seed=0", "metrics=standard", "logger=none")
    assert call("quickstart", tmp_path, *words) == 0
    assert counted == {"composed": 1 + 2, "planned": 2} and len(records(tmp_path)) == 2


def test_trials_are_planned_once_and_composed_with_the_command(counted, tmp_path):
    assert call("tune", tmp_path, "model=additive", "budget=3", "+model.space={train.l2:{low:1,high:2}}") == 0
    assert counted == {"composed": 1, "planned": 3 + 1} and len(records(tmp_path)) == 4


def test_runs_of_a_table_are_planned_once_and_composed_once_for_each_row_and_block(counted, tmp_path):
    there = where(tmp_path)
    content = options({**SMALL, "budgets": {"": 3}, "refining": 1})
    n = len(list(rows(content, (), there)))
    tables._composed.cache_clear()
    counted.clear()
    tuned_cells(content, there)
    trials, finals = 3 * len(content.validation_seeds), len(content.blocks) * len(content.seeds)
    assert counted["planned"] == n * (trials + finals)
    assert counted["composed"] == n * len(content.blocks)


def test_a_grid_plans_its_points_only_in_each_fold(counted, tmp_path):
    content = {
        **tables_of.definition("schnabel-2"), "folds": 2, "grid": {"train.l2": [1.0, 2.0, 3.0]}, "seeds": [0],
        "common": [*WORLD, "model=additive", "train.optimizer=adam", "train.l2=9.0"], "rows": {"naive": []},
        "columns": {"MSE": {"metric": "mse", "criterion": "mse", "options": []}},
        "interval": {"level": 0.95, "resamples": 100, "seed": 0}, "published": {},
    }  # fmt: skip
    cross_validated_cells(options(content), where(tmp_path))
    assert counted["planned"] == len(records(tmp_path)) == 3 * 2 + 1


def planned(folder, *words):
    return plan(configured([*TINY, f"store={folder}", f"cache={folder}/cache", *words]))


def test_outcomes_are_plain_and_name_what_is_stored(tmp_path):
    group = [planned(tmp_path, "model=popularity", *words) for words in ((), ("metrics.names=[rmse]",), ())]
    outcomes = list(run_many(group))
    assert [outcome.status for outcome in outcomes] == ["computed", "failed", "stored"]
    assert [Outcome(**json.loads(json.dumps(outcome._asdict()))) for outcome in outcomes] == outcomes
    stored = {record["key"]: record["status"] for record in records(tmp_path)}
    assert stored == {outcomes[0].key: "done", outcomes[1].key: "failed"} and outcomes[2].key == outcomes[0].key
    assert record_of(group[0], outcomes[0]).metrics and "nothing could be measured" in outcomes[1].message
    with pytest.raises(UpliftlensError, match="nothing could be measured"):
        record_of(group[1], outcomes[1])


def test_data_that_cannot_be_had_are_tried_once(tmp_path, monkeypatch):
    tried = []

    def run(plan, reporter):
        tried.append(plan.data.name)
        if plan.data.name == "ml-1m":
            raise DataUnavailable("ml-1m", [], "get it")
        raise MemoryError

    monkeypatch.setattr(many.experiment, "run", run)
    words = ["model=popularity", "train.lr=1"]
    there, missing = planned(tmp_path, *words), plan(configured(["data=ml-1m", *words]))
    group = [missing, there, missing, there]
    outcomes = list(run_many(group))
    assert tried == ["ml-1m", "synthetic", "synthetic"]
    assert [outcome.status for outcome in outcomes] == ["no data", "failed", "no data", "failed"]
    assert outcomes[2].message == "its data could not be loaded, see the message above"
    assert "not enough memory" in outcomes[1].message
    with pytest.raises(NoData, match="ml-1m"):
        record_of(group[0], outcomes[0])


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """Runs a plan by a function instead, in a folder of its own; the outcome."""
    monkeypatch.chdir(tmp_path)

    def outcome(run, **options):
        monkeypatch.setattr(many.experiment, "run", run)
        return list(run_many([plan(configured(["data=synthetic", "model=popularity"]))], **options))

    return outcome


def test_a_run_that_moves_to_another_folder_moves_nobody_else(stub, tmp_path):
    def run(plan, reporter):
        os.chdir(tmp_path.parent)
        raise UpliftlensError("moved")

    assert stub(run) == [Outcome(None, "failed", "moved")]
    assert Path.cwd() == tmp_path


def test_an_error_of_the_operating_system_fails_its_run_only(stub):
    def run(plan, reporter):
        raise OSError("no space left on device")

    assert stub(run) == [Outcome(None, "failed", "no space left on device")]


@pytest.mark.parametrize("watched", [False, True])
def test_remarks_and_the_bar_are_shown_where_runs_are_watched(watched, stub, monkeypatch, capsys):
    bars = []

    @contextmanager
    def reporting(label, bar):
        bars.append((label, bar))
        with talk.reporting(label, bar) as reporter:
            yield reporter

    def run(plan, reporter):
        reporter.say("a remark")
        raise UpliftlensError("no more")

    monkeypatch.setattr(many, "reporting", reporting)
    stub(run, watched=watched)
    assert ("a remark" in capsys.readouterr().err) == watched
    assert bars == [("synthetic kfold:0 popularity seed=0", True)] * watched

"""The words that repeat a run compose its configuration again, for runs of every kind; its key follows without data."""

import json

import pytest
from pinned_runs import RUNS, write_files

from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.benchmarks.runs.prepare import keys, prepare
from upliftlens.benchmarks.runs.records import OF_THE_PROCESS
from upliftlens.benchmarks.runs.repeat import repeating
from upliftlens.benchmarks.system.talk import quiet


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("repeated")
    write_files(path)
    return path


def without_place(config):
    """A configuration without what says where and how it was computed."""
    return {name: part for name, part in config.items() if name not in OF_THE_PROCESS} | {
        "model": {name: value for name, value in config["model"].items() if name != "space"}
    }


@pytest.mark.parametrize("name", RUNS)
def test_the_words_of_a_run_compose_it_again_and_give_its_key(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    this_plan = plan(configured(["progress=false", f"cache={folder}/cache", *RUNS[name]]))
    words = repeating(json.loads(json.dumps(this_plan.config)))
    assert not any(str(folder) in word for word in words), "files below the folder are named from there"
    again = plan(configured([*words, f"cache={folder}/cache"]))
    assert json.dumps(without_place(again.config), sort_keys=True) == json.dumps(
        without_place(this_plan.config), sort_keys=True
    )
    prepared = prepare(this_plan, quiet)
    dataset, split = prepared.dataset, prepared.split
    assert keys(again, dataset.fingerprint, split.fingerprint, dataset.has_treatments) == (
        prepared.fit_key,
        prepared.key,
        prepared.seedless_key,
    )

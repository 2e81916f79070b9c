"""Keys of runs of every kind stay what they are: nothing that is moved or renamed makes finished runs unknown."""

import json
from pathlib import Path

import pytest
from pinned_runs import REAL, RUNS, write_files

from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.benchmarks.runs.prepare import prepare
from upliftlens.benchmarks.system.talk import quiet

PINNED = json.loads((Path(__file__).parent / "pinned_keys.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("pinned")
    write_files(path)
    return path


def keys(words, cache):
    prepared = prepare(plan(configured(["progress=false", f"cache={cache}", *words])), quiet)
    return {
        "data": prepared.dataset.fingerprint[:16],
        "split": prepared.split.fingerprint[:16],
        "fit": prepared.fit_key,
        "run": prepared.key,
    }


def test_every_run_is_pinned_and_no_other():
    assert len(RUNS) >= 40
    assert PINNED.keys() == {*RUNS, *REAL}
    assert len({entry["run"] for entry in PINNED.values()}) == len(PINNED), "two runs of different kinds share a key"


@pytest.mark.parametrize("name", RUNS)
def test_key_of_a_run(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert keys(RUNS[name], folder / "cache") == PINNED[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_key_of_a_run_on_real_data(name, ml_100k, cache):
    assert keys(REAL[name], cache) == PINNED[name]

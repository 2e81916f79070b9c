"""Data that fail while they are loaded are one failed job: said in two lines, the others run, the traceback is kept."""

import re
import shutil
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest
from shell import TINY, records

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.config import plugins as installed
from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.data import registry
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.causal.errors import UpliftlensError

SOURCE = """
import sys
from dataclasses import dataclass

from upliftlens.benchmarks.data import DataSource, configure
from upliftlens.benchmarks.data import load as loaded


@dataclass(frozen=True)
class Options:
    name: str = "faulty"
    fault: str = "none"


def load(options, cache, say):
    match options.fault:
        case "value":
            raise ValueError("a sentence\\nin two lines")
        case "key":
            return {}["rating"]
        case "system":
            return open("/nowhere/at/all")
        case "leaves":
            sys.exit(0)
        case "nothing":
            return None
    words = ["n_users=40", "n_items=30", "ratings_per_user=12", "test_per_user=4"]
    return loaded(configure("synthetic", [f"data.{word}" for word in words]), cache)


source = DataSource("faulty", Options, load)
"""


@pytest.fixture
def faulty(tmp_path, monkeypatch):
    """Installs a data set ``faulty`` that fails as its option says; the file of its source."""
    (tmp_path / "faulty_data.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("faulty", "faulty_data:source", "upliftlens.data")

    def points(group):
        return [*entry_points(group=group), *([point] if group == "upliftlens.data" else [])]

    monkeypatch.setattr(installed, "entry_points", points)
    installed.entry.cache_clear()
    yield tmp_path / "faulty_data.py"
    installed.entry.cache_clear()
    sys.modules.pop("faulty_data", None)


def started(verb, store, *words):
    return main([verb, "data=faulty", *words, f"store={store}", f"cache={store}", "model=popularity", "progress=false"])


def at(code, said):
    line = 1 + next(number for number, text in enumerate(SOURCE.splitlines()) if text.strip().startswith(code))
    return f"faulty_data.py, line {line}: {said}"


FAULTS = {
    "value": at("raise ValueError", "ValueError: a sentence in two lines"),
    "key": at("return {}", "KeyError: 'rating'"),
    "system": at("return open", "[Errno 2] No such file or directory: '/nowhere/at/all'"),
    "leaves": at("sys.exit", "SystemExit: 0"),
    "nothing": "AttributeError: 'NoneType'",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_a_plugin_raises_is_told_with_its_place(fault, faulty, tmp_path, capsys):
    assert started("run", tmp_path / "runs", f"data.fault={fault}") == 1
    shown = capsys.readouterr().err.strip().splitlines()
    assert len(shown) <= 2 and shown[0].startswith("error: data=faulty split=kfold can't be prepared: ")
    assert FAULTS[fault] in shown[0]
    kept = Path(re.search(r"\(traceback: (.*)\)", shown[1])[1])
    assert kept.is_relative_to(tmp_path / "runs" / "tracebacks") and "Traceback" in kept.read_text()


def test_the_other_jobs_of_a_sweep_run(faulty, tmp_path, capsys):
    assert started("sweep", tmp_path / "runs", f"data.fault={','.join(FAULTS)},none") == 1
    shown = capsys.readouterr().err
    assert shown.count("can't be prepared") == len(FAULTS) and f"{len(FAULTS)} of {len(FAULTS) + 1} runs" in shown
    assert [record["status"] for record in records(tmp_path / "runs")] == ["done"]
    assert len(list((tmp_path / "runs" / "tracebacks").iterdir())) == len(FAULTS)


def test_where_the_traceback_cannot_be_kept_the_fault_is_told_all_the_same(faulty, tmp_path, capsys):
    store = tmp_path / "runs"
    assert started("run", store) == 0
    (store / "tracebacks").write_text("a file")
    capsys.readouterr()
    assert started("run", store, "data.fault=key") == 1
    shown = capsys.readouterr().err.strip().splitlines()
    assert len(shown) == 2 and FAULTS["key"] in shown[0] and "its traceback can't be kept" in shown[1]
    shutil.rmtree(store)


DRAWN = ("synthetic", "grid", "schnabel-ml-100k", "uplift-synthetic", "uplift-ml-100k")


@pytest.mark.parametrize("name", DRAWN)
def test_a_draw_below_zero_is_refused(name):
    with pytest.raises(UpliftlensError, match=r"data\.draw must be at least 0, got -1"):
        plan(configured([f"data={name}", "data.draw=-1"]))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("data=schnabel-ml-100k", "data.completion.l2=-3"), r"data\.completion\.l2 must be at least 0, got -3"),
        (("data=schnabel-ml-100k", "data.completion.epochs=0"), r"data\.completion\.epochs must be at least 1, got 0"),
        (("data=schnabel-ml-100k", "data.completion.lr=0"), r"data\.completion\.lr must be above 0, got 0"),
        (
            ("data=schnabel-ml-100k", "data.completion.seed=4294967296"),
            r"data\.completion\.seed must lie in \[0, 4294967295\]",
        ),
        (
            ("data=schnabel-ml-100k", "data.completion.seed=-1"),
            r"data\.completion\.seed must lie in \[0, 4294967295\], got -1",
        ),
        (("data=uplift-ml-100k", "data.world.seed=-1"), r"data\.world\.seed must be at least 0, got -1"),
        (("metrics=uplift_semi", "metrics.world.seed=-1"), r"metrics\.world\.seed must be at least 0, got -1"),
    ],
)
def test_what_a_world_is_made_of_has_its_ranges(words, sentence):
    with pytest.raises(UpliftlensError, match=sentence):
        plan(configured(words))


def test_no_drawn_data_set_is_left_out():
    assert {name for name in registry.names() if hasattr(registry.configure(name), "draw")} == set(DRAWN)


def test_a_sweep_over_an_impossible_draw_starts_nothing(tmp_path, capsys):
    assert main(["sweep", *TINY, "data.draw=-1,0", "model=popularity", f"store={tmp_path}", f"cache={tmp_path}"]) == 1
    shown = capsys.readouterr().err
    assert "data.draw must be at least 0" in shown and "Nothing was started" in shown
    assert len(shown.strip().splitlines()) <= 2

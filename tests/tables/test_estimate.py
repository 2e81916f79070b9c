"""What a table would take is said before it starts: it follows the store and the overrides, and nothing is trained."""

import io
import json

import pytest
from shell import records
from test_committed import CHANGES, WORDS, table
from test_tables import where

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.system import talk
from upliftlens.benchmarks.tables import estimate as estimates
from upliftlens.benchmarks.tables import table as tables
from upliftlens.benchmarks.tables.estimate import estimate

COST = "cost={minutes: 120, of: 12}"  # ten minutes a run, so that the verb asks


@pytest.fixture
def unasked(monkeypatch):
    """Standard input that is no terminal."""
    monkeypatch.setattr("sys.stdin", io.StringIO())


def stated(store, *words):
    """(runs in all, missing, minutes) of the small table."""
    result = estimate("coat", where(store)._replace(store=store / "store"), [*WORDS, COST, *words])
    return result.total, result.missing, result.minutes


def test_an_estimate_follows_the_store_and_the_overrides(tmp_path):
    assert stated(tmp_path) == (12, 12, 120)
    assert stated(tmp_path, "seeds=[0]") == (8, 8, 80)
    assert stated(tmp_path, 'budgets={"": 2, "more/": 5}') == (26, 26, 260), "its first trials are those of the other"
    assert not (tmp_path / "store").exists(), "nothing was started"
    assert table(tmp_path, *WORDS, COST, "seeds=[0]", "--run") == 0
    before = records(tmp_path / "store")
    assert stated(tmp_path, "seeds=[0]") == (8, 0, 0)
    assert stated(tmp_path, "seeds=[0, 1, 2]") == (16, 8, 80)
    more = {
        **CHANGES["backbone"],
        "mf": {**CHANGES["backbone"]["mf"], "space": {"train.l2": {"choices": [0.5, 0.6, 7.0]}}},
    }
    assert stated(tmp_path, "seeds=[0]", "budgets={'': 4}", f"backbone={json.dumps(more)}")[:2] == (12, 8), (
        "a search that has still to end: its final runs are not known, their number is"
    )
    assert records(tmp_path / "store") == before


def test_of_a_table_without_runs_draws_are_counted(tmp_path):
    whole = estimate("coverage", where(tmp_path))
    assert whole.minutes == 20 and not whole.runs
    assert estimate("coverage", where(tmp_path), ["trials=400"]).minutes == 2
    assert "about 20 min of processor time on one core" in whole.text


@pytest.mark.parametrize("name", tables.names())
def test_the_stated_cost_is_of_the_table_as_defined(name, tmp_path):
    whole = estimate(name, where(tmp_path))
    assert whole.minutes == tables.checked(name, tables.definition(name))[1].cost.minutes
    assert whole.missing == whole.total


def test_without_a_terminal_nothing_long_starts(tmp_path, capsys, unasked):
    assert table(tmp_path, *WORDS, COST) == 2
    said = capsys.readouterr()
    assert said.out == "" and "12 are missing: about 120 min of processor time" in said.err and "--run" in said.err
    assert not (tmp_path / "store").exists()


def test_on_a_terminal_it_asks_and_goes_on_where_it_was_stopped(tmp_path, capsys, monkeypatch):
    asked = []

    def answer(question):
        asked.append(question)
        return len(asked) > 1

    monkeypatch.setattr("upliftlens.benchmarks.cli.verbs.table.agreed", answer)
    assert table(tmp_path, *WORDS, COST, "seeds=[0]") == 2 and len(asked) == 1
    assert table(tmp_path, *WORDS, COST, "seeds=[0]") == 0 and len(asked) == 2
    first = {record["key"] for record in records(tmp_path / "store")}
    capsys.readouterr()
    assert table(tmp_path, *WORDS, COST) == 0 and len(asked) == 3
    assert "8 of 12 runs are in the store" in capsys.readouterr().err
    assert first < {record["key"] for record in records(tmp_path / "store")} and len(first) == 8
    assert table(tmp_path, *WORDS, COST) == 0 and len(asked) == 3, "nothing is missing"


@pytest.mark.parametrize(("typed", "yes"), [("y", True), ("yes", True), ("", False), ("n", False)])
def test_only_a_yes_on_a_terminal_agrees(typed, yes, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", terminal)
    monkeypatch.setattr(
        talk, "console", type("C", (), {"is_terminal": True, "input": staticmethod(lambda text: typed)})
    )
    assert talk.agreed("Start?") is yes
    terminal.isatty = lambda: False
    assert talk.agreed("Start?") is False, "nobody is asked"


def with_changes(content, changes):
    """A definition with other values; mappings are merged."""
    merged = {k: with_changes(content.get(k, {}), v) if isinstance(v, dict) else v for k, v in changes.items()}
    return {**content, **merged}


@pytest.mark.parametrize(
    ("name", "wrong", "says"),
    [
        ("schnabel-2", {"columns": {"mse": {"metric": "mce"}}}, "columns.mse: unknown metric 'mce'"),
        ("schnabel-2", {"published": {"mf/ips": {"nse": {"value": 1.0}}}}, "unknown published column 'nse'"),
        ("coat", {"training": {"ratings": {"columns": {"auc": "auc/poled"}}}}, "unknown metric 'auc/poled'"),
        ("uplift-ml-100k", {"columns": ["cpp@10"]}, "unknown metric 'cpp': did you mean 'cp'"),
        ("surprise-ml-100k", {"metrics": ["mae"]}, "unknown published column 'rmse'"),
    ],
)
def test_a_misspelt_metric_is_refused_before_anything_runs(name, wrong, says, tmp_path, capsys, monkeypatch):
    content = with_changes(tables.definition(name), wrong)
    monkeypatch.setattr(estimates, "definition", lambda name: content)
    assert main(["table", name, "--store", str(tmp_path), "--estimate"]) == 1
    assert says in capsys.readouterr().err

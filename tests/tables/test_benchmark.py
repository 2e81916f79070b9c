"""`upliftlens benchmark`: equal trials, several seeds, one family of comparisons, commands that repeat each row."""

import json
import shlex

import pytest
from plugin_sources import BACKBONE
from shell import records

from upliftlens.benchmarks.cli.main import main

WORDS = (
    *("data=synthetic", "data.n_users=40", "data.n_items=30", "data.ratings_per_user=5", "train.epochs=1"),
    *("metrics.interval.resamples=200", "metrics.names=[recall@5,ndcg@10]", "progress=false", "budget=3", "seeds=2"),
)


def benchmark(folder, *words):
    return main(["benchmark", *WORDS, f"store={folder}/runs", f"cache={folder}/cache", *words])


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    space = "    space = {'dim': {'choices': [2, 3]}}"
    source = BACKBONE.replace("    scale: float = 0.1", f"    scale: float = 0.1\n{space}")
    (folder / "mine.py").write_text(source)
    words = (f"model.file={folder}/mine.py", "model=item_knn,popularity,mine")
    assert benchmark(folder, *words, "format=json") == 0
    return folder, words


def test_every_method_has_equal_trials_by_its_own_space_and_all_seeds(done):
    folder, _ = done
    by_model = {}
    for record in records(folder / "runs"):
        by_model.setdefault(record["model"], {True: [], False: []})[bool(record["config"]["trial"])].append(record)
    trials = {model: len(runs[True]) for model, runs in by_model.items()}
    assert trials["item_knn"] == 3 and trials["popularity"] == 1 and trials["mine"] in (2, 3), "a draw may come twice"
    for runs in by_model.values():
        assert sorted(record["seed"] for record in runs[False]) == [0, 1]
        assert {record["config"]["train"]["monitor"] for record in runs[True] + runs[False]} == {"ndcg@10"}
        assert not any("ndcg@10" in record["metrics"] for record in runs[True]), "no trial reads the test set"
    assert {record["config"]["model"]["dim"] for record in by_model["mine"][True]} <= {2, 3, 4}


def test_it_is_looked_up_the_second_time_and_says_how_to_repeat_a_row(done, capsys):
    folder, words = done
    before = {path: path.stat().st_mtime_ns for path in (folder / "runs").glob("runs/*/record.json")}
    assert benchmark(folder, *words, "margin=1") == 0
    shown = capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in (folder / "runs").glob("runs/*/record.json")} == before
    assert "tuned by ndcg@10 on validation rows" in shown and "The margin is ±1: the same: " in shown
    assert "; the same (p " in shown and "published" not in shown and "ndcg@10: higher is better." in shown
    assert "As configured, with nothing to search or a budget of 1: popularity." in shown
    trials = [record for record in records(folder / "runs") if record["model"] == "mine" and record["config"]["trial"]]
    assert len(trials) == 2, "one draw came twice"
    assert "mine/squared/naive 3 (2 of them different)" in shown and "item_knn 3," in shown
    for line in shown.splitlines():
        if " again: upliftlens " in line:
            assert main(shlex.split(line.partition(" again: upliftlens ")[2])) == 0
    assert {path: path.stat().st_mtime_ns for path in (folder / "runs").glob("runs/*/record.json")} == before


def test_values_are_those_of_results_within_the_limits_of_the_metric(done, capsys):
    folder, words = done
    assert benchmark(folder, *words, "format=json") == 0
    cells = [cell for cell in json.loads(capsys.readouterr().out) if " vs " not in cell["column"]]
    columns = ["--metrics", "recall@5", "ndcg@10"]
    assert main(["results", "--over", "seed", *columns, "--format=json", f"--store={folder}/runs"]) == 0
    rows = {row["model"]: row["metrics"] for row in json.loads(capsys.readouterr().out)}
    for cell in cells:
        expected = rows[cell["row"].partition("/")[0]].get(cell["column"])
        assert expected is None or [cell[part] for part in ("value", "lo", "hi")] == [*expected.values()][:3]
        assert 0 <= cell["lo"] <= cell["value"] <= cell["hi"] <= 1
    assert any(cell["lo"] == 0 for cell in cells), "two runs of a random fit reach beyond the limits"


def test_a_baseline_is_compared_with_each(done, capsys):
    folder, words = done
    assert benchmark(folder, *words, "baseline=popularity", "format=json") == 0
    paired = [cell for cell in json.loads(capsys.readouterr().out) if " vs " in cell["column"]]
    assert {(cell["row"].split("/")[0], cell["column"]) for cell in paired} == {
        ("item_knn", "ndcg@10 vs popularity"), ("mine", "ndcg@10 vs popularity")
    }  # fmt: skip


def test_a_propensity_makes_methods_only_of_those_that_read_it(tmp_path, capsys):
    several = ("model=mf,popularity", "objective=naive,ips", "propensity=popularity,constant")
    assert benchmark(tmp_path, *several, "budget=1", "seeds=1", "format=json") == 0
    rows = {cell["row"] for cell in json.loads(capsys.readouterr().out)}
    weighted = {f"mf/squared/ips propensity={name}" for name in ("popularity", "constant")}
    assert rows == {"popularity", "mf/squared/naive", *weighted}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["model=popularity"], "popularity alone is no benchmark: name several, as in model=mf,mlp"),
        (["model=popularity,random", "seed=0,1"], "makes no methods: seeds=N sets the seeds"),
        (["model=popularity,random", "data=synthetic,grid"], "one benchmark is about one data set and split"),
        (["model=popularity,random", "baseline=mff"], "unknown baseline 'mff'"),
        (["model=popularity,random", "metric=ndgc@10"], "did you mean 'ndcg'"),
        (["model=popularity,random", "margin=0"], "margin must be above 0"),
        (["model=popularity,random", "seeds=0"], "seeds must be at least 1"),
        (["model=popularity,random", "metric=ndcg@5"], "metric=ndcg@5 is not among metrics.names"),
        (["model=popularity,random", "model.space=null", "tune_seed=range(0,3)"], "name a baseline, or raise"),
        (["model=popularity,random", "format=xml"], "unknown format 'xml'"),
        (["model=popularity,random", "trial=true"], "trial=true is for a search to set: without it, the best trial"),
    ],
)
def test_what_is_refused(words, expected, tmp_path, capsys):
    assert benchmark(tmp_path, *words) == 1
    assert expected in capsys.readouterr().err

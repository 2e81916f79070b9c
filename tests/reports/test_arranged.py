"""Results that are sorted and cut, rows of a propensity sweep, learning curves."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from shell import call, records

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.reports.figures import learning_figure
from upliftlens.benchmarks.runs.store import Store, readable_records
from upliftlens.causal.errors import UpliftlensError


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arranged")
    words = ("metrics.names=[rmse,rmse/snips,ndcg@10]", "train.monitor=rmse")
    assert call("run", folder, *words, "model=mf") == 0
    assert call("sweep", folder, *words, "model=mf", "objective=naive,ips", "propensity=popularity,constant") == 0
    assert call("run", folder, *words, "model=popularity", "train.monitor=auto", "seed=10") == 0
    return folder


def table(store, capsys, *flags):
    capsys.readouterr()
    assert main(["results", "--format", "csv", f"--store={store}", *flags]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def test_no_naive_row_vanishes_after_a_sweep_over_propensities(store, capsys):
    rows = table(store, capsys)
    naive = [row["propensity"] for row in rows if row["objective"] == "naive"]
    assert naive == ["none", "popularity", "constant"] and len(rows) == 6
    assert not [name for name in rows[0] if name.startswith("propensity.")], "they follow from the name"
    assert len(table(store, capsys, "--where", "propensity=popularity")) == 2
    assert len(table(store, capsys, "--metrics", "rmse")) == 4, "rmse is not weighted: one row per fit"
    pair = ("mf/squared/naive", "mf/squared/ips", "--metric", "rmse/snips", "--where", "propensity=popularity")
    assert main(["compare", *pair, f"--store={store}"]) == 0


def test_of_a_solver_the_naive_run_stays_and_the_true_reason_is_given(tmp_path, capsys):
    """A solver learns without a propensity, so a sweep over propensities measures one fit again and again."""
    assert call("sweep", tmp_path, "model=popularity", "metrics.names=[ndcg@10]", "propensity=none,constant") == 0
    (row,) = table(tmp_path, capsys)
    (naive,) = [item["key"] for item in records(tmp_path) if item["config"]["propensity"]["name"] == "none"]
    assert row["run"] == naive
    assert main(["results", f"--store={tmp_path}"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert (
        "1 runs are left out: " in said
        and "They have another propensity, which changes none of their metrics here." in said
    )


def test_rows_are_sorted_with_the_best_first_and_cut(store, capsys):
    by_rmse = [row["rmse"] for row in table(store, capsys, "--sort", "rmse")]
    assert by_rmse[-1] == "" and [float(value) for value in by_rmse[:-1]] == sorted(map(float, by_rmse[:-1]))
    for metric, doubted in (("rmse", False), ("rmse/snips", True)):
        assert main(["results", f"--store={store}", "--sort", metric]) == 0
        said = " ".join(capsys.readouterr().err.split())
        assert ("weighted by the propensities of constant, none, popularity: rows of different" in said) == doubted
    by_ndcg = [float(row["ndcg@10"]) for row in table(store, capsys, "--sort", "ndcg@10", "--top", "3")]
    assert by_ndcg == sorted(by_ndcg, reverse=True) and len(by_ndcg) == 3
    assert [row["seed"] for row in table(store, capsys, "--sort", "seed")] == ["0"] * 5 + ["10"]
    assert [row["model"] for row in table(store, capsys, "--over", "seed", "--sort", "model", "--top", "1")] == ["mf"]
    for flags, said in (
        (["--sort", "rmsee"], "unknown metric or column to sort by 'rmsee': did you mean 'rmse'"),
        (["--top", "0"], "ask for at least one row"),
        (["--sort", "rmse", "--format", "json"], "with --format json give --over"),
    ):
        assert main(["results", f"--store={store}", *flags]) == 1
        assert said in capsys.readouterr().err


def test_learning_curves_of_runs_that_share_a_monitor(store, capsys, tmp_path):
    def plot(*flags):
        capsys.readouterr()
        return main(["plot", "learning", *flags, f"--store={store}", "--out", str(tmp_path / "l.png")])

    assert plot("mf") == 0 and "5 runs" in capsys.readouterr().err and (tmp_path / "l.png").stat().st_size > 1000
    assert plot("mf", "popularity") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "5 runs; no curve of popularity: without epochs, or with train.patience=0" in said
    (axes,) = learning_figure({"mf": [run for run in readable_records(Store(store)) if run.model == "mf"]}).axes
    values = np.concatenate([line.get_ydata() for line in axes.lines])
    assert axes.get_ylim()[0] > values.min() - 0.2 * np.ptp(values) > 0, "errors about 1, none near 0"
    assert plot("popularity") == 1 and "none here was watched" in capsys.readouterr().err.replace(
        "no finished run", "none"
    )
    assert plot("--where", "seed=99") == 1
    one, other = (run for run in readable_records(Store(store)) if run.model == "mf" and run.objective == "ips")
    other = replace(other, diagnostics={**other.diagnostics, "monitor": "ndcg@10"})
    with pytest.raises(UpliftlensError, match=r"watched by ndcg@10 and rmse, which can't share an axis"):
        learning_figure({"a": [one], "b": [other]})


def test_a_traceback_goes_when_the_run_succeeds(store, tmp_path):
    (key,) = {record["key"] for record in records(store) if record["model"] == "popularity"}
    folder = store / "runs" / key
    (folder / "record.json").unlink()
    (folder / "traceback.txt").write_text("old")
    words = ("metrics.names=[rmse,rmse/snips,ndcg@10]", "model=popularity", "train.monitor=auto", "seed=10")
    assert call("run", store, *words) == 0
    assert (folder / "record.json").exists() and not (folder / "traceback.txt").exists()

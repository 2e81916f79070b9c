"""Reading results: filters, the columns that tell runs apart, forms, and means over seeds."""

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from shell import call
from stored import METRICS, record

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.lab.lab import Lab
from upliftlens.benchmarks.reports.selection import columns, metric_names, query
from upliftlens.benchmarks.reports.sheet import render, runs, shown, summarise
from upliftlens.benchmarks.runs.records import Failure, Record, Summary
from upliftlens.benchmarks.runs.store import Store, claim, open_store, save_failure, save_run
from upliftlens.causal.errors import UpliftlensError

RUNS = [
    record("a0", train_lr=0.01),
    record("a1", train_lr=0.001, seed=1),
    record("a2", train_lr=0.01, seed=2, metrics={"rmse": Summary(1.5, math.nan, math.nan, 1)}),
    record("b0", model="ease", loss=None, objective=""),
]


def keys(*where: str) -> list[str]:
    return [item.key for item in query(RUNS, where)]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ([], ["a0", "a1", "a2", "b0"]),
        (["model=mf"], ["a0", "a1", "a2"]),
        (["model!=mf"], ["b0"]),
        (["seed=0"], ["a0", "b0"]),
        (["seed = 0", "model=mf"], ["a0"]),
        (["data=toy"], ["a0", "a1", "a2", "b0"]),
        (["data.fingerprint=dddddddd"], ["a0", "a1", "a2", "b0"]),
        (["data.size=3", "key=a1"], ["a1"]),
        (["config.train.lr=1e-3"], ["a1"]),
        (["train.lr=0.001"], ["a1"]),
        (["train.lr>=0.01"], ["a0", "a2", "b0"]),
        (["rmse<1"], ["a0", "a1", "b0"]),
        (["rmse>0.9"], ["a2"]),
        (["rmse<=0.9"], ["a0", "a1", "b0"]),
        (["metrics.recall@10.n=6"], ["a0", "a1", "b0"]),
        (["metrics.recall@10.n!=6"], ["a2"]),
        (["loss=null"], ["b0"]),
        (["objective="], ["b0"]),
        (["config.metrics.names=[rmse]"], []),
        (['config.metrics.names=["rmse","recall@10"]', "seed=2"], ["a2"]),
        (["created<2024-06"], ["a0", "a1", "a2", "b0"]),
        (["created<2024"], []),
        (["created>2023"], ["a0", "a1", "a2", "b0"]),
        (["model<5"], []),
        (["status=done", "split=kfold", "split.fold=0", "seed=1"], ["a1"]),
    ],
)
def test_filters(where: list[str], expected: list[str]) -> None:
    assert keys(*where) == expected


def test_a_key_may_be_cut_to_what_a_table_shows() -> None:
    run = replace(RUNS[0], key="cc4c6f6050f283c3")
    for cut in ("cc4c6f60", "cc4c6f6050f2", run.key):
        assert query([run], [f"key={cut}"]) == [run] and query([run], [f"key!={cut}"]) == []
    for other in ("cc4c6f6", "cc4c6f61", run.key + "0"):
        assert query([run], [f"key={other}"]) == [] and query([run], [f"key!={other}"]) == [run]


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("modle=mf", "unknown field 'modle': did you mean 'model'"),
        ("train.lrr=1", "did you mean 'train.lr'"),
        ("model", "--where takes FIELD=VALUE"),
        ("seed<x", "seed is a number and 'x' is none"),
        ("=mf", "--where takes FIELD=VALUE"),
    ],
)
def test_wrong_filters_are_said(where: str, said: str) -> None:
    with pytest.raises(UpliftlensError, match=said):
        keys(where)


def test_true_is_no_number() -> None:
    flagged = record("t", config={"trial": True})
    assert [query([flagged], [f"trial{rest}"]) for rest in ("=true", "=1", "=false", "!=false")] == [
        [flagged],
        [],
        [],
        [flagged],
    ]


def test_columns_are_what_differs() -> None:
    assert columns([]) == ["model"]
    assert columns(RUNS[:1]) == ["model"]
    assert columns(RUNS[:2]) == ["model", "train.lr", "seed"]
    assert columns(RUNS) == ["model", "loss", "objective", "train.lr", "seed"]
    other_defaults = replace(RUNS[3], config={**RUNS[3].config, "model": {"name": "ease", "dim": 99, "own": 1}})
    assert columns([RUNS[0], other_defaults]) == ["model", "loss", "objective"], "defaults of two models are no news"
    elsewhere = replace(RUNS[0], config={**RUNS[0].config, "store": "x", "progress": False})
    assert columns([RUNS[0], elsewhere]) == ["model"]
    fold = replace(RUNS[0], config={**RUNS[0].config, "split": {"name": "kfold", "fold": 1, "seed": 0}})
    assert columns([RUNS[0], fold]) == ["model", "split.fold"]
    later = {"propensity": {"trim": 0.0, "held_out": 0.0}, "metrics": {"interval": {"over": "users"}}}
    assert columns([RUNS[0], replace(RUNS[0], config={**RUNS[0].config, **later})]) == ["model"], "options added later"
    trimmed = {**RUNS[0].config, "propensity": {"trim": 0.1}}
    assert columns([RUNS[0], replace(RUNS[0], config=trimmed)]) == ["model", "propensity.trim"]
    ua = replace(RUNS[0], split={"name": "ua"})
    assert columns([RUNS[0], ua]) == ["split", "model"]


def test_metrics_are_the_usual_ones_or_those_asked_for() -> None:
    assert metric_names(RUNS, []) == ["rmse", "recall@10"]
    assert metric_names(RUNS, ["recall@10"]) == ["recall@10"]
    assert metric_names([record(metrics={"validation/auc": Summary(1, 1, 1, 1)})], []) == ["validation/auc"]
    with pytest.raises(UpliftlensError, match="did you mean 'recall@10'"):
        metric_names(RUNS, ["recal@10"])


def test_markdown() -> None:
    assert render(runs(RUNS[:3], []), "md") == "\n".join(
        [
            "| run | model | train.lr | seed | rmse | recall@10 |",
            "| --- | --- | --- | --- | --- | --- |",
            "| a0 | mf | 0.01 | 0 | 0.900 [0.850, 0.950] | 0.250 [0.200, 0.300] |",
            "| a1 | mf | 0.001 | 1 | 0.900 [0.850, 0.950] | 0.250 [0.200, 0.300] |",
            "| a2 | mf | 0.01 | 2 | 1.500 |  |",
        ]
    )


def test_csv_has_a_column_for_every_part() -> None:
    text = render(runs(RUNS[:3], ["rmse"]), "csv")
    assert isinstance(text, str)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["run", "model", "train.lr", "seed", "rmse", "rmse/lo", "rmse/hi", "rmse/n"]
    assert list(rows[0].values()) == ["a0", "mf", "0.01", "0", "0.9", "0.85", "0.95", "7"]
    assert rows[2]["rmse"] == "1.5" and math.isnan(float(rows[2]["rmse/lo"]))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.91234, "0.912"),
        (123.456, "123.5"),
        (0.00012345, "0.00012"),
        (0.0, "0.000"),
        (-0.5, "-0.500"),
        (math.nan, "–"),
    ],
)
def test_values_for_people(value: float, text: str) -> None:
    assert shown(value) == text


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = open_store(tmp_path / "runs")
    for run in RUNS[:2]:
        save_run(store, run, {})
    return store


def test_json_is_the_records_themselves(store: Store) -> None:
    answer = Lab(store.root).records("seed=1")
    (content,) = json.loads(answer.text)
    assert content["key"] == "a1" and content["metrics"]["rmse"] == {"value": 0.9, "lo": 0.85, "hi": 0.95, "n": 7}
    assert answer.remarks == () and answer.to_pandas()["config.train.lr"].tolist() == [0.001]


def text_of(body: Any) -> str:
    console = Console(width=200, file=io.StringIO())
    console.print(body)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_the_table_shows_failed_and_running_runs(store: Store) -> None:
    save_failure(store, record("f0", seed=7), ValueError("loss is [red]NaN"), "trace")
    with claim(store, "runs", "r0", print, record("r0", status="running", metrics={}, seed=8)):
        table = text_of(Lab(store.root).results().render("table"))
    lines = {line.split()[0]: line for line in table.splitlines()[2:] if line.strip()}
    assert lines["a0"].split()[1:6] == ["done", "mf", "0.01", "0", "0.900"]
    assert "0.900 [0.850, 0.950]" in lines["a0"]
    assert "failed" in lines["f0"] and "ValueError:" in lines["f0"]
    whole = str(Lab(store.root).results().render("csv"))
    assert "ValueError: loss is [red]NaN" in whole and "traceback.txt" in whole
    assert lines["r0"].split()[1:] == ["running", "mf", "0.01", "8"]


def test_an_empty_store_says_what_to_do(tmp_path: Path) -> None:
    for form, body in (("json", "[]"), ("csv", "run,model"), ("md", "| run | model |\n| --- | --- |")):
        answer = getattr(Lab(tmp_path), "records" if form == "json" else "results")("model=mf")
        assert answer.render(form) == body
        assert len(answer.remarks) == 1 and "No runs in" in answer.remarks[0] and "upliftlens run" in answer.remarks[0]


def test_no_match_and_damage_are_remarked(store: Store) -> None:
    (store.root / "runs" / "a0" / "record.json").write_text("{")
    answer = Lab(store.root).results("seed=5")
    parts = ("skipped", "None of the 1 runs", "No run has seed=5: there is: ")
    assert all(part in remark for part, remark in zip(parts, answer.remarks, strict=True))


def members(n: int, users: int, rng: np.random.Generator) -> tuple[list[Record], dict[str, dict[str, np.ndarray]]]:
    """n runs (seeds) with RMSE sums per user: (squared error, count)."""
    some, arrays = [], {}
    for seed in range(n):
        sums = np.stack([rng.gamma(2.0, size=users), rng.integers(1, 5, users)], axis=1).astype(float)
        value = math.sqrt(sums[:, 0].sum() / sums[:, 1].sum())
        some.append(record(f"s{seed}", seed=seed, metrics={"rmse": Summary(value, 0, 1, users)}))
        arrays[f"s{seed}"] = {"users": np.arange(users, dtype=np.int32), "rmse": sums}
    return some, arrays


def test_means_over_seeds_have_an_interval_over_users_and_seeds() -> None:
    """Against a plain double bootstrap: the users of all runs together, and the seeds, with replacement."""
    rng = np.random.default_rng(0)
    some, arrays = members(5, 40, rng)
    alien = record("x", model="ease", metrics={"rmse": Summary(2.0, 1.9, 2.1, 9)})
    broken = record("y", status="failed", seed=9, error=Failure("ValueError", "no"))
    sheet = summarise([*some, alien, broken], ["seed"], [], lambda name: arrays.get(name.key, {}))
    assert sheet.columns == ["model", "runs"] and sheet.metrics == ["rmse"]
    rows = {row.cells["model"]: row for row in sheet.rows}
    assert rows["mf"].cells == {"model": "mf", "runs": "5"} and rows["ease"].cells["runs"] == "1"
    mean = rows["mf"].metrics["rmse"]
    assert mean.value == pytest.approx(np.mean([item.metrics["rmse"].value for item in some]), rel=1e-12)
    assert mean.n == 40
    sums = np.stack([arrays[item.key]["rmse"] for item in some])
    replicated = []
    for _ in range(4000):
        drawn = sums[rng.integers(5, size=5)][:, rng.integers(40, size=40)]
        replicated.append(np.mean([math.sqrt(item[:, 0].sum() / item[:, 1].sum()) for item in drawn]))
    lo, hi = np.quantile(replicated, [0.05, 0.95])
    width = mean.hi - mean.lo
    assert mean.lo < mean.value < mean.hi and METRICS["interval"]["level"] == 0.9
    assert 0.8 * (hi - lo) < width < 1.5 * (hi - lo)
    assert rows["ease"].metrics["rmse"].value == 2.0 and math.isnan(rows["ease"].metrics["rmse"].lo)


def test_means_keep_apart_what_differs_in_more_than_the_seed() -> None:
    rng = np.random.default_rng(1)
    some, arrays = members(4, 10, rng)
    some[2:] = [replace(item, config={**item.config, "train": {"lr": 0.5}}) for item in some[2:]]
    sheet = summarise(some, ["seed"], ["rmse"], lambda name: arrays[name.key])
    assert [(row.cells["train.lr"], row.cells["runs"]) for row in sheet.rows] == [("0.01", "2"), ("0.5", "2")]
    assert [
        row.cells["runs"] for row in summarise(some, ["seed", "train.lr"], [], lambda name: arrays[name.key]).rows
    ] == ["4"]
    partly = [replace(some[0], metrics={}), some[1]]
    (row,) = summarise(partly, ["seed"], ["rmse"], lambda name: arrays[name.key]).rows
    assert row.metrics == {}, "a mean over fewer runs than it says would be no mean"


def test_means_of_a_store_in_json(tmp_path: Path) -> None:
    store = open_store(tmp_path / "runs")
    some, arrays = members(3, 10, np.random.default_rng(2))
    for item in some:
        save_run(store, item, arrays[item.key])
    (row,) = json.loads(str(Lab(store.root).results(over="seed").render("json")))
    assert row["runs"] == "3" and row["metrics"]["rmse"]["lo"] < row["metrics"]["rmse"]["value"]


def test_a_fit_that_was_measured_twice_is_one_experiment(tmp_path, capsys):
    assert call("run", tmp_path, "model=additive") == 0
    assert call("run", tmp_path, "model=additive", "metrics.names=[rmse,mae,recall@5]") == 0
    assert call("run", tmp_path, "model=popularity") == 0
    capsys.readouterr()

    def shown(*words):
        assert main(["results", f"--store={tmp_path}", *words]) == 0
        return capsys.readouterr()

    usual, expected = shown("--format=csv"), shown("--format=csv", "--metrics", "mae")
    assert "metrics." not in usual.out and len(usual.out.splitlines()) == 3
    assert "1 runs are left out: the model that they measured is in the table already" in usual.err
    assert "They have other metrics.names or options of metrics. `" in usual.err
    assert usual.out.splitlines()[1].split(",")[0] != expected.out.splitlines()[1].split(",")[0]
    assert len(json.loads(shown("--format=json").out)) == 3
    assert shown("--over", "seed", "--format=csv").out.count("additive") == 1
    assert "A row of one run takes that run as it is" in shown("--over", "seed").err
    assert main(["compare", "additive", "popularity", "--metric", "recall@10", f"--store={tmp_path}"]) == 0
    assert call("run", tmp_path, "model=additive", "loss=logistic") == 0  # has no error of ratings
    assert main(["compare", "additive", "additive/squared", "--metric", "mae", f"--store={tmp_path}"]) == 1
    assert "additive and additive/squared mean the same run" in capsys.readouterr().err
    assert main(["compare", "additive", "popularity", "--metric", "recall@10", f"--store={tmp_path}"]) == 1
    assert "'additive' means 2 runs" in capsys.readouterr().err

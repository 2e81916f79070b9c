"""The page of `upliftlens report`: what it shows is what records and `results` say, and nothing in it is a request."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from page_reader import Page
from shell import call
from stored import record

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.lab.lab import Lab
from upliftlens.benchmarks.reports.page import document
from upliftlens.benchmarks.reports.page.charts import EPOCHS, RUNS
from upliftlens.benchmarks.reports.page.document import Ledger, gathered, html
from upliftlens.benchmarks.reports.page.evidence import committed_robustness
from upliftlens.benchmarks.reports.sheet import with_interval
from upliftlens.benchmarks.runs.records import Failure, Record, Summary, sealed, to_json
from upliftlens.benchmarks.runs.store import Store, list_records, save_failure, save_run

HOSTILE = "<script>alert(1)</script><img src=x onerror=\"alert('2')\">&amp;</script"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Methods with two seeds each, a log of recommendations, trials of a search, and a run that failed."""
    root = tmp_path_factory.mktemp("page") / "runs"
    assert call("sweep", root, "model=mf,popularity", "seed=0,1", "propensity=none,popularity") == 0
    assert call("tune", root, "model=mf", "budget=2", "tune_seed=1") == 0
    uplift = ["data=uplift-synthetic", "data.n_users=30", "data.n_items=20", "data.per_user=4", "progress=false"]
    assert main(["sweep", *uplift, "model=random,popularity", f"store={root}", f"cache={root}/cache"]) == 0
    failed = next(run for run in list_records(Store(root)).records if run.model == "mf")
    save_failure(Store(root), replace(failed, key="f" * 16, metrics={}), ValueError(HOSTILE), "a trace")
    return root


def written(store: Path, folder: Path, *flags: str) -> Page:
    assert main(["report", "--store", str(store), "--out", str(folder / "page.html"), *flags]) == 0
    return Page((folder / "page.html").read_text())


@pytest.fixture(scope="module")
def page(store, tmp_path_factory):
    return written(store, tmp_path_factory.mktemp("written"))


def test_methods_stand_as_results_averages_them(store, page):
    boards = [number for number, table in enumerate(page.tables) if "runs" in table[0] and "rmse" in str(table[0])]
    shown = {(row["model"], row["propensity"]): row for row in page.rows(boards[0])}
    sheet = Lab(store).results("data=synthetic", over=["seed", "split.fold"]).content
    assert len(shown) == len(sheet.rows) == 3
    for row in sheet.rows:
        line = shown[row.cells["model"], row.cells["propensity"]]
        assert line["runs"] == "2"
        for name, metric in row.metrics.items():
            assert line[name] == with_interval(metric), name
    exact = {attributes["data-value"] for tag, attributes in page.tags if tag == "td" and "data-value" in attributes}
    runs = [run for run in list_records(Store(store)).records if run.status == "done" and not run.trial]
    assert {str(run.metrics["ndcg@10"].value) for run in runs} <= exact


def test_each_protocol_has_its_own_ranking(page):
    titles = [attributes["id"] for tag, attributes in page.tags if tag == "section" and "class" in attributes]
    assert titles == ["board-1", "board-2"]
    data = [attributes["data-data"] for tag, attributes in page.tags if tag == "tbody" and "data-data" in attributes]
    assert data == sorted(data, reverse=data[0] > data[-1]), "no table mixes two data sets"
    heads = [attributes for tag, attributes in page.tags if tag == "th" and "aria-sort" in attributes]
    assert {attributes["aria-sort"] for attributes in heads} == {"descending"}  # ndcg@10 orders them


@pytest.mark.parametrize(
    "said",
    [
        "10 finished, 1 failed, 0 running",
        "2 trials of searches are not shown",
        "upliftlens sweep data=synthetic model=mf",
        "seed=0,1",
        "Seeds. 2 runs: seed 0, 1, fold 0.",
        "2 trials of searches in the store, each scored on validation rows by rmse",
        "by rmse on validation rows; then trained again on training and validation rows together. Not on test rows.",
        "50 resamples of users; across runs also over the runs",
        "propensity=popularity on synthetic, split kfold, fold 0",
        "weights 1/p:",
        "logged rows,",
        "the propensities of recommending are recorded",
        "Generated here: free.",
        "From the committed table results/robustness.json",
        "upliftlens table schnabel-1 --trace",
        "ValueError: <script>alert(1)</script>",
        "python: 3.",
        "is weighted by the propensities of none, popularity: rows of different ones estimate different things",
    ],
)
def test_the_page_says(said, page):
    assert said in re.sub(r"\s+", " ", page.text)


def test_every_run_has_its_key_and_every_chart_its_data(store, page):
    runs = [run for run in list_records(Store(store)).records if run.status == "done" and not run.trial]
    shown = re.sub(r"\s+", " ", page.text)
    assert all(run.key in shown for run in runs if run.config["propensity"]["name"] == "none" or run.loss)
    assert len(page.charts) == 5  # a scatter plot and curves, a scatter plot of solvers, overlap, robustness
    values = {value.get("series") for chart in page.charts for value in chart["data"]["values"]}
    assert {"rmse on validation rows", "training loss"} <= values
    mf = next(run for run in runs if run.model == "mf")
    curve = [value for value in page.charts[1]["data"]["values"] if mf.key[:8] in value["run"]]
    losses = [value["value"] for value in curve if value["series"] == "training loss"]
    assert losses == pytest.approx([line["loss"] for line in mf.epochs], rel=1e-4)


def test_nothing_is_requested(page, store, tmp_path):
    for tag, attributes in page.tags:
        assert tag not in ("img", "iframe", "object", "embed", "audio", "video", "base")
        for name in ("src", "srcset", "href", "action", "data", "poster", "background"):
            value = attributes.get(name)
            assert value is None or value.startswith("#") or (tag == "link" and value == "data:,"), (tag, value)
    text = (tmp_path / "page.html").read_text() if written(store, tmp_path) else ""
    outside = re.sub(r"<script type=\"module\">.*?</script>", "", text, flags=re.DOTALL)  # the library's strings
    assert "http:" not in outside and "https:" not in outside and "@import" not in outside and "url(" not in outside
    policy = next(attributes["content"] for tag, attributes in page.tags if attributes.get("http-equiv"))
    assert policy.startswith("default-src 'none'") and "http" not in policy


def test_the_same_store_gives_the_same_bytes(store, tmp_path):
    pages = [tmp_path / "a.html", tmp_path / "b" / "c.html"]
    for path in pages:
        Lab(store).report(path)
    assert pages[0].read_bytes() == pages[1].read_bytes()


def synthetic(n: int, **changes) -> list[Record]:
    """Records without sums per user: each has a row of its own."""
    epochs = tuple({"epoch": number, "loss": 1 / number, "validation": 1 / number} for number in range(1, 71))
    metrics = {name: Summary(0.1234567, 0.1, 0.2, 900) for name in ("rmse", "rmse/snips", "recall@10", "ndcg@10")}
    timing, diagnostics = {"total": 1.0}, {"monitor": "rmse", "best_epoch": 7}
    shared = {"epochs": epochs, "metrics": metrics, "timing": timing, "diagnostics": diagnostics} | changes
    return [
        record(f"{number:016x}", seed=number % 5, train_lr=0.001 * (1 + number // 5), **shared) for number in range(n)
    ]


def put(root: Path, records: list[Record]) -> Store:
    for each in records:
        folder = root / "runs" / each.key
        folder.mkdir(parents=True)
        (folder / "record.json").write_bytes(sealed(to_json(each)))
    return Store(root)


def test_3000_runs_are_thinned_and_stay_small(tmp_path, monkeypatch):
    monkeypatch.setattr(document, "_library", lambda: "/* 0.9 MB */")
    text = html(gathered(put(tmp_path, synthetic(3000)), [], []))
    page = Page(text)
    assert len(text.encode()) < 9e6
    assert len(page.rows(0)) == 3000
    lines = {value["run"] for value in page.charts[1]["data"]["values"]}
    assert len(lines) == RUNS and len(page.charts[1]["data"]["values"]) == 2 * RUNS * EPOCHS
    said = re.sub(r"\s+", " ", page.text)
    assert f"{RUNS} of 3000 runs with epochs are shown" in said and "2800 methods are left out" in said
    assert "200 of 3000 rows are shown" in said


def test_names_and_errors_are_text(tmp_path):
    hostile = synthetic(
        2,
        model=HOSTILE,
        data={"name": HOSTILE, "fingerprint": HOSTILE},
        split={"name": HOSTILE, "fingerprint": "s" * 8},
    )
    failed = record("e0", status="failed", error=Failure("ValueError", HOSTILE), metrics={})
    text = html(gathered(put(tmp_path, [*hostile, failed]), [], [], Ledger(("a",), [(HOSTILE,)], [HOSTILE])))
    page, plain = Page(text), Page(html(gathered(put(tmp_path / "plain", [*synthetic(2), failed]), [], [])))
    assert text.count("<script>alert") == 0 and 'onerror="' not in text
    scripts = [sum(tag == "script" for tag, _ in each.tags) for each in (page, plain)]
    assert scripts[0] == scripts[1], "no text begins a script"
    assert page.text.count(HOSTILE) > 5
    assert page.charts[0]["data"]["values"][0]["name"].startswith(HOSTILE)


def test_runs_that_cannot_be_averaged_have_a_row_each(tmp_path):
    twice = [replace(run, fit_key=run.key, seed=0) for run in synthetic(2)]
    store = put(tmp_path / "no sums", twice)
    assert "is left out" in html(gathered(store, [], [])), "sums per user are missing"
    root = tmp_path / "sums"
    for run in twice:
        save_run(Store(root), run, {})
    page = Page(html(gathered(Store(root), [], [])))
    assert "so that each has a row: runs 00000000 and 00000000 agree in seed, split.fold" in page.text
    assert len(page.rows(0)) == 2


def test_the_committed_table_of_robustness_is_drawn_as_it_is(tmp_path):
    chart = committed_robustness()
    names = {value["estimator"] for value in chart.specification["data"]["values"]}
    assert {"naive", "ips", "snips", "dr"} <= names and not any("/" in name for name in names)
    assert committed_robustness(tmp_path / "none.json") is None


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--where", "modle=mf"], "unknown field 'modle': did you mean 'model'"),
        (["--where", "model=mff"], "No run has model=mff: did you mean 'mf'"),
        (["--metrics", "rmze"], "unknown metric 'rmze': did you mean 'rmse'"),
        (["--out", "page.txt"], "page.txt: a report is written as HTML: name the file like report.html"),
        (["--out", "/proc/page.html"], "/proc/page.html: "),
        (["--out", "folder.html"], "folder.html: Is a directory: name a file that can be written"),
    ],
)
def test_a_wrong_call_is_answered(flags, said, store, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.html").mkdir()
    assert main(["report", "--store", str(store), *flags]) == 1
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["folder.html"]


def test_an_empty_store_and_a_missing_library_are_said(tmp_path, capsys, monkeypatch, store):
    (tmp_path / "empty").mkdir()
    assert main(["report", "--store", str(tmp_path / "empty"), "--out", str(tmp_path / "a.html")]) == 1
    assert "No runs in" in capsys.readouterr().err
    document._library.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "vl_convert", None)
    assert main(["report", "--store", str(store), "--out", str(tmp_path / "a.html")]) == 1
    assert "a report needs the package vl_convert, which is not installed: pip install 'upliftlens[report]'" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "a.html").exists()

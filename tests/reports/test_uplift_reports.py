"""What a run with uplift tells: its line, its record, W&B, and two methods compared on a log of one's own."""

import json

import numpy as np
import pytest
from shell import records
from wandb_reader import read_run

from upliftlens.benchmarks.cli.main import main

NAMES = "metrics.names=[recall@10,cp@10,uplift@10/true,uplift@10/snips,uplift@10/dr]"


def log_file(path, treated_share: float, certain: int = 0):
    """Pairs of 60 users and 15 items; of every user the first ``certain`` are always recommended."""
    rng = np.random.default_rng(0)
    lines = ["user,item,treated,outcome,propensity"]
    for user in range(60):
        for item in range(15):
            e = 1.0 if item < certain else treated_share
            z = int(rng.random() < e)
            lines.append(f"u{user},i{item},{z},{int(rng.random() < 0.3 + 0.3 * z)},{e}")
    path.write_text("\n".join(lines) + "\n")
    return path


def swept(folder, *words: str) -> int:
    options = ["metrics=uplift", "metrics.interval.resamples=50", "progress=false", f"cache={folder}"]
    return main(["sweep", "data=uplift-log", *options, f"store={folder}/runs", *words])


def test_wandb_gets_uplift_beside_recall_and_so_does_the_line(tmp_path, capsys):
    world = ("data=uplift-synthetic", "data.n_users=60", "data.n_items=40", "data.per_user=8", "split=draws")
    options = ("metrics=uplift", NAMES, "metrics.interval.resamples=50", f"store={tmp_path}/runs", f"cache={tmp_path}")
    logger = ("logger=wandb", f"logger.dir={tmp_path}", "progress=false")
    assert main(["run", *world, *options, *logger, "model=popularity"]) == 0
    line = capsys.readouterr().err
    (record,) = records(tmp_path / "runs")
    (path,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    summary = read_run(path)["summary"]
    for name, metric in record["metrics"].items():
        for part, value in (("", metric["value"]), ("/lo", metric["lo"]), ("/hi", metric["hi"])):
            assert summary[name + part] == pytest.approx(value)
    assert {"recall@10", "cp@10", "uplift@10/true", "uplift@10/snips", "uplift@10/dr"} == set(record["metrics"])
    for name in ("recall@10", "cp@10", "uplift@10/snips"):
        assert f"{name} {record['metrics'][name]['value']:.4f}" in line


def test_two_recommenders_are_compared_on_a_log_and_estimated_propensities_are_told(tmp_path, capsys):
    path = log_file(tmp_path / "log.csv", 0.4)
    assert swept(tmp_path, f"data.path={path}", "model=popularity,random", "data.columns.propensity=null") == 0
    capsys.readouterr()
    words = ["compare", "popularity", "random", "--metric", "uplift@10/dr", "--store", str(tmp_path / "runs")]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "difference" in text and "p = " in text and "Propensities of recommending were estimated" in text
    assert main([*words, "--format", "json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["lo"] < content["difference"] < content["hi"]
    assert main(["compare", "popularity", "random", "--metric", "recall@10", "--store", str(tmp_path / "runs")]) == 0
    assert "Propensities" not in capsys.readouterr().out


def test_rows_without_overlap_are_counted_in_the_record(tmp_path):
    path = log_file(tmp_path / "log.csv", 0.5, certain=3)
    assert swept(tmp_path, f"data.path={path}", "model=popularity") == 0
    (record,) = records(tmp_path / "runs")
    said = record["diagnostics"]["recommendations"]
    assert said["propensities"] == "recorded" and 0 < said["without_overlap"] < said["rows"]


def test_a_part_without_treated_rows_is_an_answer(tmp_path, capsys):
    path = log_file(tmp_path / "log.csv", 0.0)
    text = path.read_text().splitlines()
    text[1] = "u0,i0,1,1,0.01"
    path.write_text("\n".join([text[0], text[1], *(line.replace(",0.0", ",0.01") for line in text[2:])]) + "\n")
    assert swept(tmp_path, f"data.path={path}", "model=popularity", "trial=true") == 1
    error = capsys.readouterr().err
    assert "can't select by uplift@10/snips" in error and "none was recommended, or all were" in error
    assert swept(tmp_path, f"data.path={path}", "model=popularity", "train.monitor=ndcg@10") == 0
    done = next(record for record in records(tmp_path / "runs") if record["status"] == "done")
    assert "recall@10" in done["metrics"] and "uplift@10/snips" not in done["metrics"]
    assert "none was recommended" in done["diagnostics"]["absent"]["uplift@10/snips"]


def test_one_treated_row_gives_a_value_but_no_interval(tmp_path):
    path = log_file(tmp_path / "log.csv", 0.0)
    text = path.read_text().replace(",0.0\n", ",0.01\n").splitlines()
    text[1:3] = [f"u0,i{item},1,1,0.01" for item in (0, 1)]  # one of them is in the test part of this fold
    path.write_text("\n".join(text) + "\n")
    assert swept(tmp_path, f"data.path={path}", "model=popularity", "train.monitor=ndcg@10") == 0
    (done,) = records(tmp_path / "runs")
    assert done["diagnostics"]["recommendations"]["treated"] == 1
    metric = done["metrics"]["uplift@10/naive"]
    assert 0 < metric["value"] < 1 and metric["lo"] is metric["hi"] is None

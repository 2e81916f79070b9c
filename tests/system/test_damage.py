"""What is damaged, hidden or can't be had: said in a sentence, and the rest goes on."""

import errno
import json

import pytest
from shell import TINY, call, records

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.cli.verbs import doctor
from upliftlens.benchmarks.data import DataUnavailable, load
from upliftlens.benchmarks.runs import prepare

CSV = "user,item,rating\n" + "".join(f"u{k % 7},i{k % 11},{1 + k % 3}\n" for k in range(77))


@pytest.fixture
def store(tmp_path):
    assert call("sweep", tmp_path / "runs", "model=popularity", "seed=0,1") == 0
    return tmp_path / "runs"


@pytest.mark.parametrize("content", ["{}", '{"epochs": 3, "refitted": 1}', "[]", "{"])
def test_a_damaged_fit_is_fitted_again(content, store, capsys):
    record = records(store)[0]
    (store / "fits" / record["fit_key"] / "fit.json").write_text(content)
    assert main(["recommend", record["key"], "--user", "3", "--store", str(store), "--cache", f"{store}/cache"]) == 1
    shown = capsys.readouterr().err
    assert "damaged" in shown or "missing" in shown
    assert str(store / "runs" / record["key"]) in shown and len(shown.strip().splitlines()) <= 2
    assert call("run", store, "model=popularity", "metrics.names=[recall@3]", f"seed={record['seed']}") == 0
    assert main(["recommend", record["key"], "--user", "3", "--store", str(store), "--cache", f"{store}/cache"]) == 0


def test_damaged_records_leave_the_others_readable(store, capsys):
    first, second = records(store)
    for item in (first, second):
        path = store / "runs" / item["key"] / "record.json"
        path.write_text(json.dumps({**item, "config": {k: v for k, v in item["config"].items() if k != "trial"}}))
    assert main(["results", "--store", str(store), "--over", "seed", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["runs"] == "2"
    assert call("run", store, "model=random") == 0
    assert main(["compare", "popularity", "random", "--store", str(store)]) == 0
    (store / "runs" / first["key"] / "per_user.npz").write_bytes(b"PK")
    capsys.readouterr()
    assert main(["results", "--store", str(store), "--over", "seed", "--format", "json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)[0]["runs"] == "1"
    assert f"Run {first['key'][:8]} is left out" in shown.err
    (store / "runs" / first["key"] / "record.json").write_text(json.dumps({**first, "data": {}}))
    figure = str(store / "points.png")
    for verb in (
        ["results"], ["compare", "popularity", "random"], ["recommend", first["key"], "--user", "3"],
        ["plot", "scatter", "--y=recall@10", "--out", figure],
    ):  # fmt: skip
        main([*verb, "--store", str(store), "--cache", f"{store}/cache"])
        assert "is skipped: not a record of a run" in capsys.readouterr().err, verb


def test_trials_are_hidden_unless_asked_for(store, capsys):
    assert call("run", store, "model=popularity", "trial=true") == 0
    for words, n in (([], 2), (["--where", "trial=true"], 1), (["--where", "trial=false"], 2)):
        capsys.readouterr()
        assert main(["results", "--store", str(store), "--format", "json", *words]) == 0
        shown = capsys.readouterr()
        assert len(json.loads(shown.out)) == n
        assert ("1 trials of searches are not shown" in shown.err) == (not words)


def test_a_closed_form_needs_no_relevant_validation_row_unless_it_is_tuned(tmp_path, capsys):
    (tmp_path / "low.csv").write_text(CSV.replace(",3\n", ",4\n", 3))
    words = ("data=csv", f"data.path={tmp_path}/low.csv", "split.seed=1", "split.validation=0.02", "progress=false")
    words = (*words, "metrics.interval.resamples=50", f"store={tmp_path}/runs", "model=popularity")
    assert main(["run", *words]) == 0
    (record,) = records(tmp_path / "runs")
    assert record["diagnostics"]["validation"] is None
    assert main(["run", *words, "trial=true"]) == 1
    shown = capsys.readouterr().err
    assert "can't select by ndcg@10: no user has a relevant validation item. Fix: train.monitor=" in shown


def test_data_that_cannot_be_had_are_tried_once_in_a_sweep(tmp_path, monkeypatch, capsys):
    tried = []

    def offline(config, cache, say):
        if config.name == "synthetic":
            return load(config, cache, say)
        tried.append(config.name)
        raise DataUnavailable(config.name, [("the network", "is away")], "plug it in")

    monkeypatch.setattr(prepare, "load", offline)
    words = [item for item in TINY if not item.startswith("data")]
    assert main(["sweep", *words, f"store={tmp_path}/runs", "data=ml-1m,ml-10m", "model=random", "seed=0,1,2"]) == 1
    shown = capsys.readouterr().err
    assert tried == ["ml-1m", "ml-10m"] and shown.count("plug it in") == 2
    assert (
        shown.count("could not be loaded, see the message above") == 4 and "6 of 6 runs failed, see the lines" in shown
    )
    assert "others" not in shown


def test_a_full_disk_is_said_of_the_folder_that_is_on_it(tmp_path, monkeypatch, capsys):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("hydra._internal.config_loader_impl.OmegaConf.to_yaml", full, raising=False)
        patched.setattr("omegaconf.OmegaConf.save", full)
        assert call("sweep", tmp_path / "runs", "model=random", "seed=0,1") == 1
    shown = capsys.readouterr().err
    assert f"{tmp_path}/runs" in shown and "No space left" in shown and "None" not in shown
    assert "Nothing was started" in shown
    monkeypatch.setattr("upliftlens.benchmarks.data.fetch.exclusive", full)
    words = [item for item in TINY if not item.startswith("data")]
    assert main(["run", *words, f"store={tmp_path}/runs", f"cache={tmp_path}/cache", "data=ml-1m"]) == 1
    shown = capsys.readouterr().err
    assert "the cache can't be used" in shown and "cache=FOLDER" in shown and "store" not in shown


def test_the_doctor_calls_a_full_disk_broken(tmp_path, monkeypatch):
    for free, state in ((0, "broken"), (2**30, "note"), (2**40, "good")):
        usage = doctor.shutil.disk_usage(tmp_path)._replace(free=free)
        with monkeypatch.context() as patched:
            patched.setattr(doctor.shutil, "disk_usage", lambda folder, usage=usage: usage)
            assert doctor._store(tmp_path).state == state

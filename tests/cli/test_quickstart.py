"""The quickstart where ML-100K can't be had: a generated world stands in, and every line that could mislead says so."""

import pytest
from shell import records

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.data import obtain
from upliftlens.benchmarks.data.fetch import FetchFailed
from upliftlens.benchmarks.sweeps import jobs

SMALL = (
    *("model=additive", "train.optimizer=adam", "seed=0", "train.epochs=2"),
    *("metrics.interval.resamples=50", "progress=false"),
    *("metrics.world.ratings.steps=1000", "metrics.world.watched.steps=1000"),
)


def places(folder):
    return (f"store={folder}/runs", f"cache={folder}/cache", "metrics.interval.resamples=50", "progress=false")


@pytest.fixture
def offline(monkeypatch):
    asked = []

    def refuse(source, target, progress):
        asked.append(source.file)
        raise FetchFailed("there is no network")

    monkeypatch.setattr(obtain, "fetch", refuse)
    return asked


def test_without_a_way_to_get_the_data_a_world_stands_in_and_says_so(offline, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    world = ("data.n_users=40", "data.n_items=200", "data.ratings_per_user=12", "data.test_per_user=4")
    start = jobs.run_jobs

    def small(verb, words, ready):  # else the world is a large one
        return start(verb, [*words, *world * (words[-1] == "data=synthetic")], ready)

    monkeypatch.setattr(jobs, "run_jobs", small)
    places = (f"store={tmp_path}/runs", f"cache={tmp_path}/cache", f"logger.dir={tmp_path}")
    assert main(["quickstart", *SMALL, *places]) == 0
    out, err = capsys.readouterr()
    assert len(offline) == 2, "both sources of ML-100K are asked, once"
    assert "there is no network" in err and "SYNTHETIC world, not real data" in " ".join(err.split())
    assert out.count("SYNTHETIC world (ML-100K could not be loaded)") == 1 and "MovieLens 100K" not in out
    assert "--where data=synthetic" in out and "sweep data=synthetic" in out and "data=ml-100k" not in out
    stored = records(tmp_path / "runs")
    assert {item["model"] for item in stored} == {"additive"}
    assert {item["data"]["name"] for item in stored} == {"synthetic"}


def test_what_it_prints_is_of_the_data_that_were_chosen(offline, tmp_path, capsys, monkeypatch):
    """With other data, split and seed nothing is fetched, and no line speaks of ML-100K, folds or runs of W&B."""
    monkeypatch.chdir(tmp_path)
    small = ("data.n_users=60", "data.n_items=60", "data.ratings_per_user=12", "data.test_per_user=4")
    chosen = ("data=synthetic", *small, "split=given")
    words = (
        "quickstart",
        *chosen,
        "model=popularity,random",
        "seed=0",
        "metrics=standard",
        "logger=none",
        *places(tmp_path),
    )
    assert main([*words]) == 0
    out, _ = capsys.readouterr()
    assert offline == [], "ML-100K was asked for"
    assert (
        "synthetic, split given, one seed; 95 % intervals over users (items, training rows and split as they are):"
        in out
    )
    assert "sweep data=synthetic split=given model=mf" in out and "compare popularity random --metric recall@10" in out
    assert not any(word in out for word in ("MovieLens", "fold", "W&B", "predict ratings", "cp@10/semi"))


def test_flags_of_hydra_are_refused(capsys):
    assert main(["quickstart", "--cfg", "job"]) == 1
    assert "--cfg: quickstart takes options" in capsys.readouterr().err


def test_runs_of_wandb_are_named_where_there_are_some_and_found_runs_get_none(offline, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ("data.n_users=40", "data.n_items=60", "data.ratings_per_user=12", "data.test_per_user=4")
    world = ("data=synthetic", *small, "metrics=standard")
    words = ("quickstart", *world, "model=popularity", "seed=0", *places(tmp_path))
    assert main([*words, "logger=none"]) == 0
    assert main([*words, f"logger.dir={tmp_path}"]) == 0
    out, err = capsys.readouterr()
    assert "(found, so wandb gets no new run)" in err and "offline runs" not in out
    assert main([*words, f"logger.dir={tmp_path}", "seed=1"]) == 0
    assert f"W&B offline runs: {tmp_path}/wandb" in capsys.readouterr().out

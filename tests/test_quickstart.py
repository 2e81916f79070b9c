"""The quickstart where ML-100K can't be had: a generated world stands in, and every line that could mislead says so."""

import pytest
from shell import records

from upliftlens.benchmarks.cli import main
from upliftlens.benchmarks.data import sources
from upliftlens.benchmarks.data.fetch import FetchFailed

SMALL = ("model=additive", "seed=0", "train.epochs=2", "metrics.interval.resamples=50", "progress=false")


@pytest.fixture
def offline(monkeypatch):
    asked = []

    def refuse(source, target, progress):
        asked.append(source.file)
        raise FetchFailed("there is no network")

    monkeypatch.setattr(sources, "fetch", refuse)
    return asked


def test_without_a_way_to_get_the_data_a_world_stands_in_and_says_so(offline, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    world = ("data.n_users=40", "data.n_items=200", "data.ratings_per_user=12", "data.test_per_user=4")
    places = (f"store={tmp_path}/runs", f"cache={tmp_path}/cache", f"logger.dir={tmp_path}")
    assert main(["quickstart", *SMALL, *world, *places]) == 0
    out, err = capsys.readouterr()
    assert len(offline) == 2, "both sources of ML-100K are asked, once"
    assert "there is no network" in err and "SYNTHETIC world, not real data" in " ".join(err.split())
    assert out.count("SYNTHETIC world (ML-100K could not be had)") == 1 and "MovieLens 100K" not in out
    assert "--where data=synthetic" in out and "sweep data=synthetic" in out and "data=ml-100k" not in out
    found = records(tmp_path / "runs")
    assert {one["model"] for one in found} == {"additive"}
    assert {one["data"]["name"] for one in found} == {"synthetic"}

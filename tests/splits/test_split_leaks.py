"""Overlap, leak reports and stored splits."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from split_toys import config, dataset, random_log, same_rows, with_overlap

from upliftlens.benchmarks.runs import prepare
from upliftlens.benchmarks.splits.kinds import save_split, split
from upliftlens.benchmarks.splits.leak import LeakReport
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import interactions

PARTITIONS = ("kfold", "leave_last", "temporal")


def test_a_given_test_set_keeps_drops_or_refuses_its_overlap() -> None:
    data = with_overlap()
    kept = split(data, config("given", overlap="keep", validation=0.0))
    assert kept.leak.overlap_train_test == 3 and kept.leak.published and kept.leak.problems() == ()
    assert any("3 of 4" in note and "published" in note for note in kept.leak.notes())
    assert kept.test_rows is None and same_rows(kept.train, data.log)
    dropped = split(data, config("given", overlap="drop", validation=0.0))
    assert np.array_equal(dropped.train_rows, [1, 2, 5])
    assert dropped.leak.overlap_train_test == 0 and dropped.leak.left_out == 3
    assert any("3 log rows are left out" in note for note in dropped.leak.notes())
    with pytest.raises(UpliftlensError, match=r"3 of 4 test rows.*in train.*overlap=drop"):
        split(data, config("given", overlap="error", validation=0.0))
    # an overlap with the validation rows is one too
    with pytest.raises(UpliftlensError, match="in validation too"):
        split(data, config("given", overlap="error", validation=0.5))
    assert data.test is not None and all(same_rows(result.test, data.test) for result in (kept, dropped))


def test_pairs_that_are_trained_on_and_tested_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(prepare, "_load", lambda *_: with_overlap())
    for seed in (0, 1):
        prepare._split(prepare._source("toy"), config("given", overlap="keep", seed=seed), Path("cache"), said.append)
    (sentence,) = said
    assert ", split given: 3 of 4 test rows are in training too, as in the published protocol" in sentence


def test_repeated_pairs_across_the_parts_stop_the_run() -> None:
    log = interactions([0] * 10, [0] * 10, range(10), 1, 1, time=range(10))
    for name in PARTITIONS:
        with pytest.raises(UpliftlensError, match=r"in train too.*data\.filter\.duplicates"):
            split(dataset(log), config(name))


def test_the_leak_report_counts() -> None:
    """Small enough to count by hand."""
    log = interactions([0, 0, 0, 1, 1, 2], [0, 1, 1, 0, 1, 0], [1] * 6, 4, 4, time=[1, 5, 2, 9, 3, 9])
    test = interactions([0, 3, 1, 0], [0, 3, 2, 1], [1, 1, 1, 1], 4, 4, time=[2, 4, 4, 2])
    parts = split(dataset(log, test), config("given", overlap="keep", validation=0.0))
    # ranks of the times: tested ones 3, 6.5, 6.5, 3 (mean 4.75), of all the mean is 5.5 and the variance 7.95
    shift = pytest.approx(-0.75 / np.sqrt(7.95 * 6 / (4 * 9)))
    assert parts.leak.randomness is not None and parts.leak.randomness.time is not None
    assert parts.leak.randomness.time.z == shift
    assert replace(parts.leak, randomness=None) == LeakReport(
        train=6,
        validation=0,
        test=4,
        left_out=0,
        duplicates=1,  # (0, 1) twice
        overlap_train_test=2,  # (0, 0), and (0, 1), which two training rows hold
        overlap_validation_test=0,
        overlap_train_validation=0,
        future=2,  # user 0 at 5 > 2, user 1 at 9 > 4; user 2 has no test row
        cold_users=1,  # user 3
        cold_items=2,  # items 3 and 2
        order="none",
        published=True,
    )


def test_future_rows_are_a_problem_only_where_the_split_promises_none() -> None:
    report = split(dataset(random_log(2)), config("kfold")).leak
    assert report.future and report.problems() == ()
    assert "later than" in replace(report, order="user").problems()[0]


@pytest.mark.parametrize("name", [*PARTITIONS, "given"])
def test_a_stored_split_holds_its_rows_and_its_leak_report(name: str, tmp_path: Path) -> None:
    data = with_overlap() if name == "given" else dataset(random_log(9))
    parts = split(data, config(name, validation=0.2))
    path = save_split(parts, tmp_path / "splits")
    save_split(parts, tmp_path / "splits")  # as often as one likes
    assert path.name == f"{parts.fingerprint}.json"
    assert sorted(p.name for p in path.parent.iterdir()) == sorted([path.name, f"{parts.fingerprint}.npz"])
    about = json.loads(path.read_text())
    assert (about["name"], about["fingerprint"]) == (name, parts.fingerprint)
    assert about["leak"] == json.loads(json.dumps(asdict(parts.leak)))
    with np.load(path.with_suffix(".npz")) as rows:
        assert set(rows) == {"train", "validation"} | (set() if parts.test_rows is None else {"test"})
        for part in rows:
            np.testing.assert_array_equal(rows[part], getattr(parts, f"{part}_rows"))


def test_a_folder_that_cannot_be_written_to_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    parts = split(dataset(random_log(9)), config("kfold"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UpliftlensError, match="can't be stored"):
        save_split(parts, tmp_path / "file")
    blocked = tmp_path / f"{parts.fingerprint}.npz"
    blocked.mkdir()
    with pytest.raises(UpliftlensError, match="can't be stored"):
        save_split(parts, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [blocked.name, "file"]

"""The split of files that are one already: given validation rows, overlaps, and what is known of the sampling."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from shell import records
from split_toys import config, dataset, random_log, same_rows

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.splits.kinds import split
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import interactions, take


def toy(validates: list[int] | None = None) -> Dataset:
    """Seven rows to learn from; test rows 0, 1 and 2 are new pairs of known users and items, row 3 is of a new user."""
    log = interactions([0, 0, 1, 1, 2, 2, 0], [0, 1, 0, 2, 1, 2, 2], [1] * 7, 4, 3)
    data = dataset(log, interactions([1, 2, 3], [1, 0, 0], [1] * 3, 4, 3))
    return data if validates is None else replace(data, validates=np.isin(np.arange(7), validates))


def test_given_validation_rows_validate_and_are_no_random_sample() -> None:
    data = toy(validates=[2, 5])
    for name in ("files", "given"):
        parts = split(data, config(name, overlap="error", validation=0.9))
        assert parts.validation_rows.tolist() == [2, 5] and parts.train_rows.tolist() == [0, 1, 3, 4, 6]
        assert data.test is not None and same_rows(parts.test, data.test)
        assert not parts.sampling.validation and "at random" in str(parts.shares["validation"])
    assert "no random share" in str(parts.shares["test"])
    assert (parts.leak.train, parts.leak.validation, parts.leak.test) == (5, 2, 3)
    assert (parts.leak.cold_users, parts.leak.cold_items, parts.leak.problems()) == (1, 0, ())
    assert split(data, config("kfold")).sampling.validation  # a split that chooses its rows itself


def test_without_them_they_are_drawn_from_the_training_rows() -> None:
    parts = split(toy(), config("files", validation=0.3))
    assert len(parts.validation) == 2 and parts.sampling.validation and not parts.sampling.fit
    assert parts.shares["validation"] == pytest.approx(2 / 7) and "no random share" in str(parts.shares["test"])
    assert len(split(toy(), config("files", validation=0)).train) == 7
    assert parts.fingerprint != split(toy(), config("given", validation=0.3)).fingerprint


def test_pairs_in_two_files_are_refused_dropped_from_training_or_kept() -> None:
    data = toy(validates=[2, 5])
    tested = replace(data, test=interactions([0, 1, 2], [1, 0, 0], [1] * 3, 4, 3))  # rows 1 (trains), 2 (validates)
    with pytest.raises(UpliftlensError) as refused:
        split(tested, config("files"))
    assert "1 of 3 test rows have their (user, item) pair in train too; 1 of 3 test rows" in str(refused.value)
    assert "split.overlap=drop leaves them out of training, split.overlap=keep" in str(refused.value)
    dropped = split(tested, config("files", overlap="drop"))
    assert dropped.train_rows.tolist() == [0, 3, 4, 6] and dropped.validation_rows.tolist() == [5]
    assert dropped.leak.left_out == 2 and dropped.leak.problems() == () and len(dropped.test) == 3
    kept = split(tested, config("files", overlap="keep"))
    assert (kept.leak.overlap_train_test, kept.leak.overlap_validation_test, len(kept.train)) == (1, 1, 5)


def test_a_pair_in_the_training_and_the_validation_file_is_refused_or_dropped_from_training() -> None:
    data = toy(validates=[2, 5])
    rows = np.append(np.arange(7), 2)  # row 2, which validates, once more as a row that trains
    twice = replace(data, log=take(data.log, rows), validates=np.append(data.validates, False))  # type: ignore[arg-type]
    with pytest.raises(UpliftlensError, match=r"1 of 2 validation rows have their .* pair in train too"):
        split(twice, config("files"))
    dropped = split(twice, config("files", overlap="drop"))
    assert dropped.train_rows.tolist() == [0, 1, 3, 4, 6] and dropped.validation_rows.tolist() == [2, 5]
    assert any("1 log rows are left out" in note for note in dropped.leak.notes())


def test_a_run_on_files_is_as_any_other(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    log = random_log(5, n_users=30, n_items=25, share=0.5)
    for part, begin, end in (("train", 0, 250), ("validation", 250, 300), ("test", 300, len(log))):
        lines = (f"u{user},i{item}" for user, item in zip(log.user[begin:end], log.item[begin:end]))
        (tmp_path / f"{part}.csv").write_text("\n".join(["user,item", *lines]) + "\n")
    files = [f"data.{part}={tmp_path}/{part}.csv" for part in ("train", "validation", "test")]
    store = tmp_path / "runs"
    places = [f"store={store}", f"cache={tmp_path}/cache"]
    words = ["data=files", *files, "model=ease", "model.l2=2", "metrics.interval.resamples=50", *places]
    assert main(["run", *words]) == 0
    assert main(["run", *words, "split.overlap=drop", "split.validation=0.5"]) == 0  # the same rows: looked up
    (record,) = records(store)
    assert record["split"]["name"] == "files" and record["data"]["name"] == "files"
    leak = record["split"]["leak"]
    assert [leak[part] for part in ("train", "validation", "test", "left_out")] == [250, 50, 75, 0]
    assert "ndcg@10" in record["metrics"] and "rmse" not in record["metrics"]
    capsys.readouterr()
    assert main(["recommend", record["key"][:8], "--user", "u3", "-k", "4", *(f"--{place}" for place in places)]) == 0
    known = {f"i{item}" for user, item in zip(log.user[:300], log.item[:300]) if user == 3}
    listed = [word for word in capsys.readouterr().out.split() if word.startswith("i") and word[1:].isdigit()]
    assert len(listed) >= 4 and not known & set(listed)

"""Splits against their definitions, written a second time here in plain NumPy, on logs that hypothesis makes up."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from upliftlens import configs
from upliftlens.benchmarks.dataset import Dataset, Features
from upliftlens.benchmarks.errors import UpliftlensError
from upliftlens.benchmarks.leak import LeakReport
from upliftlens.benchmarks.ml100k import fold_of_rows
from upliftlens.benchmarks.split import KINDS, Split, SplitConfig, split
from upliftlens.benchmarks.split_store import load_split, save_split
from upliftlens.benchmarks.typed import typed
from upliftlens.causal.interactions import Interactions, interactions, take

FOLDER = Path(configs.__file__).parent / "split"


def config(name: str, **changes: object) -> SplitConfig:
    """The split as its YAML file states it, with some options changed."""
    values = OmegaConf.to_container(OmegaConf.load(FOLDER / f"{name}.yaml"))
    return typed(SplitConfig, {**values, **changes}, "split")


def dataset(log: Interactions, test: Interactions | None = None) -> Dataset:
    def table(n: int) -> pd.DataFrame:
        return pd.DataFrame({"id": [str(i) for i in range(n)]})

    none = Features((), np.zeros((0, 0), np.float32))
    return Dataset(
        name="toy",
        log=log,
        users=table(log.n_users),
        items=table(log.n_items),
        user_features=none,
        item_features=none,
        scale=(1, 5),
        relevance=4,
        feedback="explicit",
        terms="",
        source="",
        fingerprint="toy",
        test=test,
        test_kind=None if test is None else "mar",
    )


def random_log(seed: int, n_users: int = 12, n_items: int = 15, share: float = 0.6) -> Interactions:
    """Each pair at most once, in random order, with ties in time."""
    rng = np.random.default_rng(seed)
    pairs = rng.permutation(n_users * n_items)[: round(share * n_users * n_items)]
    value, time = rng.integers(1, 6, len(pairs)), 1000 + rng.integers(0, 40, len(pairs))
    return interactions(pairs // n_items, pairs % n_items, value, n_users, n_items, time=time)


def key(log: Interactions) -> np.ndarray:
    return log.user.astype(np.int64) * log.n_items + log.item


def same_rows(a: Interactions, b: Interactions) -> bool:
    columns = ("user", "item", "value", "weight", "time")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in columns)


PARTITIONS = ("kfold", "leave_last", "temporal")


@pytest.mark.parametrize("name", PARTITIONS)
@given(seed=st.integers(0, 10_000), validation=st.sampled_from([0.0, 0.1, 0.4]))
@settings(max_examples=25, deadline=None)
def test_the_parts_partition_the_log(name: str, seed: int, validation: float) -> None:
    data = dataset(random_log(seed))
    made = split(data, config(name, validation=validation))
    assert made.test_rows is not None
    rows = np.concatenate([made.train_rows, made.validation_rows, made.test_rows])
    assert np.array_equal(np.sort(rows), np.arange(len(data.log)))
    parts = ((made.train, made.train_rows), (made.validation, made.validation_rows), (made.test, made.test_rows))
    for part, where in parts:
        assert (np.diff(where) > 0).all()
        assert same_rows(part, take(data.log, where)) and (part.weight == 1).all()
        assert (part.n_users, part.n_items) == (data.log.n_users, data.log.n_items)
    assert (len(made.validation) == 0) == (validation == 0)
    assert made.leak.problems() == ()
    assert (made.leak.train, made.leak.validation, made.leak.test) == tuple(len(part) for part, _ in parts)
    assert made.leak.left_out == made.leak.duplicates == made.leak.overlap_train_test == 0


@given(seed=st.integers(0, 10_000), folds=st.integers(2, 7))
@settings(max_examples=25, deadline=None)
def test_the_folds_of_one_seed_partition_the_log(seed: int, folds: int) -> None:
    data = dataset(random_log(seed))
    made = [split(data, config("kfold", folds=folds, fold=fold, seed=seed)) for fold in range(folds)]
    rows = np.concatenate([one.test_rows for one in made if one.test_rows is not None])
    assert np.array_equal(np.sort(rows), np.arange(len(data.log)))
    assert np.ptp([len(one.test) for one in made]) <= 1
    assert len({one.fingerprint for one in made}) == folds


def test_random_validation_is_a_fraction_of_the_training_rows() -> None:
    data = dataset(random_log(0, 40, 50))
    made = split(data, config("kfold"))
    assert len(made.test) == 240 and len(made.validation) == 96 and len(made.train) == 864
    # every training row is as likely as any other to select
    chosen = [split(data, config("kfold", seed=seed)).validation_rows for seed in range(100)]
    counts = np.bincount(np.concatenate(chosen), minlength=1200)
    assert abs(counts.mean() - 8) < 1e-9 and counts.var() < 1.5 * 8 and counts.max() < 30


def test_the_seed_changes_the_fold_and_nothing_else_does() -> None:
    data = dataset(random_log(3))
    first, again, other = (split(data, config("kfold", seed=seed)) for seed in (0, 0, 1))
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert not np.array_equal(first.test_rows, other.test_rows)
    # the fold does not depend on how much of the rest selects
    assert np.array_equal(first.test_rows, split(data, config("kfold", validation=0.3)).test_rows)


@given(seed=st.integers(0, 10_000), n=st.integers(1, 7), validation=st.sampled_from([0.0, 0.2]))
@settings(max_examples=25, deadline=None)
def test_leave_last_takes_the_last_rows_of_each_user(seed: int, n: int, validation: float) -> None:
    log = random_log(seed)
    made = split(dataset(log), config("leave_last", n=n, validation=validation))
    assert made.test_rows is not None and log.time is not None
    for user in range(log.n_users):
        rows = sorted(np.flatnonzero(log.user == user), key=lambda row: (log.time[row], row))
        test = rows[-n:] if len(rows) > n else []
        rest = rows[: len(rows) - len(test)]
        size = int(np.ceil(validation * len(rest))) if len(rest) > 1 else 0
        assert sorted(test) == [row for row in made.test_rows if log.user[row] == user]
        assert sorted(rest[len(rest) - size :]) == [row for row in made.validation_rows if log.user[row] == user]
    assert made.leak.future == 0


@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.1, 0.25, 0.5]))
@settings(max_examples=25, deadline=None)
def test_temporal_keeps_the_future_out_and_seconds_whole(seed: int, share: float) -> None:
    log = random_log(seed)
    made = split(dataset(log), config("temporal", share=share, validation=0.2))
    assert log.time is not None
    cut = np.sort(log.time)[len(log) - round(share * len(log))]
    assert np.array_equal(made.test_rows, np.flatnonzero(log.time >= cut))
    train, validation = log.time[made.train_rows], log.time[made.validation_rows]
    assert train.max() < validation.min() <= validation.max() < cut
    assert len(made.test) >= round(share * len(log)) and made.leak.future == 0


@pytest.mark.parametrize("name", ["temporal", "given"])
def test_the_order_of_the_file_does_not_change_the_fingerprint(name: str) -> None:
    """Where the rows alone say which part they belong to. (k-fold is drawn over the file's order, and says so.)"""
    log = random_log(5)
    test = interactions([0, 1], [14, 14], [3, 4], log.n_users, log.n_items)
    log = take(log, log.item != 14)
    shuffled = take(log, np.random.default_rng(1).permutation(len(log)))
    options = config(name, validation=0.2 if name == "temporal" else 0.0)
    made = [split(dataset(one, test), options) for one in (log, shuffled)]
    assert made[0].fingerprint == made[1].fingerprint
    value = log.value.copy()
    value[0] = 6 - value[0] if value[0] != 3 else 1
    assert split(dataset(replace(log, value=value), test), options).fingerprint != made[0].fingerprint


def test_the_fingerprint_covers_the_data_set_and_which_part_a_row_is_in() -> None:
    data = dataset(random_log(5))
    base = split(data, config("kfold"))
    others = [
        split(replace(data, fingerprint="another"), config("kfold")),
        split(data, config("kfold", validation=0.2)),
        split(data, config("kfold", validation=0.0)),
        split(data, config("kfold", fold=1)),
    ]
    assert len({made.fingerprint for made in (base, *others)}) == 5


def with_overlap() -> Dataset:
    """Three of the four test pairs are in the log too."""
    log = interactions([0, 0, 1, 1, 2, 2], [0, 1, 0, 1, 0, 1], [1, 2, 3, 4, 5, 1], 3, 3)
    return dataset(log, interactions([0, 1, 2, 2], [0, 1, 0, 2], [1, 4, 5, 3], 3, 3))


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
    assert data.test is not None and all(same_rows(made.test, data.test) for made in (kept, dropped))


def test_repeated_pairs_across_the_parts_stop_the_run() -> None:
    log = interactions([0] * 10, [0] * 10, range(10), 1, 1, time=range(10))
    for name in PARTITIONS:
        with pytest.raises(UpliftlensError, match=r"in train too.*data\.filter\.duplicates"):
            split(dataset(log), config(name))


def test_the_leak_report_counts() -> None:
    """Small enough to count by hand."""
    log = interactions([0, 0, 0, 1, 1, 2], [0, 1, 1, 0, 1, 0], [1] * 6, 4, 4, time=[1, 5, 2, 9, 3, 9])
    test = interactions([0, 3, 1, 0], [0, 3, 2, 1], [1, 1, 1, 1], 4, 4, time=[2, 4, 4, 2])
    made = split(dataset(log, test), config("given", overlap="keep", validation=0.0))
    assert made.leak == LeakReport(
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
def test_a_stored_split_comes_back_equal(name: str, tmp_path: Path) -> None:
    data = with_overlap() if name == "given" else dataset(random_log(9))
    made = split(data, config(name, validation=0.2))
    path = save_split(made, tmp_path / "splits")
    save_split(made, tmp_path / "splits")  # as often as one likes
    assert path.name == f"{made.fingerprint}.json"
    assert sorted(p.name for p in path.parent.iterdir()) == sorted([path.name, f"{made.fingerprint}.npz"])
    back = load_split(tmp_path / "splits", made.fingerprint, data)
    assert isinstance(back, Split) and back.leak == made.leak and back.fingerprint == made.fingerprint
    for part in ("train", "validation", "test"):
        assert same_rows(getattr(back, part), getattr(made, part))
    assert back.name == made.name and np.array_equal(back.train_rows, made.train_rows)
    assert (back.test_rows is None) == (made.test_rows is None)


def test_a_stored_split_that_is_missing_damaged_or_of_other_data_is_refused(tmp_path: Path) -> None:
    data = dataset(random_log(9))
    made = split(data, config("kfold"))
    with pytest.raises(UpliftlensError, match="no stored split"):
        load_split(tmp_path, made.fingerprint, data)
    path = save_split(made, tmp_path).with_suffix(".npz")
    with pytest.raises(UpliftlensError, match="another one"):
        load_split(tmp_path, made.fingerprint, replace(data, fingerprint="another"))
    swapped = {"train": made.train_rows, "validation": made.test_rows, "test": made.validation_rows}
    np.savez(path, **swapped)
    with pytest.raises(UpliftlensError, match="doesn't match its fingerprint"):
        load_split(tmp_path, made.fingerprint, data)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UpliftlensError, match="can't be read"):
        load_split(tmp_path, made.fingerprint, data)


def test_a_folder_that_cannot_be_written_to_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    made = split(dataset(random_log(9)), config("kfold"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UpliftlensError, match="can't be stored"):
        save_split(made, tmp_path / "file")
    blocked = tmp_path / f"{made.fingerprint}.npz"
    blocked.mkdir()
    with pytest.raises(UpliftlensError, match="can't be stored"):
        save_split(made, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [blocked.name, "file"]


def test_a_misspelt_name_gets_a_hint() -> None:
    data = dataset(random_log(0))
    with pytest.raises(UpliftlensError, match="did you mean 'kfold'"):
        split(data, replace(config("kfold"), name="kfolds"))


@pytest.mark.parametrize(
    ("name", "changes", "match"),
    [
        ("kfold", {"fold": 5}, r"split\.fold=5"),
        ("kfold", {"folds": 1, "fold": 0}, r"split\.folds=1"),
        ("kfold", {"validation": 1.0}, r"split\.validation=1\.0"),
        ("kfold", {"validation": -0.1}, r"split\.validation"),
        ("kfold", {"seed": -1}, r"split\.seed"),
        ("kfold", {"fold": None}, r"needs split\.fold"),
        ("kfold", {"n": 3}, r"no option split\.n"),
        ("leave_last", {"n": 0}, r"split\.n=0"),
        ("leave_last", {"n": 100}, "no test row"),
        ("temporal", {"share": 1.0}, r"split\.share"),
        ("temporal", {"share": 0.999}, "no training row"),
        ("given", {}, "without a test set"),
        ("u1", {}, "data=ml-100k without filters"),
        ("ua", {}, "data=ml-100k without filters"),
    ],
)
def test_what_cannot_be_split_is_refused_with_the_fix(name: str, changes: dict, match: str) -> None:
    with pytest.raises(UpliftlensError, match=match):
        split(dataset(random_log(0)), config(name, **changes))


@pytest.mark.parametrize("name", ["leave_last", "temporal"])
def test_splits_by_time_need_times(name: str) -> None:
    with pytest.raises(UpliftlensError, match="needs the time"):
        split(dataset(replace(random_log(0), time=None)), config(name))


def test_every_split_has_its_file_and_every_file_its_split() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(KINDS)
    assert all(config(name).name == name for name in KINDS)


def test_official_folds_count_rows_in_the_order_of_the_file() -> None:
    user = np.random.default_rng(0).permutation(np.repeat(np.arange(943), 107))[:100_000]
    slices = np.stack([fold_of_rows(user, f"u{k}") for k in range(1, 6)])
    assert (slices.sum(axis=0) == 1).all() and (slices.sum(axis=1) == 20_000).all()
    assert np.array_equal(np.flatnonzero(slices[1]), np.arange(20_000, 40_000))
    first, second = fold_of_rows(user, "ua"), fold_of_rows(user, "ub")
    for one in (0, 17, 942):
        rows = np.flatnonzero(user == one)
        assert np.array_equal(np.flatnonzero(first & (user == one)), rows[:10])
        assert np.array_equal(np.flatnonzero(second & (user == one)), rows[10:20])

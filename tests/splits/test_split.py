"""Splits against their definitions, written a second time here in plain NumPy, on logs that hypothesis makes up."""

import ast
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from split_toys import FOLDER, config, dataset, random_log, same_rows

from upliftlens import benchmarks
from upliftlens.benchmarks.config.plugins import entry, names
from upliftlens.benchmarks.splits.kinds import split
from upliftlens.benchmarks.splits.official import FOLDS, fold_of_rows
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import interactions, take

CODE = Path(benchmarks.__file__).parent
PARTITIONS = ("kfold", "leave_last", "temporal")


@pytest.mark.parametrize("name", PARTITIONS)
@given(seed=st.integers(0, 10_000), validation=st.sampled_from([0.0, 0.1, 0.4]))
@settings(max_examples=25, deadline=None)
def test_the_parts_partition_the_log(name: str, seed: int, validation: float) -> None:
    data = dataset(random_log(seed))
    this_parts = split(data, config(name, validation=validation))
    assert this_parts.test_rows is not None
    rows = np.concatenate([this_parts.train_rows, this_parts.validation_rows, this_parts.test_rows])
    assert np.array_equal(np.sort(rows), np.arange(len(data.log)))
    parts = (
        (this_parts.train, this_parts.train_rows),
        (this_parts.validation, this_parts.validation_rows),
        (this_parts.test, this_parts.test_rows),
    )
    for part, where in parts:
        assert (np.diff(where) > 0).all()
        assert same_rows(part, take(data.log, where)) and (part.weight == 1).all()
        assert (part.n_users, part.n_items) == (data.log.n_users, data.log.n_items)
    assert (len(this_parts.validation) == 0) == (validation == 0)
    assert this_parts.leak.problems() == ()
    assert (this_parts.leak.train, this_parts.leak.validation, this_parts.leak.test) == tuple(
        len(part) for part, _ in parts
    )
    assert this_parts.leak.left_out == this_parts.leak.duplicates == this_parts.leak.overlap_train_test == 0


@given(seed=st.integers(0, 10_000), folds=st.integers(2, 7))
@settings(max_examples=25, deadline=None)
def test_the_folds_of_one_seed_partition_the_log(seed: int, folds: int) -> None:
    data = dataset(random_log(seed))
    result = [split(data, config("kfold", folds=folds, fold=fold, seed=seed)) for fold in range(folds)]
    rows = np.concatenate([item.test_rows for item in result if item.test_rows is not None])
    assert np.array_equal(np.sort(rows), np.arange(len(data.log)))
    assert np.ptp([len(item.test) for item in result]) <= 1
    assert len({item.fingerprint for item in result}) == folds


def test_random_validation_is_a_fraction_of_the_training_rows() -> None:
    data = dataset(random_log(0, 40, 50))
    parts = split(data, config("kfold"))
    assert len(parts.test) == 240 and len(parts.validation) == 96 and len(parts.train) == 864
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
    parts = split(dataset(log), config("leave_last", n=n, validation=validation))
    assert parts.test_rows is not None and log.time is not None
    for user in range(log.n_users):
        rows = sorted(np.flatnonzero(log.user == user), key=lambda row: (log.time[row], row))
        test = rows[-n:] if len(rows) > n else []
        rest = rows[: len(rows) - len(test)]
        size = int(np.ceil(validation * len(rest))) if len(rest) > 1 else 0
        assert sorted(test) == [row for row in parts.test_rows if log.user[row] == user]
        assert sorted(rest[len(rest) - size :]) == [row for row in parts.validation_rows if log.user[row] == user]
    assert parts.leak.future == 0


@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.1, 0.25, 0.5]))
@settings(max_examples=25, deadline=None)
def test_temporal_keeps_the_future_out_and_seconds_whole(seed: int, share: float) -> None:
    log = random_log(seed)
    parts = split(dataset(log), config("temporal", share=share, validation=0.2))
    assert log.time is not None
    cut = np.sort(log.time)[len(log) - round(share * len(log))]
    assert np.array_equal(parts.test_rows, np.flatnonzero(log.time >= cut))
    train, validation = log.time[parts.train_rows], log.time[parts.validation_rows]
    assert train.max() < validation.min() <= validation.max() < cut
    assert len(parts.test) >= round(share * len(log)) and parts.leak.future == 0


@pytest.mark.parametrize("name", ["temporal", "given"])
def test_the_order_of_the_file_does_not_change_the_fingerprint(name: str) -> None:
    """Where the rows alone say which part they belong to. (k-fold is drawn over the file's order, and says so.)"""
    log = random_log(5)
    test = interactions([0, 1], [14, 14], [3, 4], log.n_users, log.n_items)
    log = take(log, log.item != 14)
    shuffled = take(log, np.random.default_rng(1).permutation(len(log)))
    options = config(name, validation=0.2 if name == "temporal" else 0.0)
    result = [split(dataset(item, test), options) for item in (log, shuffled)]
    assert result[0].fingerprint == result[1].fingerprint
    value = log.value.copy()
    value[0] = 6 - value[0] if value[0] != 3 else 1
    assert split(dataset(replace(log, value=value), test), options).fingerprint != result[0].fingerprint


def test_the_fingerprint_covers_the_data_set_and_which_part_a_row_is_in() -> None:
    data = dataset(random_log(5))
    base = split(data, config("kfold"))
    others = [
        split(replace(data, fingerprint="another"), config("kfold")),
        split(data, config("kfold", validation=0.2)),
        split(data, config("kfold", validation=0.0)),
        split(data, config("kfold", fold=1)),
    ]
    assert len({result.fingerprint for result in (base, *others)}) == 5


def test_a_misspelt_name_gets_a_hint() -> None:
    data = dataset(random_log(0))
    with pytest.raises(UpliftlensError, match="did you mean 'kfold'"):
        split(data, replace(config("kfold"), name="kfolds"))


@pytest.mark.parametrize(
    ("name", "changes", "match"),
    [
        ("kfold", {"fold": 5}, r"split\.fold=5"),
        ("kfold", {"fold": -1}, "fold must be at least 0, got -1"),
        ("kfold", {"folds": 1, "fold": 0}, "folds must be at least 2, got 1"),
        ("kfold", {"validation": 1.0}, r"validation must lie in \[0, 1\), got 1\.0"),
        ("kfold", {"validation": -0.1}, "validation must lie in"),
        ("kfold", {"seed": -1}, "seed must be at least 0"),
        ("kfold", {"fold": None}, r"split\.fold"),
        ("kfold", {"n": 3}, "unknown option of split 'n'"),
        ("leave_last", {"n": 0}, "n must be at least 1"),
        ("leave_last", {"n": 100}, "no test row"),
        ("temporal", {"share": 1.0}, r"share must lie in \(0, 1\)"),
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
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(names("splits"))
    assert all(config(name).name == name for name in names("splits"))


def test_each_kind_says_which_parts_are_random_samples() -> None:
    """What a propensity is worth hangs on it: a part's share of the rows that fit, or why it has none."""
    random = {name: "".join(part[0] for part, drawn in sampling_of(name) if drawn) for name in names("splits")}
    assert (random.pop("kfold"), random.pop("given"), random.pop("draws")) == ("fvt", "fv", "v")
    assert random.pop("files") == "v"  # where its rows are drawn: nobody knows how the files were
    assert {random.pop(name) for name in FOLDS} == {"v"}  # the official ones, which cut a log whose order isn't random
    assert random == {"leave_last": "", "new_users": "", "temporal": ""}
    data = dataset(random_log(0), random_log(1, share=0.2))
    shares = {name: split(data, config(name)).shares for name in (*PARTITIONS, "given")}
    assert shares["kfold"]["fit"] == 1 and shares["kfold"]["test"] == pytest.approx(0.25, abs=0.01)
    assert shares["kfold"]["training"] + shares["kfold"]["validation"] == shares["given"]["fit"] == 1
    assert all("no random share" in str(shares[name]["test"]) for name in ("leave_last", "temporal", "given"))
    assert all("no known propensity" in str(shares[name]["validation"]) for name in ("leave_last", "temporal"))
    assert split(data, config("kfold", validation=0)).shares["validation"] == "there are no validation rows"


def sampling_of(name: str) -> list[tuple[str, bool]]:
    return list(entry("splits", name).value.sampling._asdict().items())


def naming(tree: ast.AST) -> list[str]:
    """Where code asks for a split by its name: compared with a name, or a case; and lists of such names."""
    splits, places = set(names("splits")), []
    for node in ast.walk(tree):
        texts = {
            part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)
        }
        asks = re.search("split|name", ast.unparse(node)) if isinstance(node, ast.Compare | ast.Match) else None
        lists = isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict) and len(texts) > 1 and texts <= splits
        if lists or (asks and texts & splits):
            places.append(ast.unparse(node))
    return places


def test_nobody_else_asks_for_a_split_by_its_name() -> None:
    assert naming(ast.parse("if parts.name in ('kfold', *MORE): pass"))
    assert naming(ast.parse("RANDOM = ('kfold', 'u1')")) and not naming(ast.parse("words = ('split=given', 'kfold')"))
    files = [path for path in CODE.rglob("*.py") if path.parent.name != "splits"]
    assert len(files) > 100
    assert {path.name: places for path in files if (places := naming(ast.parse(path.read_text())))} == {}


def test_official_folds_count_rows_in_the_order_of_the_file() -> None:
    user = np.random.default_rng(0).permutation(np.repeat(np.arange(943), 107))[:100_000]
    slices = np.stack([fold_of_rows(user, f"u{k}") for k in range(1, 6)])
    assert (slices.sum(axis=0) == 1).all() and (slices.sum(axis=1) == 20_000).all()
    assert np.array_equal(np.flatnonzero(slices[1]), np.arange(20_000, 40_000))
    first, second = fold_of_rows(user, "ua"), fold_of_rows(user, "ub")
    for value in (0, 17, 942):
        rows = np.flatnonzero(user == value)
        assert np.array_equal(np.flatnonzero(first & (user == value)), rows[:10])
        assert np.array_equal(np.flatnonzero(second & (user == value)), rows[10:20])

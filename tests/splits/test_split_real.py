"""Splits of real data: the official folds of MovieLens 100K are the official files, Coat's overlap is what it is."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from split_toys import config

from upliftlens.benchmarks.data import configure, load
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.data.obtain import in_cache
from upliftlens.benchmarks.splits.kinds import Split, split
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions, concatenate, take

# sha256 and size in bytes of the files in the official archive (rows sorted by user, then item, as mku.sh leaves them)
OFFICIAL = {
    "u1.base": ("ce253ec86c448b44fb3ba9a30d12dcfc2e9210cbde71efada3730c22e9ac212a", 1_586_544),
    "u1.test": ("18c6014a4b2c7324f250a63f8904a7b16b2b19f911129e346141507b0cbac950", 392_629),
    "u2.base": ("6c06f0b5df4b256da1a994f3ac66edc8da4d3f09bc9282df6b14d893366d703e", 1_583_948),
    "u2.test": ("4de658d1e04ed9104629509a2e2528fce833ac8e048280183f1df167632038c3", 395_225),
    "u3.base": ("afdc155c291c6edc41c0407e39d7462eb98d341e064f0b0a12175b80b3c4af5d", 1_582_546),
    "u3.test": ("0f548b51c78327de4c156461d3e430b7e5579fe2b5681586a59416e48fd35f6d", 396_627),
    "u4.base": ("219f0f4d40dfe9c5141d425f53fa91ee23ed275f14e280bbf1b50117afb064ca", 1_581_878),
    "u4.test": ("7c02ad0a1e7ab1083c8b9d4b627203a051dd7b5eab46d99fa44de33470de8db9", 397_295),
    "u5.base": ("a9574e59ce961eec2121627760b6e9b0974ce1637b3fe69ac32cb14a4bfab485", 1_581_776),
    "u5.test": ("351cc52e0d15b6c721466276fc24671d40936899e3d01fadeaf312915b8c5634", 397_397),
    "ua.base": ("67b5bcdb380c29f85d56a012ecd88612ae020f30a6730d117a334ee8203b91f2", 1_792_501),
    "ua.test": ("d0497e202417720f57a184ec8c66be2d1afa4ff41bb53787c57b28d6bf79bc42", 186_672),
    "ub.base": ("237254d253b6ad7de84f919d041055428646254f34ed8f562703c899430cd881", 1_792_476),
    "ub.test": ("d54a72d05730d5892062734b2bec73e976f9b713d18c828a18b968d6cce442da", 186_697),
}


def as_file(data: Dataset, log: Interactions) -> bytes:
    """The rows as the official files hold them: raw ids, sorted by user, then item, tabs between."""
    assert log.time is not None
    rows = zip(data.users["id"].to_numpy()[log.user], data.items["id"].to_numpy()[log.item], log.value, log.time)
    lines = sorted((int(user), int(item), int(value), int(time)) for user, item, value, time in rows)
    return "".join("\t".join(map(str, line)) + "\n" for line in lines).encode()


@pytest.mark.parametrize("name", ["u1", "u2", "u3", "u4", "u5", "ua", "ub"])
def test_the_official_folds_are_the_official_files(ml_100k: Dataset, name: str) -> None:
    this_parts = split(ml_100k, config(name))
    parts = {"base": concatenate(this_parts.train, this_parts.validation), "test": this_parts.test}
    for part, log in parts.items():
        result = as_file(ml_100k, log)
        assert (hashlib.sha256(result).hexdigest(), len(result)) == OFFICIAL[f"{name}.{part}"]
    assert len(this_parts.validation) == round(0.1 * (100_000 - len(this_parts.test)))
    assert this_parts.leak.problems() == () and this_parts.leak.duplicates == 0
    if name in ("ua", "ub"):
        assert (np.bincount(this_parts.test.user) == 10).all()


def test_the_official_folds_refuse_filtered_or_reordered_rows(ml_100k: Dataset) -> None:
    for rows in (np.arange(99_999), np.arange(100_000)[::-1]):
        with pytest.raises(UpliftlensError, match="data=ml-100k without filters"):
            split(replace(ml_100k, log=take(ml_100k.log, rows)), config("u1"))


def test_time_splits_of_real_data_keep_their_promise(ml_100k: Dataset) -> None:
    last = split(ml_100k, config("leave_last", n=1))
    assert len(last.test) == 943 and last.leak.cold_users == 0 and last.leak.future == 0
    future = split(ml_100k, config("temporal"))
    assert 10_000 <= len(future.test) < 10_100 and future.leak.future == 0 and future.leak.cold_users > 5_000


def test_a_generated_world_is_split_by_its_own_test_set(cache: Path) -> None:
    data = load(configure("synthetic"), cache)
    parts: Split = split(data, config("given"))
    assert parts.leak.overlap_train_test == parts.leak.overlap_validation_test == parts.leak.duplicates == 0
    assert len(parts.test) == data.log.n_users * 20 and len(parts.train) + len(parts.validation) == len(data.log)


def test_coat_reports_its_366_overlapping_cells(cache: Path) -> None:
    options = configure("coat")
    if not in_cache(options, cache):
        pytest.skip("Coat is not in the cache: upliftlens data prepare coat data.path=coat.zip puts it there")
    coat = load(options, cache)
    kept, dropped = split(coat, config("given")), split(coat, config("given", overlap="drop"))
    assert kept.leak.overlap_train_test + kept.leak.overlap_validation_test == 366
    assert any("366 of 4640" in note for note in kept.leak.notes())
    assert dropped.leak.left_out == 366 and len(dropped.train) + len(dropped.validation) == 6960 - 366
    with pytest.raises(UpliftlensError, match="overlap=keep"):
        split(coat, config("given", overlap="error"))

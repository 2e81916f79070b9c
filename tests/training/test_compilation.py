"""Compiled programs outlive the process, and what is read back gives the same bits."""

import subprocess
import sys

import pytest
from processes import HERE

from upliftlens.benchmarks.runs.store import list_records, open_store
from upliftlens.benchmarks.training.programs import _repairing

WORDS = ("data=synthetic", "data.n_users=60", "data.n_items=60", "data.ratings_per_user=12", "data.test_per_user=4",
         "model=additive", "train.optimizer=adam", "train.epochs=3", "metrics.names=[rmse]")  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def untold():
    """Processes are told of no folder for programs but that of their cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("JAX_COMPILATION_CACHE_DIR")
        yield


@pytest.fixture(scope="module")
def first(untold, tmp_path_factory):
    """The folder of a first run, and its record."""
    folder = tmp_path_factory.mktemp("first")
    return folder, ran(folder)


def done(*words):
    command = [sys.executable, "-m", "upliftlens.benchmarks.cli", *map(str, words)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=HERE, timeout=300)
    assert ended.returncode == 0 and "cache entry" not in ended.stderr, ended.stderr


def ran(folder, store="store"):
    done("run", *WORDS, f"cache={folder}/cache", f"store={folder}/{store}")
    return list_records(open_store(folder / store)).records[0]


def made(record):
    return tuple(record.diagnostics[f"programs_{how}"] for how in ("compiled", "read"))


def entries(folder):
    return {path.name: path.read_bytes() for path in folder.glob("cache/programs/*/*-cache")}


def test_the_next_process_compiles_nothing_and_gets_the_same_bits(first):
    folder, record = first
    kept = entries(folder)
    again = ran(folder, "again")
    assert made(record)[0] > 0 and kept
    assert made(again) == (0, sum(made(record))) and entries(folder) == kept
    assert again.metrics == record.metrics


@pytest.mark.slow  # processes of their own, as above
def test_a_damaged_entry_is_compiled_once_and_kept(first):
    folder, record = first
    kept = entries(folder)
    for path in folder.glob("cache/programs/*/*-cache"):  # as a killed process or a full disk leaves it
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    repaired, after = ran(folder, "repaired"), ran(folder, "after")
    assert made(repaired) == made(record) and made(after) == (0, sum(made(record)))
    assert record.metrics == repaired.metrics == after.metrics
    assert entries(folder).keys() == kept.keys()


def test_only_entries_of_the_name_are_deleted_and_other_warnings_are_shown(tmp_path):
    names = ("jit_a", "jit_a", "jit_a-b", "jit_ab")
    paths = [tmp_path / f"{name}-{number}f-cache" for number, name in enumerate(names)]
    for path in paths:
        path.write_text("damaged")
    shown = []
    show = _repairing(tmp_path, lambda *all: shown.append(all))
    message = "Error reading persistent compilation cache entry for 'jit_a': ZstdError: Unknown frame descriptor"
    show(UserWarning(message), UserWarning, "compiler.py", 782)
    assert [path.exists() for path in paths] == [False, False, True, True] and not shown
    other = (UserWarning("something else"), UserWarning, "x.py", 1)
    show(*other)
    assert shown == [other]


@pytest.mark.slow  # processes of their own, as above
def test_recommending_keeps_programs_too(first, tmp_path):
    folder, record = first
    done("recommend", record.key, "--user=0", f"--store={folder}/store", f"--cache={tmp_path}/cache")
    assert entries(tmp_path)


@pytest.mark.slow  # processes of their own, as above
def test_where_no_folder_can_be_made_programs_are_compiled(tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "programs").write_text("a file")
    assert made(ran(tmp_path))[1] == 0

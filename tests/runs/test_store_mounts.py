"""Stores on a disk that is really full, or really read-only: a small file system of one's own, which root may mount."""

import shutil
import subprocess
from contextlib import contextmanager

import pytest
from shell import records, spawn

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.runs.store import Store, list_records

pytestmark = pytest.mark.slow  # every check is a process of its own


def _mount(*words):
    done = subprocess.run(["mount", *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"file systems can't be mounted here: {done.stderr.strip()}")


@contextmanager
def mounted(folder, size):
    folder.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("file systems can't be mounted here: there is no mount")
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def small(tmp_path):
    """The folder of a file system of 200 KiB."""
    with mounted(tmp_path / "store", "200k") as folder:
        yield folder


def told(verb, store, *words):
    """Exit code and lines of standard error of a verb in a process of its own, whose cache is on another disk."""
    process = spawn(verb, store, f"cache={store.parent}/cache", "model=random", *words)
    _, shown = process.communicate(timeout=240)
    return process.returncode, shown.strip().splitlines()


def shown_by_results(store, capsys):
    capsys.readouterr()
    assert main(["results", "--store", str(store), "--format", "csv"]) == 0
    return capsys.readouterr().out.strip().splitlines()[1:]


def test_a_sweep_onto_a_full_disk_says_so_and_keeps_what_is_finished(small, capsys):
    code, lines = told("sweep", small, "seed=range(0,12)")
    failed = [line for line in lines if line.startswith("failed")]
    finished = sum(line.startswith("done") for line in lines)
    assert code == 1 and failed and finished and len(failed) + finished == 12
    assert all("is on a full disk: free some space or choose another, store=FOLDER" in line for line in failed)
    told_once = 1  # train.epochs, which TINY states, is not read by random
    assert len(lines) == told_once + finished + 2 * len(failed) + 1, "a failure is told in two lines"
    assert lines[-1].startswith(f"error: {len(failed)} of 12 runs failed")
    assert len(shown_by_results(small, capsys)) == finished
    assert list_records(Store(small)).problems == [] and not [*small.glob("locks/*")]


@pytest.mark.parametrize("size", ["4k", "8k", "16k"])
def test_a_disk_that_is_full_from_the_start_is_said_in_two_lines(size, tmp_path):
    with mounted(tmp_path / "store", size) as store:
        code, lines = told("run", store)
        assert code == 1 and len(lines) <= 2 and lines[0].startswith("error: ")
        assert f"{store}" in lines[0] and ("full disk" in lines[0] or "No space left on device" in lines[0])
        assert not records(store)


def test_a_read_only_store_is_looked_up_and_refuses_what_is_new(small, capsys):
    assert told("run", small)[0] == 0
    (before,) = records(small)
    _mount("-o", "remount,ro", small)
    code, lines = told("run", small)
    assert code == 0 and len(lines) == 1 and f"{before['key']} (found)" in lines[0]
    code, (line,) = told("run", small, "seed=1")
    assert code == 1 and line.startswith(f"error: the results folder {small} can't be written (Read-only file system)")
    assert "choose another with store=FOLDER" in line
    assert records(small) == [before] and len(shown_by_results(small, capsys)) == 1

"""Killed processes, full disks, two writers at once: nothing finished is lost, nothing half is seen."""

import errno
import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import process
from stored import record

from upliftlens.benchmarks.runs import store as stores
from upliftlens.benchmarks.runs.records import to_json
from upliftlens.benchmarks.runs.store import (
    Store,
    claim,
    delete_leftovers,
    list_records,
    load_fit,
    load_per_user,
    load_record,
    load_state,
    open_store,
    save_failure,
    save_fit,
    save_run,
)
from upliftlens.causal.errors import UpliftlensError

_WRITE_FOREVER = """
state = {"w": np.zeros(200_000, np.float32)}
for number in range(10**9):
    key = f"{sys.argv[2]}{number:06d}"
    with claim(store, "runs", key, say, record(key, status="running")):
        state["w"][:] = number
        save_fit(store, key, state, {"number": number})
        save_run(store, record(key, seed=number), {"users": np.full(50_000, number)})
    print(key, flush=True)
"""


def finished(child: subprocess.Popen[str], at_least: int) -> list[str]:
    """Keys that a writer has said are finished, once it has said so many."""
    assert child.stdout is not None
    return [child.stdout.readline().strip() for _ in range(at_least)]


def check_whole(store: Store, said: list[str]) -> None:
    """All that was said to be finished is there, and all that is there is whole."""
    records, problems = list_records(store)
    assert problems == []
    keys = {this_record.key for this_record in records}
    assert keys >= set(said)
    for this_record in records:
        assert this_record.status == "done"
        np.testing.assert_array_equal(load_per_user(store, this_record)["users"], np.full(50_000, this_record.seed))
    for folder in (store.root / "fits").iterdir():
        info = load_fit(store, folder.name)
        if info is not None:
            template = {"w": np.zeros(200_000, np.float32)}
            assert (load_state(store, folder.name, template)["w"] == info["number"]).all()


def test_a_writer_killed_at_any_moment_leaves_only_whole_runs(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    for attempt in range(4):
        with process(_WRITE_FOREVER, root, f"a{attempt}-") as child:
            said = finished(child, 3)
            time.sleep(0.0017 * attempt)  # some point within the next run
            child.send_signal(signal.SIGKILL)
            assert child.stdout is not None
            said += [line.strip() for line in child.stdout if line.endswith("\n")]
            child.wait()
        check_whole(Store(root), said)


_CRASH = """
import os, signal
left = int(sys.argv[2])
def crash(descriptor):
    global left
    left -= 1
    if left == 0:
        size = os.fstat(descriptor).st_size
        try:
            os.ftruncate(descriptor, size // 2)
        except OSError:
            pass  # a folder
        os.kill(os.getpid(), signal.SIGKILL)
os.fsync = crash
save_run(store, record(seed=1), {"users": np.full(5000, 1)})
save_fit(store, "f0", {"w": np.ones(5000, np.float32)}, {"number": 1})
"""


@pytest.mark.parametrize("step", [1, 3, 5, 7, 8])
def test_a_crash_before_the_bytes_are_on_the_disk_leaves_no_half_file(tmp_path: Path, step: int) -> None:
    """The machine dies at the n-th fsync, and half of what was being written is gone."""
    store = open_store(tmp_path / "runs")
    save_failure(store, record(), ValueError("first attempt"), "trace")
    with process(_CRASH, store.root, str(step)) as child:
        assert child.wait() == -signal.SIGKILL
    (item,), problems = list_records(store)
    assert problems == []
    assert (item.status, item.seed) == (("failed", 0) if step < 4 else ("done", 1))
    if step > 1:
        np.testing.assert_array_equal(load_per_user(store, item)["users"], np.full(5000, 1))
    info = load_fit(store, "f0")
    assert info == ({"number": 1} if step == 8 else None)
    if info:
        assert (load_state(store, "f0", {"w": np.zeros(5000, np.float32)})["w"] == 1).all()


def test_two_writers_on_one_store_lose_nothing(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    with process(_WRITE_FOREVER, root, "a") as item, process(_WRITE_FOREVER, root, "b") as other:
        said = finished(item, 10) + finished(other, 10)
    check_whole(Store(root), said)


def fail(number: int) -> Any:
    def refuse(*arguments: Any, **options: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("step", ["replace", "fsync", "write"])
def test_a_full_disk_loses_nothing_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    store = open_store(tmp_path / "runs")
    save_run(store, record(), {"users": np.arange(3)})
    before = {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()}
    with monkeypatch.context() as patch:
        match step:
            case "replace":
                patch.setattr(Path, "replace", fail(errno.ENOSPC))
            case "fsync":
                patch.setattr(os, "fsync", fail(errno.ENOSPC))
            case "write":
                patch.setattr(stores.arrays, "write", fail(errno.ENOSPC))
                patch.setattr(stores, "sealed", fail(errno.EDQUOT))
        for attempt in (
            lambda: save_run(store, record(seed=5), {"users": np.arange(9)}),
            lambda: save_run(store, record("k1"), {}),
            lambda: save_fit(store, "f0", {"w": np.ones(3)}, {}),
            lambda: save_failure(store, record("k2"), ValueError("x"), "trace"),
        ):
            with pytest.raises(
                UpliftlensError, match=r"results folder .* is on a full disk: free some space"
            ) as caught:
                attempt()
            assert len(str(caught.value).splitlines()) <= 2
    after = {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()}
    if step == "write":
        after.pop(store.folder("runs", "k2") / "traceback.txt")
    assert after == before
    assert load_record(store, "k0") == record() and load_record(store, "k1") is None and load_fit(store, "f0") is None
    save_run(store, record("k1"), {})
    assert load_record(store, "k1") == record("k1")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EROFS, "can't be written"),
        (errno.EACCES, "can't be written"),
        (errno.EIO, "can't be used"),
        (errno.ENOSPC, "full disk"),
    ],
)
def test_a_folder_that_cannot_be_written_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    monkeypatch.setattr(stores.tempfile, "TemporaryFile", fail(number))
    with pytest.raises(UpliftlensError, match=f"{tmp_path}.*{said}.*store=FOLDER"):
        open_store(tmp_path)


def test_a_file_is_not_a_store(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    for root in (file, file / "runs"):
        with pytest.raises(UpliftlensError, match=r"is not a folder.*store=FOLDER"):
            open_store(root)
    with pytest.raises(UpliftlensError, match=r"is not a folder .* store=FOLDER \(or --store FOLDER"):
        list_records(Store(file))
    assert file.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_can_be_read(tmp_path: Path) -> None:
    store = open_store(tmp_path / "runs")
    save_run(store, record(), {})
    store.root.chmod(0o500)
    try:
        assert list_records(store).records == [record()]
        with pytest.raises(UpliftlensError, match="can't be written"):
            open_store(store.root)
    finally:
        store.root.chmod(0o700)


def test_temporary_files_of_dead_processes_are_swept(tmp_path: Path) -> None:
    store = open_store(tmp_path / "runs")
    save_run(store, record(), {})
    folder = store.folder("runs", "k0")
    old, fresh, claimed = (
        folder / ".writing-1-old",
        folder / ".writing-2-fresh",
        store.folder("fits", "f0") / ".writing-3",
    )
    claimed.parent.mkdir(parents=True)
    for path in (old, fresh, claimed):
        path.write_text("half")
    os.utime(old, (time.time() - 2 * 24 * 3600,) * 2)
    open_store(store.root)
    assert old.exists(), "looked through once per process: with thousands of runs that takes a second"
    delete_leftovers.cache_clear()
    open_store(store.root)
    assert not old.exists() and fresh.exists() and claimed.exists()
    with claim(store, "fits", "f0", print):
        assert not claimed.exists() and fresh.exists()
    assert list_records(store) == ([record()], [])


def test_a_flipped_bit_is_never_read_as_another_record(tmp_path: Path) -> None:
    """Before: 45 of 2,000 flipped bits gave other numbers without a word."""
    store = open_store(tmp_path)
    whole, info = record("k0"), {"epochs": [{"epoch": 1, "loss": 0.25}], "refitted": True}
    save_run(store, whole, {"users": np.arange(3)})
    save_fit(store, "f0", {"w": np.zeros(2)}, info)
    rng = np.random.default_rng(0)
    for path, read, kept in (
        (store.folder("runs", "k0") / "record.json", lambda: load_record(store, "k0"), whole),
        (store.folder("fits", "f0") / "fit.json", lambda: load_fit(store, "f0"), info),
    ):
        content = path.read_bytes()
        assert read() == kept
        for bit in rng.choice(8 * len(content), min(400, 8 * len(content)), replace=False):
            damaged = bytearray(content)
            damaged[bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            # A bit of the word "checksum" itself makes a file without one, whose content is whole.
            assert (result := read()) in (None, kept) or {name: result[name] for name in kept} == kept
        path.write_bytes(content.replace(b"0.25", b"NaN"))
        assert read() is None or b"0.25" not in content


def test_damaged_arrays_are_one_sentence_and_those_of_another_run_are_refused(tmp_path: Path) -> None:
    """Before: 59 of 250 flipped bits ended in a traceback, and a file of another run was read without a word."""
    store, rng = open_store(tmp_path), np.random.default_rng(0)
    kept = save_run(store, record("k0"), {"users": np.arange(30), "rmse": rng.random((30, 2))})
    other = save_run(store, record("k1"), {"users": np.arange(30), "rmse": rng.random((30, 2))})
    assert load_record(store, "k0") == kept == record("k0")
    paths = [store.folder("runs", key) / "per_user.npz" for key in ("k0", "k1")]
    content, words = paths[0].read_bytes(), r"k0/per_user\.npz is damaged \(.*\): delete its folder and run the job"
    for bit in rng.choice(8 * len(content), 400, replace=False):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        paths[0].write_bytes(damaged)
        with pytest.raises(UpliftlensError, match=words):
            load_per_user(store, kept)
        with suppress(UpliftlensError):  # a record of before has no checksum of the file
            load_per_user(store, replace(kept, per_user_checksum=None))
    paths[0].write_bytes(paths[1].read_bytes())
    with pytest.raises(UpliftlensError, match="its checksum differs"):
        load_per_user(store, kept)
    assert load_per_user(store, replace(kept, per_user_checksum=None)).keys() == load_per_user(store, other).keys()


def test_a_record_of_before_has_no_checksum_and_is_read(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    path = store.folder("runs", "k0") / "record.json"
    save_run(store, record("k0"), {})
    path.write_text(json.dumps(to_json(record("k0"))))
    assert load_record(store, "k0") == record("k0")
    path.write_text(json.dumps({**to_json(record("k0")), "checksum": "0" * 64}))
    assert load_record(store, "k0") is None
    assert "its checksum differs" in list_records(store).problems[0]

"""Claims: each run is computed once, the second waits, and a dead process holds nothing."""

import os
import signal
from contextlib import ExitStack
from pathlib import Path

from processes import process
from stored import record

from upliftlens.benchmarks.runs.store import Store, claim, list_records, open_store, save_run

_COMPUTE_ONCE = """
for number in range(30):
    key = f"k{number:02d}"
    with claim(store, "runs", key, say, record(key, status="running")):
        if load_record(store, key) is None:
            with open(store.root / f"computed-{key}", "a") as log:
                log.write("x")
            time.sleep(0.002)
            save_run(store, record(key), {})
"""


def test_processes_that_want_the_same_runs_compute_each_once(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    with (
        process(_COMPUTE_ONCE, root) as item,
        process(_COMPUTE_ONCE, root) as two,
        process(_COMPUTE_ONCE, root) as three,
    ):
        for child in (item, two, three):
            child.communicate(timeout=60)
            assert child.returncode == 0
    computed = {path.name: path.read_text() for path in root.glob("computed-*")}
    assert computed == {f"computed-k{number:02d}": "x" for number in range(30)}
    assert len(list_records(Store(root)).records) == 30
    assert list((root / "locks").iterdir()) == []


_HOLD = """
with claim(store, "runs", "k0", say, record(status="running")):
    print("claimed", flush=True)
    time.sleep(600)
"""
_FOLLOW = """
with claim(store, "runs", "k0", say):
    print("found" if load_record(store, "k0") else "mine", flush=True)
"""


def test_the_second_waits_for_the_first_is_told_once_and_finds_the_work_done(tmp_path: Path) -> None:
    store = open_store(tmp_path / "runs")
    with ExitStack() as held:
        held.enter_context(claim(store, "runs", "k0", print, record(status="running")))
        with process(_FOLLOW, store.root) as second:
            assert second.stdout is not None
            said = second.stdout.readline()
            assert said.startswith(f"run k0 is being computed by process {os.getpid()} on ")
            save_run(store, record(), {})
            held.close()
            assert second.communicate(timeout=60)[0] == "found\n"


def test_who_waited_holds_a_lock_that_others_see(tmp_path: Path) -> None:
    """A released lock's file is unlinked: whoever waited on it must not mistake the orphan for the lock."""
    store = open_store(tmp_path / "runs")
    with ExitStack() as held:
        held.enter_context(claim(store, "runs", "k0", print))
        with process(_HOLD, store.root) as second:
            assert second.stdout is not None and "is being computed" in second.stdout.readline()
            held.close()
            assert second.stdout.readline() == "claimed\n"
            assert [this_record.status for this_record in list_records(store).records] == ["running"]


def test_a_killed_process_gives_its_claim_back(tmp_path: Path) -> None:
    store = open_store(tmp_path / "runs")
    with process(_HOLD, store.root) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "claimed\n"
        assert [this_record.status for this_record in list_records(store).records] == ["running"]
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert list((store.root / "locks").iterdir()), "the dead process's marker is still there"
    assert list_records(store) == ([], [])

    def no_wait(sentence: str) -> None:
        raise AssertionError(sentence)

    with claim(store, "runs", "k0", no_wait):
        pass

"""Compiled programs outlive the process, and what is read back gives the same bits."""

import subprocess
import sys

import pytest
from processes import HERE

from upliftlens.benchmarks.store import list_records, open_store

WORDS = ("run", "data=synthetic", "data.n_users=60", "data.n_items=60", "data.ratings_per_user=12",
         "data.test_per_user=4", "model=mf", "train.epochs=3")  # fmt: skip


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    return tmp_path


def ran(folder, store):
    words = (*WORDS, f"cache={folder}/cache", f"store={folder}/{store}")
    command = [sys.executable, "-m", "upliftlens.benchmarks.cli", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE, timeout=300)
    assert done.returncode == 0 and "cache entry" not in done.stderr
    return list_records(open_store(folder / store)).records[0]


def entries(folder):
    return {path: path.read_bytes() for path in folder.glob("cache/programs/*/*-cache")}


def test_the_next_process_compiles_nothing_and_gets_the_same_bits(fresh):
    first = ran(fresh, "a")
    kept = entries(fresh)
    again = ran(fresh, "b")
    assert kept and entries(fresh) == kept and again.metrics == first.metrics
    for path in kept:  # as a killed process or a full disk leaves it
        path.write_bytes(kept[path][: len(kept[path]) // 2])
    assert ran(fresh, "c").metrics == first.metrics


def test_where_no_folder_can_be_made_programs_are_compiled(fresh):
    (fresh / "cache").mkdir()
    (fresh / "cache" / "programs").write_text("a file")
    ran(fresh, "a")

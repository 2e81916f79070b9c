"""Running Upliftlens as a user does, in this process or in one of its own, on a world small enough for tests."""

import json
import subprocess
import sys
from pathlib import Path

from upliftlens.benchmarks.cli.main import main

TINY = (
    "data=synthetic",
    "data.n_users=40",
    "data.n_items=30",
    "data.ratings_per_user=12",
    "data.test_per_user=4",
    "train.epochs=4",
    "metrics.interval.resamples=50",
    "progress=false",
)


def call(verb: str, store: Path, *arguments: str) -> int:
    """A verb that computes, in this process, on the tiny world; the exit code."""
    return main([verb, *TINY, f"store={store}", f"cache={store}/cache", *arguments])


def spawn(verb: str, store: Path, *arguments: str) -> subprocess.Popen:
    """The same in a process of its own."""
    words = [verb, *TINY, f"store={store}", f"cache={store}/cache", *arguments]
    command = [sys.executable, "-m", "upliftlens.benchmarks.cli", *words]
    return subprocess.Popen(command, cwd=store.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def programs(diagnostics: dict) -> int:
    """How many programs a run had to have made ready, compiled or read from where they are kept: 0 says nothing new."""
    return diagnostics["programs_compiled"] + diagnostics["programs_read"]


def records(store: Path) -> list[dict]:
    """All stored records as plain JSON without their checksums, oldest first."""
    result = [json.loads(path.read_text()) for path in store.glob("runs/*/record.json")]
    for record in result:
        del record["checksum"]
    return sorted(result, key=lambda record: record["created"])

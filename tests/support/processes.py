"""Processes beside the test's own, on one result store."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent

_PROLOGUE = """
import sys, time, numpy as np
from pathlib import Path
from stored import record
from upliftlens.benchmarks.runs.store import *
store = open_store(Path(sys.argv[1]))
say = lambda sentence: print(sentence, flush=True)
"""


@contextmanager
def process(script: str, root: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process with the store open; ended with the block."""
    command = [sys.executable, "-c", _PROLOGUE + script, str(root), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        try:
            yield child
        finally:
            child.kill()

"""Locks between processes: a file that its holder locks (flock) and writes its name into. They end with the process."""

import errno
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from io import FileIO
from pathlib import Path
from typing import Any

from upliftlens.causal.errors import UpliftlensError


@contextmanager
def exclusive(path: Path, waiting: Callable[[str], None], note: Mapping[str, Any]) -> Iterator[None]:
    """Waits for the lock file and holds it while the block runs; afterwards the file is deleted.

    ``waiting`` is called once, with the name of the holder, if another process holds it. ``note`` is plain JSON, which
    ``holders`` reads.

    Raises:
        UpliftlensError: if the file system has no locks.
        OSError: if the file can't be written.
    """
    with _acquired(path, waiting) as file:
        try:
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid(), "host": os.uname().nodename, "note": note}).encode())
            yield
        finally:
            with suppress(OSError):
                path.unlink()  # while it is locked: a process that waits for it sees that it is deleted


def holders(folder: Path, pattern: str) -> list[dict[str, Any]]:
    """The notes of all locks in a folder that a living process holds."""
    notes = []
    for path in sorted(folder.glob(pattern)):
        with suppress(OSError, ValueError, KeyError, TypeError), open(path, "rb", buffering=0) as file:
            try:
                flock(file, LOCK_SH | LOCK_NB)
            except BlockingIOError:
                notes.append(json.loads(file.read())["note"])
    return notes


def _acquired(path: Path, waiting: Callable[[str], None]) -> FileIO:
    announced = False
    while True:
        file = FileIO(path, "a+")
        try:
            if not _try(file, path):
                if not announced:
                    waiting(_holder(file))
                    announced = True
                flock(file, LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    return file  # else its last holder deleted it: lock the new file
        except BaseException:
            file.close()
            raise
        file.close()


def _try(file: FileIO, path: Path) -> bool:
    for _ in range(5):  # ``holders`` takes the lock for microseconds
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        except OSError as cause:
            if cause.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise UpliftlensError(
                    f"the file system of {path.parent} has no locks: choose a local folder with store=FOLDER"
                ) from cause
            raise
        else:
            return True
    return False


def _holder(file: FileIO) -> str:
    file.seek(0)
    try:
        marker = json.loads(file.read())
        return f"process {marker['pid']} on {marker['host']}"
    except (ValueError, KeyError, TypeError):
        return "another process"

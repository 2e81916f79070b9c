"""Atomic writes: a file is complete or absent, even if its writer is killed."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TEMPORARY = ".writing-"
"""Prefix of files being written. A killed process leaves them; the holder of the folder's lock may delete them."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``; when the block ends, the file written there replaces ``path``.

    The folder is created first. The replacement is one rename, after the bytes are on the disk, so two processes may
    write the same file at once. If the block raises, nothing is left behind.

    Raises:
        OSError: from the operating system; also if the block wrote no file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name is on the disk, too
    finally:
        os.close(folder)

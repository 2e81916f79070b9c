"""Files that are there whole or not at all, whatever happens while they are written."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TEMPORARY = ".writing-"
"""Begins the name of what is being written, and of what a killed process left: whoever holds a folder may sweep it."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path beside ``path``, whose folder is made; the file that the block writes there takes the place of ``path``.

    It does so by one rename, once its bytes are on the disk; two processes may write the same file at once. A block
    that raises leaves nothing.

    Raises:
        OSError: what the operating system says, also of a block that wrote no file.
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

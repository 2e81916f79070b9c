"""Getting an archive into the cache: verified, written atomically, by one process at a time."""

import errno
import hashlib
import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.error import HTTPError

from upliftlens.benchmarks.data.config import SourceConfig
from upliftlens.benchmarks.system.atomic import TEMPORARY, whole
from upliftlens.benchmarks.system.locks import exclusive
from upliftlens.benchmarks.system.talk import Progress
from upliftlens.causal.errors import UpliftlensError

PATIENCE = 20  # seconds without a byte before a download counts as failed
PIP_PATIENCE = 300  # seconds for pip as a whole
BLOCK = 1 << 18


class FetchFailed(Exception):
    """Why one source did not work; the next one is tried."""


def fault(path: Path, source: SourceConfig) -> str | None:
    """Why the file is not what ``source`` promises, or None. Without a stated hash it must at least be whole."""
    size = path.stat().st_size
    if source.bytes is not None and size != source.bytes:
        return f"{size:,} bytes instead of {source.bytes:,}"
    for kind, expected in (("sha256", source.sha256), ("md5", source.md5)):
        if expected is not None:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, kind).hexdigest()
            if digest != expected:
                return f"{kind} {digest[:12]}… instead of {expected[:12]}…"
    if source.sha256 is None and source.md5 is None:
        try:
            with zipfile.ZipFile(path) as archive:
                broken = archive.testzip()
        except zipfile.BadZipFile as error:
            return f"not a readable archive ({error})"
        return None if broken is None else f"its member {broken} is damaged"
    return None


@contextmanager
def locked(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the folder's lock; a second process waits. Files that a killed process left incomplete are removed.

    Raises:
        UpliftlensError: if the folder cannot be written.
    """
    with ExitStack() as stack:
        with clear_disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(
                exclusive(
                    folder / ".lock",
                    lambda holder: progress(f"waiting for {holder}", 0, None),
                    {"prepares": folder.name},
                )
            )
            for remains in folder.glob(f"{TEMPORARY}*"):
                shutil.rmtree(remains) if remains.is_dir() else remains.unlink(missing_ok=True)
        yield


def fetch(source: SourceConfig, target: Path, progress: Progress) -> None:
    """Bring the archive of ``source`` to ``target``, verified; hold the folder's lock while calling this.

    Raises:
        FetchFailed: if this source does not deliver what it promises.
        UpliftlensError: if the cache cannot be written.
    """
    with clear_disk_errors(target.parent), whole(target) as part:
        if source.url is not None:
            _download(source.url, part, source.bytes, progress)
        elif source.requirement is not None:
            _from_index(source.requirement, part, progress)
        if reason := fault(part, source):
            raise FetchFailed(f"what came is not the archive: {reason}")


def adopt(path: Path, source: SourceConfig, target: Path, progress: Progress) -> bool:
    """Copy a local archive into the cache if it is exactly what ``source`` promises; returns whether it is."""
    if (source.sha256 is None and source.md5 is None) or fault(path, source) is not None:
        return False
    if target.is_file() and fault(target, source) is None:
        return True
    with locked(target.parent, progress), clear_disk_errors(target.parent), whole(target) as part:
        shutil.copyfile(path, part)
    return True


@contextmanager
def clear_disk_errors(folder: Path) -> Iterator[None]:
    """Turn an error of the operating system about the cache into one sentence with a fix."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        fix = "free some space, or name another folder" if full else "name a folder that can be read and written"
        place = folder if error.filename is None else error.filename
        raise UpliftlensError(
            f"the cache can't be used: {place}: {error.strerror}. Fix: {fix}, cache=FOLDER"
        ) from error


def _download(url: str, part: Path, size: int | None, progress: Progress) -> None:
    label = f"downloading {url}"
    progress(label, 0, size)
    done, total = 0, size
    with part.open("wb") as out:
        for block, announced in _blocks(url):
            out.write(block)
            done, total = done + len(block), announced or size
            progress(label, done, total)
    if total is not None and done != total:
        raise FetchFailed(f"the connection broke off after {done:,} of {total:,} bytes")


def _blocks(url: str) -> Iterator[tuple[bytes, int | None]]:
    """(bytes, the size that the server announced). Errors in here come from the network, not from the disk."""
    request = urllib.request.Request(url, headers={"User-Agent": "upliftlens"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            announced = answer.headers.get("Content-Length")
            while block := answer.read(BLOCK):
                yield block, int(announced) if announced else None
    except HTTPError as error:
        raise FetchFailed(f"the server answered {error.code} {error.reason}") from error
    except http.client.IncompleteRead as error:
        raise FetchFailed("the connection broke off") from error
    except (OSError, http.client.HTTPException) as error:
        raise FetchFailed(f"no connection: {getattr(error, 'reason', None) or error}") from error


def _from_index(requirement: str, part: Path, progress: Progress) -> None:
    """The wheel of ``requirement`` from the Python package index that pip is set up for. It is never installed."""
    progress(f"getting the wheel {requirement} with pip", 0, None)
    with tempfile.TemporaryDirectory(dir=part.parent, prefix=TEMPORARY, ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--retries=1"]
        command += ["--disable-pip-version-check", "--quiet", "--dest", folder, requirement]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=PIP_PATIENCE,
                check=False,
                env={**os.environ, "TMPDIR": folder},  # pip unpacks there, and needs no other disk
            )
        except subprocess.TimeoutExpired as error:
            raise FetchFailed(f"pip took longer than {PIP_PATIENCE} s") from error
        if done.returncode and f"[Errno {errno.ENOSPC}]" in done.stderr:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(part.parent))
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            reasons = [line for line in lines if line.startswith("ERROR")] or lines or ["no wheel came"]
            raise FetchFailed(f"pip: {reasons[-1].removeprefix('ERROR: ')}")
        shutil.move(wheels[0], part)

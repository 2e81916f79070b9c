"""One interface to the files of a folder, of an archive, or a single file."""

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from upliftlens.benchmarks.system.talk import Say
from upliftlens.causal.errors import UpliftlensError

DEPTH = 3  # folders below the given one that are looked into
_CHUNK = 1 << 20  # bytes of an archive that are held at once while it is checked
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError)


class Files(NamedTuple):
    """``names``: paths inside of ``origin``, with forward slashes; ``chosen``: the one that a user named, or None.

    ``say``: None, or takes a line for the user about a file that was read.
    """

    origin: str
    names: tuple[str, ...]
    read: Callable[[str], bytes]
    chosen: str | None = None
    say: Say | None = None

    def find(self, name: str) -> str | None:
        """The path with the fewest folders that is ``name`` or ends with ``/name``, or None."""
        hits = [path for path in self.names if path == name or path.endswith("/" + name)]
        return min(hits, key=lambda path: (path.count("/"), path), default=None)

    def need(self, name: str) -> str:
        """As ``find``.

        Raises:
            UpliftlensError: if there is no such file.
        """
        path = self.find(name)
        if path is None:
            there = ", ".join(sorted(self.names)[:8]) or "nothing"
            raise UpliftlensError(
                f"{self.origin} holds no file '{name}' (there is: {there}). Fix: give the right data.path"
            )
        return path

    def ratings(self, name: str) -> str:
        """The file that the user named, else the file called ``name``."""
        return self.chosen or self.need(name)

    def label(self, name: str) -> str:
        """How a message names the file: with its folder or archive."""
        folder = Path(self.origin) if self.chosen is None else Path(self.origin).parent
        return str(folder / name)


def open_files(path: Path, option: str = "data.path") -> Files:
    """Files behind ``path``: a folder, a zip (also a wheel), a tar (also compressed), or one file with its neighbours.

    Raises:
        UpliftlensError: if the path does not exist or the archive is damaged.
    """
    if path.is_dir():
        return _folder(path, None)
    if not path.is_file():
        raise UpliftlensError(f"{option}={path} {'is no file or folder' if path.exists() else 'does not exist'}")
    if path.suffix in (".zip", ".whl"):
        return _zip(path)
    if path.name.endswith((".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")):
        return _tar(path)
    return _folder(path.parent, path.name)._replace(origin=str(path))


def _folder(root: Path, chosen: str | None) -> Files:
    patterns = ["*"] if chosen else ["/".join("*" * depth) for depth in range(1, DEPTH + 1)]
    try:
        paths = [path for pattern in patterns for path in root.glob(pattern) if path.is_file()]
    except OSError as error:
        raise UpliftlensError(f"cannot read {root}: {error.strerror}") from error

    def read(name: str) -> bytes:
        try:
            return (root / name).read_bytes()
        except OSError as error:
            raise UpliftlensError(f"cannot read {root / name}: {error.strerror}") from error

    return Files(str(root), tuple(path.relative_to(root).as_posix() for path in paths), read, chosen)


@contextmanager
def _undamaged(path: Path) -> Iterator[None]:
    """Turns what reading a damaged archive raises into an UpliftlensError."""
    try:
        yield
    except _DAMAGE as error:
        raise UpliftlensError(f"{path} is a damaged or incomplete archive ({error}). Fix: get it again") from error


def _zip(path: Path) -> Files:
    def read(name: str) -> bytes:
        with _undamaged(path), zipfile.ZipFile(path) as archive:
            return archive.read(name)

    with _undamaged(path), zipfile.ZipFile(path) as archive:
        names = tuple(name for name in archive.namelist() if not name.endswith("/"))
    return Files(str(path), _real(names), read)


def _tar(path: Path) -> Files:
    def read(name: str) -> bytes:
        with _undamaged(path), tarfile.open(path) as archive:
            member = archive.extractfile(name)
            return b"" if member is None else member.read()

    with _undamaged(path), tarfile.open(path) as archive:
        names = tuple(member.name for member in archive if member.isfile())
        _read_to_the_end(archive)
    return Files(str(path), _real(names), read)


def _read_to_the_end(archive: tarfile.TarFile) -> None:
    """Refuses an archive whose end is missing or whose checksum is wrong, although its members could be read.

    tarfile stops at the end mark behind the last member. The compressor's checksum lies behind it, and is compared only
    when everything is read.

    Raises:
        EOFError: if the end mark is missing; or what the decompressor raises.
    """
    stream = archive.fileobj
    assert stream is not None
    if stream.tell() < archive.offset + tarfile.BLOCKSIZE:
        raise EOFError("its end is missing")
    while stream.read(_CHUNK):
        pass


def _real(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names without the files that macOS adds to archives."""
    return tuple(name for name in names if not name.startswith("__MACOSX") and not Path(name).name.startswith("._"))

"""A damaged archive is refused: every flipped bit and every missing end, or what is read is what was packed."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from upliftlens.benchmarks.data.files import open_files
from upliftlens.causal.errors import UpliftlensError

RNG = np.random.default_rng(0)
CONTENT = {
    "ratings.csv": "".join(f"{user},{item},{(user * item) % 5 + 1}\n" for user in range(30) for item in range(20)),
    "deep/users.csv": "".join(f"{user},{'MF'[user % 2]},{RNG.integers(10, 80)}\n" for user in range(40)),
    "empty.txt": "",
}
FLIPS = 200
ENDINGS = {".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}


def packed(ending: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=ENDINGS.get(ending, "w")) as archive:
        for name, text in CONTENT.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()


def content(path: Path) -> dict[str, str] | None:
    """What is read from the archive; None if it is refused, by the sentence that says so."""
    try:
        files = open_files(path)
        return {name: files.read(name).decode() for name in files.names}
    except UpliftlensError as error:
        assert str(error).startswith(f"{path} is a damaged or incomplete archive (") and "get it again" in str(error)
        return None


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_flipped_bit_is_refused_or_changes_nothing(ending: str, tmp_path: Path) -> None:
    whole, path = packed(ending), tmp_path / f"data{ending}"
    path.write_bytes(whole)
    assert content(path) == CONTENT
    last = 8 * len(whole) - 1 - np.arange(64)  # the checksum stands at the end
    refused = 0
    for bit in [*np.random.default_rng(1).integers(8 * len(whole), size=FLIPS), *last]:
        broken = bytearray(whole)
        broken[bit // 8] ^= 1 << bit % 8
        path.write_bytes(broken)
        result = content(path)
        assert result in (None, CONTENT), f"bit {bit} gave other numbers without a word"
        refused += result is None
    assert refused > 0.9 * FLIPS


@pytest.mark.parametrize("ending", [*ENDINGS, ".tar"])
def test_an_archive_without_its_end_is_refused(ending: str, tmp_path: Path) -> None:
    whole, path = packed(ending), tmp_path / f"data{ending}"
    # A plain tar ends in blocks of zeros: it is whole as long as the first of them is there.
    end = len(whole) if ending != ".tar" else len(whole.rstrip(b"\0")) // 512 * 512 + 512
    for length in [*np.random.default_rng(2).integers(1, end, size=40), end - 1]:
        path.write_bytes(whole[:length])
        assert content(path) is None, length

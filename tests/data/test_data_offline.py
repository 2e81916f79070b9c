"""Without network, and with nothing but a package index: the sources of a data set, without a server."""

import errno
import hashlib
import io
import sys
import zipfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import pytest

from upliftlens.benchmarks import data
from upliftlens.benchmarks.data import DataUnavailable, fetch
from upliftlens.benchmarks.data.config import DataConfig, SourceConfig
from upliftlens.causal.errors import UpliftlensError


@lru_cache
def ml_100k() -> DataConfig:
    return data.configure("ml-100k")


def left(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "ml-100k").iterdir())


def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError(OSError(errno.ENETUNREACH, "Network is unreachable"))

    def pip(command: list[str], **_: object) -> SimpleNamespace:
        assert command[:4] == [sys.executable, "-m", "pip", "download"] and command[-1] == "recbole==1.2.1"
        return SimpleNamespace(
            returncode=1, stdout="", stderr="WARNING: retrying\nERROR: No matching distribution found\n"
        )

    monkeypatch.setattr(fetch.urllib.request, "urlopen", refuse)
    monkeypatch.setattr(fetch.subprocess, "run", pip)


def test_without_network_every_source_and_the_fix_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offline(monkeypatch)
    with pytest.raises(DataUnavailable) as raised:
        data.load(ml_100k(), tmp_path)
    (official, no_net), (wheel, no_pip) = raised.value.tried
    assert official.startswith("https://files.grouplens.org/") and "Network is unreachable" in no_net
    assert wheel == "the wheel recbole==1.2.1" and no_pip == "pip: No matching distribution found"
    lines = str(raised.value).splitlines()
    assert len(lines) == 2 and lines[1].startswith("Fix: ") and "data.path=" in lines[1]
    assert isinstance(raised.value, UpliftlensError) and left(tmp_path) == []


@pytest.mark.parametrize("name", ["yahoo-r3", "csv", "recbole"])
def test_data_of_ones_own_asks_for_the_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataUnavailable, match=r"data\.path: it is not given[^$]*Fix: .*data\.path="):
        data.load(data.configure(name), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_wheel_from_the_index_is_verified_and_read_as_an_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("ml-100k/u.data", "1\t1\t3\t1\n2\t2\t3\t2\n3\t3\t3\t3\n")
    body = stream.getvalue()

    def pip(command: list[str], **_: object) -> SimpleNamespace:
        (Path(command[command.index("--dest") + 1]) / "some-1-py3-none-any.whl").write_bytes(body)
        return SimpleNamespace(returncode=0, stdout="", stderr="")

    monkeypatch.setattr(fetch.subprocess, "run", pip)
    wheel = SourceConfig("some.whl", None, "some==1", len(body), hashlib.sha256(body).hexdigest(), None)
    d = data.load(replace(ml_100k(), sources=(wheel,)), tmp_path)
    assert len(d.log) == 3 and d.source.startswith("some==1") and left(tmp_path) == ["some.whl"]
    body += b"x"
    with pytest.raises(DataUnavailable, match="not the archive"):
        data.load(replace(ml_100k(), sources=(wheel,)), tmp_path / "other")

"""Where archives come from and what may go wrong on the way: no network, damage, killed and competing processes."""

import errno
import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from upliftlens.benchmarks import data
from upliftlens.benchmarks.data import DataUnavailable
from upliftlens.benchmarks.data.config import DataConfig, SourceConfig
from upliftlens.benchmarks.data.fetch import fetch
from upliftlens.benchmarks.system.atomic import TEMPORARY
from upliftlens.causal.errors import UpliftlensError

CLIENT = """
import sys
from dataclasses import replace
from pathlib import Path
from upliftlens.benchmarks import data
from upliftlens.benchmarks.data.config import SourceConfig
url, cache, size, sha = sys.argv[1:]
source = SourceConfig("a.zip", url, None, int(size), sha, None)
config = replace(data.configure("ml-100k"), sources=(source,))
print(data.load(config, Path(cache), lambda line: print(line, file=sys.stderr, flush=True)).fingerprint)
"""


def archive(rows: int = 3) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as out:
        out.writestr("ml-100k/u.data", "".join(f"{i}\t{i}\t3\t{i}\n" for i in range(1, rows + 1)))
    return stream.getvalue()


class Server:
    """Serves one body; ``sent`` < len(body) breaks off there; a cleared ``gate`` stops after the first half."""

    def __init__(self, body: bytes) -> None:
        self.body, self.sent, self.requests, self.status = body, len(body), 0, 200
        self.gate, self.half_sent = threading.Event(), threading.Event()
        self.gate.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests += 1
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                half = len(outer.body) // 2
                try:
                    self.wfile.write(outer.body[: min(half, outer.sent)])
                    self.wfile.flush()
                    outer.half_sent.set()
                    outer.gate.wait(60)
                    self.wfile.write(outer.body[half : outer.sent])
                except OSError:
                    pass  # the client was killed

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/a.zip"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    running = Server(archive(2000))
    yield running
    running.gate.set()
    running.http.shutdown()
    running.http.server_close()


@lru_cache
def ml_100k() -> DataConfig:
    return data.configure("ml-100k")


def config_for(url: str, body: bytes, **facts: object) -> DataConfig:
    known = {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest(), "md5": None} | facts
    return replace(ml_100k(), sources=(SourceConfig(file="a.zip", url=url, requirement=None, **known),))  # type: ignore[arg-type]


def left(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "ml-100k").iterdir())


def test_fetched_once_then_from_the_cache(server: Server, tmp_path: Path) -> None:
    config, lines = config_for(server.url, server.body), []
    first = data.load(config, tmp_path, lines.append)
    again = data.load(config, tmp_path, lines.append)
    assert server.requests == 1 and first.fingerprint == again.fingerprint and len(first.log) == 2000
    assert lines == [f"downloading {server.url}"] and first.source == server.url
    assert left(tmp_path) == ["a.zip"]


def test_md5_alone_is_verified(server: Server, tmp_path: Path) -> None:
    wrong = config_for(server.url, server.body, sha256=None, md5="0" * 32)
    with pytest.raises(DataUnavailable, match="md5"):
        data.load(wrong, tmp_path)
    right = config_for(server.url, server.body, sha256=None, md5=hashlib.md5(server.body).hexdigest())
    data.load(right, tmp_path)


def test_an_unpinned_archive_must_be_whole(server: Server, tmp_path: Path) -> None:
    server.body = server.body[:-30]
    server.sent = len(server.body)
    with pytest.raises(DataUnavailable, match="not a readable archive"):
        data.load(config_for(server.url, server.body, bytes=None, sha256=None), tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize("sent", [0, 100, 20_000])
def test_a_download_that_breaks_off_leaves_nothing(server: Server, tmp_path: Path, sent: int) -> None:
    server.sent = sent
    with pytest.raises(DataUnavailable, match="broke off"):
        data.load(config_for(server.url, server.body), tmp_path)
    assert left(tmp_path) == []


def test_what_is_not_the_pinned_archive_is_refused(server: Server, tmp_path: Path) -> None:
    expected = server.body
    server.body = expected[:-1] + bytes([expected[-1] ^ 1])
    with pytest.raises(DataUnavailable, match=r"sha256 .* instead of"):
        data.load(config_for(server.url, expected), tmp_path)
    server.status = 404
    with pytest.raises(DataUnavailable, match="answered 404"):
        data.load(config_for(server.url, expected), tmp_path)
    assert left(tmp_path) == []


def test_a_damaged_cache_is_fetched_again_or_said(server: Server, tmp_path: Path) -> None:
    config = config_for(server.url, server.body)
    print_before = data.load(config, tmp_path).fingerprint
    cached = tmp_path / "ml-100k" / "a.zip"
    cached.write_bytes(b"x" * len(server.body))
    assert data.load(config, tmp_path).fingerprint == print_before and server.requests == 2
    cached.write_bytes(b"x" * len(server.body))
    server.status = 503
    with pytest.raises(DataUnavailable, match=r"corrupted .*answered 503") as raised:
        data.load(config, tmp_path)
    assert [source for source, _ in raised.value.tried] == [f"the cached {cached}", server.url]


def test_a_local_official_archive_stays_in_the_cache(server: Server, tmp_path: Path) -> None:
    local = tmp_path / "mine.zip"
    local.write_bytes(server.body)
    config = config_for(server.url, server.body)
    given = data.load(replace(config, path=str(local)), tmp_path / "cache")
    local.unlink()
    assert data.load(config, tmp_path / "cache").fingerprint == given.fingerprint and server.requests == 0


def test_a_given_path_is_an_order(server: Server, tmp_path: Path) -> None:
    config = config_for(server.url, server.body)
    data.load(config, tmp_path / "cache")
    mine = tmp_path / "own.zip"
    mine.write_bytes(archive(5))
    assert len(data.load(replace(config, path=str(mine)), tmp_path / "cache").log) == 5
    with pytest.raises(UpliftlensError, match="does not exist"):
        data.load(replace(config, path=str(tmp_path / "typo.zip")), tmp_path / "cache")
    assert len(data.load(config, tmp_path / "cache").log) == 2000


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_or_read_only_disk_is_one_sentence(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    config = config_for(server.url, server.body)
    opened = Path.open

    def failing(path: Path, mode: str = "r", *args: object, **kwargs: object) -> object:
        if path.name.startswith(TEMPORARY) and "w" in mode:
            raise OSError(code, os.strerror(code), str(path))
        return opened(path, mode, *args, **kwargs)  # type: ignore[call-overload]

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", failing)
        with pytest.raises(UpliftlensError, match=os.strerror(code)) as raised:
            data.load(config, tmp_path)
    assert not isinstance(raised.value, DataUnavailable) and len(str(raised.value).splitlines()) == 1
    assert left(tmp_path) == []
    data.load(config, tmp_path)
    assert left(tmp_path) == ["a.zip"]


def test_a_read_only_cache_is_still_read_and_not_needed_for_a_path(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_for(server.url, server.body)
    before = data.load(config, tmp_path / "cache").fingerprint
    local = tmp_path / "mine.zip"
    local.write_bytes(server.body)

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", read_only)
    assert data.load(config, tmp_path / "cache").fingerprint == before
    lines: list[str] = []
    assert data.load(replace(config, path=str(local)), tmp_path / "none", lines.append).fingerprint == before
    assert len(lines) == 1 and "not kept in the cache" in lines[0]
    with pytest.raises(UpliftlensError, match=r"the cache can't be used: .* Fix: name a folder .* cache=FOLDER"):
        data.load(config, tmp_path / "none")


def test_a_disk_that_is_too_small_for_pip_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n"
    done = subprocess.CompletedProcess([], 1, "", f"{said}WARNING: a later line\n")
    monkeypatch.setattr("upliftlens.benchmarks.data.fetch.subprocess.run", lambda *args, **kwargs: done)
    source = SourceConfig("a.whl", None, "some-package==1.0", None, None, None)
    with pytest.raises(UpliftlensError, match="free some space, or name another folder, cache=FOLDER"):
        fetch(source, tmp_path / "a.whl", lambda *item: None)


def test_a_file_where_the_cache_should_be(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(UpliftlensError, match="the cache can't be used"):
        data.load(config_for(server.url, server.body), tmp_path / "cache")


def client(server: Server, cache: Path) -> subprocess.Popen[str]:
    facts = [str(len(server.body)), hashlib.sha256(server.body).hexdigest()]
    command = [sys.executable, "-c", CLIENT, server.url, str(cache), *facts]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_fetch_once(server: Server, tmp_path: Path) -> None:
    server.gate.clear()
    with ThreadPoolExecutor() as beside:
        first = beside.submit(data.load, config_for(server.url, server.body), tmp_path)  # this process is the first
        assert server.half_sent.wait(60)
        second = client(server, tmp_path)
        assert second.stderr is not None and "waiting for process" in second.stderr.readline()
        server.gate.set()
        fingerprint = first.result(timeout=60).fingerprint
    shown, _ = second.communicate(timeout=60)
    assert second.returncode == 0 and shown.strip() == fingerprint and server.requests == 1
    assert left(tmp_path) == ["a.zip"]


def test_a_killed_download_leaves_nothing_that_counts(server: Server, tmp_path: Path) -> None:
    server.gate.clear()
    victim = client(server, tmp_path)
    assert server.half_sent.wait(60)
    for _ in range(600):
        if parts := list((tmp_path / "ml-100k").glob(f"{TEMPORARY}*")):
            break
        time.sleep(0.05)
    victim.send_signal(signal.SIGKILL)
    victim.communicate(timeout=60)
    (tmp_path / "ml-100k" / f"{TEMPORARY}x").mkdir()  # what a killed pip leaves
    server.gate.set()
    assert parts[0].exists() and not (tmp_path / "ml-100k" / "a.zip").exists()
    data.load(config_for(server.url, server.body), tmp_path)
    assert left(tmp_path) == ["a.zip"]

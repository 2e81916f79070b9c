"""The result store: a folder in which a finished run is never lost and a half-written one never seen.

ROOT/fits/<fit_key>/   state.npz  fit.json        the trained state; its epochs, with losses and timings
ROOT/runs/<key>/       per_user.npz  record.json  traceback.txt (of a failure)
ROOT/sweeps/<name>/    runs.txt: keys of runs that a sweep found
ROOT/tracebacks/       of runs whose data failed before they had a key
ROOT/locks/            a file per claimed key, with the process id and the start of its holder

Every file appears by one atomic rename, after its bytes are on the disk. ``fit.json`` and ``record.json`` are written
last: a folder without them counts as empty. A claim is an operating-system lock (flock): it ends with its process,
however that ends, so "running" is never out of date. Any number of processes may share a store.
"""

import errno
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import numpy as np

from upliftlens.benchmarks.runs.records import Failure, Record, from_json, plain, sealed, to_json, unsealed
from upliftlens.benchmarks.system import npz as arrays
from upliftlens.benchmarks.system.atomic import TEMPORARY, whole
from upliftlens.benchmarks.system.locks import exclusive, holders
from upliftlens.benchmarks.system.talk import say
from upliftlens.causal.errors import UpliftlensError

Kind = Literal["fits", "runs"]

ELSEWHERE = "store=FOLDER (or --store FOLDER, for a verb that takes flags)"
_STALE = 24 * 3600.0  # seconds after which a temporary file of a dead process is swept; no write takes a day


class Store(NamedTuple):
    """The folder of a result store. Reading functions take it as it is; ``open_store`` readies it for writing."""

    root: Path

    def folder(self, kind: Kind, key: str) -> Path:
        """Where a fit or run lies."""
        return self.root / kind / key


def open_store(root: Path | str) -> Store:
    """The store at ``root``: made if missing, checked to be writable, and cleared of files that crashed processes left.

    Raises:
        UpliftlensError: if it isn't a folder, can't be written, or its disk is full.
    """
    store = Store(Path(root).expanduser())
    with _writing(store):
        for name in ("fits", "runs", "locks"):
            (store.root / name).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=store.root) as probe:
            probe.write(b"writable")
    delete_leftovers(store.root.resolve())
    return store


def existing_store(root: Path | str) -> Store:
    """The store at ``root``, to read.

    Raises:
        UpliftlensError: if there is no such folder.
    """
    store = Store(Path(root).expanduser())
    if not store.root.exists():
        raise UpliftlensError(
            f"the results folder {store.root} does not exist: start a run (`upliftlens run model=mf`) or name another "
            "folder, --store FOLDER"
        )
    return store


@cache
def delete_leftovers(root: Path) -> None:
    """Deletes what crashed processes left; once per process, as looking through thousands of runs takes a second."""
    for leftover in root.glob(f"*/*/{TEMPORARY}*"):
        with suppress(FileNotFoundError):
            if time.time() - leftover.stat().st_mtime > _STALE:
                leftover.unlink()


@contextmanager
def claim(
    store: Store, kind: Kind, key: str, waiting: Callable[[str], None], record: Record | None = None
) -> Iterator[None]:
    """Holds a key while the block runs; other processes that claim it wait.

    So: claim, look whether it is done by now, and only then compute. ``waiting`` is called once, with a sentence, if
    another process holds the key. ``record`` is what ``list_records`` shows as running while the key is held.

    Raises:
        UpliftlensError: if the store can't be written or its file system has no locks.
    """
    note = {"record": None if record is None else to_json(record)}
    with ExitStack() as stack:
        with _writing(store):
            sentence = f"{kind[:-1]} {key} is being computed by {{}}: waiting for it"
            lock = store.root / "locks" / f"{kind}-{key}.lock"
            stack.enter_context(exclusive(lock, lambda holder: waiting(sentence.format(holder)), note))
            for leftover in store.folder(kind, key).glob(f"{TEMPORARY}*"):
                leftover.unlink(missing_ok=True)  # its writer held this claim, so it is dead
        yield


def save_fit(store: Store, key: str, state: Any, info: Mapping[str, Any]) -> None:
    """Stores a trained state (a pytree of arrays) and plain data about its training; NaN is kept as null."""
    folder = store.folder("fits", key)
    _write(store, folder / "state.npz", lambda file: arrays.write(file, arrays.flatten(state), compress=False))
    _write(store, folder / "fit.json", lambda file: file.write(sealed(plain(info))))


def load_fit(store: Store, key: str) -> dict[str, Any] | None:
    """The ``info`` of a stored fit, or None where there is none (or its file was damaged: then it is fitted again)."""
    try:
        content = unsealed((store.folder("fits", key) / "fit.json").read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def load_state(store: Store, key: str, template: Any) -> Any:
    """The state of a fit, in the structure of ``template`` (arrays, or the shapes that ``jax.eval_shape`` gives).

    Raises:
        UpliftlensError: if it is missing or damaged, or its arrays are not those of the template.
    """
    path = store.folder("fits", key) / "state.npz"
    return arrays.unflatten(arrays.read(path), template, str(path))


def save_run(store: Store, record: Record, per_user: Mapping[str, np.ndarray]) -> Record:
    """Stores a record with the arrays behind its metrics; it takes the place of an earlier attempt.

    Gives back the record as it is stored, with the checksum of the arrays' file.
    """
    path = store.folder("runs", record.key) / "per_user.npz"
    _write(store, path, lambda file: arrays.write(file, per_user, compress=True))
    with _writing(store):
        stored = replace(record, per_user_checksum=arrays.checksum_of(path))
    _write(store, path.with_name("record.json"), lambda file: file.write(sealed(to_json(stored))))
    with suppress(OSError):
        path.with_name("traceback.txt").unlink(missing_ok=True)  # of an earlier attempt
    return stored


def add_to_sweep(store: Store, sweep: str, key: str) -> None:
    """Notes that a run belongs to a sweep that did not compute it."""
    path = store.root / "sweeps" / sweep / "runs.txt"
    with _writing(store):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:  # a line is appended whole, so several processes may
            file.write(f"{key}\n")


def _sweeps(store: Store) -> dict[str, tuple[str, ...]]:
    """By the key of a run, the sweeps that it was added to."""
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted((store.root / "sweeps").glob("*/runs.txt")):
        with suppress(OSError, UnicodeDecodeError):
            for key in set(path.read_text().split()):
                found[key] = (*found.get(key, ()), path.parent.name)
    return found


def save_failure(store: Store, record: Record, error: BaseException, trace: str) -> Record:
    """Stores a run as failed, with its traceback in a file of the run's folder; gives back the failed record."""
    path = store.folder("runs", record.key) / "traceback.txt"
    message = str(error) or type(error).__name__
    failed = replace(record, status="failed", error=Failure(type(error).__name__, message, str(path)))
    _write(store, path, lambda file: file.write(trace.encode()))
    _write(store, path.with_name("record.json"), lambda file: file.write(sealed(to_json(failed))))
    return failed


def save_traceback(store: Store, name: str, trace: str) -> Path:
    """Stores the traceback of a run that has no key yet; gives back its file, which the next one of the name replaces.

    Raises:
        UpliftlensError: if the store can't be written.
    """
    path = store.root / "tracebacks" / f"{name}.txt"
    _write(store, path, lambda file: file.write(trace.encode()))
    return path


def load_record(store: Store, key: str) -> Record | None:
    """The record of a run, done or failed; None where there is none or its file was damaged (then it is run again)."""
    try:
        return from_json(unsealed((store.folder("runs", key) / "record.json").read_bytes()))
    except (OSError, ValueError):
        return None


def is_done(store: Store, key: str) -> bool:
    """Whether a run is stored as done; its record is not read."""
    folder = store.folder("runs", key)
    return (folder / "record.json").exists() and not (folder / "traceback.txt").exists()


def load_per_user(store: Store, record: Record) -> dict[str, np.ndarray]:
    """The arrays that ``save_run`` stored with a record.

    Raises:
        UpliftlensError: if they are missing or damaged, or those of another run.
    """
    return arrays.read(store.folder("runs", record.key) / "per_user.npz", record.per_user_checksum)


class Listing(NamedTuple):
    """All records of a store, oldest first, and a sentence for each file that could not be read."""

    records: list[Record]
    problems: list[str]


def list_records(store: Store) -> Listing:
    """Every run of a store: done, failed, and running (claimed by a living process). A missing store counts as empty.

    Raises:
        UpliftlensError: if the store is not a folder.
    """
    if store.root.exists() and not store.root.is_dir():
        raise UpliftlensError(f"{store.root} is not a folder of results: name one with {ELSEWHERE}")
    # Claims come first: a run may finish while records are read.
    claimed = [note["record"] for note in holders(store.root / "locks", "runs-*.lock")]
    records: dict[str, Record] = {}
    problems: list[str] = []
    for path in sorted((store.root / "runs").glob("*/record.json")):
        try:
            record = from_json(unsealed(path.read_bytes()))
            if record.key != path.parent.name:
                raise ValueError(f"it is the record of {record.key}")
        except (OSError, ValueError) as cause:
            problems.append(f"{path} is skipped: {cause}. Running its job again replaces it")
        else:
            records[record.key] = record
    for running in (from_json(content) for content in claimed if content is not None):
        if running.key not in records or records[running.key].status != "done":
            records[running.key] = running
    for key, names in _sweeps(store).items():
        if key in records:
            records[key] = replace(records[key], sweeps=names)
    return Listing(sorted(records.values(), key=lambda record: (record.created, record.key)), problems)


def readable_records(store: Store) -> list[Record]:
    """The records of ``list_records``; each file that could not be read is said in a line.

    Raises:
        UpliftlensError: as ``list_records``.
    """
    records, problems = list_records(store)
    for problem in problems:
        say(problem)
    return records


@contextmanager
def _writing(store: Store) -> Iterator[None]:
    """Turns an error of the operating system about the folder into a sentence with its fix."""
    try:
        yield
    except OSError as cause:
        if cause.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UpliftlensError(
                f"the results folder {store.root} is on a full disk: free some space or choose another, {ELSEWHERE}.\n"
                "Finished runs are safe; start the same command again and it continues."
            ) from cause
        if cause.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise UpliftlensError(
                f"the results folder {store.root} can't be written ({cause.strerror}): choose another with {ELSEWHERE}"
            ) from cause
        if cause.errno in (errno.ENOTDIR, errno.EEXIST):
            raise UpliftlensError(
                f"{store.root} is not a folder, so it can't hold results: choose one with {ELSEWHERE}"
            ) from cause
        raise UpliftlensError(
            f"the results folder {store.root} can't be used: {cause}. Choose another with {ELSEWHERE}"
        ) from cause


def _write(store: Store, path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    with _writing(store), whole(path) as part, part.open("xb") as file:
        write(file)

"""Splits: which rows of a log train, validate and test. Validation rows are taken from the training rows only.

A way to split is a ``SplitKind``, registered by an entry point of the group ``upliftlens.splits``.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np

from upliftlens.benchmarks.config.plugins import entry
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.splits.leak import LeakReport, Order, leak_report, pairs
from upliftlens.benchmarks.system.atomic import whole
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions, concatenate, take, time_bits
from upliftlens.causal.options import AtLeast, Within

Part = Literal["fit", "training", "validation", "test"]
"""``fit`` is the training and validation rows together: the rows that a run may learn from."""


@dataclass(frozen=True)
class SplitOptions:
    """The options of every split; a kind with further options derives its class from this one.

    ``name`` is the kind's: an installed kind gives it, and all other options, a default; those of the built-in ones
    are in ``configs/split/NAME.yaml``. ``validation`` is the share of the training rows that validates; ``seed``
    drives the random choices of the split and nothing else.
    """

    name: str
    validation: Annotated[float, Within(0, 1, "[)")]
    seed: Annotated[int, AtLeast(0)]

    @property
    def published(self) -> bool:
        """Whether a training row may be tested, by the published protocol."""
        return False

    @property
    def each_moment(self) -> bool:
        """Whether each held out row is asked for at its own time (``evaluation.timeline``)."""
        return False


class Sampling(NamedTuple):
    """Which parts are drawn at random: ``fit`` and ``test`` from the whole log, ``validation`` from ``fit``.

    Only a random sample of observed rows has a known propensity: its share times the propensity of those rows.
    """

    fit: bool = False
    validation: bool = False
    test: bool = False


NOT_AT_RANDOM = Sampling()


@dataclass(frozen=True, eq=False)
class SplitKind:
    """A way to split.

    ``held_out(dataset, options)``: bool[N], the log rows that don't train: the test rows, if they are in the log.
    ``validation(log, rows, options)``: bool[len(rows)], which of the other ``rows`` validate.
    ``sampling``: which parts are random samples. ``order`` and ``redrawn``: see ``LeakReport``.
    ``shown(log, rows, options)``: bool[len(rows)], which ``rows`` of held-out users, of the test or of validation, a
    method is shown, the others being predicted; None where the users of a part train, too.
    ``given_test``: the test set is that of the data set, and so are the validation rows where it has any. ``mend``:
    the fix for test pairs that are trained on.
    ``version``: bumped when a built-in kind draws other rows, or a change of ``sampling`` moves a number.
    """

    name: str
    options: type[SplitOptions]
    held_out: Callable[[Dataset, Any], np.ndarray]
    validation: Callable[[Interactions, np.ndarray, Any], np.ndarray]
    sampling: Sampling = NOT_AT_RANDOM
    order: Order = "none"
    shown: Callable[[Interactions, np.ndarray, Any], np.ndarray] | None = None
    given_test: bool = False
    redrawn: bool = False
    mend: str = "keep one row of each (user, item) pair, e.g. data.filter.duplicates=last"
    version: int = 1

    def __post_init__(self) -> None:
        if not issubclass(self.options, SplitOptions):
            raise UpliftlensError(f"split '{self.name}': derive {self.options.__name__} from SplitOptions")


class Shown(NamedTuple):
    """What a method is shown of users whom it wasn't trained on: rows of the log, and their numbers."""

    validation: Interactions
    test: Interactions
    validation_rows: np.ndarray
    test_rows: np.ndarray


@dataclass(frozen=True, eq=False)
class Split:
    """A split of a data set. ``…_rows`` i64 index the data set's log, ascending; ``test_rows`` is None where
    the test set is that of the data set (``given``, ``draws``).
    ``shown`` is None where the users of each part train, too.

    ``each_moment``: users are asked for at the time of each held out row, not at one moment after all training rows.

    ``fingerprint`` is the sha256 of the name, the data set's fingerprint and the sorted rows of each part; for an
    installed kind also of its code; with ``each_moment`` also of that.
    """

    name: str
    train: Interactions
    validation: Interactions
    test: Interactions
    train_rows: np.ndarray
    validation_rows: np.ndarray
    test_rows: np.ndarray | None
    fingerprint: str
    leak: LeakReport
    sampling: Sampling
    shown: Shown | None = None
    each_moment: bool = False

    @property
    def fit(self) -> Interactions:
        """The rows that a run may learn from: of training and validation, with those shown of validation users."""
        rows = concatenate(self.train, self.validation)
        return rows if self.shown is None else concatenate(rows, self.shown.validation)

    @property
    def shares(self) -> dict[Part, float | str]:
        """By part, f such that its rows have propensity f·p, with p that of ``fit``; or why they have none."""
        n = max(len(self.train) + len(self.validation), 1)
        shares: dict[Part, float | str] = {"fit": 1.0, "training": len(self.train) / n}
        shares["validation"] = len(self.validation) / n if len(self.validation) else "there are no validation rows"
        if not self.sampling.validation:
            shares["validation"] = (
                f"split={self.name} doesn't draw its validation rows at random, so they have no known propensity: "
                "select by a metric without /ips or /snips"
            )
        why = f"the test rows of split={self.name} are no random share of the log that the propensity is of"
        if doubts := self.leak.doubts():
            why += f": {', '.join(doubts)}"
        shares["test"] = min(1.0, len(self.test) / n) if self.sampling.test else why
        return shares


def split(dataset: Dataset, options: SplitOptions) -> Split:
    """Split a data set. The same data and options give the same split.

    Raises:
        UpliftlensError: for data without what the split needs, an empty part, or test pairs that are in the training
            set against the protocol.
    """
    name = options.name
    kind: SplitKind = entry("splits", name).value
    if dataset.redrawn and not kind.redrawn:
        raise UpliftlensError(f"{dataset.name} comes as three draws of the same pairs: use split=draws")
    held_out = _checked(kind.held_out(dataset, options), len(dataset.log), name, "held_out")
    rows = np.flatnonzero(~held_out)
    validates = np.zeros(0, bool)
    if len(rows):
        given = _given(kind, dataset)
        chosen = kind.validation(dataset.log, rows, options) if given is None else given[rows]
        validates = _checked(chosen, len(rows), name, "validation")
    test_rows = None if kind.given_test else np.flatnonzero(held_out)
    train_rows, validation_rows, shown = rows[~validates], rows[validates], None
    if kind.shown is not None:
        assert test_rows is not None, "a split that shows rows of new users takes them from the log"
        shows = [
            _checked(kind.shown(dataset.log, part, options), len(part), name, "shown")
            for part in (validation_rows, test_rows)
        ]
        shown = validation_rows[shows[0]], test_rows[shows[1]]
        validation_rows, test_rows = validation_rows[~shows[0]], test_rows[~shows[1]]
    published = kind.redrawn or options.published
    parts = assemble(dataset, name, train_rows, validation_rows, test_rows, published, shown)
    if options.each_moment:
        if dataset.has_treatments:
            raise UpliftlensError(f"split.moments=each: {dataset.name} is a log of recommendations: use moments=one")
        fingerprint = hashlib.sha256(f"{parts.fingerprint} at each moment".encode()).hexdigest()
        parts = replace(parts, each_moment=True, fingerprint=fingerprint)
    for part, size in (("training", parts.leak.train), ("test", parts.leak.test)):
        if not size:
            raise UpliftlensError(
                f"split '{name}' leaves no {part} row of {dataset.name}'s {len(dataset.log)}: change split.*"
            )
    if problems := parts.leak.problems():
        raise UpliftlensError(f"split '{name}' of {dataset.name}: {'; '.join(problems)}. Fix: {kind.mend}.")
    return parts


def assemble(
    dataset: Dataset,
    name: str,
    train_rows: np.ndarray,
    validation_rows: np.ndarray,
    test_rows: np.ndarray | None,
    published: bool,
    shown_rows: tuple[np.ndarray, np.ndarray] | None = None,
) -> Split:
    """The split of kind ``name`` with these rows, its fingerprint and its leak report, whose problems are allowed.

    ``shown_rows``: those shown of validation and of test users, None where there are no new users.
    """
    kind, source, _ = entry("splits", name)
    code = source + (f" version {kind.version}" if kind.version > 1 else "")
    log, test = dataset.log, dataset.test
    if test_rows is not None:
        test = take(log, test_rows)
    assert test is not None, "a split without test rows needs the data set's"
    train, validation = take(log, train_rows), take(log, validation_rows)
    shown = shown_rows and Shown(take(log, shown_rows[0]), take(log, shown_rows[1]), *shown_rows)
    both = (shown.validation, shown.test) if shown else ()
    left_out = len(log) - sum(map(len, (train, validation, *both))) - (0 if test_rows is None else len(test))
    leak = leak_report(log, train, validation, test, left_out, kind.order, published, kind.redrawn, both)
    fingerprint = _fingerprint(dataset, name + code, (train, validation, test, *both))
    rows = (train_rows, validation_rows, test_rows)
    sampling = kind.sampling if _given(kind, dataset) is None else kind.sampling._replace(validation=False)
    return Split(name, train, validation, test, *rows, fingerprint, leak, sampling, shown)


def save_split(split: Split, folder: Path) -> Path:
    """Store a split as ``FINGERPRINT.npz`` (row numbers) and ``FINGERPRINT.json`` (name, fingerprint, leak report).

    Returns the path of the JSON file, which is written last.

    Each file appears whole or not at all, so two processes may store the same split at once.

    Raises:
        UpliftlensError: if the folder can't be written to.
    """
    rows = {"train": split.train_rows, "validation": split.validation_rows}
    if split.test_rows is not None:
        rows["test"] = split.test_rows
    if split.shown is not None:
        rows |= {"validation_shown": split.shown.validation_rows, "test_shown": split.shown.test_rows}
    about = {
        "name": split.name,
        "fingerprint": split.fingerprint,
        "leak": asdict(split.leak),
        "problems": split.leak.problems(),
        "notes": split.leak.notes(),
    }
    text = (json.dumps(about, indent=2, ensure_ascii=False) + "\n").encode()
    try:
        with whole(folder / f"{split.fingerprint}.npz") as part, part.open("wb") as file:
            np.savez(file, allow_pickle=False, **rows)
        path = folder / f"{split.fingerprint}.json"
        with whole(path) as part:
            part.write_bytes(text)
    except OSError as error:
        raise UpliftlensError(
            f"the split can't be stored in {folder} ({error.strerror}): free space there, or choose another folder"
        ) from error
    return path


def _given(kind: SplitKind, dataset: Dataset) -> np.ndarray | None:
    """bool[N]: the log rows that come as validation rows, or None if the kind chooses them."""
    return dataset.validates if kind.given_test else None


def _checked(mask: Any, size: int, name: str, what: str) -> np.ndarray:
    """The mask that a kind returned, after a check: an installed kind may return anything."""
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape != (size,):
        raise UpliftlensError(f"split '{name}': {what} must give bool[{size}], got {mask.dtype}{list(mask.shape)}")
    return mask


def _fingerprint(dataset: Dataset, label: str, parts: tuple[Interactions, ...]) -> str:
    digest = hashlib.sha256(f"{label}\n{dataset.fingerprint}\n{dataset.log.n_users} {dataset.log.n_items}\n".encode())
    for part in parts:
        time, key = time_bits(part), pairs(part)
        order = np.argsort(key)
        if (np.diff(key[order]) == 0).any():  # a pair in several rows: only then is the slower sort needed
            order = np.lexsort((part.value, time, key))
        digest.update(f"{len(part)}\n".encode())
        for column, kind in ((part.user, "<i4"), (part.item, "<i4"), (part.value, "<f4"), (time, "<i8")):
            digest.update(column[order].astype(kind).tobytes())
    return digest.hexdigest()

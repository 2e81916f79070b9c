"""Splits: which rows of a log train, which select, which test. Validation is carved from the training rows only."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.splits import official as ml100k
from upliftlens.benchmarks.splits.leak import LeakReport, Order, among, leak_report, pairs
from upliftlens.causal.errors import UpliftlensError, unknown
from upliftlens.causal.interactions import Interactions, take, time_bits


@dataclass(frozen=True)
class SplitConfig:
    """The options of every split; ``configs/split/NAME.yaml`` gives those that split ``name`` has.

    ``validation`` is the share of the training rows that selects; ``seed`` drives whatever is random and nothing else.
    ``kfold``: ``fold`` of ``folds``. ``leave_last``: the last ``n`` rows of each user. ``temporal``: ``share``, the
    latest part of all rows. ``given``: ``overlap``, what happens to training rows whose pair is in the test set.
    ``draws``: the three draws of a world, of which ``validation`` is the second: .5 of the log.
    """

    name: str
    validation: float
    seed: int
    folds: int | None = None
    fold: int | None = None
    n: int | None = None
    share: float | None = None
    overlap: Literal["keep", "drop", "error"] | None = None

    def __post_init__(self) -> None:
        if self.name not in KINDS:
            raise unknown("split", self.name, KINDS)
        _check(self, KINDS[self.name])


@dataclass(frozen=True, eq=False)
class Split:
    """A split of a data set. ``…_rows`` i64 index the data set's log, ascending; ``test_rows`` is None where
    the test set is the data set's own (``given``, ``draws``).

    ``fingerprint`` is the sha256 of the name, the data set's fingerprint and the sorted rows of each part.
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


class _Kind(NamedTuple):
    """A way to split.

    ``held_out(dataset, config)``: bool[N], the log rows that don't train: the test rows, if they are in the log.
    ``validation(log, rows, config)``: bool[len(rows)], which of the other ``rows`` select.
    ``own_test``: the test set is the data set's. ``redrawn``: see ``LeakReport``.
    """

    options: tuple[str, ...]
    held_out: Callable[[Dataset, SplitConfig], np.ndarray]
    validation: Callable[[Interactions, np.ndarray, SplitConfig], np.ndarray]
    order: Order = "none"
    own_test: bool = False
    redrawn: bool = False


def split(dataset: Dataset, config: SplitConfig) -> Split:
    """Split a data set. The same data and config give the same split.

    Raises:
        UpliftlensError: for data without what the split needs, an empty part, or test pairs that are in the training
            set against the protocol.
    """
    kind = KINDS[config.name]
    if dataset.treatment is not None and dataset.treatment.redrawn and not kind.redrawn:
        raise UpliftlensError(f"{dataset.name} comes as three draws of the same pairs: use split=draws")
    held_out = kind.held_out(dataset, config)
    rows = np.flatnonzero(~held_out)
    in_validation = kind.validation(dataset.log, rows, config) if len(rows) else np.zeros(0, bool)
    test_rows = None if kind.own_test else np.flatnonzero(held_out)
    published = kind.redrawn or config.overlap == "keep"
    made = assemble(dataset, config.name, rows[~in_validation], rows[in_validation], test_rows, published)
    for part, size in (("training", made.leak.train), ("test", made.leak.test)):
        if not size:
            raise UpliftlensError(
                f"split '{config.name}' leaves no {part} row of {dataset.name}'s {len(dataset.log)}: change split.*"
            )
    if made.leak.problems():
        raise UpliftlensError(
            f"split '{config.name}' of {dataset.name}: {'; '.join(made.leak.problems())}. {_fix(config.name)}"
        )
    return made


def assemble(
    dataset: Dataset,
    name: str,
    train_rows: np.ndarray,
    validation_rows: np.ndarray,
    test_rows: np.ndarray | None,
    published: bool,
) -> Split:
    """The split that these rows make, with its fingerprint and leak report; no judgement on it."""
    log, test = dataset.log, dataset.test
    if test_rows is not None:
        test = take(log, test_rows)
    assert test is not None, "a split without test rows needs the data set's own"
    train, validation = take(log, train_rows), take(log, validation_rows)
    left_out = len(log) - len(train) - len(validation) - (0 if test_rows is None else len(test))
    leak = leak_report(log, train, validation, test, left_out, KINDS[name].order, published, KINDS[name].redrawn)
    fingerprint = _fingerprint(dataset, name, (train, validation, test))
    return Split(name, train, validation, test, train_rows, validation_rows, test_rows, fingerprint, leak)


def _check(config: SplitConfig, kind: _Kind) -> None:
    where = f"split '{config.name}'"
    for option in ("folds", "fold", "n", "share", "overlap"):
        given = getattr(config, option) is not None
        if given and option not in kind.options:
            raise UpliftlensError(f"{where} has no option split.{option}: remove it")
        if not given and option in kind.options:
            raise UpliftlensError(f"{where} needs split.{option}: its default is in configs/split/{config.name}.yaml")
    in_range = {
        "validation": 0 <= config.validation < 1,
        "seed": config.seed >= 0,
        "folds": config.folds is None or config.folds >= 2,
        "fold": config.fold is None or config.folds is None or 0 <= config.fold < config.folds,
        "n": config.n is None or config.n >= 1,
        "share": config.share is None or 0 < config.share < 1,
    }
    bounds = {
        "validation": "[0, 1)",
        "folds": "2, 3, …",
        "fold": "0 … folds-1",
        "n": "1, 2, …",
        "share": "(0, 1)",
        "seed": "0, 1, …",
    }
    for option, fits in in_range.items():
        if not fits:
            raise UpliftlensError(f"split.{option}={getattr(config, option)} is out of range: {bounds[option]}")


def _fix(name: str) -> str:
    if name == "given":
        return "Fix: split.overlap=drop leaves them out of training, split.overlap=keep follows the published protocol."
    return "Fix: keep one row of each (user, item) pair, e.g. data.filter.duplicates=last."


def _fingerprint(dataset: Dataset, name: str, parts: tuple[Interactions, ...]) -> str:
    digest = hashlib.sha256(f"{name}\n{dataset.fingerprint}\n{dataset.log.n_users} {dataset.log.n_items}\n".encode())
    for part in parts:
        time = time_bits(part)
        key = pairs(part)
        order = np.argsort(key)
        if (np.diff(key[order]) == 0).any():  # a pair in several rows: only then is the slower sort needed
            order = np.lexsort((part.value, time, key))
        digest.update(f"{len(part)}\n".encode())
        for column, kind in ((part.user, "<i4"), (part.item, "<i4"), (part.value, "<f4"), (time, "<i8")):
            digest.update(column[order].astype(kind).tobytes())
    return digest.hexdigest()


def _stream(seed: int, axis: int) -> np.random.Generator:
    """A stream of its own for each use of a split's seed."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(axis,))))


FOLDS, VALIDATION = 0, 1


def _kfold(dataset: Dataset, config: SplitConfig) -> np.ndarray:
    if config.folds is not None and config.folds > len(dataset.log):
        raise UpliftlensError(f"split.folds={config.folds} is more than {dataset.name}'s {len(dataset.log)} rows")
    order = _stream(config.seed, FOLDS).permutation(len(dataset.log))
    assert config.folds is not None and config.fold is not None
    return _mask(len(order), np.array_split(order, config.folds)[config.fold])


def _leave_last(dataset: Dataset, config: SplitConfig) -> np.ndarray:
    """The last n rows of each user with more than n; equal times keep the order of the file."""
    assert config.n is not None
    size = np.bincount(dataset.log.user, minlength=dataset.log.n_users)
    return _last(dataset.log, _times(dataset.log, config), np.where(size > config.n, config.n, 0))


def _temporal(dataset: Dataset, config: SplitConfig) -> np.ndarray:
    assert config.share is not None
    return _latest(_times(dataset.log, config), config.share)


def _given(dataset: Dataset, config: SplitConfig) -> np.ndarray:
    if dataset.test is None:
        raise UpliftlensError(
            f"{dataset.name} comes without a test set: use split=kfold, or another data set, e.g. data=coat"
        )
    if config.overlap == "drop":
        return among(pairs(dataset.log), np.sort(pairs(dataset.test)))
    return np.zeros(len(dataset.log), bool)


def _draws(dataset: Dataset, config: SplitConfig) -> np.ndarray:
    if dataset.treatment is None or not dataset.treatment.redrawn:
        raise UpliftlensError(
            f"{dataset.name} does not come as three draws: use split=kfold, or data=uplift-ml-100k, for instance"
        )
    if config.validation != 0.5:
        raise UpliftlensError(
            f"split 'draws': split.validation={config.validation}, but the second draw is .5 of the log"
        )
    return np.zeros(len(dataset.log), bool)


def _second_half(log: Interactions, rows: np.ndarray, config: SplitConfig) -> np.ndarray:
    return rows >= len(log) // 2


def _official(dataset: Dataset, config: SplitConfig) -> np.ndarray:
    return ml100k.official_test_rows(dataset, config.name)


def _random_rows(log: Interactions, rows: np.ndarray, config: SplitConfig) -> np.ndarray:
    chosen = _stream(config.seed, VALIDATION).permutation(len(rows))[: round(config.validation * len(rows))]
    return _mask(len(rows), chosen)


def _last_rows(log: Interactions, rows: np.ndarray, config: SplitConfig) -> np.ndarray:
    """The last ⌈validation·m⌉ of the m training rows of each user with two or more."""
    part = take(log, rows)
    size = np.bincount(part.user, minlength=log.n_users)
    return _last(part, _times(part, config), np.where(size > 1, np.ceil(config.validation * size), 0).astype(np.int64))


def _latest_rows(log: Interactions, rows: np.ndarray, config: SplitConfig) -> np.ndarray:
    time = _times(log, config)[rows]
    return _latest(time, config.validation) if config.validation else np.zeros(len(rows), bool)


def _mask(n: int, rows: np.ndarray) -> np.ndarray:
    mask = np.zeros(n, bool)
    mask[rows] = True
    return mask


def _times(log: Interactions, config: SplitConfig) -> np.ndarray:
    if log.time is None:
        raise UpliftlensError(
            f"split '{config.name}' needs the time of each rating, which this data set lacks: use split=kfold"
        )
    return log.time


def _last(log: Interactions, time: np.ndarray, n: np.ndarray) -> np.ndarray:
    """The last n[u] rows of each user u by time, then by position, as a mask."""
    order = np.lexsort((time, log.user))
    end = np.cumsum(np.bincount(log.user, minlength=log.n_users))
    user = log.user[order]
    return _mask(len(order), order[np.arange(len(order)) >= (end - n)[user]])


def _latest(time: np.ndarray, share: float) -> np.ndarray:
    """Every row from the time on at which the latest ``share`` begins: rows of one second stay together."""
    first = len(time) - max(round(share * len(time)), 1)
    return time >= np.partition(time, first)[first]


KINDS: dict[str, _Kind] = {
    "kfold": _Kind(("folds", "fold"), _kfold, _random_rows),
    "leave_last": _Kind(("n",), _leave_last, _last_rows, order="user"),
    "temporal": _Kind(("share",), _temporal, _latest_rows, order="global"),
    "given": _Kind(("overlap",), _given, _random_rows, own_test=True),
    "draws": _Kind((), _draws, _second_half, own_test=True, redrawn=True),
    **{name: _Kind((), _official, _random_rows) for name in ml100k.FOLDS},
}

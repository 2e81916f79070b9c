"""Leaks: test pairs, or later rows, in the training set of a split; and whether its test rows look random."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from upliftlens.benchmarks.splits.randomness import Randomness, randomness
from upliftlens.causal.interactions import Interactions, concatenate

Order = Literal["none", "user", "global"]


@dataclass(frozen=True)
class LeakReport:
    """Counts of rows; a *pair* is a (user, item).

    ``left_out``: log rows in no part. ``duplicates``: log rows whose pair occurred in an earlier row.
    ``overlap_a_b``: rows of b whose pair is also in a. ``future``: rows of train and validation later than the first
    test row, of the same user, or, where ``order`` is "global", of any user; None without times. ``order``: what the
    split guarantees about time: nothing, or no future row per user or at all. ``cold_users``, ``cold_items``: test rows
    whose user, or item, has no row in train. ``published``: a training row may be tested, by the published protocol.
    ``redrawn``: the parts are independent draws of the outcomes of the same pairs; no fit may combine them.
    ``shown``: rows of held-out users that a method is shown; they count as training rows above.
    ``randomness``: whether the test rows look like a random sample of all rows; None where ``redrawn``,
    or where whole users are held out.
    """

    train: int
    validation: int
    test: int
    left_out: int
    duplicates: int
    overlap_train_test: int
    overlap_validation_test: int
    overlap_train_validation: int
    future: int | None
    cold_users: int
    cold_items: int
    order: Order
    published: bool
    redrawn: bool = False
    randomness: Randomness | None = None
    shown: int = 0

    def problems(self) -> tuple[str, ...]:
        """Leaks that bias every number from this split, a sentence each."""
        overlaps = (
            (0 if self.published else self.overlap_train_test, self.test, "test", "train"),
            (0 if self.published else self.overlap_validation_test, self.test, "test", "validation"),
            (0 if self.redrawn else self.overlap_train_validation, self.validation, "validation", "train"),
        )
        late = self.order != "none" and self.future
        return _that_apply(
            *(
                (count, f"{count} of {size} {part} rows have their (user, item) pair in {other} too")
                for count, size, part, other in overlaps
            ),
            (late, f"{late} training rows are later than the test rows they should precede"),
        )

    def repeats(self) -> tuple[str, ...]:
        """Remarks on pairs that occur more than once in these data, a sentence each."""
        if self.redrawn:
            return ()
        kept = self.overlap_train_test + self.overlap_validation_test if self.published else 0
        return _that_apply(
            (kept, f"{kept} of {self.test} test rows are in training too, as in the published protocol"),
            (
                self.left_out,
                f"{self.left_out} log rows are left out of training: their (user, item) pair is held out",
            ),
            (self.duplicates, f"{self.duplicates} log rows repeat an earlier (user, item) pair"),
        )

    def notes(self) -> tuple[str, ...]:
        """Remarks for a reader of the numbers, a sentence each: ``repeats``, future, cold and no random test rows."""
        if self.redrawn:
            return ("training, validation and test are three draws of the outcomes of the same pairs",)
        late = self.order == "none" and self.future
        doubts = self.doubts()
        return self.repeats() + _that_apply(
            (late, f"{late} training and validation rows are later than their user's first test row: not a forecast"),
            (
                self.cold_users + self.cold_items,
                f"cold test rows: {self.cold_users} by user, {self.cold_items} by item",
            ),
            (self.shown, f"whole users are held out: a method is shown {self.shown} of their rows and trains on none"),
            (len(doubts), f"the test rows are no random sample of the log: {', '.join(doubts)}"),
        )

    def doubts(self) -> tuple[str, ...]:
        """Why the test rows are surely no random sample, a clause each (``Randomness``)."""
        return () if self.randomness is None else self.randomness.doubts()


def _that_apply(*remarks: tuple[int | None, str]) -> tuple[str, ...]:
    """The sentences of (number of rows, sentence) that speak of some row."""
    return tuple(sentence for count, sentence in remarks if count)


def leak_report(
    log: Interactions,
    train: Interactions,
    validation: Interactions,
    test: Interactions,
    left_out: int,
    order: Order,
    published: bool,
    redrawn: bool,
    shown: tuple[Interactions, ...] = (),
) -> LeakReport:
    """The counts for three parts of ``log``, and for what is ``shown`` of held-out users."""
    seen_users, seen_items = np.zeros(log.n_users, bool), np.zeros(log.n_items, bool)
    for part in (train, *shown):
        seen_users[part.user], seen_items[part.item] = True, True
    before = np.concatenate([pairs(part) for part in (train, *shown)])
    in_train, in_validation, in_test = (np.sort(keys) for keys in (before, pairs(validation), pairs(test)))
    return LeakReport(
        train=len(train),
        validation=len(validation),
        test=len(test),
        left_out=left_out,
        duplicates=int((np.diff(np.sort(pairs(log))) == 0).sum()),
        overlap_train_test=int(among(in_test, in_train).sum()),
        overlap_validation_test=int(among(in_test, in_validation).sum()),
        overlap_train_validation=int(among(in_validation, in_train).sum()),
        future=_future_rows((train, validation), test, order),
        cold_users=int((~seen_users[test.user]).sum()),
        cold_items=int((~seen_items[test.item]).sum()),
        order=order,
        published=published,
        redrawn=redrawn,
        randomness=None if redrawn or shown else randomness(concatenate(train, validation), test),
        shown=sum(map(len, shown)),
    )


def pairs(log: Interactions) -> np.ndarray:
    """A key i64[N] of each row's (user, item) pair."""
    return log.user.astype(np.int64) * log.n_items + log.item


def among(some: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """bool[n]: which of ``some`` occur in ``ordered``, sorted."""
    if not len(ordered):
        return np.zeros(len(some), bool)
    # np.isin takes half a minute for ten million keys.
    return ordered[np.minimum(np.searchsorted(ordered, some), len(ordered) - 1)] == some


def _future_rows(fit: tuple[Interactions, ...], test: Interactions, order: Order) -> int | None:
    if test.time is None or any(part.time is None for part in fit):
        return None
    never = np.inf if test.time.dtype.kind == "f" else np.iinfo(test.time.dtype).max
    first = np.full(test.n_users, never, test.time.dtype)
    np.minimum.at(first, test.user, test.time)
    if order == "global":
        first[:] = first.min()
    return int(sum((part.time > first[part.user]).sum() for part in fit if part.time is not None))

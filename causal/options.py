"""Options: the marker of those that a compiled program takes as arguments, and ranges, which are part of the type.

An options class is a plain frozen dataclass: ``dim: Annotated[int, AtLeast(1)]``. It is checked once, where a
configuration becomes one (``check_ranges``), not whenever one is made: inside of a program its floats are tracers.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from upliftlens.causal.errors import UpliftlensError

T = TypeVar("T")
TRACED = "traced"
Traced = Annotated[T, TRACED]
"""Marks a float option, e.g. ``l2: Traced[float]``, as an *argument* of the compiled program.

A sweep over marked floats (and seeds) compiles once. An unmarked option is structural: each value is
a program of its own.
"""


@dataclass(frozen=True)
class Range:
    """Where a number may lie: between ``low`` and ``high``, which belong to it unless they are open. Never NaN."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: float) -> bool:
        above = self.low < value if self.low_open else self.low <= value
        return above and (value < self.high if self.high_open else value <= self.high) and math.isfinite(value)

    def __str__(self) -> str:
        """As in "must be …": "at least 1", "above 0", "in [0, 1)"."""
        if self.high == math.inf:
            return f"{'above' if self.low_open else 'at least'} {self.low:g}"
        return f"in {'(' if self.low_open else '['}{self.low:g}, {self.high:g}{')' if self.high_open else ']'}"


def AtLeast(low: float) -> Range:
    """``low`` or more."""
    return Range(low)


def Above(low: float) -> Range:
    """More than ``low``."""
    return Range(low, low_open=True)


def Within(low: float, high: float, ends: str = "[]") -> Range:
    """Between two numbers; ``ends`` as in mathematics: "[)" takes the low one and not the high one."""
    return Range(low, high, ends[0] == "(", ends[1] == ")")


def check_ranges(options: Any) -> None:
    """Refuses an options record with a number out of the range that its type states, also inside of tuples.

    Raises:
        UpliftlensError: naming the option, its range and what was given.
    """
    hints = get_type_hints(type(options), include_extras=True)
    for name, hint in hints.items():
        for label, value, limits in _limited(name, hint, getattr(options, name, None)):
            if value not in limits:
                finite = "" if math.isfinite(value) else "a finite number, "
                raise UpliftlensError(
                    f"{label} must {'lie' if 'in ' in str(limits) else 'be'} {finite}{limits}, got {value}"
                )


def range_of(hint: Any) -> Range | None:
    """The range that an annotation states for its number, or for each number of a tuple; None where it states none."""
    if get_origin(hint) is Annotated:
        inner, *marks = get_args(hint)
        stated = next((mark for mark in marks if isinstance(mark, Range)), None)
        return stated or range_of(inner)
    return next(filter(None, map(range_of, get_args(hint))), None)


def _limited(name: str, hint: Any, value: Any) -> Iterator[tuple[str, float, Range]]:
    """(label, number, range) of everything in a value that has a range."""
    if value is None:
        return
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *marks = get_args(hint)
        for mark in marks:
            if isinstance(mark, Range):
                yield name, value, mark
        yield from _limited(name, inner, value)
    elif origin in (Union, UnionType):
        for part in get_args(hint):
            yield from _limited(name, part, value)
    elif origin is tuple and isinstance(value, tuple):
        parts = get_args(hint)
        for place, entry in enumerate(value):
            yield from _limited(f"{name}[{place}]", parts[0] if parts[-1] is Ellipsis else parts[place], entry)


@dataclass(frozen=True)
class NoOptions:
    """Nothing to choose."""


def at_least(low: float, **options: float) -> None:
    """Refuses options below ``low``, infinite or NaN; for the ``__post_init__`` of an options dataclass.

    Raises:
        UpliftlensError: naming the option and its bound.
    """
    for name, value in options.items():
        if not low <= value < math.inf:
            raise UpliftlensError(f"{name} must be {_finite(value)}at least {low}, got {value}")


def above(low: float, **options: float) -> None:
    """Refuses options that are ``low`` or less, infinite or NaN.

    Raises:
        UpliftlensError: naming the option and its bound.
    """
    for name, value in options.items():
        if not low < value < math.inf:
            raise UpliftlensError(f"{name} must be {_finite(value)}above {low}, got {value}")


def share(**options: float) -> None:
    """Refuses options outside of [0, 1), and NaN: what is left out of a whole that must not vanish.

    Raises:
        UpliftlensError: naming the option.
    """
    for name, value in options.items():
        if not 0 <= value < 1:
            raise UpliftlensError(f"{name} must lie in [0, 1), got {value}")


def _finite(value: float) -> str:
    return "" if math.isfinite(value) else "a finite number, "

"""Options: their ranges, which are part of the type, and the marker of those that are arguments of a compiled program.

An options class is a plain frozen dataclass: ``dim: Annotated[int, AtLeast(1)]``. It is checked once, when it is
built from a configuration (``check_ranges``), not in its constructor: inside of a compiled program its
floats are tracers.
"""

import copy
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from upliftlens.causal.errors import UpliftlensError, unknown

T = TypeVar("T")
LARGEST = 3.4028234663852886e38  # a float32, as compiled programs and stored values are
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
        """As in "must be …" or "must lie …": "at least 1", "above 0", "in [0, 1)"."""
        if self.high == math.inf:
            return f"{'above' if self.low_open else 'at least'} {_short(self.low)}"
        ends = "(" if self.low_open else "[", ")" if self.high_open else "]"
        return f"in {ends[0]}{_short(self.low)}, {_short(self.high)}{ends[1]}"

    def check(self, name: str, value: float) -> None:
        """Refuses a number outside, also NaN and infinity.

        Raises:
            UpliftlensError: naming the option, its range and the number.
        """
        if value not in self:
            raise UpliftlensError(f"{name} must {'be' if self.high == math.inf else 'lie'} {self}, got {value}")


def AtLeast(low: float) -> Range:
    """``low`` or more."""
    return Range(low)


def Above(low: float) -> Range:
    """More than ``low``."""
    return Range(low, low_open=True)


def Within(low: float, high: float, ends: str = "[]") -> Range:
    """Between two numbers; ``ends`` as in mathematics: "[)" takes the low one and not the high one."""
    return Range(low, high, ends[0] == "(", ends[1] == ")")


@dataclass(frozen=True)
class Distinct:
    """The entries of a list or mapping: none twice, and at least one, unless it may be ``empty``."""

    empty: bool = False

    def check(self, name: str, value: Collection[Any]) -> None:
        """Refuses a list without entries, and one that names an entry more than once.

        Raises:
            UpliftlensError: naming the option, and the entry.
        """
        if not (value or self.empty):
            raise UpliftlensError(f"{name} is empty, so there would be nothing to compute: name at least one")
        if twice := [entry for entry in value if list(value).count(entry) > 1]:
            raise UpliftlensError(f"{name} lists {twice[0]} more than once")


@dataclass(frozen=True)
class Before:
    """Marks an option that joined a finished class: ``value`` is what was done before it.

    At this value the option is no part of a key, so that finished runs keep theirs.
    """

    value: Any


def identity_of(options: Any) -> dict[str, Any]:
    """The options as plain data for a key: all but those at the value of their mark ``Before``."""
    hints = get_type_hints(type(options), include_extras=True)
    marks = {name: getattr(hint, "__metadata__", ()) for name, hint in hints.items()}
    return {name: value for name, value in asdict(options).items() if Before(value) not in marks[name]}


def traced_names(kind: type) -> tuple[str, ...]:
    """The options of a dataclass that are marked ``Traced``: arguments of the compiled program."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(name for name, hint in hints.items() if get_origin(hint) is Annotated and TRACED in hint.__metadata__)


def structural(options: T) -> T:
    """The options with every traced float set to 0: what a program is compiled for."""
    copied = copy.copy(options)
    for name in traced_names(type(options)):
        object.__setattr__(copied, name, 0.0)  # not dataclasses.replace, which would check the options again
    return copied


SEEDS = Within(0, 2**32 - 1)
"""Seeds of JAX, which would cut longer ones: two seeds could then give the same draws."""


def check_ranges(kind: type, values: Mapping[str, Any], where: str = "") -> None:
    """Refuses values for the options class ``kind`` out of the ranges and choices that its types state, and floats that
    are not finite as a float32.

    Also looks inside of tuples and mappings. ``where``: the config group of the options, "" outside of a group.

    Raises:
        UpliftlensError: naming the option as the user writes it, what it may be and what was given.
    """
    hints = get_type_hints(kind, include_extras=True)
    for name, value in values.items():
        _check(hints[name], value, f"{where}.{name}" if where else name)


def _check(hint: Any, value: Any, name: str) -> None:
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal and value not in parts:
        raise unknown(name, "null" if value is None else str(value), map(str, parts))
    if origin in (Union, UnionType) and value is None and NoneType in parts:
        return
    if origin is Annotated:
        _check(parts[0], value, name)
        if value is None:
            return
        for mark in parts[1:]:
            if isinstance(mark, Range | Distinct):
                mark.check(name, value)
    elif value is None:
        return
    elif origin in (Union, UnionType):
        for part in parts:
            _check(part, value, name)
    elif origin is tuple:
        for place, element in enumerate(value):
            _check(parts[0] if parts[-1] is Ellipsis else parts[place], element, f"{name}[{place}]")
    elif origin is Mapping:
        for key, element in value.items():
            _check(parts[0], key, name)
            _check(parts[1], element, f"{name}.{key}")
    elif isinstance(value, float) and not abs(value) <= LARGEST:  # NaN too
        raise UpliftlensError(f"{name} must be a finite number (of at most 3.4e38, as float32 holds), got {value}")


def _short(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) else f"{bound:g}"


@dataclass(frozen=True)
class NoOptions:
    """Nothing to choose."""

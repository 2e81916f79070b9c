"""Options: the marker of those that a compiled program takes as arguments, and the checks of their range."""

import math
from dataclasses import dataclass
from typing import Annotated, TypeVar

from upliftlens.causal.errors import UpliftlensError

T = TypeVar("T")
TRACED = "traced"
Traced = Annotated[T, TRACED]
"""Marks a float option, e.g. ``l2: Traced[float]``, as an *argument* of the compiled program.

A sweep over marked floats (and seeds) compiles once. An unmarked option is structural: each value is
a program of its own.
"""


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

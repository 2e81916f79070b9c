"""Options: the marker of those that a compiled program takes as arguments, and the check of their range."""

from typing import Annotated, TypeVar

T = TypeVar("T")
TRACED = "traced"
Traced = Annotated[T, TRACED]
"""Marks a float option, e.g. ``l2: Traced[float]``, as an *argument* of the compiled program.

A sweep over marked floats (and seeds) compiles once. An unmarked option is structural: each value is
a program of its own.
"""


def at_least(low: int, **options: int) -> None:
    """Refuses options below ``low``; for the ``__post_init__`` of an options dataclass.

    Raises:
        ValueError: naming the option and its bound.
    """
    for name, value in options.items():
        if value < low:
            raise ValueError(f"{name} must be at least {low}, got {value}")

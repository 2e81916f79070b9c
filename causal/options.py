"""The marker of options that a compiled program takes as arguments."""

from typing import Annotated, TypeVar

T = TypeVar("T")
TRACED = "traced"
Traced = Annotated[T, TRACED]
"""Marks a float option, e.g. ``l2: Traced[float]``, as an *argument* of the compiled program.

A sweep over marked floats (and seeds) compiles once. An unmarked option is structural: each value is
a program of its own.
"""

"""Errors that a user can mend. The command line prints them in one or two lines, without a traceback."""

from collections.abc import Iterable
from difflib import get_close_matches


class UpliftlensError(Exception):
    """Says what is wrong, where, and the fix."""


def told(error: Exception) -> str:
    """What the operating system, or Python on its behalf, says, as a sentence for a user."""
    if not isinstance(error, MemoryError):
        return str(error)
    return f"there is not enough memory ({error or 'none is left'}): choose smaller data or a smaller model"


def unknown(kind: str, name: str, known: Iterable[str]) -> UpliftlensError:
    """The error for a name that does not exist: what it was, what it probably should have been, what there is."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return UpliftlensError(f"unknown {kind} '{name}': {hint}there is: {', '.join(names)}")

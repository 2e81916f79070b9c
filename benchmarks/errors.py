"""Errors that a user can mend. The command line prints them in one or two lines, without a traceback."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from upliftlens.causal.names import unknown_name


class UpliftlensError(Exception):
    """Says what is wrong, where, and the fix."""


def told(error: Exception) -> str:
    """What the operating system, or Python on its behalf, says, as a sentence for a user."""
    if not isinstance(error, MemoryError):
        return str(error)
    return f"there is not enough memory ({error or 'none is left'}): choose smaller data or a smaller model"


def unknown(kind: str, name: str, known: Iterable[str]) -> UpliftlensError:
    """The error for a name that does not exist: what it was, what it probably should have been, what there is."""
    return UpliftlensError(unknown_name(kind, name, known))


@contextmanager
def mendable() -> Iterator[None]:
    """Shows a user what the registry of models, which knows ValueErrors only, says of a name or a plugin."""
    try:
        yield
    except ValueError as error:
        raise UpliftlensError(str(error)) from None

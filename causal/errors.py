"""The error for mistakes that a user can correct, and the message for an unknown name."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches


class UpliftlensError(ValueError):
    """Says what is wrong, where, and the fix. The command line prints it in one or two lines, without a traceback."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``did you mean 'NAME'? `` with the nearest of the known names, or "" where none is near."""
    close = get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'? " if close else ""


def unknown(kind: str, name: str, known: Iterable[str]) -> UpliftlensError:
    """The error for an unknown name: the name, the nearest known one, and all known ones."""
    names = sorted(known)
    return UpliftlensError(f"unknown {kind} '{name}': {did_you_mean(name, names)}there is: {', '.join(names)}")


def as_sentence(error: Exception) -> str:
    """An error of the operating system, or Python's own for lack of memory, as a sentence for a user."""
    if not isinstance(error, MemoryError):
        return str(error)
    return f"there is not enough memory ({error or 'none is left'}): choose smaller data or a smaller model"


@contextmanager
def located(where: str) -> Iterator[None]:
    """Prefixes an error with ``where``, e.g. the config group of a wrong option, unless it names it already.

    Raises:
        UpliftlensError: instead of a plain ValueError or UpliftlensError; other errors pass unchanged.
    """
    try:
        yield
    except ValueError as error:
        if type(error) not in (ValueError, UpliftlensError) or (type(error) is UpliftlensError and where in str(error)):
            raise
        raise UpliftlensError(f"{where}: {error}" if where else str(error)) from error

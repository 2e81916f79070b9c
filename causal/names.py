"""What to say of a name that does not exist."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``did you mean 'NAME'? `` with the nearest of the known names, or "" where none is near."""
    close = get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'? " if close else ""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """What it was, what it probably should have been, what there is."""
    names = sorted(known)
    return f"unknown {kind} '{name}': {did_you_mean(name, names)}there is: {', '.join(names)}"

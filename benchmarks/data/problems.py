"""Problems of a file, each with its place and a fix."""

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from upliftlens.causal.errors import UpliftlensError

KEPT = 100  # problems named one by one; the rest is only counted


class Problem(NamedTuple):
    """One finding: the file, its line (from 1) and column where they are known, what is wrong, and the likely fix."""

    file: str
    line: int | None
    column: str | None
    what: str
    fix: str

    def __str__(self) -> str:
        line = "" if self.line is None else f", line {self.line}"
        column = "" if self.column is None else f", column {self.column}"
        return f"{self.file}{line}{column}: {self.what}. Fix: {self.fix}"


class BadData(UpliftlensError):
    """A file that cannot be read as it is; ``problems`` holds the first findings, ``count`` the number of all."""

    def __init__(self, problems: list[Problem], count: int) -> None:
        self.problems = problems
        self.count = count
        text = str(problems[0])
        if count > 1:
            text += f"\n({count} problems in all; list them with: upliftlens data check {problems[0].file} data=NAME)"
        super().__init__(text)


def refuse(problems: Iterable[Problem]) -> None:
    """Raise BadData if there is any problem."""
    remaining = iter(problems)
    first = list(islice(remaining, KEPT))
    if first:
        raise BadData(first, len(first) + sum(1 for _ in remaining))

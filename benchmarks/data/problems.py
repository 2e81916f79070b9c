"""Problems of a file, each with its place and a fix."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from upliftlens.causal.errors import UpliftlensError

KEPT = 100  # problems named one by one; the rest is only counted
REPEATED = 3  # of one fault
SHOWN = 60  # characters of a line


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

    @property
    def fault(self) -> tuple[str, str | None, str]:
        """What problems with the same mistake share: the place but for its line, and the fix but for its numbers."""
        return self.file, self.column, re.sub(r"[-+.\d]+", "", self.fix)


class BadData(UpliftlensError):
    """A file that cannot be read as it is.

    ``problems`` holds the first findings, of each fault at most ``REPEATED``; ``more`` says of the last of them how
    many others have its fault; ``count`` is the number of all. ``command`` lists them, "" where none can.
    """

    def __init__(self, problems: list[Problem], more: Mapping[Problem, int], count: int, command: str = "") -> None:
        self.problems = problems
        self.more = more
        self.count = count
        text = str(problems[0])
        if count > 1:
            advice = f"; list them with: {command}" if command else ""
            text += f"\n({count} problems in all{advice})"
        super().__init__(text)

    def listed_by(self, command: str) -> "BadData":
        """The same error, which names the command that lists the problems."""
        return BadData(self.problems, self.more, self.count, command)


def beginning(line: str) -> str:
    """What a message shows of a line."""
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"


def refuse(problems: Iterable[Problem]) -> None:
    """Raise BadData if there is any problem."""
    kept: list[Problem] = []
    last: dict[tuple[str, str | None, str], Problem] = {}
    times, shown = Counter[object](), Counter[object]()
    for problem in problems:
        fault = problem.fault
        times[fault] += 1
        if shown[fault] < REPEATED and len(kept) < KEPT:
            kept.append(problem)
            shown[fault] += 1
            last[fault] = problem
    if kept:
        more = {problem: times[fault] - shown[fault] for fault, problem in last.items() if times[fault] > shown[fault]}
        raise BadData(kept, more, times.total())

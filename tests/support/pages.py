"""What a page of the documents shows to a reader who follows it: commands and Python, in its order."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
GENERATED = "files.md"
DOCS = tuple(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")) if path.name != GENERATED)
_SHOWN = re.compile(
    r"^```(?P<language>[^\n]*)\n(?P<block>.*?)^```"  # a fenced block
    r"|`(?P<sentence>upliftlens [^`]+)`"  # code in a sentence
    r"|^ {4}(?P<indented>upliftlens [^\n]+)$",
    re.DOTALL | re.MULTILINE,
)


class Step(NamedTuple):
    """A command or a block of Python at a line of a page, and what the page shows as its output."""

    page: str
    line: int
    text: str
    shown: str = ""
    python: bool = False


def steps(page: str) -> list[Step]:
    """The commands of a page and its blocks of Python from top to bottom.

    A command is what follows ``$`` in a fenced block, or what begins with upliftlens: there, in an indented line, or as
    code in a sentence. In a sentence a verb alone, such as `upliftlens tune`, is a name and no command.
    """
    text, result = (ROOT / page).read_text(), []
    for match in _SHOWN.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if match["language"] == "python":
            result.append(Step(page, line, match["block"], python=True))
        elif match["block"] is not None:
            result += _session(page, line + 1, match["block"])
        else:
            words = (match["sentence"] or match["indented"]).split()
            if len(words) > 2:
                result.append(Step(page, line, " ".join(words)))
    return result


def _session(page: str, line: int, block: str) -> list[Step]:
    """The commands of a fenced block whose first line has the number ``line``."""
    start, *parts = re.split(r"^(?:\$ |(?=upliftlens ))", block, flags=re.MULTILINE)
    result, line = [], line + start.count("\n")
    for part in parts:
        command, _, shown = part.partition("\n")
        result.append(Step(page, line, command, shown))
        line += part.count("\n")
    return result

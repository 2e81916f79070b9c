"""What a user sees while something runs: on standard error, so that standard output holds results only."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeElapsedColumn, TransferSpeedColumn
from rich.progress import Progress as Bars
from rich.text import Text

Epoch = dict[str, float]

Say = Callable[[str], None]
"""Takes one line for the user."""


Progress = Callable[[str, int, int | None], None]
"""Called with (what is being done, bytes so far, bytes in all or None)."""


class Reporter(NamedTuple):
    """How a run tells what it does: ``say`` a sentence, an ``epoch``'s line (stage, number, of how many, values)."""

    say: Callable[[str], None]
    epoch: Callable[[str, int, int, Epoch], None]


quiet = Reporter(lambda sentence: None, lambda stage, number, total, line: None)
"""A reporter that tells nothing."""


console = Console(stderr=True, highlight=False, soft_wrap=True)

out = Console(highlight=False, soft_wrap=True)
"""Standard output: results only."""

WIDTH = 140
"""Columns of a table where the output is a file or a pipe, or a terminal too narrow to read it in."""


def table_console() -> Console:
    """Standard output, wide enough for a table."""
    plain = Console(highlight=False)
    return plain if plain.is_terminal and plain.width >= 110 else Console(highlight=False, width=WIDTH)


def say(sentence: str) -> None:
    """One line for the user, to the letter: brackets in it are no markup."""
    console.print(sentence, markup=False)


def say_styled(*parts: str | tuple[str, str]) -> None:
    """One line of parts, each a text or (text, style such as "green"); every text to the letter."""
    console.print(Text.assemble(*parts))


@contextmanager
def epoch_bar(label: str, shown: bool) -> Iterator[Callable[[str, int, int, Epoch], None]]:
    """A bar that follows the epochs of one run and leaves nothing behind; invisible without a terminal."""
    label_and_values = [TextColumn(field, markup=False) for field in ("{task.description}", "{task.fields[values]}")]
    columns = (label_and_values[0], BarColumn(), label_and_values[1], TimeElapsedColumn())
    with Bars(*columns, console=console, transient=True, disable=not (shown and console.is_terminal)) as progress:
        tasks: dict[str, int] = {}

        def update(stage: str, number: int, total: int, line: Epoch) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(f"{label} {stage}", total=total, values="")
            values = "  ".join(f"{name} {line[name]:.4f}" for name in ("loss", "validation") if name in line)
            progress.update(tasks[stage], completed=number, values=values)  # type: ignore[arg-type]

        yield update


@cache
def say_once(sentence: str, say: Callable[[str], None]) -> None:
    """A line that a user reads once per process, however many runs it is true of."""
    say(sentence)


@contextmanager
def watched(say: Say | None) -> Iterator[Progress]:
    """What ``fetch`` reports to: each new activity is said once, and its bytes move a bar on a terminal."""
    console = Console(stderr=True)
    bars = Bars(TextColumn("  "), BarColumn(), DownloadColumn(), TransferSpeedColumn(), console=console, transient=True)
    said: set[str] = set()
    with ExitStack() as stack:
        task = bars.add_task("", visible=False)

        def report(what: str, done: int, total: int | None) -> None:
            if say is None:
                return
            if what not in said:
                said.add(what)
                say(what)
            if total is not None and console.is_terminal:
                if not bars.live.is_started:
                    stack.enter_context(bars)
                bars.update(task, completed=done, total=total, visible=done < total)

        yield report

"""Messages and progress bars for the user: on standard error, so that standard output holds results only."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache
from itertools import chain
from typing import NamedTuple

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeElapsedColumn, TransferSpeedColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from upliftlens.benchmarks.system.wide import parts

Epoch = dict[str, float]

Say = Callable[[str], None]
"""Shows one line to the user."""

Progress = Callable[[str, int, int | None], None]
"""Called with (what is being done, bytes so far, bytes in all or None)."""


class Reporter(NamedTuple):
    """How a run reports its progress: ``say(sentence)``; ``epoch(stage, number, total, values)`` after each epoch."""

    say: Say
    epoch: Callable[[str, int, int, Epoch], None]


quiet = Reporter(lambda sentence: None, lambda stage, number, total, line: None)
"""A reporter that shows nothing."""

console = Console(stderr=True, highlight=False, soft_wrap=True)

out = Console(highlight=False, soft_wrap=True)
"""Standard output: results only."""

WIDTH = 140
"""Columns of a table where the output is a file or a pipe, or a terminal too narrow to read it in."""


def table_console() -> Console:
    """Standard output, wide enough for a table; a pipe as wide as ``COLUMNS`` says, if that is more."""
    plain = Console(highlight=False)
    return plain if plain.width >= (110 if plain.is_terminal else WIDTH) else Console(highlight=False, width=WIDTH)


def show(body: str | RenderableType, remarks: Iterable[str] = ()) -> None:
    """Prints a result, text as it is or a table in parts that can be read, after its ``remarks`` on standard error."""
    for remark in remarks:
        say(remark)
    if isinstance(body, str):
        print(body)
        return
    wide = table_console()
    bodies = body.renderables if isinstance(body, Group) else [body]
    divided = [parts(each, wide.width) if isinstance(each, Table) else [each] for each in bodies]
    if (most := max(map(len, divided))) > 1:
        say(f"The table is wider than {wide.width} columns: here in {most} parts, whole with --format csv")
    for part in chain.from_iterable(divided):
        wide.print(part)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Says ``what`` is waited for, on a terminal and until it is done."""
    with console.status(what) if console.is_terminal else nullcontext():
        yield


def agreed(question: str) -> bool:
    """Whether the user says yes; without a terminal nobody is asked, and the answer is no."""
    if not (sys.stdin.isatty() and console.is_terminal):
        return False
    return console.input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def say(sentence: str) -> None:
    """Prints one line for the user as it is: brackets in it are no markup."""
    console.print(sentence, markup=False)


def say_styled(*parts: str | tuple[str, str]) -> None:
    """Prints one line of parts, each a text or (text, style such as "green"); no text is read as markup."""
    console.print(Text.assemble(*parts))


@contextmanager
def reporting(label: str, bar: bool) -> Iterator[Reporter]:
    """The reporter of one run: its lines, and with ``bar`` a bar that follows its epochs and disappears at the end.

    Without a terminal there is no bar.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[values]}", markup=False),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=console, transient=True, disable=not (bar and console.is_terminal)) as progress:
        tasks: dict[str, int] = {}

        def update(stage: str, number: int, total: int, line: Epoch) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(f"{label} {stage}", total=total, values="")
            values = "  ".join(f"{name} {line[name]:.4f}" for name in ("loss", "validation") if name in line)
            progress.update(tasks[stage], completed=number, values=values)  # type: ignore[arg-type]

        yield Reporter(say, update)


@cache
def say_once(sentence: str, say: Say) -> None:
    """Shows a line once per process, even if many runs report it."""
    say(sentence)


@contextmanager
def watched(say: Say | None) -> Iterator[Progress]:
    """A progress callback for ``fetch``: each new activity is a line, its bytes a bar on a terminal."""
    bars = Bars(TextColumn("  "), BarColumn(), DownloadColumn(), TransferSpeedColumn(), console=console, transient=True)
    shown: set[str] = set()
    with ExitStack() as stack:
        task = bars.add_task("", visible=False)

        def report(what: str, done: int, total: int | None) -> None:
            if say is None:
                return
            if what not in shown:
                shown.add(what)
                say(what)
            if total is not None and console.is_terminal:
                if not bars.live.is_started:
                    stack.enter_context(bars)
                bars.update(task, completed=done, total=total, visible=done < total)

        yield report

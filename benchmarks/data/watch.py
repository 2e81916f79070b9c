"""Downloads on a terminal: a bar on standard error that leaves nothing behind."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
from rich.progress import Progress as Bars

from upliftlens.benchmarks.data.fetch import Progress

Say = Callable[[str], None]
"""Takes one line for the user."""


@contextmanager
def watched(say: Say | None) -> Iterator[Progress]:
    """What ``fetch`` reports to: each new activity is said once, and its bytes move a bar on a terminal."""
    console = Console(stderr=True)
    bars = Bars(TextColumn("  "), BarColumn(), DownloadColumn(), TransferSpeedColumn(), console=console, transient=True)
    told: set[str] = set()
    with ExitStack() as stack:
        task = bars.add_task("", visible=False)

        def report(what: str, done: int, total: int | None) -> None:
            if say is None:
                return
            if what not in told:
                told.add(what)
                say(what)
            if total is not None and console.is_terminal:
                if not bars.live.is_started:
                    stack.enter_context(bars)
                bars.update(task, completed=done, total=total, visible=done < total)

        yield report

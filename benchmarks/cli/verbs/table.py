"""``upliftlens table``: a paper's table beside the published numbers."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from upliftlens.benchmarks.cli.parser import add_format
from upliftlens.benchmarks.system.talk import agreed, say, show
from upliftlens.causal.errors import UpliftlensError

if TYPE_CHECKING:
    from upliftlens.benchmarks.lab.answers import Answer

_PATIENCE = 1.0  # minutes that a table may take without a question


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens table``."""
    parser.add_argument("name", nargs="?", help="as listed by `upliftlens list tables`; with --check also all")
    parser.add_argument(
        "options", nargs="*", metavar="KEY=VALUE", help="in place of what its definition states, e.g. seeds=[0,1]"
    )
    add_format(parser, None)
    parser.add_argument("--run", action="store_true", help="start, also if it takes more than a minute")
    parser.add_argument("--estimate", action="store_true", help="say what is missing and how long it takes, and end")
    parser.add_argument("--out", metavar="FOLDER", help="write NAME.json, NAME.md and NAME.records.jsonl there")
    trace = "the runs behind a cell, each with the command that repeats it"
    parser.add_argument("--trace", nargs=2, metavar=("ROW", "COLUMN"), help=trace)
    parser.add_argument("--from", dest="committed", metavar="FOLDER", help="trace committed records, not the store")
    check = "compare committed files with their records, definition and code (default: results)"
    parser.add_argument("--check", nargs="?", const="results", metavar="FOLDER", help=check)


def run(flags: argparse.Namespace) -> int:
    """``upliftlens table NAME [KEY=VALUE …]``: estimates, computes what is missing, prints it; or traces, or checks.

    Raises:
        UpliftlensError: for flags that don't go together.
    """
    from upliftlens.benchmarks.lab.lab import Lab

    tables = Lab(flags.store, flags.cache).tables
    if flags.check is not None:
        if flags.options or flags.trace or flags.out or flags.committed:
            raise UpliftlensError("--check reads committed files: it takes a table's name and a folder")
        answer = tables.check(*([] if flags.name in (None, "all") else [flags.name]), folder=flags.check)
        print(answer.text)
        return int(any(each.faults for each in answer.content))
    if flags.name is None:
        raise UpliftlensError("name a table, as in `upliftlens table schnabel-1`: `upliftlens list tables` lists them")
    if flags.committed is not None:
        if flags.trace is None or flags.options or flags.out:
            raise UpliftlensError("--from FOLDER goes with --trace ROW COLUMN alone: committed files are not computed")
        return _traced(tables.trace(flags.name, *flags.trace, committed=flags.committed), flags)
    if flags.estimate:
        print(tables.estimate(flags.name, *flags.options).text)
        return 0
    if not flags.run:
        estimate = tables.estimate(flags.name, *flags.options)
        if estimate.missing:
            say(estimate.text)
        if estimate.missing and (estimate.minutes or 0) > _PATIENCE and not agreed("Start?"):
            say("Nothing was started: --run starts it without a question")
            return 2
    if flags.trace is not None:
        return _traced(tables.trace(flags.name, *flags.trace, *flags.options), flags)
    form = flags.format or ("table" if sys.stdout.isatty() else "md")
    show(tables.compute(flags.name, *flags.options, out=flags.out).render(form))
    return 0


def _traced(answer: "Answer[Any]", flags: argparse.Namespace) -> int:
    show(answer.render("json" if flags.format == "json" else "text"))
    return 0

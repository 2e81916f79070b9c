"""``upliftlens data``: lists, prepares, checks and describes data sets."""

import argparse
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from upliftlens.benchmarks.cli.parser import add_places
from upliftlens.benchmarks.data.card import Card, rows_of
from upliftlens.benchmarks.data.problems import BadData
from upliftlens.benchmarks.data.registry import Listed
from upliftlens.benchmarks.system.talk import console, out, table_console
from upliftlens.causal.errors import UpliftlensError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens data``."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|prepare|check|card|save")
    add_places(actions.add_parser("list", help="every known data set"))
    for name, about in (
        ("prepare", "get, verify and read a data set"),
        ("check", "find what is wrong with a file, line by line"),
        ("card", "counts, distributions, terms of use, fingerprint"),
        ("save", "keep options under a name: save NAME data=csv data.path=FILE …"),
    ):
        action = actions.add_parser(name, help=about)
        add_places(action)
        action.add_argument("name", help="data set (for check and card also a file; for save a new name)")
        action.add_argument(
            "options", nargs="*", metavar="OPTION=VALUE", help="e.g. data.path=my.csv data.filter.user_core=5"
        )


def run(flags: argparse.Namespace) -> int:
    """``upliftlens data list|prepare|check|card|save``."""
    from upliftlens.benchmarks import data
    from upliftlens.benchmarks.config.overrides import quoted

    cache = Path(flags.cache).expanduser()
    if flags.action == "list":
        table_console().print(listing_table(data.listing(cache)))
        return 0
    name, options = flags.name, [quoted(option) for option in flags.options]
    if flags.action == "save":
        return _save(name, options)
    path = Path(name).expanduser()
    if flags.action in ("check", "card") and name not in data.names() and path.exists():
        name, options = data.guess(path), [*options, quoted(f"data.path={path}")]
    if name not in data.names() and ("/" in name or path.suffix):
        raise UpliftlensError(f"{name}: there is no such file (or data set: see `upliftlens data list`)")
    config = data.configure(name, options)
    if flags.action == "check" and getattr(config, "path", None):
        report = data.check(Path(config.path), config, lambda line: out.print(line, markup=False))
        if report is not None:
            raise _listed(report, config.path)
        out.print(f"{config.path} reads as {config.name}: no problems found", markup=False)
        return 0
    try:
        dataset = data.load(config, cache, lambda line: console.print(line, markup=False))
    except data.BadData as report:
        if flags.action == "check":
            raise _listed(report, config.name) from None
        raise
    if flags.action == "card":
        out.print(card_table(data.card(dataset)))
    else:
        done = "no problems found" if flags.action == "check" else "ready"
        rows = f"{len(dataset.log):,} rows from {dataset.source}"
        out.print(f"{dataset.name} {done}: {rows}, fingerprint {dataset.fingerprint[:16]}", markup=False)
    return 0


def _save(name: str, options: list[str]) -> int:
    """``upliftlens data save NAME data=BASE OPTION=VALUE …``."""
    from upliftlens.benchmarks import data

    bases = [option.removeprefix("data=") for option in options if option.startswith("data=")]
    if len(bases) != 1:
        raise UpliftlensError(f"say what kind of file it is: upliftlens data save {name} data=csv data.path=FILE …")
    path = data.save(name, bases[0], [option for option in options if not option.startswith("data=")])
    out.print(f"{path} written: in this directory, data={name} stands for these options", markup=False)
    return 0


def _listed(report: BadData, what: str) -> UpliftlensError:
    """Prints the problems; the error that counts them."""
    for problem in report.problems:
        out.print(str(problem), markup=False)
        if more := report.more.get(problem):
            out.print(f"… and {more:,} more line{'s' * (more > 1)} with this fault", markup=False)
    spoken = len(report.problems) + sum(report.more.values())
    shown = "" if report.count == spoken else f", the first {len(report.problems)} of them above"
    return UpliftlensError(f"{what}: {report.count:,} problem{'s' * (report.count > 1)}{shown}")


def card_table(facts: Card) -> Table:
    """The card as a table of two columns."""
    table = Table(title=escape(facts.data.name), show_header=False)
    for label, text in rows_of(facts):
        table.add_row(label, escape(text))
    return table


def listing_table(rows: list[Listed]) -> Table:
    """One data set to a line."""
    table = Table("data", "users", "items", "rows", "state", "terms")
    for row in rows:
        numbers = ("" if n is None else f"{n:,}" for n in (row.users, row.items, row.rows))
        table.add_row(escape(row.name), *numbers, escape(row.ready), escape(row.terms))
    return table

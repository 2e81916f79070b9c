"""``upliftlens groups``: a method's metrics by group of users."""

import argparse

from upliftlens.benchmarks.system.talk import console, table_console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens groups``."""
    parser.add_argument("methods", nargs="+", metavar="METHOD", help="as in compare")
    parser.add_argument("--by", required=True, metavar="COLUMN", help="of the data's table of users, e.g. gender")
    parser.add_argument("--metrics", nargs="+", required=True, metavar="NAME", help="e.g. rmse ndcg@10")
    parser.add_argument("--where", nargs="+", action="extend", default=[], metavar="FIELD=VALUE", help="also != < >")
    parser.add_argument("--format", choices=("table", "md", "latex", "csv", "json"), default="table")


def run(flags: argparse.Namespace) -> int:
    """``upliftlens groups METHOD … --by COLUMN --metrics …``: values by group, and their differences to all others."""
    from upliftlens.benchmarks.lab.lab import Lab
    from upliftlens.benchmarks.reports.groups import EXPLAINED
    from upliftlens.benchmarks.reports.sheet import render

    lab = Lab(flags.store, flags.cache)
    answer = lab.groups(*flags.methods, by=flags.by, metrics=flags.metrics, where=flags.where)
    console.print(EXPLAINED, markup=False)
    body = render(answer.content, flags.format)
    if isinstance(body, str):
        print(body)
    else:
        table_console().print(body)
    return 0

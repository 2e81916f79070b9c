"""``upliftlens groups``: a method's metrics by group of users."""

import argparse

from upliftlens.benchmarks.cli.parser import add_format
from upliftlens.benchmarks.system.talk import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens groups``."""
    parser.add_argument("methods", nargs="+", metavar="METHOD", help="as in compare")
    parser.add_argument("--by", required=True, metavar="COLUMN", help="of the data's table of users, e.g. gender")
    parser.add_argument("--metrics", nargs="+", required=True, metavar="NAME", help="e.g. rmse ndcg@10")
    parser.add_argument("--where", nargs="+", action="extend", default=[], metavar="FIELD=VALUE", help="also != < >")
    add_format(parser)


def run(flags: argparse.Namespace) -> int:
    """``upliftlens groups METHOD … --by COLUMN --metrics …``: values by group, and their differences to all others."""
    from upliftlens.benchmarks.lab.lab import Lab

    lab = Lab(flags.store, flags.cache)
    answer = lab.groups(*flags.methods, by=flags.by, metrics=flags.metrics, where=flags.where)
    show(answer.render(flags.format), answer.remarks)
    return 0

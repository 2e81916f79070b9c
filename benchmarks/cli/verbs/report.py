"""``upliftlens report``: what the store holds, as a page."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens report``."""
    parser.add_argument("--where", nargs="+", action="extend", default=[], metavar="FIELD=VALUE", help="as in results")
    parser.add_argument("--metrics", nargs="+", default=[], metavar="NAME", help="columns, e.g. rmse ndcg@10")
    parser.add_argument("--out", default="report.html", metavar="FILE", help="(default: %(default)s)")


def run(flags: argparse.Namespace) -> int:
    """``upliftlens report``: one page of finished runs that needs no other file and no connection."""
    from upliftlens.benchmarks.lab.lab import Lab

    Lab(flags.store, flags.cache).report(flags.out, flags.where, flags.metrics)
    return 0

"""``upliftlens compare``: two methods, paired over users and seeds."""

import argparse
from pathlib import Path

from upliftlens.benchmarks.runs.store import Store
from upliftlens.benchmarks.system.talk import out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens compare``."""
    parser.add_argument(
        "first",
        help="a method with runs in the store: a model (mf), model/loss/objective (mf/squared/ips), or a filter "
        "(model=mf,config.model.dim=8; config.OPTION is an option of upliftlens run)",
    )
    parser.add_argument("second", help="the method to compare it with, written in the same way")
    parser.add_argument("--metric", default="ndcg@10", help="one of upliftlens list metrics (default: %(default)s)")
    parser.add_argument("--where", nargs="+", action="extend", default=[], metavar="FIELD=VALUE", help="for both sides")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(flags: argparse.Namespace) -> int:
    """``upliftlens compare A B --metric M``: difference, interval, p, and a sentence in plain words."""
    from upliftlens.benchmarks.reports.methods import as_json, as_text, compared

    comparison = compared(Store(Path(flags.store).expanduser()), flags.first, flags.second, flags.metric, flags.where)
    if flags.format == "json":
        print(as_json(comparison))
        return 0
    for line in as_text(comparison):
        out.print(line, markup=False)
    return 0

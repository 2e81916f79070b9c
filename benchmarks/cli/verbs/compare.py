"""``upliftlens compare``: two or more methods, paired over users and seeds."""

import argparse

from upliftlens.benchmarks.system.talk import out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens compare``."""
    parser.add_argument(
        "methods",
        nargs="+",
        metavar="METHOD",
        help="two or more with runs in the store, compared all with all: a model (mf), model/loss/objective "
        "(mf/squared/ips), or a filter (model=mf,config.model.dim=8; config.OPTION is an option of upliftlens run)",
    )
    parser.add_argument("--baseline", metavar="METHOD", help="compare each with this one only")
    parser.add_argument(
        "--margin",
        type=float,
        help="the least difference that matters to you, in the metric's unit: says what is the same",
    )
    parser.add_argument("--metric", default="ndcg@10", help="one of upliftlens list metrics (default: %(default)s)")
    parser.add_argument(
        "--where", nargs="+", action="extend", default=[], metavar="FIELD=VALUE", help="for all methods"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(flags: argparse.Namespace) -> int:
    """``upliftlens compare A B … --metric M``: differences, intervals, p, and sentences in plain words."""
    from upliftlens.benchmarks.lab.lab import Lab

    asked = {name: getattr(flags, name) for name in ("metric", "where", "baseline", "margin")}
    answer = Lab(flags.store, flags.cache).compare(*flags.methods, **asked)
    if flags.format == "json":
        print(answer.render("json"))
    else:
        out.print(answer.text, markup=False)
    return 0

"""``upliftlens plot``: figures of finished runs."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens plot``."""
    parser.add_argument(
        "kind",
        help="uplift, qini, reliability (a curve per method), scatter (a point per method), overlap (of propensities), "
        "learning (validation values by epoch)",
    )
    parser.add_argument("methods", nargs="*", metavar="METHOD", help="as in compare; default: all in the store")
    parser.add_argument("--out", required=True, metavar="FILE", help=".png, .svg or .pdf")
    parser.add_argument("--where", nargs="+", action="extend", default=[], metavar="FIELD=VALUE", help="also != < >")
    parser.add_argument("--x", default="ndcg@10", metavar="METRIC", help="of a scatter plot (default: ndcg@10)")
    parser.add_argument("--y", default="uplift@10/snips", metavar="METRIC", help="(default: uplift@10/snips)")


def run(flags: argparse.Namespace) -> int:
    """``upliftlens plot KIND [METHOD …] --out FILE``: of finished runs curves, a point per method, or propensities."""
    from upliftlens.benchmarks.lab.lab import Lab

    asked = {name: getattr(flags, name) for name in ("where", "x", "y", "out")}
    Lab(flags.store, flags.cache).plot(flags.kind, *flags.methods, **asked)
    return 0

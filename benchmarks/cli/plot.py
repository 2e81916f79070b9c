"""``upliftlens plot``: figures of finished runs."""

import argparse
from pathlib import Path

from upliftlens.benchmarks.runs.store import existing_store
from upliftlens.benchmarks.system.talk import console


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
    from upliftlens.benchmarks.reports.drawing import check_path, save
    from upliftlens.benchmarks.reports.figures import figure_of

    check_path(Path(flags.out))
    figure, shown = figure_of(existing_store(flags.store), flags.kind, flags.methods, flags.where, flags.x, flags.y)
    save(figure, Path(flags.out))
    console.print(f"{flags.out}: {shown}", markup=False)
    return 0

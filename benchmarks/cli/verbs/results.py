"""``upliftlens results``: reads the store."""

import argparse

from upliftlens.benchmarks.cli.parser import add_format
from upliftlens.benchmarks.system.talk import show
from upliftlens.causal.errors import UpliftlensError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens results``."""
    where = (
        "keep the runs with this value; also != < <= > >= (quoted: 'seed<3'); FIELD: as in a record, e.g. model, "
        "seed, config.train.lr; sweep=NAME: the runs of a sweep"
    )
    parser.add_argument("--where", nargs="+", action="extend", default=[], metavar="FIELD=VALUE", help=where)
    add_format(parser)
    parser.add_argument("--metrics", nargs="+", default=None, metavar="NAME", help="columns, e.g. rmse ndcg@10")
    parser.add_argument("--sort", metavar="NAME", help="a metric, the best first, or a column")
    parser.add_argument("--top", type=int, metavar="N", help="the first N rows only")
    parser.add_argument(
        "--over",
        nargs="+",
        default=[],
        metavar="FIELD",
        help="average over these fields, e.g. seed or seed,fold; a row per method, its interval over users × runs",
    )


def run(flags: argparse.Namespace) -> int:
    """``upliftlens results``: records of the store, filtered, in the format asked for."""
    from upliftlens.benchmarks.lab.lab import Lab

    lab = Lab(flags.store, flags.cache)
    if flags.format == "json" and not flags.over:
        if flags.sort or flags.top is not None:
            raise UpliftlensError("--sort and --top arrange a table: with --format json give --over, or take csv")
        records = lab.records(flags.where)
        show(records.render("json"), records.remarks)
        return 0
    answer = lab.results(flags.where, flags.metrics or (), flags.over, flags.sort, flags.top)
    show(answer.render(flags.format), answer.remarks + (answer.legend if flags.format == "table" else ()))
    return 0

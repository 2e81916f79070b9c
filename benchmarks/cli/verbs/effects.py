"""``upliftlens effects``: whom does recommending help?"""

import argparse

from upliftlens.benchmarks.cli.parser import add_format
from upliftlens.benchmarks.system.talk import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens effects``."""
    parser.add_argument(
        "options",
        nargs="*",
        metavar="OPTION=VALUE",
        help="data=uplift-log data.path=FILE, and what configs/effects.yaml states: features=[age,genres]",
    )
    add_format(parser)
    parser.add_argument("--plot", metavar="FILE", help="a forest plot: .png, .svg or .pdf")


def run(flags: argparse.Namespace) -> int:
    """``upliftlens effects``: whom does recommending help? A table, and a forest plot where one is asked for."""
    from upliftlens.benchmarks.lab.lab import Lab

    answer = Lab().effects(*flags.options, plot=flags.plot)
    show(answer.render(flags.format), answer.remarks)
    return 0

"""``upliftlens effects``: whom does recommending help?"""

import argparse
from pathlib import Path

from upliftlens.benchmarks.system.talk import console, table_console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens effects``."""
    parser.add_argument(
        "options",
        nargs="*",
        metavar="OPTION=VALUE",
        help="data=uplift-log data.path=FILE, and what configs/effects.yaml states: features=[age,genres]",
    )
    parser.add_argument("--format", choices=("table", "md", "latex", "csv", "json"), default="table")
    parser.add_argument("--plot", metavar="FILE", help="a forest plot: .png, .svg or .pdf")


def run(flags: argparse.Namespace) -> int:
    """``upliftlens effects``: whom does recommending help? A table, and a forest plot where one is asked for."""
    from upliftlens.benchmarks.reports.drawing import check_path
    from upliftlens.benchmarks.reports.effect_report import EXPLAINED, forest, sheet
    from upliftlens.benchmarks.reports.effects import effects
    from upliftlens.benchmarks.reports.sheet import render

    if flags.plot:
        check_path(Path(flags.plot))
    study = effects(flags.options, lambda line: console.print(line, markup=False))
    if flags.plot:
        forest(study, Path(flags.plot))
    console.print(EXPLAINED, markup=False)
    body = render(sheet(study), flags.format)
    if isinstance(body, str):
        print(body)
    else:
        table_console().print(body)
    return 0

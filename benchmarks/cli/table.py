"""``upliftlens table``: a paper's table beside the published numbers."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens table``."""
    parser.add_argument("name", help="as listed by `upliftlens list tables`")
    parser.add_argument(
        "options", nargs="*", metavar="KEY=VALUE", help="in place of what its definition states, e.g. seeds=[0,1]"
    )
    parser.add_argument("--format", choices=("md", "latex", "json"), default="md")


def run(flags: argparse.Namespace) -> int:
    """``upliftlens table NAME [KEY=VALUE …]``: computes what is missing and prints it; progress on standard error."""
    from upliftlens.benchmarks.config.compose import prepare_overrides
    from upliftlens.benchmarks.system.talk import say
    from upliftlens.benchmarks.tables.table import Where, rendered, table

    prepare_overrides([])
    where = Where(Path(flags.store).expanduser(), Path(flags.cache).expanduser(), say)
    print(rendered(table(flags.name, where, flags.options), flags.format))
    return 0

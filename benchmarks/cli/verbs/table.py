"""``upliftlens table``: a paper's table beside the published numbers."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens table``."""
    parser.add_argument("name", help="as listed by `upliftlens list tables`")
    parser.add_argument(
        "options", nargs="*", metavar="KEY=VALUE", help="in place of what its definition states, e.g. seeds=[0,1]"
    )
    parser.add_argument("--format", choices=("md", "latex", "json"), default="md")


def run(flags: argparse.Namespace) -> int:
    """``upliftlens table NAME [KEY=VALUE …]``: computes what is missing and prints it; progress on standard error."""
    from upliftlens.benchmarks.lab.lab import Lab

    print(Lab(flags.store, flags.cache).table(flags.name, *flags.options).render(flags.format))
    return 0

"""``upliftlens export``: the scoring function of a run, to be used with JAX alone."""

import argparse

from upliftlens.benchmarks.system.talk import console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens export``."""
    parser.add_argument("run", help="key of a finished run, or its beginning")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="a new folder: programs, arrays, ids, scorer.py")
    parser.add_argument("--batch", type=int, default=64, help="users that the program scores at once (default: 64)")


def run(flags: argparse.Namespace) -> int:
    """``upliftlens export RUN --out FOLDER``: a folder whose scorer.py needs neither Upliftlens nor the data."""
    from upliftlens.benchmarks.lab.lab import Lab

    folder = Lab(flags.store, flags.cache).open(flags.run).export(flags.out, flags.batch)
    console.print(f"{folder} written. A list: python {folder / 'scorer.py'} --user ID", markup=False)
    return 0

"""``upliftlens ledger``: published numbers beside ours, with verdicts."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens ledger``."""
    parser.add_argument("--source", metavar="NAME", help="numbers of one source, e.g. schnabel-2016")
    parser.add_argument("--format", choices=("text", "md", "latex", "csv", "json"), default="text")
    parser.add_argument(
        "--check", action="store_true", help="whether results/ledger.md is up to date; exit code 1 if not"
    )


def run(flags: argparse.Namespace) -> int:
    """``upliftlens ledger``: a line per published number, then how many are reproduced."""
    from upliftlens.benchmarks.lab.lab import Lab
    from upliftlens.causal.errors import UpliftlensError

    if flags.check and (flags.source or flags.format != "text"):
        raise UpliftlensError("--check compares the whole of results/ledger.md: it takes no --source and no --format")
    if flags.check:
        faults = Lab().check_ledger()
        print("\n".join(faults or ["results/ledger.md is that of the published numbers and the committed tables"]))
        return int(bool(faults))
    answer = Lab().ledger(flags.source)
    print("\n".join((str(answer.render(flags.format)), *(answer.remarks if flags.format == "text" else ()))))
    return 0

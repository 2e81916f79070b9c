"""``upliftlens run``: one run."""

from collections.abc import Sequence


def run(arguments: Sequence[str]) -> int:
    """Runs the configuration that the overrides choose."""
    from upliftlens.benchmarks.lab.lab import Lab

    Lab().command("run", arguments)
    return 0

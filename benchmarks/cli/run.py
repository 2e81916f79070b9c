"""``upliftlens run``: one run."""

from collections.abc import Sequence

from upliftlens.benchmarks.cli.parser import refuse_sweep


def run(arguments: Sequence[str]) -> int:
    """Runs the configuration that the overrides choose."""
    from upliftlens.benchmarks.sweeps.jobs import run_jobs

    refuse_sweep(arguments)
    run_jobs("run", arguments)
    return 0

"""``upliftlens run``: one run."""

from collections.abc import Sequence

from upliftlens.benchmarks.cli.parser import refuse_sweep


def run(arguments: Sequence[str]) -> int:
    """Runs the configuration that the overrides choose."""
    from upliftlens.benchmarks.config.compose import prepare_overrides
    from upliftlens.benchmarks.sweeps.app import run_app

    refuse_sweep(arguments)
    run_app("run", prepare_overrides(arguments))
    return 0

"""``upliftlens sweep``: many runs; the same command continues them."""

from collections.abc import Sequence


def run(arguments: Sequence[str]) -> int:
    """Runs every configuration that the overrides choose."""
    from upliftlens.benchmarks.config.compose import prepare_overrides
    from upliftlens.benchmarks.sweeps.app import run_app

    run_app("sweep", prepare_overrides(arguments))
    return 0

"""``upliftlens sweep``: many runs; the same command continues them."""

from collections.abc import Sequence

from upliftlens.causal.errors import UpliftlensError


def run(arguments: Sequence[str]) -> int:
    """Runs every configuration that the overrides choose.

    Raises:
        UpliftlensError: for a flag that shows the configuration of one run.
    """
    from upliftlens.benchmarks.lab.lab import Lab

    for word in arguments:
        if (flag := word.partition("=")[0]) in ("--cfg", "-c", "--info", "-i"):
            raise UpliftlensError(
                f"{flag} shows the configuration of one run, and a sweep has several: use `upliftlens run` with it, "
                "and one value for each option"
            )
    Lab().command("sweep", arguments)
    return 0

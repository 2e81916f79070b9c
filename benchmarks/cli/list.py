"""``upliftlens list``: what there is to choose from."""

import argparse
from collections.abc import Callable, Sequence

from upliftlens.benchmarks.config.choices import packaged
from upliftlens.benchmarks.system.talk import out
from upliftlens.causal.errors import unknown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens list``."""
    parser.add_argument(
        "what",
        nargs="?",
        help="models, losses, objectives, propensities, metrics, tables, data, splits, sweeps (default: all)",
    )


def run(flags: argparse.Namespace) -> int:
    """``upliftlens list [models|losses|…]``."""
    from upliftlens.benchmarks.config.plugins import names
    from upliftlens.benchmarks.data import names as data_names
    from upliftlens.benchmarks.metrics.registry import at
    from upliftlens.benchmarks.metrics.registry import registry as metrics

    kinds: dict[str, Callable[[], Sequence[str]]] = {
        "models": lambda: names("models"),
        "losses": lambda: packaged("loss"),
        "objectives": lambda: names("objectives"),
        "metrics": lambda: sorted(
            at(name, {"required": "@k", "optional": "[@k]", "never": ""}[one.at]) for name, one in metrics().items()
        ),
        "propensities": lambda: names("propensities"),
        "tables": lambda: packaged("table"),
        "data": data_names,
        "splits": lambda: names("splits"),
        "sweeps": lambda: packaged("sweep"),
    }
    if flags.what is not None and flags.what not in kinds:
        raise unknown("list", flags.what, kinds)
    for kind in kinds if flags.what is None else [flags.what]:
        if flags.what is None:
            out.print(f"{kind}: {', '.join(kinds[kind]())}", markup=False)
        else:
            print("\n".join(kinds[kind]()))
    return 0

"""``upliftlens list``: what there is to choose from."""

import argparse

from upliftlens.benchmarks.config.choices import about, first_sentence, packaged
from upliftlens.benchmarks.system.talk import out, table_console
from upliftlens.causal.errors import unknown

CHOICES = {
    "models": "model",
    "losses": "loss",
    "objectives": "objective",
    "propensities": "propensity",
    "metrics": "",
    "tables": "table",
    "data": "data",
    "splits": "split",
    "sweeps": "sweep",
}
"""What is listed, by the config group that chooses it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens list``."""
    parser.add_argument("what", nargs="?", help=f"{', '.join(CHOICES)} (default: the names of all)")


def run(flags: argparse.Namespace) -> int:
    """``upliftlens list [models|losses|…]``: the names of all kinds, or what each one of a kind is, and its paper."""
    from rich.markup import escape
    from rich.table import Table

    if flags.what is None:
        for kind in CHOICES:
            out.print(f"{kind}: {', '.join(_listed(kind))}", markup=False)
        return 0
    if flags.what not in CHOICES:
        raise unknown("list", flags.what, CHOICES)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    for name, text in _listed(flags.what).items():
        table.add_row(escape(name), escape(text))
    table_console().print(table)
    return 0


def _listed(kind: str) -> dict[str, str]:
    """What each choice is, by name: the first sentence of its YAML file, or of the docstring of its module."""
    from upliftlens.benchmarks.config.installed import choices
    from upliftlens.benchmarks.config.plugins import GROUPS, installed, opened
    from upliftlens.benchmarks.metrics.about import abouts
    from upliftlens.benchmarks.metrics.registry import at, registry
    from upliftlens.benchmarks.tables.table import names

    if kind == "metrics":
        texts, marks = abouts(), {"required": "@k", "optional": "[@k]", "never": ""}
        return dict(sorted((at(name, marks[metric.at]), texts[name]) for name, metric in registry().items()))
    config = CHOICES[kind]
    ours = {name: about(config, name) for name in packaged(config)}
    groups = {
        point.name: group
        for group in GROUPS
        if kind == group or GROUPS[group].config == config
        for point in installed(group)
    }
    return {
        name: ours[name] if name in ours else first_sentence(opened(groups[name], name)[0].__doc__ or "")
        for name in (names() if kind == "tables" else choices(config))
    }

"""``upliftlens list``: what there is to choose from."""

import argparse

from upliftlens.benchmarks.config.choices import about, first_sentence, packaged
from upliftlens.benchmarks.system.talk import out, table_console, waiting
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


SYMBOLS = {
    "objectives": "O: observed pairs, D: all pairs, o: 1 if observed, p: P(observed); r, r̂: rating and prediction; "
    "e, ê: error of the prediction and its imputation; implicit data: Y outcome, θ P(exposed), s score; logs of "
    "recommendations: Z: 1 if recommended, e = P(Z = 1), m1, m0: outcome with and without, τ̂: effect, x_uij: "
    "score of i minus that of j. Greek letters that are options are named in configs/objective/.",
    "metrics": "@k: of the first k of a list; h_k: positives among them, R: all positives of the user; y: label, p̂: "
    "its predicted probability; ê: imputed error; τ: effect of recommending, true (/true), of the tested draw "
    "(/realised) or in a simulated world fitted to the ratings (/semi); estimates from a log: /naive difference "
    "of means, /ips inverse propensities, /snips the same self-normalised, /dr doubly robust; /user-mean: one "
    "estimate per user, averaged.",
}
"""What the formulas of a list are made of."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens list``."""
    parser.add_argument("what", nargs="?", help=f"{', '.join(CHOICES)} (default: the names of all)")


def run(flags: argparse.Namespace) -> int:
    """``upliftlens list [models|losses|…]``: the names of all kinds, or what each one of a kind is, and its paper."""
    from rich.markup import escape
    from rich.padding import Padding
    from rich.table import Table

    if flags.what is None:
        with waiting("reading what there is"):
            names = {kind: ", ".join(_listed(kind)) for kind in CHOICES}
        for kind, of_kind in names.items():
            out.print(f"{kind}: {of_kind}", markup=False)
        return 0
    if flags.what not in CHOICES:
        raise unknown("list", flags.what, CHOICES)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    with waiting("reading what there is"):
        listed = _listed(flags.what)
    for name, text in listed.items():
        table.add_row(escape(name), escape(text))
    table_console().print(table)
    if flags.what in SYMBOLS:
        table_console().print(Padding(escape(SYMBOLS[flags.what]), (1, 0, 0, 2)), highlight=False)
    return 0


def _listed(kind: str) -> dict[str, str]:
    """What each choice is, by name: the first sentence of its YAML file, or of the docstring of its module."""
    from upliftlens.benchmarks.config.installed import choices
    from upliftlens.benchmarks.config.plugins import GROUPS, installed, opened
    from upliftlens.benchmarks.config.saved import saved
    from upliftlens.benchmarks.tables.table import names

    if kind == "metrics":
        from upliftlens.benchmarks.metrics.registry import abouts, at, registry

        texts, marks = abouts(), {"required": "@k", "optional": "[@k]", "never": ""}
        return dict(sorted((at(name, marks[entry.value.at]), texts[name]) for name, entry in registry().items()))
    config = CHOICES[kind]
    ours = {name: f"saved in {path}" for name, path in saved().items()} if kind == "data" else {}
    ours |= {name: about(config, name) for name in packaged(config)}
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

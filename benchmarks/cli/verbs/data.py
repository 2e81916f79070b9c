"""``upliftlens data``: lists, prepares, checks and describes data sets."""

import argparse

from upliftlens.benchmarks.cli.parser import add_places
from upliftlens.benchmarks.system.talk import out, show, waiting
from upliftlens.causal.errors import UpliftlensError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens data``."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|prepare|check|card|save")
    add_places(actions.add_parser("list", help="every known data set"))
    for name, about in (
        ("prepare", "get, verify and read a data set"),
        ("check", "find what is wrong with a file, line by line"),
        ("card", "counts, distributions, terms of use, fingerprint"),
        ("save", "keep options under a name: save NAME data=csv data.path=FILE …"),
    ):
        action = actions.add_parser(name, help=about)
        add_places(action)
        action.add_argument("name", help="data set (for check and card also a file; for save a new name)")
        action.add_argument(
            "options", nargs="*", metavar="OPTION=VALUE", help="e.g. data.path=my.csv data.filter.user_core=5"
        )


def run(flags: argparse.Namespace) -> int:
    """``upliftlens data list|prepare|check|card|save``."""
    from upliftlens.benchmarks.lab.data import summary
    from upliftlens.benchmarks.lab.lab import Lab

    data = Lab(flags.store, flags.cache).data
    match flags.action:
        case "list":
            with waiting("reading the definitions"):
                listed = data.listing()
            show(listed.render("table"))
        case "prepare":
            out.print(summary(data.prepare(flags.name, *flags.options), "ready"), markup=False)
        case "card":
            out.print(data.card(flags.name, *flags.options).render("table"))
        case "save":
            path = data.save(flags.name, *_based(flags.name, flags.options))
            out.print(f"{path} written: in this directory, data={flags.name} stands for these options", markup=False)
        case "check":
            answer = data.check(flags.name, *flags.options, say=lambda line: out.print(line, markup=False))
            (sentence,) = answer.remarks
            if answer.content is not None:
                out.print(answer.text, markup=False)
                raise UpliftlensError(sentence)
            out.print(sentence, markup=False)
    return 0


def _based(name: str, options: list[str]) -> list[str]:
    """The options of ``upliftlens data save NAME data=BASE OPTION=VALUE …``, BASE first."""
    bases = [option.removeprefix("data=") for option in options if option.startswith("data=")]
    if len(bases) != 1:
        raise UpliftlensError(f"say what kind of file it is: upliftlens data save {name} data=csv data.path=FILE …")
    return [*bases, *(option for option in options if not option.startswith("data="))]

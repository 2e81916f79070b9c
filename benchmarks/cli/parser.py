"""Flags of the verbs that read: errors with the nearest flag, and the folders that most of them take."""

import argparse
import sys
from typing import NoReturn

from upliftlens.benchmarks.config.choices import default
from upliftlens.benchmarks.reports.render import FORMATS
from upliftlens.causal.errors import did_you_mean


class Parser(argparse.ArgumentParser):
    """Its errors name the nearest flag."""

    def error(self, message: str) -> NoReturn:
        """Prints one or two lines and leaves with 2."""
        unknown = "unrecognized arguments: "
        typed = message.removeprefix(unknown).split() if message.startswith(unknown) else []
        choices = (action.choices for action in self._actions if isinstance(action.choices, dict))
        parsers = [self, *(parser for of_verb in choices for parser in of_verb.values())]
        known = {option for parser in parsers for option in parser._option_string_actions}
        wrong = [word.partition("=")[0] for word in typed if word[0] == "-" and word not in known]
        hint = next(filter(None, (did_you_mean(word, known).rstrip() for word in wrong)), "")
        print(f"error: {message}{': ' * bool(hint)}{hint}\nsee: {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


def add_places(parser: argparse.ArgumentParser) -> None:
    """``--store`` and ``--cache``."""
    store, cache = default("store"), default("cache", "cache.yaml")
    parser.add_argument("--store", default=store, help=f"folder of records (default: {store})")
    parser.add_argument(
        "--cache", default=cache, help=f"folder of downloaded data and compiled programs (default: {cache})"
    )


def add_format(parser: argparse.ArgumentParser, usual: str | None = "table") -> None:
    """``--format``; ``usual``: what is taken where none is stated, None: a table on a terminal, else md."""
    about = "default: table on a terminal, else md" if usual is None else f"default: {usual}"
    parser.add_argument("--format", choices=FORMATS, default=usual, help=about)

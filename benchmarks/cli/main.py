"""The command line. Verbs that compute take Hydra overrides (``option=value``); verbs that read take flags.

Nothing heavy is imported before a verb needs it: ``upliftlens --help`` answers at once.
"""

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from upliftlens.benchmarks.config.choices import default
from upliftlens.causal.errors import UpliftlensError, as_sentence, did_you_mean, unknown

VERBS = {
    "quickstart": "real ML-100K, five models, three seeds, one table: the whole thing in one command",
    "run": "one run: load, split, fit, evaluate, store             upliftlens run data=ml-100k model=mf seed=0",
    "sweep": "many runs; run again to continue                       upliftlens sweep model=mf,mlp 'seed=range(0,5)'",
    "tune": "seeded random search, selected on validation rows      upliftlens tune model=mf data=ml-100k budget=20",
    "results": "read the store                                         upliftlens results --where model=mf --format md",
    "compare": "two methods, paired over users and seeds               upliftlens compare mf mlp --metric recall@10",
    "table": "a paper's table beside the published numbers         upliftlens table schnabel-1 --format md",
    "effects": "whom does recommending help: by feature             upliftlens effects data=uplift-log data.path=F",
    "plot": "uplift and Qini curves, accuracy against uplift        upliftlens plot uplift mf random --out f.png",
    "recommend": "a user's top list, without what the run was fitted on  upliftlens recommend RUN --user 42 -k 10",
    "data": "list, prepare, check or describe data sets             upliftlens data prepare ml-100k",
    "list": "what there is: models, losses, objectives, propensities, metrics, tables, data, splits, sweeps",
    "doctor": "versions, devices, folders, W&B login",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a verb; returns the exit code.

    0: done; 1: an error that the user can mend; 2: a wrong call; 130: interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0
    if words[0] == "--version":
        from importlib.metadata import version

        print(f"upliftlens {version('upliftlens')}")
        return 0
    try:
        code = _dispatch(words[0], words[1:])
        sys.stdout.flush()  # here a full disk can still be told
        return code
    except UpliftlensError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except MemoryError as error:
        print(f"error: {as_sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: what was finished is stored, the same command continues", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, e.g. `head`, had enough
        _drop_output()
        return 0
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            raise
        _drop_output()
        print(f"error: the output can't be written: {error.strerror}", file=sys.stderr)
        return 1


def _drop_output() -> None:
    """What is still in the buffer of standard output goes nowhere, so that Python's end does not stumble over it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _dispatch(verb: str, rest: list[str]) -> int:
    if verb not in VERBS:
        raise unknown("verb", verb, VERBS)
    if verb in ("run", "tune") and (named := [one for one in rest if one.startswith("sweep=") and one != "sweep=null"]):
        raise UpliftlensError(f"{named[0]} is several runs: start it with `upliftlens sweep {named[0]}`")
    if verb in ("run", "sweep"):
        from upliftlens.benchmarks.sweeps.app import run_app

        run_app(verb, rest)
        return 0
    if verb in ("tune", "quickstart"):
        if "-h" in rest or "--help" in rest:
            print(_HELP[verb])
            return 0
        from upliftlens.benchmarks.cli import quickstart
        from upliftlens.benchmarks.sweeps import tell as verbs

        return verbs.tune_verb(rest) if verb == "tune" else quickstart.quickstart_verb(rest)
    from upliftlens.benchmarks.cli import figures as uplift_verbs
    from upliftlens.benchmarks.cli import readers

    parser = _parser(verb)
    parsed = parser.parse_args(rest) if verb == "data" else parser.parse_intermixed_args(rest)
    module = uplift_verbs if verb in ("effects", "plot") else readers
    return int(getattr(module, f"{verb}_verb")(parsed))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        typed = message.removeprefix("unrecognized arguments: ").split()
        choices = (action.choices for action in self._actions if isinstance(action.choices, dict))
        parsers = [self, *(parser for of_verb in choices for parser in of_verb.values())]
        known = {option for parser in parsers for option in parser._option_string_actions}
        wrong = [one.partition("=")[0] for one in typed if one[0] == "-" and one not in known]
        hints = [did_you_mean(one, known).rstrip() for one in wrong]
        hint = next(filter(None, hints), "")
        print(f"error: {message}{': ' * bool(hint)}{hint}\nsee: {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


def _parser(verb: str) -> argparse.ArgumentParser:
    parser = _Parser(prog=f"upliftlens {verb}", description=VERBS[verb].split("  ")[0], allow_abbrev=False)
    if verb not in ("list", "data", "effects"):
        _places(parser)
    _ARGUMENTS[verb](parser)
    return parser


def _places(parser: argparse.ArgumentParser) -> None:
    store, cache = default("store"), default("cache", "cache.yaml")
    parser.add_argument("--store", default=store, help=f"folder of records (default: {store})")
    parser.add_argument(
        "--cache", default=cache, help=f"folder of downloaded data and compiled programs (default: {cache})"
    )


WHERE = "also != < <= > >=; sweep=NAME means the runs that this sweep computed, not those that it found"


def _results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--where", nargs="+", action="extend", default=[], metavar="FIELD=VALUE", help=WHERE)
    parser.add_argument("--format", choices=("table", "md", "csv", "json"), default="table")
    parser.add_argument("--metrics", nargs="+", default=None, metavar="NAME", help="columns, e.g. rmse ndcg@10")
    parser.add_argument(
        "--over",
        nargs="+",
        default=[],
        metavar="FIELD",
        help="average over these, e.g. seed split.fold: a row per method, interval over users × runs",
    )


def _compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "first", help="a method: model, model/loss/objective, or a filter such as model=mf,config.model.dim=8"
    )
    parser.add_argument("second")
    parser.add_argument("--metric", default="ndcg@10")
    parser.add_argument("--where", nargs="+", action="extend", default=[], metavar="FIELD=VALUE", help="for both sides")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def _table(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="as listed by `upliftlens list tables`")
    parser.add_argument(
        "options", nargs="*", metavar="KEY=VALUE", help="in place of what its definition states, e.g. seeds=[0,1]"
    )
    parser.add_argument("--format", choices=("md", "latex", "json"), default="md")


def _effects(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "options",
        nargs="*",
        metavar="OPTION=VALUE",
        help="data=uplift-log data.path=FILE, and what configs/effects.yaml states: features=[age,genres]",
    )
    parser.add_argument("--format", choices=("table", "md", "csv", "json"), default="table")
    parser.add_argument("--plot", metavar="FILE", help="a forest plot: .png, .svg or .pdf")


def _plot(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "kind", help="uplift or qini (a curve per method), scatter (a point per method), overlap (of propensities)"
    )
    parser.add_argument("methods", nargs="*", metavar="METHOD", help="as in compare; default: all in the store")
    parser.add_argument("--out", required=True, metavar="FILE", help=".png, .svg or .pdf")
    parser.add_argument("--where", nargs="+", action="extend", default=[], metavar="FIELD=VALUE", help="also != < >")
    parser.add_argument("--x", default="ndcg@10", metavar="METRIC", help="of a scatter plot (default: ndcg@10)")
    parser.add_argument("--y", default="uplift@10/snips", metavar="METRIC", help="(default: uplift@10/snips)")


def _recommend(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="key of a finished run, or its beginning")
    parser.add_argument("--user", required=True, help="raw id, as in the data")
    parser.add_argument("-k", type=int, default=10, help="length of the list (default: 10)")
    parser.add_argument("--format", choices=("table", "json"), default="table")


def _data(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|prepare|check|card")
    _places(actions.add_parser("list", help="every known data set"))
    for name, about in (
        ("prepare", "get, verify and read a data set"),
        ("check", "find what is wrong with a file, line by line"),
        ("card", "counts, distributions, terms of use, fingerprint"),
    ):
        action = actions.add_parser(name, help=about)
        _places(action)
        action.add_argument("name", help="data set (or, for check, a file)")
        action.add_argument(
            "options", nargs="*", metavar="OPTION=VALUE", help="e.g. data.path=my.csv data.filter.user_core=5"
        )


def _list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        nargs="?",
        help="models, losses, objectives, propensities, metrics, tables, data, splits, sweeps (default: all)",
    )


_ARGUMENTS = {
    "results": _results,
    "compare": _compare,
    "table": _table,
    "effects": _effects,
    "plot": _plot,
    "recommend": _recommend,
    "data": _data,
    "list": _list,
    "doctor": lambda parser: None,
}

_HELP = {
    "tune": """upliftlens tune OPTION=VALUE ... [budget=20] [tune_seed=0]

Draws `budget` trials from the ranges that the model's configuration states (model.space); trial 0 is the
configuration as it stands. Each is fitted on training rows, scored on validation rows and stored; none meets the test
set. The best one is then run in full. Run again to continue; a larger budget repeats no trial. Options are those of
`upliftlens run --help`.

  upliftlens tune model=mf data=ml-100k budget=20""",
    "quickstart": """upliftlens quickstart [OPTION=VALUE ...]

Gets ML-100K, runs popularity, additive, mf, mlp and ials with three seeds each, prints the table. Where ML-100K can't
be had, the built-in synthetic world stands in. Options are those of `upliftlens run --help`. Run again: everything is
looked up.""",
}


def _usage() -> str:
    width = max(map(len, VERBS))
    lines = [f"  {name:<{width}}  {about}" for name, about in VERBS.items()]
    return "\n".join(
        [
            "upliftlens VERB ...",
            "",
            "Benchmarks recommenders: do they predict, do they rank,",
            "and does recommending cause more of what people want?",
            "",
            *lines,
            "",
            "upliftlens VERB --help says more of each.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())

"""The command line, one file of the folder ``verbs`` per verb.

Verbs that compute take Hydra overrides (``option=value``); verbs that read take flags.

Nothing heavy is imported before a verb needs it: ``upliftlens --help`` answers at once.
"""

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from upliftlens.benchmarks.cli.parser import Parser, add_places
from upliftlens.causal.errors import UpliftlensError, as_sentence, unknown

VERBS = {
    "quickstart": "real ML-100K, five models, five seeds, one table: the whole thing in one command",
    "run": "one run: load, split, fit, evaluate, store             upliftlens run data=ml-100k model=mf seed=0",
    "sweep": "many runs; run again to continue                       upliftlens sweep model=mf,mlp 'seed=range(0,5)'",
    "tune": "seeded random search, selected on validation rows      upliftlens tune model=mf data=ml-100k budget=20",
    "benchmark": "methods tuned alike, run and compared                  upliftlens benchmark data=csv model=mf,ease",
    "results": "read the store                                         upliftlens results --where model=mf --format md",
    "compare": "methods, paired over users and seeds                   upliftlens compare mf mlp --metric recall@10",
    "groups": "metrics by group of users                          upliftlens groups mf --by gender --metrics ndcg@10",
    "table": "a paper's table beside the published numbers           upliftlens table schnabel-1 --format md",
    "ledger": "published numbers beside ours, with verdicts       upliftlens ledger --source schnabel-2016",
    "effects": "whom does recommending help: by feature                upliftlens effects data=uplift-log data.path=F",
    "plot": "curves of uplift, Qini, reliability; scatter plots     upliftlens plot uplift mf random --out f.png",
    "report": "a page of the store: leaderboards, charts, commands    upliftlens report --out report.html",
    "recommend": "a user's top items, RUN being a run's key              upliftlens recommend RUN --user 42 -k 10",
    "predict": "what a run predicts of pairs                       upliftlens predict RUN --pairs F --out G.csv",
    "export": "a run's scores as a program that needs JAX alone   upliftlens export RUN --out FOLDER",
    "data": "list, prepare, check or describe data sets             upliftlens data prepare ml-100k",
    "list": "what there is to choose                                upliftlens list models",
    "doctor": "versions, devices, folders, W&B login",
}

_LOADED = {"compare": "metrics.registry", "data": "lab.data"} | dict.fromkeys(
    ("results", "ledger", "report", "list", "doctor"), ""
)
"""What verbs that train and score nothing load first; "": what they need as they go."""


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
        sys.stdout.flush()  # here an error of a full disk can still be printed
        return code
    except (UpliftlensError, MemoryError) as error:
        print(f"error: {as_sentence(error)}", file=sys.stderr)
        return 1
    except ValueError as error:
        from upliftlens.benchmarks.system.environment import refusal_of_jax

        if not (sentence := refusal_of_jax(error)):
            raise
        print(f"error: {sentence}", file=sys.stderr)
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
    """Discards what is left in the buffer of standard output, so that Python does not fail on it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _dispatch(verb: str, words: list[str]) -> int:
    """Calls the file of ``verbs`` that is named for the verb."""
    if verb not in VERBS:
        raise unknown("verb", verb, VERBS)
    module = import_module(f"upliftlens.benchmarks.cli.verbs.{verb}")
    if not hasattr(module, "add_arguments"):  # it takes Hydra's overrides
        _load(verb)
        return int(module.run(words))
    parser = parser_of(verb)
    flags = parser.parse_args(words) if verb == "data" else parser.parse_intermixed_args(words)
    _load(verb)
    return int(module.run(flags))


def _load(verb: str) -> None:
    """Imports what a verb can't do without, which takes seconds, with a line for who waits."""
    if module := _LOADED.get(verb, "runs.many"):
        from upliftlens.benchmarks.system.talk import waiting

        with waiting("loading JAX"):
            import_module(f"upliftlens.benchmarks.{module}")


def parser_of(verb: str) -> Parser:
    """The parser of a verb that takes flags."""
    parser = Parser(prog=f"upliftlens {verb}", description=VERBS[verb].split("  ")[0], allow_abbrev=False)
    if verb not in ("list", "data", "effects", "ledger"):
        add_places(parser)
    import_module(f"upliftlens.benchmarks.cli.verbs.{verb}").add_arguments(parser)
    return parser


def _usage() -> str:
    width = max(map(len, VERBS))
    return "\n".join(
        [
            "upliftlens VERB ...",
            "",
            "Benchmarks recommenders: do they predict, do they rank,",
            "and does recommending cause more of what people want?",
            "",
            *(f"  {name:<{width}}  {about}" for name, about in VERBS.items()),
            "",
            "upliftlens VERB --help says more of each.",
        ]
    )

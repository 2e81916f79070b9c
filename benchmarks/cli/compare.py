"""``upliftlens compare``: two methods, paired over users and seeds."""

import argparse
import json
from pathlib import Path

from upliftlens.benchmarks.reports.methods import measured, one_per_pairing, pairing, runs_of
from upliftlens.benchmarks.runs.store import Store, list_records, load_per_user
from upliftlens.benchmarks.system.talk import out
from upliftlens.causal.errors import UpliftlensError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens compare``."""
    parser.add_argument(
        "first", help="a method: model, model/loss/objective, or a filter such as model=mf,config.model.dim=8"
    )
    parser.add_argument("second")
    parser.add_argument("--metric", default="ndcg@10")
    parser.add_argument("--where", nargs="+", action="extend", default=[], metavar="FIELD=VALUE", help="for both sides")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(flags: argparse.Namespace) -> int:
    """``upliftlens compare A B --metric M``: difference, interval, p, and a sentence in plain words."""
    from upliftlens.benchmarks.evaluation.outcome import from_arrays
    from upliftlens.benchmarks.metrics.registry import choose, in_full
    from upliftlens.benchmarks.reports.comparison import compare, in_words
    from upliftlens.benchmarks.reports.selection import once_per_fit, query, require_one_experiment, unmet
    from upliftlens.causal.intervals import Resampling

    metric = in_full(flags.metric)
    store = Store(Path(flags.store).expanduser())
    everything = list_records(store).records
    records = [one for one in query(everything, flags.where) if one.status == "done" and not one.trial]
    if not records and (reasons := unmet(everything, flags.where)):
        raise UpliftlensError("\n".join(reasons))
    records = once_per_fit(records, [metric])
    sides = [measured(runs_of(records, name), metric) for name in (flags.first, flags.second)]
    shared = sorted({pairing(one) for one in sides[0]} & {pairing(one) for one in sides[1]})
    if not shared:
        raise UpliftlensError(
            f"{flags.first} and {flags.second} share no data, split and seed in {store.root}: run both on the same ones"
        )
    require_one_experiment([one for one in (*sides[0], *sides[1]) if pairing(one) in shared])
    chosen = [
        one_per_pairing(side, shared, name) for side, name in zip(sides, (flags.first, flags.second), strict=True)
    ]
    contenders = tuple([from_arrays(load_per_user(store, one.key), one.diagnostics) for one in side] for side in chosen)
    interval = Resampling(**chosen[0][0].config["metrics"]["interval"])
    title = f"{flags.first} against {flags.second}"
    found = compare({title: (contenders[0], contenders[1])}, metric, interval)[title]
    if flags.format == "json":
        print(json.dumps({**found._asdict(), "runs": [[one.key for one in side] for side in chosen]}, indent=1))
        return 0
    out.print(f"{metric} over {len(shared)} shared runs and {found.n} users, paired:", markup=False)
    for line in in_words(found, flags.first, flags.second, interval.level):
        out.print(line, markup=False)
    told = [(one.diagnostics.get("recommendations") or {}).get("propensities") for side in chosen for one in side]
    if choose(metric).metric.evidence in ("logged", "logged+history") and "estimated" in told:
        out.print(
            "Propensities of recommending were estimated from the log: a hidden cause of both would mislead this."
        )
    return 0

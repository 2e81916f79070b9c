"""``upliftlens plot``: figures of finished runs."""

import argparse
from pathlib import Path

from upliftlens.benchmarks.reports.methods import label, one_per_pairing, pairing, runs_of
from upliftlens.benchmarks.runs.store import Store, list_records, load_per_user
from upliftlens.benchmarks.system.talk import console
from upliftlens.causal.errors import UpliftlensError, unknown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens plot``."""
    parser.add_argument(
        "kind", help="uplift or qini (a curve per method), scatter (a point per method), overlap (of propensities)"
    )
    parser.add_argument("methods", nargs="*", metavar="METHOD", help="as in compare; default: all in the store")
    parser.add_argument("--out", required=True, metavar="FILE", help=".png, .svg or .pdf")
    parser.add_argument("--where", nargs="+", action="extend", default=[], metavar="FIELD=VALUE", help="also != < >")
    parser.add_argument("--x", default="ndcg@10", metavar="METRIC", help="of a scatter plot (default: ndcg@10)")
    parser.add_argument("--y", default="uplift@10/snips", metavar="METRIC", help="(default: uplift@10/snips)")


def run(flags: argparse.Namespace) -> int:
    """``upliftlens plot KIND [METHOD …] --out FILE``: of finished runs curves, a point per method, or propensities."""
    from upliftlens.benchmarks.evaluation.outcome import from_arrays
    from upliftlens.benchmarks.metrics.registry import in_full
    from upliftlens.benchmarks.reports.curves import KINDS, Contender, figure
    from upliftlens.benchmarks.reports.overlap import overlap_figure
    from upliftlens.benchmarks.reports.plots import check_path, save
    from upliftlens.benchmarks.reports.selection import once_per_fit, query, require_one_experiment
    from upliftlens.causal.intervals import Resampling

    check_path(Path(flags.out))
    if flags.kind not in (kinds := (*KINDS, "overlap")):
        raise unknown("kind of plot", flags.kind, kinds)
    x, y = in_full(flags.x), in_full(flags.y)
    store = Store(Path(flags.store).expanduser())
    everything = query(list_records(store).records, flags.where)
    records = [one for one in everything if one.status == "done" and not one.trial]
    if flags.kind == "overlap":
        chosen = [one for name in flags.methods for one in runs_of(records, name)] if flags.methods else records
        save(overlap_figure(chosen), Path(flags.out))
        console.print(f"{flags.out}: propensities of {len(chosen)} runs", markup=False)
        return 0
    records = once_per_fit(records, [x, y] if flags.kind == "scatter" else ["auuc"])
    contenders, drawn = [], []
    for name in flags.methods or sorted({"/".join(label(one)) for one in records}):
        runs = runs_of(records, name)
        pairings = sorted({pairing(one) for one in runs})
        kept = one_per_pairing(runs, pairings, name)
        evaluations = [from_arrays(load_per_user(store, one.key), one.diagnostics) for one in kept]
        contenders.append(Contender(name, evaluations))
        drawn += kept
    if not contenders:
        raise UpliftlensError(
            f"no finished run in {store.root}{' meets ' if flags.where else ''}{' '.join(flags.where)}"
        )
    require_one_experiment(drawn)
    interval = Resampling(**drawn[0].config["metrics"]["interval"])
    save(figure(flags.kind, contenders, x, y, interval), Path(flags.out))
    console.print(f"{flags.out}: {len(contenders)} methods", markup=False)
    return 0

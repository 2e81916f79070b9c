"""The verbs that show effects: ``effects`` by feature, ``plot`` of finished runs. Each takes parsed flags."""

import argparse
from pathlib import Path

from upliftlens.benchmarks.cli.readers import err, label, one_per_pairing, pairing, runs_of
from upliftlens.benchmarks.runs.store import Store, list_records, load_per_user
from upliftlens.benchmarks.system.talk import table_console
from upliftlens.causal.errors import UpliftlensError, unknown


def effects_verb(flags: argparse.Namespace) -> int:
    """``upliftlens effects``: whom does recommending help? A table, and a forest plot where one is asked for."""
    from upliftlens.benchmarks.reports.effect_report import forest, sheet
    from upliftlens.benchmarks.reports.effects import mine
    from upliftlens.benchmarks.reports.plots import check_path
    from upliftlens.benchmarks.reports.sheet import render

    if flags.plot:
        check_path(Path(flags.plot))
    study = mine(flags.options, lambda line: err.print(line, markup=False))
    if flags.plot:
        forest(study, Path(flags.plot))
    body = render(sheet(study), flags.format)
    if isinstance(body, str):
        print(body)
    else:
        table_console().print(body)
    return 0


def plot_verb(flags: argparse.Namespace) -> int:
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
        err.print(f"{flags.out}: propensities of {len(chosen)} runs", markup=False)
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
    err.print(f"{flags.out}: {len(contenders)} methods", markup=False)
    return 0

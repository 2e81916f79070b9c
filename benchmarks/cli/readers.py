"""The verbs that read: results, table, compare, recommend, data, list, doctor.

Each takes parsed flags and returns the exit code.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from upliftlens.benchmarks.config.choices import packaged
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.runs.store import Store, list_records, load_per_user
from upliftlens.benchmarks.system.talk import table_console
from upliftlens.causal.errors import UpliftlensError, unknown

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def results_verb(flags: argparse.Namespace) -> int:
    """``upliftlens results``: records of the store, filtered, in the format asked for."""
    from upliftlens.benchmarks.reports.sheet import results

    answer = results(Store(Path(flags.store).expanduser()), flags.where, flags.metrics or [], flags.format, flags.over)
    for remark in answer.remarks:
        err.print(remark, markup=False)
    if isinstance(answer.body, str):
        print(answer.body)
    else:
        table_console().print(answer.body)
    return 0


def table_verb(flags: argparse.Namespace) -> int:
    """``upliftlens table NAME [KEY=VALUE …]``: computes what is missing and prints it; progress on standard error."""
    from upliftlens.benchmarks.config.compose import prepare_overrides
    from upliftlens.benchmarks.system.talk import say
    from upliftlens.benchmarks.tables.table import Where, rendered, table

    prepare_overrides([])
    where = Where(Path(flags.store).expanduser(), Path(flags.cache).expanduser(), say)
    print(rendered(table(flags.name, where, flags.options), flags.format))
    return 0


def compare_verb(flags: argparse.Namespace) -> int:
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


def recommend_verb(flags: argparse.Namespace) -> int:
    """``upliftlens recommend RUN --user U -k K``: titles and scores, without the items that the run was fitted on."""
    from upliftlens.benchmarks.runs.recommend import find_run, recommend
    from upliftlens.benchmarks.system.talk import quiet

    store = Store(Path(flags.store).expanduser())
    record = find_run(list_records(store).records, flags.run)
    lines = recommend(record, {"store": flags.store, "cache": flags.cache}, flags.user, flags.k, quiet)
    if flags.format == "json":
        print(json.dumps([line._asdict() for line in lines], ensure_ascii=False, indent=1))
        return 0
    table = Table("", "item", "title", "score", box=None, pad_edge=False)
    for line in lines:
        table.add_row(*map(escape, (str(line.rank), line.item, line.title, f"{line.score:.3f}")))
    err.print(f"{record.model} ({record.key}) for user {flags.user} of {record.data['name']}:", markup=False)
    out.print(table)
    return 0


def data_verb(flags: argparse.Namespace) -> int:
    """``upliftlens data list|prepare|check|card``."""
    from upliftlens.benchmarks import data
    from upliftlens.benchmarks.cli import cards as render
    from upliftlens.benchmarks.config.overrides import quoted

    cache = Path(flags.cache).expanduser()
    if flags.action == "list":
        table_console().print(render.listing_table(data.listing(cache)))
        return 0
    name, options = flags.name, [quoted(one) for one in flags.options]
    path = Path(name).expanduser()
    if flags.action == "check" and name not in data.names() and path.exists():
        name, options = data.guess(path), [*options, quoted(f"data.path={path}")]
    if name not in data.names() and ("/" in name or path.suffix):
        raise UpliftlensError(f"{name}: there is no such file (or data set: see `upliftlens data list`)")
    config = data.configure(name, options)
    if flags.action == "check" and getattr(config, "path", None):
        found = data.check(Path(config.path), config)
        if found is not None:
            for problem in found.problems:
                out.print(str(problem), markup=False)
            shown = "" if found.count == len(found.problems) else f", the first {len(found.problems)} of them above"
            raise UpliftlensError(f"{config.path}: {found.count:,} problem{'s' * (found.count > 1)}{shown}")
        out.print(f"{config.path} reads as {config.name}: no problems found", markup=False)
        return 0
    dataset = data.load(config, cache, lambda line: err.print(line, markup=False))
    if flags.action == "card":
        out.print(render.card_table(data.card(dataset)))
    else:
        done = "no problems found" if flags.action == "check" else "ready"
        rows = f"{len(dataset.log):,} rows from {dataset.source}"
        out.print(f"{dataset.name} {done}: {rows}, fingerprint {dataset.fingerprint[:16]}", markup=False)
    return 0


def list_verb(flags: argparse.Namespace) -> int:
    """``upliftlens list [models|losses|…]``."""
    from upliftlens.benchmarks.config.plugins import names
    from upliftlens.benchmarks.data import names as data_names
    from upliftlens.benchmarks.metrics.registry import at
    from upliftlens.benchmarks.metrics.registry import registry as metrics

    kinds: dict[str, Callable[[], Sequence[str]]] = {
        "models": lambda: names("upliftlens.models"),
        "losses": lambda: packaged("loss"),
        "objectives": lambda: names("upliftlens.objectives"),
        "metrics": lambda: sorted(
            at(name, {"required": "@k", "optional": "[@k]", "never": ""}[one.at]) for name, one in metrics().items()
        ),
        "propensities": lambda: packaged("propensity"),
        "tables": lambda: packaged("table"),
        "data": data_names,
        "splits": lambda: packaged("split"),
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


def doctor_verb(flags: argparse.Namespace) -> int:
    """``upliftlens doctor``: 1 if something is broken."""
    from upliftlens.benchmarks.cli.doctor import diagnose, report

    return report(diagnose(Path(flags.cache), Path(flags.store)))


def runs_of(records: Sequence[Record], name: str) -> list[Record]:
    """The runs that ``model``, ``model/loss/objective`` or a list of conditions means."""
    from upliftlens.benchmarks.reports.selection import query

    if "=" in name:
        found = query(records, name.split(","))
    else:
        wanted = name.split("/")
        found = [one for one in records if label(one)[: len(wanted)] == wanted or [one.model, one.objective] == wanted]
        if not found:
            raise unknown("method", name, {"/".join(label(one)) for one in records} or {"none: the store is empty"})
    if not found:
        raise UpliftlensError(f"no finished run meets {name}")
    return found


def measured(records: Sequence[Record], metric: str) -> Sequence[Record]:
    """The runs that have a metric; all, if none has it: then the reason is told where its value is asked for."""
    return [one for one in records if metric in one.metrics] or records


def label(record: Record) -> list[str]:
    """What a method is called by: model, and loss and objective where it has them."""
    return [part for part in (record.model, record.loss, record.objective) if part]


def pairing(record: Record) -> tuple[str, str, int]:
    """What two runs have in common that can be compared: data, split and seed."""
    return (record.data["fingerprint"], record.split["fingerprint"], record.seed)


def one_per_pairing(side: Sequence[Record], shared: Sequence[tuple[str, str, int]], name: str) -> list[Record]:
    """The run of every pairing.

    Raises:
        UpliftlensError: if a pairing has several: the name means more than one configuration.
    """
    chosen = []
    for wanted in shared:
        runs = [one for one in side if pairing(one) == wanted]
        if len(runs) > 1:
            keys = ", ".join(one.key[:8] for one in runs)
            raise UpliftlensError(
                f"'{name}' means {len(runs)} runs of one split and seed ({keys}): narrow it, "
                "e.g. model=mf,model.dim=32, or by keys: --where key!=KEY (see `upliftlens results --format json`)"
            )
        chosen.append(runs[0])
    return chosen

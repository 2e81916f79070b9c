"""What the verbs do once their configuration is known: run one job, tune, recommend, the quickstart."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import which
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from upliftlens.benchmarks import experiment
from upliftlens.benchmarks.errors import UpliftlensError
from upliftlens.benchmarks.plan import Plan, general, ignored, plan
from upliftlens.benchmarks.prepare import Reporter
from upliftlens.benchmarks.progress import epoch_bar, say, table_console
from upliftlens.benchmarks.records import Record
from upliftlens.benchmarks.results import DEFAULT_METRICS

_STAND_IN = "ML-100K can't be had here. What follows is the built-in SYNTHETIC world, not real data."


def run_and_tell(config: Mapping[str, Any]) -> Record:
    """Runs a resolved configuration and tells its outcome in a line."""
    planned = plan(config)
    label = label_of(planned)
    with epoch_bar(label, planned.progress) as on_epoch:
        record, found = experiment.run(planned, Reporter(say, on_epoch))
    how = "found" if found else f"{record.timing['total']:.1f} s"
    say(f"[green]done[/green]  {escape(label)}  {escape(described(record))}  [dim]{record.key} ({how})[/dim]")
    return record


def tell_failure(config: Mapping[str, Any], error: Exception) -> None:
    """Tells that a job of a sweep failed, and why."""
    say(f"[red]failed[/red]  {escape(label_of(plan(config)))}: {escape(str(error))}")


def label_of(planned: Plan) -> str:
    """What a person tells runs by: data, split with its fold, model with its loss and objective, seed."""
    fold = "" if planned.split.fold is None else f":{planned.split.fold}"
    learning = planned.learning
    parts = [learning.model.value.name]
    if not planned.solver:
        parts += [learning.loss.name, learning.objective.value.name]
    return f"{planned.data.name} {planned.split.name}{fold} {'/'.join(parts)} seed={planned.seed}"


def described(record: Record, names: Sequence[str] = DEFAULT_METRICS) -> str:
    """The main metrics of a record in one line."""
    shown = [name for name in names if name in record.metrics] or list(record.metrics)[:3]
    return "  ".join(f"{name} {record.metrics[name].value:.4f}" for name in shown)


def tune_verb(arguments: Sequence[str]) -> int:
    """``upliftlens tune``: random search, then the best configuration in full."""
    from upliftlens.benchmarks.compute import composed, prepare_overrides, sweep_name
    from upliftlens.benchmarks.tune import tune

    overrides = prepare_overrides(arguments)
    base = composed(overrides)
    if idle := ignored(plan(base), overrides):
        raise UpliftlensError(f"{idle}: leave that out, or choose a backbone such as model=mf")
    own = general(base)
    group = own.group or sweep_name("tune", [one for one in overrides if not one.startswith("budget=")])
    tuned = tune(composed, run_and_tell, overrides, own.budget, own.tune_seed, group, say)
    table = Table("trial", "options", tuned.final.diagnostics["monitor"], box=None, pad_edge=False)
    for number, (extra, record) in enumerate(tuned.trials):
        value = "failed" if record is None else f"{record.diagnostics['validation']:.4f}"
        table.add_row(f"{number}{' *' if number == tuned.best else ''}", " ".join(extra) or "as configured", value)
    out = Console(highlight=False, soft_wrap=True)
    out.print(table)
    out.print(f"* best on validation rows. On the test set: {described(tuned.final)}", markup=False)
    best = " ".join(
        shlex.quote(one)
        for one in (*arguments, *tuned.trials[tuned.best][0])
        if not one.startswith(("budget=", "tune_seed="))
    )
    out.print(f"Again: upliftlens run {best}", markup=False)
    return 1 if any(record is None for _, record in tuned.trials) else 0


def quickstart_verb(arguments: Sequence[str]) -> int:
    """``upliftlens quickstart``: the sweep of configs/sweep/quickstart.yaml, its table, and what to type next."""
    from upliftlens.benchmarks import data
    from upliftlens.benchmarks.compute import composed, run_app
    from upliftlens.benchmarks.result_table import render, summarise
    from upliftlens.benchmarks.store import Store, load_per_user

    overrides = ["sweep=quickstart", "logger=wandb", "group=quickstart", *arguments]
    config = composed([one for one in overrides if one != "sweep=quickstart"])
    name = "ml-100k"
    try:
        data.load(data.configure(name), Path(config["cache"]), say)
    except data.DataUnavailable as error:
        name = "synthetic"
        overrides.append("data=synthetic")
        say(f"[yellow]{escape(str(error))}[/yellow]")
        say(f"[bold yellow]{_STAND_IN}[/bold yellow]")
    done = run_app("sweep", overrides)
    store = Store(Path(config["store"]).expanduser())
    shown = ("rmse", "recall@10", "ndcg@10", "cp@10/semi")
    names = [one for one in shown if any(one in record.metrics for record in done)]
    sheet = summarise(done, ["seed"], names, lambda record: load_per_user(store, record.key))
    out = Console(highlight=False, soft_wrap=True)
    title = "MovieLens 100K" if name == "ml-100k" else "SYNTHETIC world (ML-100K could not be had)"
    out.print(f"\n{title}, random fold 0 of 5, three seeds; 95 % intervals over users × seeds:")
    table_console().print(render(sheet, "table"))
    tracked = Path(config["logger"].get("dir", "")) / "wandb"
    offline = f"    W&B offline runs: {tracked}    (`wandb sync` uploads them)" if "dir" in config["logger"] else ""
    elsewhere = "" if config["store"] == "runs" else shlex.quote(config["store"])
    place, stored = (f" --store {elsewhere}", f" store={elsewhere}") if elsewhere else ("", "")
    for line in (
        f"Records: {store.root}/runs{offline}",
        "An empty cell: the model does not predict ratings.",
        "cp@10/semi: what recommending the first ten would change, in a semi-synthetic world fitted to the ratings:",
        "a simulation, not a measurement. Below 0: without being recommended, more of it would have been watched.",
        "Next" + ("" if which("upliftlens") else " (after `. .venv/bin/activate`)") + ":",
        f"  upliftlens results --where data={name} --over seed --format md{place}",
        f"  upliftlens compare mf mlp --metric rmse{place}",
        f"  upliftlens sweep data={name} model=mf model.dim=16,64 'seed=range(0,5)'{stored}",
        f"  upliftlens recommend {done[-1].key[:8]} --user 42{place}",
    ):
        out.print(line, markup=False)
    return 0

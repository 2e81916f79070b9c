"""``upliftlens quickstart``: the sweep of configs/sweep/quickstart.yaml, its table, and what to type next."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from shutil import which

from upliftlens.benchmarks.config.choices import default
from upliftlens.benchmarks.reports.sheet import Sheet, render, summarise
from upliftlens.benchmarks.runs.plan import Plan
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.runs.store import Store, load_per_user
from upliftlens.benchmarks.system.talk import out, say, say_styled, table_console
from upliftlens.causal.errors import UpliftlensError

_REAL, _STAND_IN = "ml-100k", "synthetic"
_IN_FULL = {_REAL: "MovieLens 100K"}
_SIMULATED = (
    "cp@10/semi: by how much recommending the first ten items raises the chance that they are watched, on average,",
    "in a world fitted to the ratings that are not tested. It is a simulation and measures no real effect. Below 0,",
    "recommending lowers that chance. Compare with random, and with oracle: the best lists, from that world's truth.",
)
_NUMBERS = ("no", "one", "two", "three", "four", "five")


HELP = """upliftlens quickstart [OPTION=VALUE ...]

Loads ML-100K, runs popularity, additive, mf, mlp and ials with five seeds each (and random and oracle, to compare the
last column with), prints the table. If ML-100K can't be loaded, the built-in synthetic world is used instead. Options
are those of `upliftlens run --help`. Run again: everything is looked up."""


def run(arguments: Sequence[str]) -> int:
    """Runs the sweep with the options that the user adds, on a synthetic world if ML-100K can't be loaded."""
    if {"-h", "--help"} & set(arguments):
        print(HELP)
        return 0
    if flags := [word for word in arguments if word.startswith("-")]:
        raise UpliftlensError(f"{flags[0]}: quickstart takes options (NAME=VALUE) and --help only")
    from upliftlens.benchmarks.config.overrides import swept
    from upliftlens.benchmarks.data import DataUnavailable, load
    from upliftlens.benchmarks.sweeps.jobs import run_jobs

    words = ["sweep=quickstart", "group=quickstart", *arguments]
    plans: list[Plan] = []

    def ready(jobs: Sequence[Plan]) -> None:
        plans[:] = jobs
        if all(job.data.name == _REAL for job in jobs):
            load(jobs[0].data, jobs[0].cache, say)

    try:
        done, stands_in = run_jobs("sweep", words, ready), False
    except DataUnavailable as error:
        say_styled((str(error), "yellow"))
        warning = "ML-100K can't be loaded here. What follows is the built-in SYNTHETIC world, not real data."
        say_styled((warning, "bold yellow"))
        done, stands_in = run_jobs("sweep", [*words, f"data={_STAND_IN}"], ready), True
    config = plans[0].config
    records = list({record.key: record for record in done}.values())
    store = Store(Path(config["store"]).expanduser())
    sheet = summarise(records, ["seed"], [], lambda record: load_per_user(store, record))
    out.print(f"\n{title(records, stands_in)}:", markup=False)
    table_console().print(render(sheet, "table"))
    tracked = Path(config["logger"].get("dir", "")).expanduser() / "wandb"
    offline = "dir" in config["logger"] and any(tracked.glob("offline-run-*"))
    uploads = f"    W&B offline runs: {tracked}    (`wandb sync` uploads them)" if offline else ""
    out.print(f"Records: {store.root}/runs{uploads}", markup=False)
    elsewhere = "" if config["store"] == default("store") else shlex.quote(config["store"])
    split = [word for word in arguments if word.partition("=")[0].partition(".")[0] == "split" and not swept(word)]
    for line in (*_explained(sheet), *_next(records, sheet, split, elsewhere)):
        out.print(line, markup=False)
    return 0


def title(records: Sequence[Record], stands_in: bool) -> str:
    """What the records are of: data, splits, how many seeds, and what the intervals are over."""
    names = " and ".join(dict.fromkeys(_IN_FULL.get(record.data["name"], record.data["name"]) for record in records))
    splits = " and ".join(dict.fromkeys(map(_split_of, records)))
    seeds = len({record.seed for record in records})
    count = f"{_NUMBERS[seeds] if seeds < len(_NUMBERS) else seeds} seed{'s' if seeds > 1 else ''}"
    interval = records[0].config["metrics"]["interval"]
    level, over = f"{100 * interval['level']:.3g} %", interval.get("over", "users").replace("-", " × ")
    data = "SYNTHETIC world (ML-100K could not be loaded)" if stands_in else names
    sampled = f"{over}{' × seeds' if seeds > 1 else ''}"
    fixed = "training rows and split" if "items" in over else "items, training rows and split"
    return f"{data}, {splits}, {count}; {level} intervals over {sampled} ({fixed} as they are)"


def _split_of(record: Record) -> str:
    from upliftlens.benchmarks.config.plugins import entry

    options = record.config["split"]
    if {"fold", "folds"} <= options.keys():
        random = "random " if entry("splits", options["name"]).value.sampling.test else ""
        return f"{random}fold {options['fold']} of {options['folds']}"
    return f"split {options['name']}"


def _explained(sheet: Sheet) -> list[str]:
    """Notes on columns that a reader may misunderstand."""
    lines = []
    if any("rmse" in row.metrics for row in sheet.rows) and not all("rmse" in row.metrics for row in sheet.rows):
        lines.append("An empty cell: the model does not predict ratings.")
    if "cp@10/semi" in sheet.metrics:
        lines += _SIMULATED
    return lines


def _next(records: Sequence[Record], sheet: Sheet, split: Sequence[str], store: str) -> list[str]:
    """Commands that go on from these records; ``split``: the user's options of it, ``store``: its folder, quoted."""
    flag, option = (f" --store {store}", f" store={store}") if store else ("", "")
    data = records[-1].data["name"]
    lines = [f"  upliftlens results --where data={data} --over seed --format md{flag}"]
    metric = sheet.metrics[0]
    methods = list(dict.fromkeys(record.model for record in records if metric in record.metrics))[-2:]
    if len(methods) == 2:
        lines.append(f"  upliftlens compare {' '.join(methods)} --metric {metric}{flag}")
    options = " ".join([f"data={data}", *map(shlex.quote, split)])
    lines.append(f"  upliftlens sweep {options} model=mf model.dim=16,64 'seed=range(0,5)'{option}")
    learned = [record for record in records if record.model not in ("oracle", "random")]
    lines.append(f"  upliftlens recommend {learned[-1].key[:8]} --user 42{flag}")
    return ["Next" + ("" if which("upliftlens") else " (after `. .venv/bin/activate`)") + ":", *lines]

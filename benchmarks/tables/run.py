"""Data and runs of a table: a configuration is composed once, changed by values, and its runs looked up or computed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Annotated, Any, NamedTuple

import numpy as np

from upliftlens.benchmarks.config.choices import stated
from upliftlens.benchmarks.config.chosen import chosen
from upliftlens.benchmarks.config.compose import changed, composed, prepare_overrides
from upliftlens.benchmarks.config.sections import Configuration, typed_section
from upliftlens.benchmarks.data import load
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.evaluation.evaluate import evaluate
from upliftlens.benchmarks.evaluation.evaluation import Evaluation
from upliftlens.benchmarks.evaluation.exam import HeldOut
from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.benchmarks.reports.comparison import Replicated, bounds, differences, in_a_cell, replicated
from upliftlens.benchmarks.reports.methods import evaluations
from upliftlens.benchmarks.runs.fit import restore
from upliftlens.benchmarks.runs.many import record_of, run_many
from upliftlens.benchmarks.runs.plan import Plan, plan
from upliftlens.benchmarks.runs.prepare import prepare
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.runs.store import Store
from upliftlens.benchmarks.sweeps.search import Trial
from upliftlens.benchmarks.system.talk import quiet
from upliftlens.benchmarks.tables.cells import Cell, Ran, Rule
from upliftlens.benchmarks.tables.table import TableOptions, Where, judged
from upliftlens.causal.errors import UpliftlensError, located
from upliftlens.causal.interactions import interactions, take
from upliftlens.causal.intervals import Resampling, Summary
from upliftlens.causal.options import SEEDS, Distinct
from upliftlens.causal.over_runs import Source

Seeds = Annotated[tuple[Annotated[int, SEEDS], ...], Distinct()]
Names = Annotated[tuple[str, ...], Distinct()]
NamedChanges = Annotated[Mapping[str, tuple[str, ...]], Distinct()]
"""Changes of a configuration, ``NAME=VALUE`` each, by a name."""


@dataclass(frozen=True, kw_only=True)
class RunsOptions(TableOptions):
    """Of a table of runs: the options that are ``common`` to all of them, the ``seeds`` of each, and the ``interval``
    over users and runs."""

    common: tuple[str, ...]
    seeds: Seeds
    interval: Resampling


class Runs(NamedTuple):
    """The records of finished runs, their evaluations, and the ``trials`` that chose their settings."""

    records: list[Record]
    evaluations: list[Evaluation]
    trials: Sequence[Trial] = ()


class Measured(NamedTuple):
    """A ``metric`` of a row, measured by the runs of ``records``; ``runs``: what a reader has to know of these."""

    value: Replicated
    records: Sequence[Record]
    metric: str = ""
    runs: tuple[Ran, ...] = ()


def dataset_of(options: Sequence[str], where: Where) -> Dataset:
    """The data set of a configuration, for a table without runs.

    Raises:
        UpliftlensError: for data that can't be loaded.
    """
    return load(typed_section(composed(options), "data"), where.cache, where.say)


def configured(options: Sequence[str], changes: Sequence[str], where: Where) -> Configuration:
    """The configuration composed from ``options`` and then changed by ``changes``, both ``NAME=VALUE``.

    Options may choose from groups (``model=mf``); changes only set values, so that nothing is composed again.

    Raises:
        UpliftlensError: for what can't be composed.
    """
    words = (*options, f"store={where.store}", f"cache={where.cache}")
    return changed(_composed(words), changes, [*words, *changes])


def planned(options: Sequence[str], changes: Sequence[str], where: Where) -> Plan:
    """The plan of a ``configured`` run.

    Raises:
        UpliftlensError: for what can't be composed or planned.
    """
    return plan(configured(options, changes, where))


def fits(options: Sequence[str]) -> bool:
    """Whether the objective that ``options`` choose allows the link function of the loss that they choose."""
    groups = (entry for entry in stated("config.yaml")["defaults"] if isinstance(entry, dict))
    usual = {group: choice for entry in groups for group, choice in entry.items()}
    words = usual | dict(word.split("=", 1) for word in options)
    loss, objective = (chosen(group, {"name": words[group]}).value for group in ("loss", "objective"))
    return loss.link in objective.links


def runs_of(plans: Sequence[Plan], everywhere: bool = False, trials: Sequence[Trial] = ()) -> Runs:
    """The runs of plans on one store, from there or computed; ``everywhere``: evaluated as ``over_all_pairs``.

    ``trials``: those that chose their settings.

    Raises:
        UpliftlensError: if a run fails; those after it are not started.
    """
    records = [record_of(plan, outcome) for plan, outcome in zip(plans, run_many(plans), strict=True)]
    store = Store(plans[0].store)
    done = list(map(over_all_pairs, plans)) if everywhere else evaluations(store, records)
    return Runs(records, done, trials)


def measured(runs: Runs, metric: str, interval: Resampling) -> Measured:
    """A metric over runs, which differ in their seeds.

    Raises:
        UpliftlensError: if one lacks the metric.
    """
    with located(f"run {runs.records[0].key}"):
        value = replicated(runs.evaluations, metric, interval)
    single = [
        evaluation.summaries.get(metric) or record.metrics[metric]
        for record, evaluation in zip(runs.records, runs.evaluations, strict=True)
    ]
    summaries = [each._replace(value=float(mean)) for each, mean in zip(single, value.values, strict=True)]
    behind_it = (
        _ran(record, runs.trials, {metric: each}) for record, each in zip(runs.records, summaries, strict=True)
    )
    return Measured(value, runs.records, metric, tuple(behind_it))


def _ran(record: Record, trials: Sequence[Trial], metrics: Mapping[str, Summary]) -> Ran:
    """A finished run as a table shows it."""
    tested = _tested(record)
    return Ran(
        record.key,
        record.config,
        {name: record.data[name] for name in ("name", "fingerprint")},
        {name: record.split[name] for name in ("name", "fingerprint")},
        "recommendations" in record.diagnostics,
        metrics,
        max(1, len(trials)),
        any(not run.trial and _tested(run) == tested for trial in trials for run in trial.records),
        record.timing["total"],
        record.environment,
    )


def _tested(record: Record) -> tuple[str, str]:
    """On which test set a run is measured, unless it is a trial, which reads none."""
    return record.data["fingerprint"], record.split["fingerprint"]


def over_searches(by_search: Sequence[Runs], metric: str, interval: Resampling) -> Measured:
    """A metric of a row whose settings were searched several times: ``by_search`` holds the runs of each search's
    winner, with the same seeds. The searches are a source of spread beside the seeds (``causal.over_runs``).

    Raises:
        UpliftlensError: as ``measured``.
    """
    whole = measured(Runs(*(list(chain(*each)) for each in zip(*by_search, strict=True))), metric, interval)
    if len(by_search) == 1:
        return whole
    n = len(by_search[0].records)
    search, seed = np.divmod(np.arange(len(whole.records)), n)
    sources = (Source(search), *[Source(seed)] * (n > 1))
    distinct = {record.key: record for record in whole.records}  # two searches may find the same settings
    return whole._replace(value=whole.value._replace(sources=sources), records=list(distinct.values()))


def part(whole: Replicated, runs: np.ndarray) -> Replicated:
    """Some ``runs`` i64[n] of a method, each independent of the others."""
    users = tuple(whole.users[run] for run in runs)
    return whole._replace(values=whole.values[runs], drawn=whole.drawn[runs], users=users, sources=())


def measured_cell(definition: RunsOptions, row: str, column: str, side: Measured) -> Cell:
    """The cell of a metric: with its interval over users and runs, and beside the published number."""
    mean, interval = side.value.mean, bounds(side.value, definition.interval)
    cell = Cell(row, column, mean, *interval, *judged(definition, row, column, *interval), *behind(side.records))
    return of_runs(cell, "mean", side)


def of_runs(cell: Cell, rule: Rule, first: Measured, second: Measured | None = None) -> Cell:
    """The cell with the runs behind it, and the rule by which its value follows from their metric."""
    against = () if second is None else second.runs
    return cell._replace(rule=rule, metric=first.metric, against=len(against), runs=(*first.runs, *against))


def behind(records: Sequence[Record]) -> tuple[tuple[str, ...], bool]:
    """The last fields of a cell: the keys of the runs behind it, and whether one of them used MAR data."""
    return tuple(record.key for record in records), any(record.diagnostics["uses_mar_data"] for record in records)


def paired_cells(
    pairs: Mapping[tuple[str, str], tuple[Measured, Measured]], metric: str, resampling: Resampling, *words: str
) -> Iterator[Cell]:
    """Cells of paired differences by their rows and columns; ``words``: of the verdict, see ``in_a_cell``.

    Raises:
        UpliftlensError: as ``differences``.
    """
    sides = {" ".join(names): (first.value, second.value) for names, (first, second) in pairs.items()}
    decisions = differences(sides, choose(metric).metric.higher_is_better, resampling).values()
    for (names, (first, second)), decision in zip(pairs.items(), decisions, strict=True):
        runs = behind([*first.records, *second.records])
        cell = Cell(*names, *decision[:3], None, in_a_cell(decision, resampling.level, *words), *runs)
        yield of_runs(cell, "difference", first, second)


def over_all_pairs(plan: Plan) -> Evaluation:
    """The plan's metrics over all users × items of a world, from its stored fit: only those of predictions have a
    meaning.

    Raises:
        UpliftlensError: if not all ratings of the data are known, or the run is not in the store.
    """
    prepared = prepare(plan, quiet)
    trained = restore(plan, prepared, quiet.say)
    dataset = prepared.dataset
    ratings = None if dataset.world is None else dataset.world.ratings
    if ratings is None:
        raise UpliftlensError(
            f"data={plan.data.name}: not every rating is known: use everywhere: false, or schnabel-ml-100k"
        )
    users, items = np.divmod(np.arange(ratings.size), ratings.shape[1])
    pairs = interactions(users, items, ratings.ravel(), *ratings.shape)
    none = take(pairs, np.zeros(len(pairs), bool))  # no item is left out because it was seen
    held_out = HeldOut(pairs, none, dataset.relevance, dataset.scale, dataset.feedback)
    return evaluate(trained.method, trained.state, trained.data, held_out, plan.metrics)


@lru_cache(maxsize=256)
def _composed(options: tuple[str, ...]) -> Mapping[str, Any]:
    return composed([*prepare_overrides(options), "progress=false", "group=table"], resolve=False)

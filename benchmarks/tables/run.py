"""Data and runs of a table: a configuration is composed once, changed by values, and its runs looked up or computed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Annotated, Any, NamedTuple

import numpy as np

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
from upliftlens.benchmarks.system.talk import quiet
from upliftlens.benchmarks.tables.table import Cell, TableOptions, Where, judged
from upliftlens.causal.errors import UpliftlensError, located
from upliftlens.causal.interactions import interactions, take
from upliftlens.causal.intervals import Resampling
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
    """The records of finished runs, and their evaluations."""

    records: list[Record]
    evaluations: list[Evaluation]


class Measured(NamedTuple):
    """A metric of a row, measured by the runs of ``records``."""

    value: Replicated
    records: Sequence[Record]


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


def fits(options: Sequence[str], where: Where) -> bool:
    """Whether the objective of a configuration allows the link function of its loss."""
    plugins = configured(options, (), where).plugins
    return plugins["loss"].value.link in plugins["objective"].value.links


def runs_of(plans: Sequence[Plan], everywhere: bool = False) -> Runs:
    """The runs of plans on one store, from there or computed; ``everywhere``: evaluated as ``over_all_pairs``.

    Raises:
        UpliftlensError: if a run fails; those after it are not started.
    """
    records = [record_of(plan, outcome) for plan, outcome in zip(plans, run_many(plans), strict=True)]
    store = Store(plans[0].store)
    return Runs(records, list(map(over_all_pairs, plans)) if everywhere else evaluations(store, records))


def measured(runs: Runs, metric: str, interval: Resampling) -> Measured:
    """A metric over runs, which differ in their seeds.

    Raises:
        UpliftlensError: if one lacks the metric.
    """
    with located(f"run {runs.records[0].key}"):
        return Measured(replicated(runs.evaluations, metric, interval), runs.records)


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
    return Measured(whole.value._replace(sources=sources), list(distinct.values()))


def part(whole: Replicated, runs: np.ndarray) -> Replicated:
    """Some ``runs`` i64[n] of a method, each independent of the others."""
    users = tuple(whole.users[run] for run in runs)
    return whole._replace(values=whole.values[runs], drawn=whole.drawn[runs], users=users, sources=())


def measured_cell(definition: RunsOptions, row: str, column: str, side: Measured) -> Cell:
    """The cell of a metric: with its interval over users and runs, and beside the published number."""
    mean, interval = side.value.mean, bounds(side.value, definition.interval)
    return Cell(row, column, mean, *interval, *judged(definition, row, column, *interval), *behind(side.records))


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
        yield Cell(*names, *decision[:3], None, in_a_cell(decision, resampling.level, *words), *runs)


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

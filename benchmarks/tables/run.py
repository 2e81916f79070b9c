"""Data and runs of a table: a configuration is composed once, changed by values, and its run looked up or computed."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from upliftlens.benchmarks.config.compose import changed, composed
from upliftlens.benchmarks.config.plugins import entry
from upliftlens.benchmarks.config.typed import typed
from upliftlens.benchmarks.data import config_type, load
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.runs import many
from upliftlens.benchmarks.runs.plan import Plan, plan
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.tables.table import Where


def dataset_of(options: Sequence[str], where: Where) -> Dataset:
    """The data set of a configuration, for a table without runs.

    Raises:
        UpliftlensError: for data that can't be loaded.
    """
    data = composed(options)["data"]
    return load(typed(config_type(data), data, "data"), where.cache, where.say)


def configured(options: Sequence[str], changes: Sequence[str], where: Where) -> dict[str, Any]:
    """The configuration composed from ``options`` and then changed by ``changes``, both ``NAME=VALUE``.

    Options may choose from groups (``model=mf``); changes only set values, so that nothing is composed again.

    Raises:
        UpliftlensError: for what can't be composed.
    """
    return changed(_composed((*options, f"store={where.store}", f"cache={where.cache}")), changes)


def planned(options: Sequence[str], changes: Sequence[str], where: Where) -> Plan:
    """The plan of a ``configured`` run.

    Raises:
        UpliftlensError: for what can't be composed or planned.
    """
    return plan(configured(options, changes, where))


def fits(options: Sequence[str], where: Where) -> bool:
    """Whether the objective of a configuration allows the link function of its loss."""
    config = configured(options, (), where)
    objective = entry("objectives", config["objective"]["name"]).value
    return entry("losses", config["loss"]["name"]).value.link in objective.links


def record_of(plan: Plan) -> Record:
    """The record of a plan, from the store or computed.

    Raises:
        UpliftlensError: if the run fails.
    """
    (outcome,) = many.run_many([plan])
    return many.record_of(plan, outcome)


def behind(records: Sequence[Record]) -> tuple[tuple[str, ...], bool]:
    """The last fields of a cell: the keys of the runs behind it, and whether one of them used MAR data."""
    return tuple(record.key for record in records), any(record.diagnostics["uses_mar_data"] for record in records)


@lru_cache(maxsize=256)
def _composed(options: tuple[str, ...]) -> Mapping[str, Any]:
    return composed([*options, "progress=false", "group=table"], resolve=False)

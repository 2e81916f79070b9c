"""The runs behind a table: a configuration composed once, changed by values, looked up in the store or computed."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from upliftlens.benchmarks.config.compose import changed, composed
from upliftlens.benchmarks.config.plugins import entry
from upliftlens.benchmarks.evaluation.evaluation import Evaluation, from_arrays
from upliftlens.benchmarks.runs import many
from upliftlens.benchmarks.runs.plan import Plan, plan
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.runs.store import Store, load_per_user
from upliftlens.benchmarks.tables.table import Where


def configured(options: Sequence[str], changes: Sequence[str], where: Where) -> dict[str, Any]:
    """The configuration that is composed from ``options`` and then changed by ``changes``, ``NAME=VALUE`` both.

    Options may choose from groups (``model=mf``), changes only set values: they cost no composition.

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
    """Whether the objective of a configuration makes sense with its loss; such a plan is refused otherwise."""
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


def evaluation_of(record: Record, where: Where) -> Evaluation:
    """What a record keeps per user, ready to be resampled."""
    return from_arrays(load_per_user(Store(where.store), record.key), record.diagnostics)


@lru_cache(maxsize=256)
def _composed(options: tuple[str, ...]) -> Mapping[str, Any]:
    return composed([*options, "progress=false", "group=table"], resolve=False)

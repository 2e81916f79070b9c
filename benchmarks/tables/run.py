"""The runs behind a table: a configuration composed once, changed by values, looked up in the store or computed."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import lru_cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser

from upliftlens.benchmarks.config.plugins import entry
from upliftlens.benchmarks.evaluation.outcome import Evaluation, from_arrays
from upliftlens.benchmarks.runs.plan import Plan, plan
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.runs.run import run
from upliftlens.benchmarks.runs.store import Store, load_per_user
from upliftlens.benchmarks.system.talk import Reporter
from upliftlens.benchmarks.tables.table import Where
from upliftlens.causal.errors import unknown

SILENT = Reporter(lambda sentence: None, lambda stage, number, total, line: None)
"""One object for all runs of all tables, so that what is cached by it (data, splits, propensities) is shared."""


def planned(options: Sequence[str], changes: Sequence[str], where: Where) -> Plan:
    """The plan of a configuration composed from ``options`` and then changed by ``changes``, ``NAME=VALUE`` both.

    Options may choose from groups (``model=mf``), changes only set values: they cost no composition.

    Raises:
        UpliftlensError: for what can't be composed or planned.
    """
    config = deepcopy(_composed((*options, f"store={where.store}", f"cache={where.cache}")))
    parser = OverridesParser.create()
    for change in changes:
        parsed = parser.parse_override(change)
        *path, name = parsed.key_or_group.split(".")
        section: Any = config
        for depth, step in enumerate(path):
            within = section.get(step)
            if not isinstance(within, dict):
                wrong = parsed.key_or_group if step in section else ".".join(path[: depth + 1])
                raise unknown("option", wrong, (".".join((*path[:depth], one)) for one in section))
            section = within
        section[name] = parsed.value()
    return plan(config)


def fits(options: Sequence[str], where: Where) -> bool:
    """Whether the objective of a configuration makes sense with its loss; such a plan is refused otherwise."""
    config = _composed((*options, f"store={where.store}", f"cache={where.cache}"))
    objective = entry("objectives", config["objective"]["name"]).value
    return entry("losses", config["loss"]["name"]).value.link in objective.links


def record_of(made: Plan) -> Record:
    """The record of a plan, from the store or computed.

    Raises:
        UpliftlensError: if the run fails.
    """
    return run(made, SILENT)[0]


def evaluation_of(record: Record, where: Where) -> Evaluation:
    """What a record keeps per user, ready to be resampled."""
    return from_arrays(load_per_user(Store(where.store), record.key), record.diagnostics)


@lru_cache(maxsize=256)
def _composed(options: tuple[str, ...]) -> Mapping[str, Any]:
    from upliftlens.benchmarks.config.compose import composed

    return composed([*options, "progress=false", "group=table"])

"""Reading the store: filters on records, and the columns that tell them apart."""

import json
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from upliftlens.benchmarks.runs.records import DEFAULT_METRICS, Record, default_metrics, to_json
from upliftlens.causal.errors import UpliftlensError, did_you_mean, unknown

IDENTITY = ("data", "split", "model", "loss", "objective", "propensity")
"""The fields that identify a run, in the order of a table's columns."""

_NO_COLUMN = (
    *("store", "cache", "progress", "group", "budget", "tune_seed", "logger", "metrics", "hydra", "model.space"),
    "propensity.held_out",
)
"""Configuration that says nothing about what was trained, only where it was reported, how measured or searched for."""

MEASURED = {"metrics.uplift.candidates": "new", "metrics.interval.over": "users", "propensity.trim": 0}
"""Options of measuring, with their defaults, that make numbers of another kind: other rankings, resamples, pairs."""

INTERVAL = ("metrics.interval.level", "metrics.interval.resamples", "metrics.interval.seed")
"""Options of a run's intervals; no value depends on them."""

SHOWN = 8
"""Hex digits of a key in a table for people; a condition may state so many or more of them."""

_VALUES = 12  # the most values of a field that a message lists
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

Fields = Mapping[str, Any]
"""A record as flat fields: dotted path to a plain value; mappings are flattened, lists are not."""


def fields(record: Record) -> dict[str, Any]:
    """The fields of a record that a condition can name: by dotted path, and by the short names that a table shows.

    Short: ``data``, ``split`` and ``propensity`` (their names), ``source`` (of a plugin model's code), any path inside
    ``config`` without that word (``train.lr``), and a metric's name for its value (``rmse``). If a short name is also a
    field of the record, it means that field.
    """
    content = to_json(record)
    return {
        **{name: metric["value"] for name, metric in content["metrics"].items()},
        **dict(_flat(content["config"], "")),
        **dict(_flat(content, "")),
        "data": record.data.get("name"),
        "split": record.split.get("name"),
        "source": str((record.diagnostics.get("model") or {}).get("source") or "")[:SHOWN] or None,
        "propensity": record.config.get("propensity", {}).get("name"),
    }


def query(records: Iterable[Record], where: Sequence[str]) -> list[Record]:
    """The records for which all conditions hold: ``FIELD=VALUE``, or ``!=``, ``<``, ``<=``, ``>``, ``>=``.

    FIELD is one of ``fields``; ``sweep``, or ``group``, is any of the sweeps that a run belongs to. Numbers are
    compared as numbers, everything else as text; ``null`` means no value. A record without the field meets ``!=`` only.

    Raises:
        UpliftlensError: for a condition of another form, or a field that no record has, with the nearest name.
    """
    kept = [(record, fields(record)) for record in records]
    conditions = [_condition(condition) for condition in where]
    require_fields([flat for _, flat in kept], [name for name, _, _ in conditions])
    for name, sign, bound in conditions:
        values = [flat.get(name) for _, flat in kept]
        if sign not in ("=", "!=") and any(map(_is_number, values)) and _number(bound) is None:  # they have no order
            raise UpliftlensError(f"--where '{name}{sign}{bound}': {name} is a number and '{bound}' is none")
        kept = [(record, flat) for record, flat in kept if _meets(record, flat, name, sign, bound)]
    return [record for record, _ in kept]


def asks_for(where: Sequence[str], field: str) -> bool:
    """Whether one of the conditions is on a field."""
    return any(_condition(item)[0] == field for item in where)


def unmet(records: Iterable[Record], where: Sequence[str]) -> list[str]:
    """A sentence for each condition ``FIELD=VALUE`` that no record meets, with the values that there are."""
    known = [(record, fields(record)) for record in records]
    sentences = []
    for name, sign, bound in map(_condition, where):
        if sign == "=" and not any(_meets(record, flat, name, sign, bound) for record, flat in known):
            values = sorted({text(flat.get(name)) for _, flat in known})
            if name == "sweep":
                values = sorted({sweep for record, _ in known for sweep in _sweeps(record)})
            hint = did_you_mean(bound, values)
            more = f", … ({len(values)} values)" if len(values) > _VALUES else ""
            sentences.append(f"No run has {name}={bound}: {hint}there is: {', '.join(values[:_VALUES])}{more}.")
    return sentences


def require_fields(flat: Sequence[Fields], names: Iterable[str]) -> None:
    """Refuses a field that none of the records has; without records, every field passes.

    Raises:
        UpliftlensError: with the nearest name.
    """
    known = {name for record in flat for name in record}
    for name in names:
        if known and name not in known:
            hint = did_you_mean(name, known)
            usual = (*IDENTITY, "seed", "status", "train.lr", *DEFAULT_METRICS)
            examples = ", ".join(field for field in usual if field in known)
            raise UpliftlensError(
                f"unknown field '{name}': {hint}there is, for example: {examples}; `--format json` shows all"
            )


def _condition(condition: str) -> tuple[str, str, str]:
    """Field, sign and value."""
    match = re.fullmatch(r"([^=<>!]+)(=|!=|<=|>=|<|>)(.*)", condition.strip())
    if match is None:
        raise UpliftlensError(
            f"--where takes FIELD=VALUE (or !=, <, <=, >, >=), not '{condition}': for example model=mf"
        )
    name = match[1].strip()
    return "sweep" if name == "group" else name, match[2], match[3].strip()


def columns(records: Sequence[Record]) -> list[str]:
    """The fields that tell the records apart, in a table's order: identity, configuration, seed.

    ``model`` is always there. A configuration value has a column if it differs between records of the same identity:
    different defaults of two models get none. An option of ``INTERVAL`` has one if it differs between any two records
    that have it.
    """
    flat = [fields(record) for record in records]
    identity = [name for name in IDENTITY if name == "model" or differ(record.get(name) for record in flat)]
    same_identity: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for record, names in zip(records, flat):
        config = {name: value for name, value in _flat(record.config, "") if not name.startswith(_NO_COLUMN)}
        config = {name: value for name, value in config.items() if name not in MEASURED} | measured_as(record)
        same_identity.setdefault(tuple(text(names.get(name)) for name in IDENTITY), []).append(config)
    varying = dict.fromkeys(
        name
        for group in same_identity.values()
        for name in dict.fromkeys(name for config in group for name in config)
        if differ(config.get(name) for config in group)
    )
    elsewhere = {"seed", *(f"{name}.name" for name in IDENTITY)}
    intervals = [name for name in INTERVAL if differ(record[name] for record in flat if name in record)]
    seed = ["seed"] if differ(record.seed for record in records) else []
    code = [(text(names.get("model")), names.get("source")) for names in flat]
    source = ["source"] if len(set(code)) > len({model for model, _ in code}) else []
    return [*identity, *source, *(name for name in varying if name not in elsewhere), *intervals, *seed]


def measured_as(record: Record, metrics: Sequence[str] = ()) -> dict[str, Any]:
    """Those of a run's options ``MEASURED`` that aren't the default: a record from before there was a choice has none.

    ``propensity.trim`` counts where one of the ``metrics`` is weighted; empty: as if one were.
    """
    return measured_by(record.config, metrics)


def measured_by(config: Mapping[str, Any], metrics: Sequence[str] = ()) -> dict[str, Any]:
    """``measured_as`` of a run with a configuration."""
    flat = dict(_flat(config, ""))
    chosen = {name: flat[name] for name, usual in MEASURED.items() if flat.get(name) not in (usual, None)}
    if "propensity.trim" in chosen and metrics and not any(map(_may_be_weighted, metrics)):
        del chosen["propensity.trim"]
    return chosen


def _may_be_weighted(metric: str) -> bool:
    """Whether a metric is weighted, as far as is known: a name that means none here counts as one that is."""
    from upliftlens.benchmarks.metrics.registry import is_weighted  # few listings need it, and it takes its time

    try:
        return is_weighted(metric)
    except UpliftlensError:
        return True


def metric_names(records: Sequence[Record], chosen: Sequence[str]) -> list[str]:
    """The metrics to show: those chosen; if none, the default ones that exist, or else all that the records have.

    Raises:
        UpliftlensError: for a chosen metric that no record has.
    """
    recorded = list(dict.fromkeys(name for record in records for name in record.metrics))
    for name in chosen:
        if recorded and name not in recorded:
            raise unknown("metric", name, recorded)
    return list(chosen) or default_metrics(recorded) or recorded


def text(value: Any) -> str:
    """A value as the user writes it: true, null, [64,32], 0.01."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _flat(content: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def differ(values: Iterable[Any]) -> bool:
    """Whether two of the values differ, as a user writes them."""
    return len({text(value) for value in values}) > 1


def _sweeps(record: Record) -> set[str]:
    """The names of all sweeps that a run belongs to; of none: null."""
    return {name for name in (record.sweep, *record.sweeps) if name is not None} or {"null"}


def _meets(record: Record, flat: Fields, name: str, sign: str, bound: str) -> bool:
    """Whether a condition holds for a record with its fields."""
    if name == "sweep" and sign in ("=", "!="):
        return (bound in _sweeps(record)) == (sign == "=")
    return _holds(flat, name, sign, bound)


def _holds(flat: Fields, name: str, sign: str, bound: str) -> bool:
    if name not in flat:
        return sign == "!="
    value, number = flat[name], _number(bound)
    if name in ("key", "fit_key") and len(bound) >= SHOWN:
        value = value[: len(bound)]  # as tables for people show it
    if number is not None and _is_number(value):
        return _COMPARISONS[sign](float(value), number)
    if value is None and sign not in ("=", "!="):
        return False
    # Dates and names in alphabetical order; a list is compared without the spaces in it.
    return _COMPARISONS[sign](text(value), bound.replace(" ", "") if isinstance(value, list) else bound)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

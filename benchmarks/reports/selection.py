"""Reading the store: filters on records, and the columns that tell them apart."""

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from upliftlens.benchmarks.runs.records import DEFAULT_METRICS, Record, default_metrics, to_json
from upliftlens.causal.errors import UpliftlensError, did_you_mean, unknown

IDENTITY = ("data", "split", "model", "loss", "objective")
"""The fields that say what a run is, in the order of a table's columns."""

REPETITIONS = ("split.fold", "split.seed")
"""The split's options that repeat one protocol; its name and every other option make another protocol."""


_UNTOLD = ("store", "cache", "progress", "group", "budget", "tune_seed", "logger", "metrics", "hydra", "model.space")
"""Configuration of where a run was shown, how it was measured or searched for, not of what was trained: no column."""

_VALUES = 12  # of a field that a message lists

Fields = Mapping[str, Any]
"""A record as flat fields: dotted path to a plain value; mappings are opened, lists are not."""


def fields(record: Record) -> dict[str, Any]:
    """All that can be asked of a record, by dotted path, and by the short names that a table shows.

    Short: ``data`` and ``split`` (their names), any path inside ``config`` without that word (``train.lr``), and a
    metric's name for its value (``rmse``). Where two meanings clash, a record's own field comes first.
    """
    content = to_json(record)
    flat = dict(_flat(content, ""))
    short = {name: metric["value"] for name, metric in content["metrics"].items()}
    inside = dict(_flat(content["config"], ""))
    names = {"data": record.data.get("name"), "split": record.split.get("name")}
    return {**short, **inside, **flat, **names}


def query(records: Iterable[Record], where: Sequence[str]) -> list[Record]:
    """The records for which all conditions hold: ``FIELD=VALUE``, or ``!=``, ``<``, ``<=``, ``>``, ``>=``.

    ``fields`` says what can be asked for. Numbers are compared as numbers, everything else as text; ``null`` stands for
    no value. A record without the field meets ``!=`` only.

    Raises:
        UpliftlensError: for a condition that isn't one, or a field that no record has, with the nearest one.
    """
    kept = [(record, fields(record)) for record in records]
    conditions = [_condition(item) for item in where]
    require_fields([flat for _, flat in kept], [name for name, _, _ in conditions])
    for condition in conditions:
        _require_order([flat.get(condition[0]) for _, flat in kept], *condition)
        kept = [(record, flat) for record, flat in kept if _holds(flat, *condition)]
    return [record for record, _ in kept]


def once_per_fit(records: Sequence[Record], wanted: Sequence[str]) -> list[Record]:
    """The records, with one finished run for each fit: what was trained once and measured twice is one experiment.

    Kept is the run that has most of the ``wanted`` metrics (the usual ones if empty), the latest of equals.
    """
    names = wanted or DEFAULT_METRICS
    kept: dict[tuple[str, bool], Record] = {}
    for record in sorted(
        records, key=lambda this_record: (sum(name in this_record.metrics for name in names), this_record.created)
    ):
        if record.status == "done":
            kept[record.fit_key, record.trial] = record
    chosen = {id(record) for record in kept.values()}
    return [record for record in records if record.status != "done" or id(record) in chosen]


def asks_for(where: Sequence[str], field: str) -> bool:
    """Whether one of the conditions is on a field."""
    return any(_condition(item)[0] == field for item in where)


def unmet(records: Iterable[Record], where: Sequence[str]) -> list[str]:
    """A sentence for each condition ``FIELD=VALUE`` that no record meets, with the values that there are."""
    flat = [fields(record) for record in records]
    sentences = []
    for name, sign, expected in map(_condition, where):
        if sign == "=" and not any(_holds(item, name, sign, expected) for item in flat):
            values = sorted({text(item.get(name)) for item in flat})
            hint = did_you_mean(expected, values)
            more = f", … ({len(values)} values)" if len(values) > _VALUES else ""
            sentences.append(f"No run has {name}={expected}: {hint}there is: {', '.join(values[:_VALUES])}{more}.")
    return sentences


def require_fields(flat: Sequence[Fields], names: Iterable[str]) -> None:
    """Refuses a field that none of the records has; says nothing where there are no records.

    Raises:
        UpliftlensError: with the nearest name.
    """
    known = {name for item in flat for name in item}
    for name in names:
        if known and name not in known:
            hint = did_you_mean(name, known)
            some = [item for item in (*IDENTITY, "seed", "status", "train.lr", *DEFAULT_METRICS) if item in known]
            raise UpliftlensError(
                f"unknown field '{name}': {hint}there is, for example: {', '.join(some)}; `--format json` shows all"
            )


def _condition(condition: str) -> tuple[str, str, str]:
    """Field, sign and value."""
    match = re.fullmatch(r"([^=<>!]+)(=|!=|<=|>=|<|>)(.*)", condition.strip())
    if match is None:
        raise UpliftlensError(
            f"--where takes FIELD=VALUE (or !=, <, <=, >, >=), not '{condition}': for example model=mf"
        )
    return match[1].strip(), match[2], match[3].strip()


def _require_order(values: Sequence[Any], name: str, sign: str, wanted: str) -> None:
    """Refuses < and > between numbers and what is none: whatever it gave would be no answer."""
    numbers = any(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if sign not in ("=", "!=") and numbers and _number(wanted) is None:
        raise UpliftlensError(f"--where '{name}{sign}{wanted}': {name} is a number and '{wanted}' is none")


def columns(records: Sequence[Record]) -> list[str]:
    """The fields that tell the records apart, in a table's order: identity, configuration, seed.

    ``model`` is always there. A configuration value has a column if it differs between records of one identity:
    that two models have different defaults is no news.
    """
    flat = [fields(record) for record in records]
    identity = [name for name in IDENTITY if name == "model" or _differs(item.get(name) for item in flat)]
    alike: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for record, item in zip(records, flat):
        inside = {name: value for name, value in _flat(record.config, "") if not name.startswith(_UNTOLD)}
        alike.setdefault(tuple(text(item.get(name)) for name in IDENTITY), []).append(inside)
    varying = {
        name: None
        for group in alike.values()
        for name in dict.fromkeys(name for item in group for name in item)
        if _differs(item.get(name) for item in group)
    }
    mine = {"seed", *(f"{name}.name" for name in IDENTITY)}
    seed = ["seed"] if _differs(record.seed for record in records) else []
    return [*identity, *(name for name in varying if name not in mine), *seed]


def protocol(record: Record) -> str:
    """How a run's data were split, whatever the fold and the seed: its split's name and other options."""
    options = {f"split.{name}": value for name, value in record.config.get("split", {}).items()}
    kept = {name: value for name, value in options.items() if name not in REPETITIONS}
    return text({**kept, "split.name": record.split["name"]})


def require_one_experiment(records: Sequence[Record]) -> None:
    """Refuses to pool runs of several data sets or split protocols: user 5 of one is not user 5 of the other.

    Folds and seeds of one split are repetitions.

    Raises:
        UpliftlensError: with the conditions that choose one of them.
    """
    worlds, protocols = {record.data["fingerprint"] for record in records}, {protocol(record) for record in records}
    if len(worlds) == len(protocols) == 1:
        return
    telling = [name for name in columns(records) if name.partition(".")[0] in ("data", "split")]
    first = fields(records[0])
    asked = [name for name in telling if name in first and name not in REPETITIONS]
    if len(worlds) > 1 and not any(name.startswith("data") for name in asked):
        asked.insert(0, "data.fingerprint")
    choice = shlex.join(f"{name}={text(first[name])}" for name in asked)
    raise UpliftlensError(
        f"the runs are of {len(worlds)} data sets and {len(protocols)} ways to split, which must not be averaged: "
        f"choose one, e.g. --where {choice}"
    )


def metric_names(records: Sequence[Record], wanted: Sequence[str]) -> list[str]:
    """The metrics to show: the wanted ones, or the default ones that exist, or whatever the records have.

    Raises:
        UpliftlensError: for a wanted metric that no record has.
    """
    there = list(dict.fromkeys(name for record in records for name in record.metrics))
    for name in wanted:
        if there and name not in there:
            raise unknown("metric", name, there)
    return list(wanted) or default_metrics(there) or there


def text(value: Any) -> str:
    """A value as the user writes it: true, null, [64,32], 0.01."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _flat(content: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _differs(values: Iterable[Any]) -> bool:
    return len({text(value) for value in values}) > 1


def _holds(flat: Fields, name: str, sign: str, wanted: str) -> bool:
    if name not in flat:
        return sign == "!="
    value = flat[name]
    number = _number(wanted)
    left: Any
    right: Any
    if number is not None and isinstance(value, int | float) and not isinstance(value, bool):
        left, right = float(value), number
    elif sign in ("=", "!="):
        same = text(value) == wanted.replace(" ", "") if isinstance(value, list) else text(value) == wanted
        return same == (sign == "=")
    elif value is None:
        return False
    else:
        left, right = text(value), wanted  # dates and names by the alphabet
    return {
        "=": left == right,
        "!=": left != right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }[sign]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

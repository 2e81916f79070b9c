"""Which runs may be pooled: repetitions of one experiment, never several data sets, splits or worlds."""

import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from upliftlens.benchmarks.reports.selection import INTERVAL, MEASURED, columns, differ, fields, measured_as, text
from upliftlens.benchmarks.runs.records import Record
from upliftlens.causal.errors import UpliftlensError

REPETITIONS = ("split.fold", "split.seed")
"""Options of a split that repeat one protocol; its name and its other options define the protocol."""

OF_FOLDS = (
    "Folds share training rows and so vary less than other data would: the interval is widened for it (Nadeau & Bengio "
    "2003) and is mostly too wide. It is about a fit to as many rows as a fold trains on."
)
"""What a reader has to know of an interval over several folds or random splits (``causal.over_runs``)."""

OF_MODEL_ALONE = (
    "is of the trained models alone, and all folds train on the same users: its interval may be much too narrow."
)
"""What a reader has to know of such an interval of a metric that is ``of_model_alone``; its name stands before."""

_WORLD = "diagnostics.semi_world"  # what names a record's semi-synthetic world (benchmarks/worlds/frozen.py)


def protocol(record: Record, metrics: Sequence[str] = ()) -> str:
    """How a run's data were split and measured, apart from fold and seed: the split's name and other options.

    ``metrics``: those that are read, empty for any, see ``measured_as``.
    """
    options = {f"split.{name}": value for name, value in record.config.get("split", {}).items()}
    options |= measured_as(record, metrics)
    options["split.name"] = record.split["name"]
    return text({name: value for name, value in options.items() if name not in REPETITIONS})


def require_one_experiment(records: Sequence[Record], metrics: Sequence[str] = ()) -> None:
    """Refuses to pool runs of several data sets or protocols: user 5 of one is not user 5 of the other.

    Folds and seeds of one split are repetitions. The choice that the error names is that of the first record.

    Raises:
        UpliftlensError: with the conditions that choose one of them; and as ``require_one_version``.
    """
    data_sets = {record.data["fingerprint"] for record in records}
    protocols = {protocol(record, metrics) for record in records}
    if len(data_sets) == len(protocols) == 1:
        return require_one_version(records)
    first = fields(records[0])
    differing = [name for name in columns(records) if name.partition(".")[0] in ("data", "split")]
    chosen = [name for name in differing if name in first and name not in REPETITIONS]
    if len(data_sets) > 1 and not any(name.startswith("data") for name in chosen):
        chosen.insert(0, "data.fingerprint")
    conditions = [f"{name}={text(first[name])}" for name in chosen]
    choice = shlex.join([*conditions, *_measured_alike([measured_as(record, metrics) for record in records])])
    ways = _count(protocols, "way")
    raise UpliftlensError(
        f"the runs are of {_count(data_sets, 'data set')} and {ways} to split or measure, which must not be averaged: "
        f"choose one, e.g. --where {choice}"
    )


def _count(things: Collection[Any], name: str) -> str:
    return f"{len(things)} {name}{'s' * (len(things) != 1)}"


def _measured_alike(ways: Sequence[Mapping[str, Any]]) -> list[str]:
    """Conditions that choose the first of some ``measured_as``; != also finds records that lack the option."""
    conditions = []
    for name in MEASURED:
        if differ(way.get(name) for way in ways):
            others = dict.fromkeys(text(way[name]) for way in ways if name in way)
            chosen = ways[0].get(name)
            conditions += [f"{name}!={other}" for other in others] if chosen is None else [f"{name}={text(chosen)}"]
    return conditions


def require_one_version(records: Sequence[Record]) -> None:
    """Refuses to pool runs whose options name the same rows of the same data, but which were split into others.

    Raises:
        UpliftlensError: with a condition that chooses a version of the split.
    """
    first: dict[str, Record] = {}
    for record in records:
        stated = text([record.data["fingerprint"], *(record.config.get(name) for name in ("split", "propensity"))])
        other = first.setdefault(stated, record)
        if other.split["fingerprint"] != record.split["fingerprint"]:
            raise UpliftlensError(
                f"runs {other.key[:8]} and {record.key[:8]} are of different versions of split={record.split['name']}, "
                f"which must not be averaged: choose one, e.g. --where split.fingerprint={record.split['fingerprint']}"
            )


def require_one_configuration(records: Sequence[Record], method: str) -> None:
    """Refuses to pool runs as a ``method`` that differ in what is learned, or by which code.

    Data, split and ways to measure are checked by ``require_one_experiment``. An option that a record lacks joined
    after it, and differs from no other; nor does an option that a solver does not read.

    Raises:
        UpliftlensError: with conditions that choose the configuration of the first record. They are of the form
            NAME!=VALUE, which keeps the runs of methods that have no such option.
    """
    names = [name for name in columns(records) if name.partition(".")[0] not in ("data", "split", "metrics", "seed")]
    names = [name for name in names if name not in (*MEASURED, "model.file")]  # what that file holds: source
    if all(record.loss is None for record in records):
        from upliftlens.benchmarks.runs.compatible import unread  # it takes its time, and few listings need it

        names = [name for name in names if name not in unread(names)]
    flat, several = [fields(record) for record in records], dict[str, list[Any]]()
    for name in (*names, "diagnostics.model.version"):
        values: list[Any] = []
        for value in (each[name] for each in flat if name in each):
            if value not in values:  # 1 and 1.0 are the same
                values.append(value)
        if len(values) > 1:
            several[name] = values
    if several:
        what = "; ".join(f"{name} is {' or '.join(map(text, values))}" for name, values in several.items())
        choice = shlex.join(f"{name}!={text(value)}" for name, values in several.items() for value in values[1:])
        raise UpliftlensError(
            f"'{method}' means runs of several configurations, which are not one method ({what}): choose one, e.g. "
            f"--where {choice}"
        )


def require_one_interval(records: Sequence[Record]) -> None:
    """Refuses runs with different options of the interval: which of them counted would depend on the runs' order.

    Raises:
        UpliftlensError: with a condition that chooses the first.
    """
    first = fields(records[0])
    for record, flat in ((record, fields(record)) for record in records):
        for name in INTERVAL:
            if flat.get(name) != first.get(name):
                raise UpliftlensError(
                    f"runs {records[0].key[:8]} and {record.key[:8]} have different intervals ({name} is "
                    f"{text(first.get(name))} and {text(flat.get(name))}): run them again with the same, nothing is "
                    f"trained anew, or choose one, e.g. --where {name}={text(first.get(name))}"
                )


def require_one_world(records: Sequence[Record], metrics: Sequence[str]) -> None:
    """Refuses to pool values of ``metrics`` that are measured in different semi-synthetic worlds (``/semi``).

    Raises:
        UpliftlensError: as ``mixed_worlds`` says.
    """
    if mixed := mixed_worlds(records, metrics):
        raise UpliftlensError(mixed)


def mixed_worlds(records: Sequence[Record], metrics: Sequence[str]) -> str | None:
    """Why values of metrics ``/semi`` don't belong together, with a condition that chooses a world; None if they do.

    They do if their worlds have one definition, and those of one split also the same effects. Records from before
    worlds were named have a definition only.
    """
    names, measured = _in_worlds(records, metrics)
    flat = [fields(record) for record in measured]
    options = dict.fromkeys(name for each in flat for name in each if name.startswith("metrics.world."))
    candidates = [(name, flat) for name in (*options, f"{_WORLD}.version")]
    splits = dict.fromkeys(record.split["fingerprint"] for record in measured)
    candidates += [(f"{_WORLD}.effects", [each for each in flat if each["split.fingerprint"] == at]) for at in splits]
    for name, among in candidates:
        values = [each[name] for each in among if name in each]
        if differ(values):
            return (
                f"{', '.join(names)}: the runs are measured in different semi-synthetic worlds, whose values can't be "
                f"compared or averaged: choose one, e.g. --where {shlex.quote(f'{name}={text(values[0])}')}"
            )
    return None


def of_worlds(records: Sequence[Record], metrics: Sequence[str]) -> list[str]:
    """Sentences on the semi-synthetic worlds behind values of metrics ``/semi`` that stand beside each other."""
    names, measured = _in_worlds(records, metrics)
    sentences = [mixed] if (mixed := mixed_worlds(records, metrics)) else []
    if (n := len({record.split["fingerprint"] for record in measured})) > 1:
        sentences.append(f"{', '.join(names)}: a world is fitted to each split, so the values are of {n} worlds.")
    if unnamed := sum("semi_world" not in record.diagnostics for record in measured):
        sentences.append(
            f"{', '.join(names)}: {unnamed} of {len(measured)} records don't name their world: it may be another one."
        )
    return sentences


def _in_worlds(records: Sequence[Record], metrics: Sequence[str]) -> tuple[list[str], list[Record]]:
    """Those of the metrics that are measured in a semi-synthetic world, and the records that have one of them."""
    names = [name for name in metrics if name.endswith("/semi")]
    return names, [record for record in records if any(name in record.metrics for name in names)]

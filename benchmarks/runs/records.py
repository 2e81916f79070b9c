"""The record of a run, and its JSON."""

import hashlib
import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from upliftlens.causal.intervals import Summary

SCHEMA = 1

Status = Literal["done", "failed", "running"]


class Failure(NamedTuple):
    """Why a run failed: the exception's class, its message, and the file with the traceback."""

    type: str
    message: str
    traceback: str | None = None


@dataclass(frozen=True)
class Record:
    """One run, as it is stored.

    ``key``         names training and evaluation
    ``fit_key``     names the training alone: runs that differ in their metrics only share a fit
    ``config``      the resolved configuration
    ``data``        {name, fingerprint}; ``split``  {name, fingerprint, leak: the leak report}
    ``loss``        None for a model that brings its own learning rule
    ``metrics``     by name, e.g. ``recall@10``: value, interval, and the number of users behind it; NaN where undefined
    ``timing``      seconds, by stage: prepare, compile, train, evaluate, total
    ``peak_memory`` bytes of the process
    ``environment`` see ``benchmarks.system.environment.collect``: provenance, not part of the key
    ``epochs``      one row per epoch; ``diagnostics``  whatever a method reports about itself
    ``created``, ``finished``  UTC, ISO 8601
    ``sweep``       the name of the sweep that computed it, or None
    ``sweeps``      of all sweeps of the store that it belongs to; not part of the file
    ``per_user_checksum``  of the file with the sums behind the metrics, as it was stored with the record; None: of a
                    record from before there was one
    """

    key: str
    fit_key: str
    status: Status
    config: Mapping[str, Any]
    data: Mapping[str, Any]
    split: Mapping[str, Any]
    model: str
    loss: str | None
    objective: str
    seed: int
    environment: Mapping[str, Any]
    created: str
    metrics: Mapping[str, Summary] = field(default_factory=dict)
    timing: Mapping[str, float] = field(default_factory=dict)
    peak_memory: int | None = None
    epochs: tuple[Mapping[str, Any], ...] = ()
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    error: Failure | None = None
    finished: str | None = None
    sweep: str | None = None
    sweeps: tuple[str, ...] = field(default=(), compare=False)
    per_user_checksum: str | None = field(default=None, compare=False)

    @property
    def trial(self) -> bool:
        """Whether it is a trial of a search: scored on validation rows, and never shown the test set."""
        return bool(self.config.get("trial"))


OF_THE_PROCESS = frozenset(
    ("store", "cache", "progress", "group", "budget", "tune_seed", "logger", "hydra", "model.space", "metrics.block")
)
"""Options that say where a run is kept, how it was searched for or computed; no result depends on them."""


def stored_otherwise(record: Record, config: Mapping[str, Any], aside: Collection[str] = ()) -> list[str]:
    """``OPTION=VALUE`` of a record for each option that ``config`` states otherwise, though the key is the same.

    ``aside``: sections that are not compared.
    """
    left_out = OF_THE_PROCESS.union(aside)

    def differing(ours: Mapping[str, Any], theirs: Mapping[str, Any], prefix: str) -> Iterator[str]:
        for name in ours.keys() & theirs.keys():
            path, mine, kept = f"{prefix}{name}", ours[name], theirs[name]
            if path in left_out or mine == kept:
                continue
            if isinstance(mine, Mapping) and isinstance(kept, Mapping):
                yield from differing(mine, kept, f"{path}.")
            else:
                yield f"{path}={kept if isinstance(kept, str) else json.dumps(kept)}"

    return sorted(differing(_plain(config, infinite=True), record.config, ""))


def now() -> str:
    """The current time, UTC, ISO 8601 with microseconds, by which records are sorted."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def to_json(record: Record) -> dict[str, Any]:
    """The record as strict JSON: NaN and infinity become null, but inside ``config`` infinity stays, as "inf"."""
    fields = {
        name: value for name, value in vars(record).items() if name not in ("config", "metrics", "error", "sweeps")
    }
    return {
        "schema": SCHEMA,
        **plain(fields),
        "config": _plain(record.config, infinite=True),
        "metrics": {name: plain(metric._asdict()) for name, metric in record.metrics.items()},
        "error": None if record.error is None else record.error._asdict(),
    }


_READ = (("data", "name"), ("data", "fingerprint"), ("split", "name"), ("split", "fingerprint"))
"""Entries that every reader of a record relies on."""


def from_json(content: Mapping[str, Any]) -> Record:
    """The record behind ``to_json``; a metric's null becomes NaN.

    Raises:
        ValueError: if it is no record, or one of a newer schema.
    """
    try:
        if content["schema"] > SCHEMA:
            raise ValueError(f"schema {content['schema']} is newer than this Upliftlens reads ({SCHEMA}): upgrade it")
        fields = {name: value for name, value in content.items() if name != "schema"}
        metrics = {name: _summary(**summary) for name, summary in content["metrics"].items()}
        if missing := [f"{part}.{name}" for part, name in _READ if name not in content[part]]:
            raise KeyError(missing[0])
        error = None if content["error"] is None else Failure(**content["error"])
        return Record(**{**fields, "metrics": metrics, "error": error, "epochs": tuple(content["epochs"])})
    except (KeyError, TypeError, AttributeError) as cause:
        raise ValueError(f"not a record of a run: {type(cause).__name__}: {cause}") from cause


def plain(content: Any) -> Any:
    """Plain data for strict JSON: NumPy scalars and arrays, paths and tuples converted, NaN and infinity as null.

    Raises:
        TypeError: for anything else.
    """
    return _plain(content, infinite=False)


def sealed(content: Mapping[str, Any]) -> bytes:
    """Plain data as a JSON file with a checksum of it, which ``unsealed`` reads."""
    return dumps({**content, "checksum": _checksum(content)}).encode()


def unsealed(data: bytes) -> Any:
    """The content of a file that ``sealed`` wrote, or of one from before files were sealed.

    Raises:
        ValueError: if it is no JSON, holds NaN or infinity, or is not what was written.
    """
    content = json.loads(data, parse_constant=_refuse_constant)
    if isinstance(content, dict) and content.pop("checksum", None) not in (None, _checksum(content)):
        raise ValueError("its checksum differs: the file was changed or damaged after it was written")
    return content


def _checksum(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"it holds {name}, which no record does")


def dumps(content: Any) -> str:
    """Strict, indented JSON text."""
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)


def _summary(value: float | None, lo: float | None, hi: float | None, n: int) -> Summary:
    value, lo, hi = (math.nan if number is None else float(number) for number in (value, lo, hi))
    return Summary(value, lo, hi, n)


def _plain(value: Any, infinite: bool) -> Any:
    match value:
        case np.generic() | np.ndarray():
            return _plain(value.tolist(), infinite)
        case float() if not math.isfinite(value):
            return str(value) if infinite and math.isinf(value) else None
        case Mapping():
            return {str(name): _plain(part, infinite) for name, part in value.items()}
        case list() | tuple():
            return [_plain(part, infinite) for part in value]
        case Path():
            return str(value)
        case None | bool() | int() | float() | str():
            return value
        case _:
            raise TypeError(f"a record holds plain data, not {type(value).__name__}: {value!r}")


DEFAULT_METRICS = ("rmse", "recall@10", "ndcg@10", "cp@10", "uplift@10/snips", "cp@10/semi")


def default_metrics(available: Collection[str]) -> list[str]:
    """The default metrics among the available ones, each followed by its debiased estimates (``rmse/snips`` …)."""
    shown = []
    for default in DEFAULT_METRICS:
        shown += [name for name in (default, *available) if f"{name}/".startswith(f"{default}/") and name in available]
    return list(dict.fromkeys(shown))

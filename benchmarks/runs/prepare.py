"""A plan with its data: loaded, split, keyed, and cut into what a method may see."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, is_dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from upliftlens.benchmarks.data import load
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.metrics.metric import SECTIONS
from upliftlens.benchmarks.metrics.registry import choose, sections_read
from upliftlens.benchmarks.propensities.diagnostics import verdict
from upliftlens.benchmarks.propensities.exposure import Exposure, expose, identity, without_sample
from upliftlens.benchmarks.runs.compatible import check_candidates, check_exposure
from upliftlens.benchmarks.runs.plan import Plan, fit_identity
from upliftlens.benchmarks.splits.kinds import Split, split
from upliftlens.benchmarks.splits.uplift_parts import (
    consumed,
    estimated_without_test,
    estimates_anew,
    fitted_rows,
    recommendations,
    uplift_part,
)
from upliftlens.benchmarks.system.keys import canonical_key
from upliftlens.benchmarks.system.talk import Reporter, say_once
from upliftlens.causal.interactions import Interactions, padded
from upliftlens.causal.options import identity_of
from upliftlens.models.contract import TrainingData

# Logs are padded to a multiple of this: folds that differ by a few rows share a program. It changes no number.
_CAPACITY_STEP = 1024


class Prepared(NamedTuple):
    """A plan with its data: what is trained on, what is tested on, and the keys of both.

    ``seedless_key``: that of the fit without its seed, which names all fits of a method without randomness.
    """

    dataset: Dataset
    split: Split
    fit_key: str
    key: str
    seedless_key: str


def prepare(plan: Plan, reporter: Reporter) -> Prepared:
    """Loads and splits the data (once per process for equal configurations) and derives the run's keys.

    Says once per process what repeated pairs do to the split (``LeakReport.repeats``).

    Raises:
        UpliftlensError: if the data can't be loaded or split, or don't go together with the plan.
    """
    dataset, parts, _ = _data(_source(plan.data), plan.split, plan.propensity, plan.cache, reporter.say)
    check_exposure(dataset.name, dataset.has_treatments, plan.weighted, plan.needs)  # a plugin's data, only now
    if plan.metrics.uplift is not None:
        check_candidates(dataset.name, dataset.has_treatments, plan.metrics.uplift.candidates)
    return Prepared(dataset, parts, *keys(plan, dataset.fingerprint, parts.fingerprint, dataset.has_treatments))


def keys(plan: Plan, data: str, split: str, treated: bool) -> tuple[str, str, str]:
    """The keys of a plan's fit and run on data and a split with these fingerprints, and the seedless key; nothing is
    loaded.

    ``treated``: whether the log says what was recommended.
    """
    fitted = {"data": data, "split": split, **fit_identity(plan)}
    uplift = None if plan.metrics.uplift is None else identity_of(plan.metrics.uplift)
    if treated and uplift is not None:  # uplift on validation rows selects the model
        fitted["uplift"] = {name: value for name, value in uplift.items() if name != "candidates"}  # those of the test
    fit_key = canonical_key(fitted)
    versions = {chosen.name: chosen.code for chosen in map(choose, plan.metrics.names)}
    metrics = asdict(plan.metrics) | {
        "block": None,
        "interval": identity_of(plan.metrics.interval),
        "uplift": uplift,
    }
    measured: dict[str, Any] = {} if plan.trial else {"metrics": metrics, "versions": versions}
    for section in SECTIONS.keys() - sections_read(plan.metrics.names) if measured else ():
        del measured["metrics"][section]  # read by none of them
    if plan.weighted and measured:
        measured["propensity"] = identity(plan.propensity)
        if plan.propensity.held_out:
            measured["held_out"] = plan.propensity.held_out  # for the record's diagnostics; the fit is the same
    seedless = canonical_key({**fitted, "seed": None})
    return fit_key, canonical_key({"fit": fit_key, **measured}), seedless


def training_data(prepared: Prepared, refit: bool) -> TrainingData:
    """What a method may see, on the host: training rows, with ``refit`` also the validation rows, in one shape."""
    dataset, parts = prepared.dataset, prepared.split
    most = fitted_rows(parts)
    rows = most if refit else consumed(parts.train)
    log = padded(rows, _capacity(len(most)))
    log = replace(log, time=None, treated=None, propensity=None)
    logged = uplift_part(parts, "fit" if refit else "training")
    most_logged = len(parts.train) + (0 if parts.leak.redrawn else len(parts.validation))
    relevant = log.value >= dataset.relevance if dataset.feedback == "explicit" else np.ones(len(log), bool)
    features: tuple[Any, Any] = (dataset.user_features.matrix, dataset.item_features.matrix)
    return TrainingData(
        log,
        (relevant & (log.weight > 0)).astype(np.float32),
        *features,
        dataset.scale,
        None if logged is None else recommendations(logged, _capacity(most_logged)),
    )


def _capacity(n: int) -> int:
    return -(-n // _CAPACITY_STEP) * _CAPACITY_STEP


def exposure(plan: Plan, reporter: Reporter) -> Exposure | None:
    """The plan's propensity, or None; fitted, and its verdict said, once per process for equal configurations.

    Raises:
        UpliftlensError: if the data lack what it needs.
    """
    if not plan.weighted:
        return None
    return _exposure(_source(plan.data), plan.split, plan.propensity, plan.cache, reporter.say)


class _Source(NamedTuple):
    """Options of data, and a stamp of each file of the user's that they name: an edited file is read again."""

    options: Any
    stamps: tuple[tuple[str, int, int], ...]


def _source(options: Any) -> _Source:
    return _Source(options, tuple(_stamps(options)))


def _stamps(options: Any) -> Iterator[tuple[str, int, int]]:
    """(path, time of the last change in ns, bytes) of the files that options name, and of those in such folders."""
    for value in vars(options).values() if is_dataclass(options) else ():
        if is_dataclass(value):
            yield from _stamps(value)
        elif isinstance(value, str | Path) and str(value):
            path = Path(value).expanduser()
            with suppress(OSError):  # what can't be read is said where it is read
                for file in sorted(path.iterdir()) if path.is_dir() else [path]:
                    stat = file.stat()
                    yield str(file), stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=4)
def _exposure(data: _Source, split_config: Any, propensity: Any, cache: Any, say: Callable[[str], None]) -> Exposure:
    dataset, parts, mar = _data(data, split_config, propensity, cache, say)
    truth = dataset.world.propensity if propensity.name == "oracle" and dataset.world else None
    exposed = expose(propensity, dataset, parts, mar, truth)
    say(verdict(exposed.diagnostics))
    return exposed


@lru_cache(maxsize=4)
def _data(
    data: _Source, split_config: Any, propensity: Any, cache: Any, say: Callable[[str], None]
) -> tuple[Dataset, Split, Interactions | None]:
    dataset, parts = _split(data, split_config, cache, say)
    rest, sample = without_sample(dataset, parts, propensity)
    if taken := len(parts.test) - len(rest.test):
        rows = f"{taken:,} of {len(parts.test):,} test rows"
        say_once(f"{dataset.name}: propensity={propensity.name} takes {rows} as its sample: they do not test", say)
    return dataset, rest, sample


@lru_cache(maxsize=4)
def _split(data: _Source, split_config: Any, cache: Any, say: Callable[[str], None]) -> tuple[Dataset, Split]:
    dataset = _load(data, cache, say)
    parts = split(dataset, split_config)
    for repeat in parts.leak.repeats():
        say_once(f"{dataset.name}, split {parts.name}: {repeat}", say)
    if estimates_anew(dataset, data.options):
        dataset, parts = estimated_without_test(dataset, parts, data.options)
        say_once(f"{dataset.name}, split {parts.name}: the run's propensities are estimated without its test rows", say)
    return dataset, parts


@lru_cache(maxsize=2)
def _load(data: _Source, cache: Any, say: Callable[[str], None]) -> Dataset:
    return load(data.options, cache, say)

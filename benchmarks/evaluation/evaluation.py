"""The result of an evaluation: per-user sums of every metric, values with intervals, and why a value is absent."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.causal.crossed import Crossed
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.intervals import (
    Resampling,
    Statistic,
    Summary,
    informative,
    interval,
    replicates,
    value,
)
from upliftlens.causal.over_runs import Source, numbered


class Repetition(NamedTuple):
    """Which repetition of an experiment a run is: its ``split`` by fingerprint, and ``other``, e.g. its seed.

    ``tested``: its test rows over its training rows (with those of validation).
    """

    split: str
    other: Hashable
    tested: float


class Evaluation(NamedTuple):
    """One trained method on one test set.

    ``users`` i32[U]: indices of the users with test rows. ``statistics[name].sums`` f64[U, S] are kept per user.
    ``summaries[name]``: the value and its interval over users; n is the number of users for whom it is defined.
    ``absent[name]``: why a metric that was asked for has no value. ``counts``: users, users_without_relevant,
    test_pairs, cold_test_pairs (no row of the user, or of the item, was trained on), relevant_pairs, seen_test_pairs
    (also seen in training, kept as candidates). ``random``: whether another seed would have given another fit
    (``Method.random``). ``repetition``: None where it is not known: then it counts as independent of other runs.
    """

    users: np.ndarray
    statistics: dict[str, Statistic]
    summaries: dict[str, Summary]
    absent: dict[str, str]
    counts: dict[str, int]
    random: bool = True
    repetition: Repetition | None = None


def summaries(statistics: Mapping[str, Statistic], resampling: Resampling) -> dict[str, Summary]:
    """Value and interval of each metric of one run; all are computed on the same resamples."""
    if not statistics:
        return {}
    replicated, _ = replicates(list(statistics.values()), resampling)
    out = {}
    for (name, statistic), row in zip(statistics.items(), replicated, strict=True):
        n = int(informative(statistic).sum())
        out[name] = interval(value(statistic), row, n, resampling.level, choose(name).metric.limits)
    return out


def sources_of(runs: Sequence[Evaluation], metric: str) -> tuple[Source, ...]:
    """Over what the runs of a method vary, for ``causal.over_runs.pooled``: folds where they have several splits, and
    seeds within folds. Empty where they have one split: then each is independent of the others."""
    known = [run.repetition for run in runs if run.repetition is not None]
    if len(known) < len(runs) or len({each.split for each in known}) == 1:
        return ()
    tested = float(np.mean([each.tested for each in known]))
    fold = numbered([each.split for each in known])
    folds = Source(fold, 1 / tested if choose(metric).metric.of_model_alone else tested)
    return (folds, Source(numbered([each.other for each in known]))) if len(set(fold)) < len(runs) else (folds,)


def statistic_of(evaluation: Evaluation, name: str) -> Statistic:
    """The per-user sums of a metric.

    Raises:
        UpliftlensError: if the evaluation lacks it, with the reason.
    """
    if name not in evaluation.statistics:
        reason = evaluation.absent.get(
            name, "it wasn't among metrics.names: run it again with it, nothing is trained anew"
        )
        raise UpliftlensError(f"a run has no {name}: {reason}")
    return evaluation.statistics[name]


def to_arrays(evaluation: Evaluation) -> dict[str, np.ndarray]:
    """``users`` and every metric's sums as plain arrays, for ``numpy.savez``; a sparse matrix becomes its arrays."""
    arrays = {"users": evaluation.users}
    for name, statistic in evaluation.statistics.items():
        if isinstance(statistic.sums, np.ndarray):
            arrays[name] = statistic.sums
        else:
            parts = ("data", "indices", "indptr", "shape")
            arrays |= {f"{name}:{part}": np.asarray(getattr(statistic.sums, part)) for part in parts}
        if statistic.crossed is not None:
            arrays |= {f"{name}:{part}": array for part, array in statistic.crossed._asdict().items()}
    return arrays


def from_arrays(arrays: Mapping[str, np.ndarray], diagnostics: Mapping[str, Any]) -> Evaluation:
    """The evaluation of a finished run, from the arrays that ``to_arrays`` wrote and the record's diagnostics.

    Reductions are those of today's metrics; the summaries are in the record. A record without
    ``random`` (an old one) counts as that of a random method, the more cautious reading.
    """
    units = arrays["users"].astype(np.int64)
    statistics = {}
    for key in arrays:
        name, _, part = key.partition(":")
        if key == "users" or part not in ("", "data"):
            continue
        sums: np.ndarray | sparse.csr_array = arrays[key]
        if part:
            csr = tuple(arrays[f"{name}:{part}"] for part in ("data", "indices", "indptr"))
            sums = sparse.csr_array(csr, shape=tuple(arrays[f"{name}:shape"]))
        metric, crossed = choose(name).metric, None
        if f"{name}:item" in arrays:
            item, total, fixed = (arrays[f"{name}:{part}"] for part in ("item", "total", "fixed"))
            # Records from before all items were kept have those with sums.
            crossed = Crossed(item, total, fixed, arrays.get(f"{name}:items", np.unique(item)))
        statistics[name] = Statistic(units, sums, metric.reduce, metric.without, crossed)
    absent, random = diagnostics.get("absent", {}), diagnostics.get("random", True)
    return Evaluation(arrays["users"], statistics, {}, absent, {}, random)

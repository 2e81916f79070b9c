"""The parts of a split as logs of recommendations: the rows that uplift is learned and measured on."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import jax
import numpy as np

from upliftlens.benchmarks.data.config import UpliftLogConfig
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.data.recommendations import estimated
from upliftlens.benchmarks.splits.kinds import Part, Split
from upliftlens.causal.effects.treatment import without_overlap
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions, padded, take
from upliftlens.models.contract import TrainingData


def consumed(rows: Interactions) -> Interactions:
    """The rows that are interactions: in a log of recommendations those with an outcome above 0, else all."""
    return rows if rows.treated is None else take(rows, rows.value > 0)


def fitted_rows(parts: Split) -> Interactions:
    """The rows that the last fit learns from: those of ``parts.fit``, or the training draw alone where redrawn."""
    return consumed(_fit(parts))


def _fit(parts: Split) -> Interactions:
    return parts.train if parts.leak.redrawn else parts.fit


def uplift_part(parts: Split, part: Part) -> Interactions | None:
    """One part of a split of a log of recommendations, all rows of it; None for other logs.

    Of redrawn parts, "fit" is the training draw alone.
    """
    if parts.train.treated is None:
        return None
    return (
        _fit(parts)
        if part == "fit"
        else {"training": parts.train, "validation": parts.validation}.get(part, parts.test)
    )


ESTIMATE = 1  # bumped whenever ``estimated_without_test`` gives other numbers


def estimates_anew(dataset: Dataset, options: Any) -> bool:
    """Whether a run estimates propensities: on a user's log that records none. A plugin's propensities are kept."""
    return isinstance(options, UpliftLogConfig) and dataset.estimated


def estimated_without_test(dataset: Dataset, parts: Split, options: UpliftLogConfig) -> tuple[Dataset, Split]:
    """The data set with propensities estimated from training and validation rows alone, and the split with a new
    fingerprint.

    The treatments of the test rows enter no weight of a fit. Test rows get the predictions of the same model, which
    gives a user or an item that occurs in test rows alone the average parameters. The data set keeps its fingerprint;
    that of the split covers ``ESTIMATE``, so that runs with other propensities are neither reused nor compared.

    Raises:
        UpliftlensError: if the other rows are not enough to estimate them.
    """
    assert parts.test_rows is not None, "a user's log has its test rows in it"
    fitted = np.ones(len(dataset.log), bool)
    fitted[parts.test_rows] = False
    where = f"{dataset.name} without the test rows of split {parts.name}"
    log = replace(dataset.log, propensity=estimated(dataset.log, fitted, options, where))
    fingerprint = sha256(f"{parts.fingerprint}\npropensities without test rows {ESTIMATE}\n".encode()).hexdigest()
    train, validation = take(log, parts.train_rows), take(log, parts.validation_rows)
    test = take(log, parts.test_rows)
    return (
        replace(dataset, log=log),
        replace(parts, train=train, validation=validation, test=test, fingerprint=fingerprint),
    )


def described(log: Interactions, fitted: bool) -> dict[str, int | str]:
    """A tested log in a record: its rows, treated rows, rows without overlap, and the source of its propensities."""
    return {
        "rows": len(log),
        "treated": int(np.count_nonzero(log.treated)),
        "without_overlap": int(without_overlap(log).sum()),
        "propensities": "estimated" if fitted else "recorded",
    }


def recommendations(log: Interactions, capacity: int) -> Interactions:
    """The log for a method, on the host: sorted by user, filled up to ``capacity`` rows with rows of weight 0.

    Its propensities are f32, in which those below 1 stay below 1; times are left out.
    """
    done = np.asarray(log.propensity)
    below = np.nextafter(np.float32(1), np.float32(0))
    done = np.where(done < 1, np.minimum(done.astype(np.float32), below), np.float32(1))
    return padded(replace(log, time=None, propensity=done), capacity)


def logged(data: TrainingData) -> Interactions:
    """The log of recommendations that a method trains on, on the host, with the rows of ``data.recommendations``.

    Raises:
        UpliftlensError: if the data have none.
    """
    if data.recommendations is None:
        raise UpliftlensError("the data do not say what was recommended")
    rows = jax.tree.map(np.asarray, data.recommendations)
    return take(rows, slice(np.count_nonzero(rows.weight)))  # padding comes last

"""The parts of a split as logs of recommendations: the rows that uplift is learned and measured on."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np

from upliftlens.benchmarks.data.config import UpliftLogConfig
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.data.recommendations import estimated
from upliftlens.benchmarks.splits.kinds import Part, Split
from upliftlens.causal.effects.treatment import UpliftLog
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions, take
from upliftlens.models.contract import Recommendations, TrainingData


def consumed(dataset: Dataset, rows: Interactions) -> Interactions:
    """The rows that are interactions: in a log of recommendations those with an outcome above 0, else all."""
    return rows if dataset.treatment is None else take(rows, rows.value > 0)


def fitted_rows(dataset: Dataset, parts: Split) -> Interactions:
    """The rows that the last fit learns from: those of ``parts.fit``, or the training draw alone where redrawn."""
    return consumed(dataset, parts.train if parts.leak.redrawn else parts.fit)


def uplift_part(dataset: Dataset, parts: Split, part: Part) -> UpliftLog | None:
    """One part of a split as a log of recommendations; None where the data set doesn't say what was recommended.

    Of redrawn parts, "fit" is the training draw alone.
    """
    if dataset.treatment is None:
        return None
    train, validation, test = parts.train_rows, parts.validation_rows, parts.test_rows
    if part == "test" and test is None:
        assert dataset.test is not None and dataset.test_treatment is not None
        return dataset.test_treatment.of(dataset.test)
    fit = train if parts.leak.redrawn else np.concatenate([train, validation])
    rows = {"fit": fit, "training": train, "validation": validation}.get(part, test)
    assert rows is not None
    return dataset.treatment.of(dataset.log).take(rows)


ESTIMATE = 1  # bumped whenever ``estimated_without_test`` gives other numbers


def estimates_anew(dataset: Dataset, options: Any) -> bool:
    """Whether a run estimates propensities: on a user's log that records none. A plugin's propensities are kept."""
    return isinstance(options, UpliftLogConfig) and dataset.treatment is not None and dataset.treatment.estimated


def estimated_without_test(dataset: Dataset, parts: Split, options: UpliftLogConfig) -> tuple[Dataset, Split]:
    """The data set with propensities estimated from training and validation rows alone, and the split with a new
    fingerprint.

    The treatments of the test rows enter no weight of a fit. Test rows get the predictions of the same model, which
    gives a user or an item that occurs in test rows alone the average parameters. The data set keeps its fingerprint;
    that of the split covers ``ESTIMATE``, so that runs with other propensities are neither reused nor compared.

    Raises:
        UpliftlensError: if the other rows are not enough to estimate them.
    """
    assert dataset.treatment is not None and parts.test_rows is not None
    fitted = np.ones(len(dataset.log), bool)
    fitted[parts.test_rows] = False
    where = f"{dataset.name} without the test rows of split {parts.name}"
    propensity = estimated(dataset.log, dataset.treatment.treated, fitted, options, where)
    fingerprint = sha256(f"{parts.fingerprint}\npropensities without test rows {ESTIMATE}\n".encode()).hexdigest()
    return (
        replace(dataset, treatment=dataset.treatment._replace(propensity=propensity)),
        replace(parts, fingerprint=fingerprint),
    )


def described(log: UpliftLog, dataset: Dataset) -> dict[str, int | str]:
    """A tested log in a record: its rows, treated rows, rows without overlap, and the source of its propensities."""
    assert dataset.treatment is not None
    outside = (log.propensity <= 0) | (log.propensity >= 1)
    return {
        "rows": len(log),
        "treated": int(log.treated.sum()),
        "without_overlap": int(outside.sum()),
        "propensities": "estimated" if dataset.treatment.estimated else "recorded",
    }


def recommendations(log: UpliftLog, capacity: int) -> Recommendations:
    """The log for a method, on the host: sorted by user, filled up to ``capacity`` rows with rows of weight 0."""
    order, missing = np.argsort(log.user, kind="stable"), capacity - len(log)

    def column(values: np.ndarray, kind: type) -> Any:
        return np.pad(values[order].astype(kind), (0, missing))

    return Recommendations(
        user=column(log.user, np.int32),
        item=column(log.item, np.int32),
        treated=column(log.treated, np.float32),
        outcome=column(log.outcome, np.float32),
        propensity=column(log.propensity, np.float32),
        weight=column(np.ones(len(log)), np.float32),
    )


def logged(data: TrainingData) -> UpliftLog:
    """The log of recommendations that a method trains on, on the host, with the rows of ``data.recommendations``.

    Raises:
        UpliftlensError: if the data have none.
    """
    rows = data.recommendations
    if rows is None:
        raise UpliftlensError("the data do not say what was recommended")
    n = np.count_nonzero(np.asarray(rows.weight))  # padding comes last
    user, item, treated, outcome, propensity = (
        np.asarray(column)[:n] for column in (rows.user, rows.item, rows.treated, rows.outcome, rows.propensity)
    )
    return UpliftLog(user, item, treated > 0, outcome, propensity, data.n_users, data.n_items)

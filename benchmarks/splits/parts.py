"""Logs of recommendations in a run: what counts as seen, and the rows that uplift is learned and measured on."""

from dataclasses import replace
from hashlib import sha256
from typing import Any, Literal

import numpy as np

from upliftlens.benchmarks.data.config import UpliftLogConfig
from upliftlens.benchmarks.data.dataset import Dataset, Treatment
from upliftlens.benchmarks.data.recommendations import estimated
from upliftlens.benchmarks.splits.kinds import Split
from upliftlens.causal.effects.treatment import UpliftLog
from upliftlens.causal.interactions import Interactions, concatenate, take
from upliftlens.models.contract import Recommendations, TrainingData

Part = Literal["train", "validation", "fitted", "test"]
"""``fitted`` is training and validation rows together, or the training draw alone where the parts are redrawn."""


def consumed(dataset: Dataset, rows: Interactions) -> Interactions:
    """The rows that are interactions: in a log of recommendations those with an outcome above 0, else all."""
    return rows if dataset.treatment is None else take(rows, rows.value > 0)


def fitted_rows(dataset: Dataset, parts: Split) -> Interactions:
    """What has been seen by the time of the test: training and validation rows, or the training draw alone."""
    return consumed(dataset, parts.train if parts.leak.redrawn else concatenate(parts.train, parts.validation))


def uplift_part(dataset: Dataset, parts: Split, part: Part) -> UpliftLog | None:
    """One part of a split as a log of recommendations; None where the data set doesn't say what was recommended."""
    if dataset.treatment is None:
        return None
    if part == "test" and parts.test_rows is None:
        assert dataset.test is not None and dataset.test_treatment is not None
        return _log(dataset.test, dataset.test_treatment, slice(None))
    rows = {"train": parts.train_rows, "validation": parts.validation_rows, "test": parts.test_rows}.get(part)
    if rows is None:
        both = (parts.train_rows,) if parts.leak.redrawn else (parts.train_rows, parts.validation_rows)
        rows = np.concatenate(both)
    return _log(dataset.log, dataset.treatment, rows)


ESTIMATE = 1  # bumped whenever ``estimated_without_test`` gives other numbers


def estimates_anew(dataset: Dataset, options: Any) -> bool:
    """Whether a run estimates propensities: on a user's log that records none. A plugin answers for its own."""
    return isinstance(options, UpliftLogConfig) and dataset.treatment is not None and dataset.treatment.estimated


def estimated_without_test(dataset: Dataset, parts: Split, options: UpliftLogConfig) -> tuple[Dataset, Split]:
    """The data set with propensities estimated from training and validation rows alone, and the split that says so.

    Who was recommended what in the test rows enters no weight of a fit. Those rows get what the same model predicts
    for them: a user (an item) that only they know counts as an average one. The data set keeps its fingerprint; that
    of the split covers ``ESTIMATE``, so that runs with other propensities are neither found again nor compared.

    Raises:
        UpliftlensError: if the other rows are not enough to estimate them.
    """
    assert dataset.treatment is not None and parts.test_rows is not None
    fitted = np.ones(len(dataset.log), bool)
    fitted[parts.test_rows] = False
    where = f"{dataset.name} without the test rows of split {parts.name}"
    mine = estimated(dataset.log, dataset.treatment.treated, fitted, options, where)
    fingerprint = sha256(f"{parts.fingerprint}\npropensities without test rows {ESTIMATE}\n".encode()).hexdigest()
    return (
        replace(dataset, treatment=dataset.treatment._replace(propensity=mine)),
        replace(parts, fingerprint=fingerprint),
    )


def described(log: UpliftLog, dataset: Dataset) -> dict[str, int | str]:
    """What a record says of a tested log: rows, treated rows, rows without overlap, where propensities come from."""
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
    """The log of recommendations that a method is shown, on the host; row for row ``data.recommendations``.

    Raises:
        ValueError: if the data have none.
    """
    rows = data.recommendations
    if rows is None:
        raise ValueError("the data do not say what was recommended")
    n = np.count_nonzero(np.asarray(rows.weight))  # padding comes last
    user, item, treated, outcome, propensity = (
        np.asarray(column)[:n] for column in (rows.user, rows.item, rows.treated, rows.outcome, rows.propensity)
    )
    return UpliftLog(user, item, treated > 0, outcome, propensity, data.n_users, data.n_items)


def _log(rows: Interactions, treatment: Treatment, chosen: np.ndarray | slice) -> UpliftLog:
    return UpliftLog(
        rows.user[chosen],
        rows.item[chosen],
        treatment.treated[chosen],
        rows.value[chosen],
        treatment.propensity[chosen],
        rows.n_users,
        rows.n_items,
    )

"""Naive Bayes: P(r | observed)·P(observed)/P(r), with P(r) from a sample of ratings missing at random (MAR)."""

from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd

from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.data.problems import BadData
from upliftlens.benchmarks.data.ratings import read_columns
from upliftlens.benchmarks.data.scan import Checks, Layout
from upliftlens.benchmarks.propensities.kinds import Known, PropensityKind, PropensityOptions
from upliftlens.benchmarks.splits.kinds import Split
from upliftlens.benchmarks.system.talk import say
from upliftlens.causal.errors import UpliftlensError, located
from upliftlens.causal.interactions import Interactions, interactions, take
from upliftlens.causal.options import AtLeast, Within
from upliftlens.causal.propensities import propensity as models

SAMPLE = Layout(",", True, "user", "item", "value", None, integer_ids=False, adjustable=False)


@dataclass(frozen=True)
class NaiveBayesOptions(PropensityOptions):
    """``mar_share`` of the test set, drawn by ``mar_seed``, is removed from it to estimate P(r); 0: P(r) is uniform.

    ``mar_path``: a file of other MAR ratings for P(r) instead. ``smoothing``: rows added to the count of each rating.
    """

    mar_share: Annotated[float, Within(0, 1, "[)")]
    mar_seed: Annotated[int, AtLeast(0)]
    smoothing: Annotated[float, AtLeast(0)]
    mar_path: str | None

    def __post_init__(self) -> None:
        if self.mar_path is not None and self.mar_share > 0:
            raise UpliftlensError(
                "propensity.mar_path names the sample: add propensity.mar_share=0, so that no other is drawn"
            )


def _take_sample(dataset: Dataset, parts: Split, options: NaiveBayesOptions) -> tuple[Split, Interactions | None]:
    """The split without the test rows that form the sample for P(r), and that sample.

    A sample from a file takes no row from the test set, so it must not contain any of its pairs.

    Raises:
        UpliftlensError: if the test set is not missing at random, nothing would be left on one side, or a file can't be
            read or holds test pairs.
    """
    if options.mar_path is not None:
        sample = _read_sample(options.mar_path, dataset)
        with located("propensity"):
            models.refuse_overlap(sample, parts.test)
        content = b"".join(np.asarray(column, "<f8").tobytes() for column in (sample.user, sample.item, sample.value))
        return replace(parts, fingerprint=sha256(parts.fingerprint.encode() + content).hexdigest()), sample
    if options.mar_share == 0:
        return parts, None
    if parts.test_rows is not None or dataset.test_kind != "mar":
        raise UpliftlensError(
            f"propensity=naive_bayes takes P(r) from a test set at random, and split={parts.name} of {dataset.name} "
            "has none: use split=given with such data, or propensity.mar_share=0"
        )
    test = parts.test
    rng = np.random.default_rng(np.random.SeedSequence([options.mar_seed]))
    taken = np.zeros(len(test), bool)
    taken[rng.choice(len(test), round(options.mar_share * len(test)), replace=False)] = True
    if taken.all() or not taken.any():
        raise UpliftlensError(
            f"propensity.mar_share={options.mar_share} of {len(test)} test rows leaves one side empty"
        )
    sample, rest = take(test, taken), take(test, ~taken)
    with located("propensity"):  # a pair may have two test rows
        models.refuse_overlap(sample, rest)
    fingerprint = sha256(parts.fingerprint.encode() + np.flatnonzero(taken).astype("<i8").tobytes()).hexdigest()
    return replace(parts, test=rest, fingerprint=fingerprint), sample


def _read_sample(path: str, dataset: Dataset) -> Interactions:
    """The rows of a CSV file with columns user, item and value, its ids those of the data set.

    Raises:
        UpliftlensError: if it can't be read, is no sound CSV file (as ``read_columns`` says), or has an unknown id.
    """
    where = f"propensity.mar_path={path}"
    checks = Checks(dataset.scale if dataset.feedback == "explicit" else None, "delete one")
    try:
        table = read_columns(Path(path).expanduser().read_bytes(), path, "utf-8", SAMPLE, checks, say)
    except OSError as error:
        raise UpliftlensError(f"{where} can't be read: {error}") from error
    except BadData as error:
        more = f" ({error.count} problems in all)" if error.count > 1 else ""
        raise UpliftlensError(f"propensity.mar_path: {error.problems[0]}{more}") from error
    index = []
    for side, known in (("user", dataset.users), ("item", dataset.items)):
        index.append(pd.Index(known["id"]).get_indexer(table[side]))
        if (index[-1] < 0).any():
            line = table.index[int(np.argmin(index[-1]))]
            raise UpliftlensError(f"{where}: {dataset.name} has no {side} '{table[side].loc[line]}' (line {line})")
    return interactions(index[0], index[1], table["value"], len(dataset.users), len(dataset.items))


def _fit(options: NaiveBayesOptions, known: Known) -> models.Propensity:
    return models.naive_bayes(known.log, None if known.sample is None else known.sample.value, options.smoothing)


naive_bayes = PropensityKind("naive_bayes", NaiveBayesOptions, _fit, take_sample=_take_sample, files=("mar_path",))

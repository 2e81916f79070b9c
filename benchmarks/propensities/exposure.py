"""Config group ``propensity/``: which P(pair is observed) weighs the loss, the validation rows and the test rows.

A propensity is of the rows that a run may learn from, training and validation together. What is fitted is fitted to
them and never sees the test set; what is given for the whole log is scaled to their share of it. Then it is clipped,
then normalised. Each part is a random share of the log, so with f the share of validation rows

    p_training = (1 − f)·p        p_validation = f·p        p_test = p·(test rows / other rows)

where the split draws that part at random. Where it doesn't (by time, by a user's last rows), the part has no known
propensity, and weighing by one is refused.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any, Literal, NamedTuple

import numpy as np

from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.data.mar_sample import read_mar_sample
from upliftlens.benchmarks.propensities.diagnostics import diagnostics
from upliftlens.benchmarks.splits.kinds import Split
from upliftlens.causal.errors import UpliftlensError, located, unknown
from upliftlens.causal.interactions import Interactions, concatenate, take
from upliftlens.causal.propensities import propensity as models
from upliftlens.causal.propensities.logistic import logistic_mf, logistic_regression
from upliftlens.causal.propensities.propensity import Propensity
from upliftlens.causal.risk import check_propensity

Part = Literal["training", "fit", "validation", "test"]

VERSION = 1  # bumped when the numbers of a built-in propensity change

RANDOM_TEST = ("kfold", "u1", "u2", "u3", "u4", "u5")
NOT_RANDOM_VALIDATION = ("leave_last", "temporal")


@dataclass(frozen=True)
class NoPropensity:
    """Nothing is weighed."""

    name: str


@dataclass(frozen=True)
class PropensityConfig:
    """``floor``: lowest propensity that is divided by; ``normalise``: scale p so that Σ 1/p over the log is |D|."""

    name: str
    floor: float
    normalise: bool

    def __post_init__(self) -> None:
        if not 0 <= self.floor <= 1:
            raise UpliftlensError(f"propensity.floor must lie in [0, 1], got {self.floor}")


@dataclass(frozen=True)
class PopularityConfig(PropensityConfig):
    """p ∝ n_i^``power``, scaled to the log's density or to a maximum of 1."""

    power: float
    scale: Literal["density", "max"]


@dataclass(frozen=True)
class NaiveBayesConfig(PropensityConfig):
    """``mar_share`` of the test set, drawn by ``mar_seed``, leaves it to show P(r); 0: P(r) is taken as uniform.

    ``mar_path``: a file of other ratings at random that show it instead.
    """

    mar_share: float
    mar_seed: int
    smoothing: float
    mar_path: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.mar_share < 1:
            raise UpliftlensError(f"propensity.mar_share must lie in [0, 1), got {self.mar_share}")
        if self.mar_path is not None and self.mar_share > 0:
            raise UpliftlensError(
                "propensity.mar_path names the sample: add propensity.mar_share=0, so that no other is drawn"
            )


@dataclass(frozen=True)
class LogisticConfig(PropensityConfig):
    """Logistic regression on features and ids."""

    l2: float
    iterations: int


@dataclass(frozen=True)
class LogisticMFConfig(LogisticConfig):
    """Logistic factorisation of the exposure matrix; ``seed`` draws its start."""

    dim: int
    seed: int


CONFIGS: dict[str, type] = {
    "none": NoPropensity,
    "constant": PropensityConfig,
    "popularity": PopularityConfig,
    "naive_bayes": NaiveBayesConfig,
    "logistic": LogisticConfig,
    "logistic_mf": LogisticMFConfig,
    "given": PropensityConfig,
    "oracle": PropensityConfig,
}


class Exposure(NamedTuple):
    """A propensity of the training and validation rows together, what each part's rows are of it, and how good it is.

    ``shares``: by part, the factor of p, or why the part's rows have no propensity.
    """

    propensity: Propensity
    shares: Mapping[Part, float | str]
    diagnostics: Mapping[str, Any]

    def of(self, part: Part, rows: Interactions) -> np.ndarray:
        """p f32[N] of a part's rows; 1 for padding.

        Raises:
            UpliftlensError: if that part has none, or a row's can't be known.
        """
        share = self.shares[part]
        if isinstance(share, str):
            raise UpliftlensError(share)
        p = np.ones(len(rows), np.float32)
        real = np.asarray(rows.weight) > 0
        ids = (np.asarray(column)[real] for column in (rows.user, rows.item, rows.value))
        with located("propensity"):
            p[real] = models.scaled(self.propensity, share).pairs(*ids)
            check_propensity(p)
        return p


def config_type(options: Mapping[str, Any]) -> type:
    """The dataclass of a propensity's options, by its name.

    Raises:
        UpliftlensError: for an unknown name.
    """
    if options["name"] not in CONFIGS:
        raise unknown("propensity", str(options["name"]), CONFIGS)
    return CONFIGS[options["name"]]


def identity(config: NoPropensity | PropensityConfig) -> dict[str, Any]:
    """What of a propensity changes numbers, for keys; a sample's content is in the split's fingerprint."""
    options = {name: value for name, value in asdict(config).items() if name != "mar_path"}
    return {**options, "version": VERSION}


def without_mar_sample(dataset: Dataset, parts: Split, config: Any) -> tuple[Split, Interactions | None]:
    """The split whose test set has lost the sample that naive Bayes takes P(r) from, and that sample.

    A sample from a file takes nothing from the test set, so it may hold none of its pairs.

    Raises:
        UpliftlensError: if the test set is not missing at random, nothing would be left on one side, or a file can't be
            read or holds test pairs.
    """
    if not isinstance(config, NaiveBayesConfig):
        return parts, None
    if config.mar_path is not None:
        sample = read_mar_sample(config.mar_path, dataset)
        with located("propensity"):
            models.refuse_overlap(sample, parts.test)
        content = b"".join(np.asarray(one, "<f8").tobytes() for one in (sample.user, sample.item, sample.value))
        return replace(parts, fingerprint=sha256(parts.fingerprint.encode() + content).hexdigest()), sample
    if config.mar_share == 0:
        return parts, None
    if parts.name != "given" or dataset.test_kind != "mar":
        raise UpliftlensError(
            f"propensity=naive_bayes takes P(r) from a test set at random, and split={parts.name} of {dataset.name} "
            "has none: use split=given with such data, or propensity.mar_share=0"
        )
    test = parts.test
    rng = np.random.default_rng(np.random.SeedSequence([config.mar_seed]))
    taken = np.zeros(len(test), bool)
    taken[rng.choice(len(test), round(config.mar_share * len(test)), replace=False)] = True
    if taken.all() or not taken.any():
        raise UpliftlensError(f"propensity.mar_share={config.mar_share} of {len(test)} test rows leaves one side empty")
    sample, rest = take(test, taken), take(test, ~taken)
    with located("propensity"):  # a pair may be tested twice
        models.refuse_overlap(sample, rest)
    fingerprint = sha256(parts.fingerprint.encode() + np.flatnonzero(taken).astype("<i8").tobytes()).hexdigest()
    return replace(parts, test=rest, fingerprint=fingerprint), sample


def expose(
    config: PropensityConfig,
    dataset: Dataset,
    parts: Split,
    mar: Interactions | None,
    truth: np.ndarray | None,
) -> Exposure:
    """The propensity that a configuration asks for, fitted, clipped, normalised and judged.

    ``mar`` is what ``without_mar_sample`` took from the test set; ``truth`` f32[U, I] the world's own propensities.

    Raises:
        UpliftlensError: if the data lack what it needs, or it is not in (0, 1] on some observed pair.
    """
    log = concatenate(parts.train, parts.validation)
    with located("propensity"):
        p = _model(config, dataset, parts, log, mar, truth)
        p = models.clipped(p, config.floor)
        judged = diagnostics(p, log, dataset, config.floor)  # normalising would hide a wrong total and what was clipped
        return Exposure(models.normalised(p, log) if config.normalise else p, _shares(parts), judged)


def _model(
    config: Any, dataset: Dataset, parts: Split, log: Interactions, mar: Interactions | None, truth: np.ndarray | None
) -> Propensity:
    match config.name:
        case "constant":
            return models.constant(log)
        case "popularity":
            return models.popularity(log, config.power, config.scale)
        case "naive_bayes":
            return models.naive_bayes(log, None if mar is None else mar.value, config.smoothing)
        case "logistic":
            features = dataset.user_features.matrix, dataset.item_features.matrix
            return logistic_regression(log, *features, config.l2, config.iterations)
        case "logistic_mf":
            return logistic_mf(log, config.dim, config.l2, config.seed, config.iterations)
    matrix = dataset.propensity if config.name == "given" else truth
    if matrix is None:
        what = "ships no propensities" if config.name == "given" else "is no world with known propensities"
        raise UpliftlensError(f"propensity={config.name}: {dataset.name} {what}: choose another, e.g. popularity")
    if parts.name not in (*RANDOM_TEST, "given"):
        raise UpliftlensError(
            f"propensity={config.name} is of the whole log; split={parts.name} doesn't draw the training rows from it "
            "at random: choose split=kfold or given, or a propensity that is fitted to the training rows"
        )
    return models.scaled(models.given(matrix, config.name), len(log) / len(dataset.log))


def _shares(parts: Split) -> dict[Part, float | str]:
    n = len(parts.train) + len(parts.validation)
    shares: dict[Part, float | str] = {"fit": 1.0, "training": len(parts.train) / n}
    shares["validation"] = len(parts.validation) / n if len(parts.validation) else "there are no validation rows"
    if parts.name in NOT_RANDOM_VALIDATION:
        shares["validation"] = (
            f"split={parts.name} doesn't draw its validation rows at random, so they have no known propensity: "
            "select by a metric without /ips or /snips"
        )
    if parts.name in RANDOM_TEST:
        shares["test"] = min(1.0, len(parts.test) / n)
    else:
        shares["test"] = f"the test rows of split={parts.name} are no random share of the log that the propensity is of"
    return shares

"""``upliftlens effects``: which users and items does recommending help?

The rows of the log are split at random into two halves; outcome models and activity from one half are used for the
other, so that no row helps to predict or to group itself. The effect of every level of a feature is compared with the
overall effect; every feature has one test of whether its levels differ. Both are corrected for their number. A level
differs only if its feature does too: if nothing differs, at most 1 − level of all studies claim any difference.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from upliftlens.benchmarks.config.sections import typed_section
from upliftlens.benchmarks.config.typed import typed
from upliftlens.benchmarks.data import load
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.reports.effect_features import EffectsOptions, Feature, features
from upliftlens.causal.effects import heterogeneity as tests
from upliftlens.causal.effects import uplift
from upliftlens.causal.effects.outcome_means import outcome_means
from upliftlens.causal.effects.treatment import overlap
from upliftlens.causal.errors import UpliftlensError, located
from upliftlens.causal.interactions import Interactions, take
from upliftlens.causal.intervals import benjamini_hochberg, holm

CORRECTIONS: dict[str, Callable[[Sequence[float]], list[float]]] = {
    "holm": holm,
    "bh": benjamini_hochberg,
    "none": list,
}
_RARE = 0.001  # chances below it are told
_IDLE = ("split", "metrics")  # groups that are composed only because data sets change them (configs/_data.yaml)


class Level(NamedTuple):
    """A level of a feature: its effect, its difference from the overall effect, and in worlds the true effect.

    ``rows``: with overlap. ``p``: of "no difference", corrected. ``true`` is NaN if it is not known.
    """

    name: str
    rows: int
    effect: tests.Estimate
    difference: tests.Estimate
    true: float
    p: float


class FeatureEffects(NamedTuple):
    """A feature with its levels, and the test of whether they differ; ``p`` corrected for the number of features."""

    name: str
    levels: tuple[Level, ...]
    test: tests.Heterogeneity
    p: float


class Study(NamedTuple):
    """``data``: name of the data set. ``rows`` with overlap; ``overall`` effect and, in worlds, the true one."""

    data: str
    options: EffectsOptions
    rows: int
    overall: tests.Estimate
    true: float
    features: tuple[FeatureEffects, ...]


def effects(overrides: Sequence[str], say: Callable[[str], None]) -> Study:
    """The study of configs/effects.yaml with overrides; ``say`` gets remarks on what was left out or estimated.

    Raises:
        UpliftlensError: for data without treatments, or as ``study``.
    """
    from upliftlens.benchmarks.config.compose import composed, prepare_overrides

    for override in overrides:
        if override.lstrip("+~").partition("=")[0].partition(".")[0] in _IDLE:
            raise UpliftlensError(f"{override}: effects are estimated from the log as it is, so leave that out")
    config = composed(prepare_overrides(overrides), "effects")
    kept = {name: content for name, content in config.items() if name not in (*_IDLE, "data", "cache")}
    options = typed(EffectsOptions, kept, "")
    dataset = load(typed_section(config, "data"), Path(config["cache"]), say)
    if not dataset.has_treatments:
        raise UpliftlensError(
            f"{dataset.name} does not say what was recommended, so nothing can be said of effects: "
            "use data=uplift-log data.path=FILE, or a world such as data=uplift-ml-100k"
        )
    return study(dataset, options, say)


def study(dataset: Dataset, options: EffectsOptions, say: Callable[[str], None]) -> Study:
    """Effects of every level of every feature of a data set with treatments.

    Raises:
        UpliftlensError: if too few users have rows with overlap in both arms, an option is out of its range, or as
            ``effect_features.features``.
    """
    log = _first_log(dataset)
    half = _halves(len(log), options.seed)
    grouped = features(dataset, log, half, options)
    with located(dataset.name):
        known = overlap(log)
        m1, m0 = _predictions(log, half, options.shrinkage)
        uplift.inverse_propensity(log, options.chi)
    if out := known.always + known.never:
        say(f"{out:,} of {len(log):,} rows have no overlap (propensity 0 or 1) and are left out")
    rare = int((known.usable & (log.propensity < _RARE)).sum())
    if rare and options.chi < _RARE and options.estimator != "naive":
        say(
            f"{rare:,} of {len(log):,} rows had a chance below {_RARE:g} of being what they are: effects hang on them "
            f"(chi={_RARE:g} would cap their weights at {1 / _RARE:,.0f})"
        )
    if dataset.estimated:
        say("propensities are estimated: what also depends on an unrecorded cause is biased")
    tau = None if dataset.world is None else dataset.world.tau
    truth = np.full(len(log), np.nan) if tau is None else tau[log.user, log.item].astype(np.float64)
    predicted = _Predicted(log, known.usable, half, m1, m0, truth, options)
    base = predicted.sums(np.arange(len(log)))
    both = base.sum(axis=0)
    if min(with_rows := _users(both)) < options.min_users:
        raise UpliftlensError(
            f"{dataset.name}: {with_rows[0]} users have recommended rows and {with_rows[1]} have others, with overlap: "
            f"too few to say what recommending changes, min_users={options.min_users}"
        )
    overall = tests.group(both[:, :4])
    tested = [_feature(feature, base, predicted, overall, say) for feature in grouped]
    total = both.sum(axis=0)
    return Study(
        dataset.name,
        options,
        int(known.usable.sum()),
        tests.estimate(overall.value, overall.influence, int(overall.present.sum()), options.level),
        float(total[4] / total[5]),
        tuple(_corrected(tested, options.correction)),
    )


def _halves(n: int, seed: int) -> np.ndarray:
    # A separate stream: a world's treatments may be drawn with the same seed, thus from the same random numbers.
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,))).integers(0, 2, n).astype(np.int8)


def _first_log(dataset: Dataset) -> Interactions:
    """The log, or in a world its training draw: the rows that a learner trains on."""
    return take(dataset.log, slice(len(dataset.log) // 2)) if dataset.redrawn else dataset.log


def _predictions(log: Interactions, half: np.ndarray, shrinkage: float) -> tuple[np.ndarray, np.ndarray]:
    """m1, m0 f64[N] of every row, from the items' mean outcomes in the half that the row is not in."""
    out = np.empty((2, len(log)))
    for side in (0, 1):
        means = outcome_means(take(log, half != side), shrinkage)
        rows = half == side
        for arm, mean in enumerate(means):
            out[arm, rows] = mean[log.item[rows]]
    return out[0], out[1]


class _Predicted(NamedTuple):
    """Columns over the rows of a log: with overlap or not, half, predicted outcomes, true effects."""

    log: Interactions
    usable: np.ndarray
    half: np.ndarray
    m1: np.ndarray
    m0: np.ndarray
    truth: np.ndarray
    options: EffectsOptions

    def sums(self, rows: np.ndarray) -> np.ndarray:
        """f64[2, U, 7] of chosen rows, per half: the estimator's four sums, Σ τ, rows with overlap, those treated."""
        return np.stack([self._half(rows[self.half[rows] == side]) for side in (0, 1)])

    def _half(self, rows: np.ndarray) -> np.ndarray:
        log, options = take(self.log, rows), self.options
        usable = self.usable[rows]
        if not usable.any():
            return np.zeros((log.n_users, 7))
        weight = np.ones(len(log))
        sums = uplift.estimate(options.estimator, log, weight, options.chi, self.m1[rows], self.m0[rows])
        columns = (self.truth[rows], weight, log.treated)
        counted = [np.bincount(log.user, np.where(usable, column, 0.0), log.n_users) for column in columns]
        return np.concatenate([sums, np.stack(counted, axis=1)], axis=1)


def _users(sums: np.ndarray) -> tuple[int, int]:
    """How many users have treated and untreated rows with overlap."""
    return int((sums[:, 6] > 0).sum()), int((sums[:, 5] > sums[:, 6]).sum())


def _feature(
    feature: Feature, base: np.ndarray, predicted: _Predicted, overall: tests.Group, say: Callable[[str], None]
) -> FeatureEffects:
    options = predicted.options
    groups, levels, left_out = [], [], []
    for place, name in enumerate(feature.levels):
        member = feature.member[:, :, place]
        if feature.side == "user":
            sums = (base * member[:, :, None]).sum(axis=0)
        else:
            sums = predicted.sums(np.flatnonzero(member[0][predicted.log.item])).sum(axis=0)
        if min(with_rows := _users(sums)) < options.min_users:
            left_out.append(f"{name} (users with recommended rows {with_rows[0]}, with others {with_rows[1]})")
            continue
        group, rows = tests.group(sums[:, :4]), int(sums[:, 5].sum())
        effect = tests.estimate(group.value, group.influence, int(group.present.sum()), options.level)
        groups.append(group)
        true = float(sums[:, 4].sum() / rows)
        levels.append(Level(name, rows, effect, tests.against(group, overall, options.level), true, float("nan")))
    if left_out:
        say(f"{feature.name}: left out {', '.join(left_out)}: min_users={options.min_users} of each are needed")
    return FeatureEffects(feature.name, tuple(levels), tests.differ(groups, overall, feature.partition), float("nan"))


def _corrected(features: Sequence[FeatureEffects], correction: str) -> list[FeatureEffects]:
    """With p of features corrected over features; p of levels over all levels, and at least that of the feature."""
    of_feature = _over(correction, [feature.test.p for feature in features])
    of_level = iter(_over(correction, [level.difference.p for feature in features for level in feature.levels]))
    corrected = []
    for feature, p in zip(features, of_feature, strict=True):
        floor = 0.0 if correction == "none" else p
        levels = tuple(level._replace(p=float(np.fmax(next(of_level), floor))) for level in feature.levels)
        corrected.append(feature._replace(p=p, levels=levels))
    return corrected


def _over(correction: str, p_values: Sequence[float]) -> list[float]:
    """The correction over the tests that were possible; NaN stays."""
    corrected = np.array(p_values, np.float64)
    tested = np.isfinite(corrected)
    corrected[tested] = CORRECTIONS[correction](corrected[tested].tolist())
    return corrected.tolist()

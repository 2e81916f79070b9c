"""The semi-synthetic world of a rating data set or of a split of it, fitted once and kept in the cache folder."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from upliftlens.benchmarks.data.fetch import locked
from upliftlens.benchmarks.system import npz as arrays
from upliftlens.benchmarks.system.atomic import whole
from upliftlens.benchmarks.system.keys import canonical_key
from upliftlens.benchmarks.system.talk import Say, reporting
from upliftlens.benchmarks.worlds.config import SemiSyntheticConfig
from upliftlens.benchmarks.worlds.semi_synthetic import FittedMatrices, train, watch_matrix, world_from
from upliftlens.causal.errors import UpliftlensError, located
from upliftlens.causal.interactions import Interactions
from upliftlens.causal.worlds.potential import PotentialWorld

VERSION = 1  # bumped whenever the same definition gives another world


class SplitRows(NamedTuple):
    """The rows of a split that a world may be ``fitted`` to, and those of its ``test``; equal where both names are."""

    data: str
    split: str
    fitted: Interactions
    test: Interactions

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SplitRows) and self[:2] == other[:2]

    def __hash__(self) -> int:
        return hash(self[:2])


def frozen_world(
    log: Interactions, fingerprint: str, config: SemiSyntheticConfig, cache: Path, say: Say | None
) -> PotentialWorld:
    """The world fitted to a rating log; the fits come from the cache where they are there, else take minutes.

    ``fingerprint``: the data set's. The cached file is named by it and by all that the fits depend on; the exposure
    rule is applied afterwards, so that all rules share one construction.

    Raises:
        UpliftlensError: if an option is out of range, or the cache can't be written.
    """
    fitted = _matrices({"data": fingerprint}, log, config, cache, say)
    with located("the semi-synthetic world"):
        return world_from(fitted, config)


@lru_cache(maxsize=1)  # the runs of a sweep share their split's
def effects_for_test(split: SplitRows, config: SemiSyntheticConfig, cache: Path, say: Say | None) -> np.ndarray | str:
    """τ f32[U, I] in the world fitted to the rows of a split that are not tested, or why that world is refused.

    A world that knew the test rows would hold them for watched anyway, and so punish every hit.

    Raises:
        UpliftlensError: if an option is out of range, or the cache can't be written.
    """
    fitted = _matrices({"data": split.data, "split": split.split}, split.fitted, config, cache, say)
    if reason := memorised(fitted.watched, split.fitted, split.test):
        return f"the semi-synthetic world of these ratings is refused: {reason}"
    with located("the semi-synthetic world"):
        return world_from(fitted, config).tau


def identity_of(tau: np.ndarray) -> dict[str, Any]:
    """What a record says of the world that its metrics /semi are measured in: code version, and a hash of its effects.

    Two fits of one definition have different effects, even if by little.
    """
    return {"version": VERSION, "effects": hashlib.sha256(np.ascontiguousarray(tau).tobytes()).hexdigest()[:16]}


MOST_GAP = 0.05
"""A fit whose AUC is higher by more than this on the cells that it learned from has learned the cells by heart."""


def memorised(watched: np.ndarray, fitted: Interactions, test: Interactions) -> str:
    """Why Ŵ f32[U, I] is no model of what is watched, from its ``test`` cells; "" if it passes both gates.

    If a share f of what is watched is tested at random, an unfitted cell is tested with P = f/(1 − f)·Ŵ/(1 − Ŵ). With
    this P it must beat activity × popularity, P = f/(1 − f)·n_u·n_i/N, on the unfitted cells: in log loss, and in AUC
    of ``test`` cells against empty ones. Its AUC of ``fitted`` cells may exceed that of ``test`` cells by ``MOST_GAP``.
    """
    seen, held = watch_matrix(fitted) > 0, watch_matrix(test) > 0
    held &= ~seen
    if not held.any():
        return "no tested cell is new to it, so nothing can be held against it"
    empty = ~(seen | held)
    activity = np.outer(seen.sum(axis=1), seen.sum(axis=0)) / seen.sum()
    odds = held.sum() / seen.sum()
    chances = odds * watched / np.maximum(1 - watched, 1e-6), odds * activity
    mine, theirs = (_log_loss(p[~seen], held[~seen]) for p in chances)
    learned, unseen, of_activity = (
        _auc(p[cells], p[empty]) for p, cells in ((watched, seen), (watched, held), (activity, held))
    )
    if mine >= theirs or unseen <= of_activity:
        return (
            f"on held-out cells it is no better than activity × popularity (log loss {mine:.4f} against {theirs:.4f}, "
            f"AUC {unseen:.3f} against {of_activity:.3f})"
        )
    if learned - unseen > MOST_GAP:
        return (
            f"its AUC is {learned:.3f} on the cells that it was fitted to and {unseen:.3f} on held-out ones: "
            "it learned them by heart (fewer steps: metrics.world.watched.steps)"
        )
    return ""


def _log_loss(p: np.ndarray, happened: np.ndarray) -> float:
    p = np.clip(p.astype(np.float64), 1e-7, 1 - 1e-7)
    return -float(np.log(np.where(happened, p, 1 - p)).mean())


def _auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """P(a positive lies above a negative) + P(equal) / 2."""
    order = np.sort(negative)
    below, upto = (np.searchsorted(order, positive, side) for side in ("left", "right"))
    return float((below + upto).mean() / 2 / len(negative))


def _matrices(
    fitted_to: Mapping[str, str], log: Interactions, config: SemiSyntheticConfig, cache: Path, say: Say | None
) -> FittedMatrices:
    fits = {"ratings": asdict(config.ratings), "watched": asdict(config.watched), "seed": config.seed}
    path = cache / "worlds" / f"{canonical_key({**fitted_to, **fits, 'version': VERSION})}.npz"
    return _stored(path) or _built(log, config, path, say)


def _stored(path: Path) -> FittedMatrices | None:
    try:
        return FittedMatrices(**arrays.read(path)) if path.is_file() else None
    except (UpliftlensError, TypeError):  # damaged: it is built again
        return None


def _built(log: Interactions, config: SemiSyntheticConfig, path: Path, say: Say | None) -> FittedMatrices:
    with locked(path.parent, lambda what, done, total: None):
        if (result := _stored(path)) is not None:  # another process was faster
            return result
        if say is not None:
            steps = config.ratings.steps + config.watched.steps
            say(f"building the semi-synthetic world of {len(log):,} ratings: {steps:,} steps, once (kept in {path})")
        with reporting("fitting", bar=say is not None) as reporter:
            fitted = train(log, config, lambda what, share: reporter.epoch(what, round(1000 * share), 1000, {}))
        try:
            with whole(path) as part, part.open("wb") as file:
                arrays.write(file, fitted._asdict(), compress=False)
        except OSError as error:
            raise UpliftlensError(
                f"the world can't be kept in {path.parent} ({error.strerror}): free space there, or choose cache=FOLDER"
            ) from error
    return fitted

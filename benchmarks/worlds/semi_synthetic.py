"""The semi-synthetic MovieLens world of Sato et al. (2020): potential outcomes fitted to a real rating log.

    R̂ = P Qᵀ, squared loss on the ratings               μ1 = σ(R̂ − offset)   would watch it if recommended
    Ŵ = σ(P' Q'ᵀ), logistic loss on the watch matrix     μ0 = Ŵ              would watch it anyway
    e ∝ exposure rule of the rank of (μ1 + μ0)/2 in the user's list, see ``causal.worlds.potential``

Both fits are plain stochastic gradient descent from small random factors, one pair at a time, stopped early:

    error = target − prediction,   p ← p + η(error·q − λp),   q ← q + η(error·p − λq)        (p, q of before the step)

The number of steps is part of the definition: a longer fit is another world. Steps that share neither a user nor an
item commute, so they run side by side as one block of array operations with the result of running them one by one.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from upliftlens.benchmarks.worlds.config import FitConfig, SemiSyntheticConfig
from upliftlens.causal.interactions import Array, Interactions
from upliftlens.causal.worlds.potential import PotentialWorld, exposure_by_rank, potential_world

Progress = Callable[[str, float], None]
"""Told what is being fitted and the share of it that is done, in [0, 1]."""

Factors = tuple[Array, Array]
RATING_CHUNK = 100_000  # rating steps drawn and scheduled at a time; more would only delay the progress report
WATCH_CHUNK = 500  # watch blocks drawn at a time: 3 MB of item ids on ML-100K
BLOCK = 128  # widest block of rating steps


class FittedMatrices(NamedTuple):
    """``ratings`` R̂ and ``watched`` Ŵ, f32[U, I]."""

    ratings: np.ndarray
    watched: np.ndarray


def _identity(score: Array) -> Array:
    return score


@partial(jax.jit, static_argnames="link", donate_argnums=0)
def _descend(
    factors: Factors,
    users: Array,
    items: Array,
    targets: Array,
    rate: float,
    l2: float,
    link: Callable[[Array], Array],
) -> Factors:
    """Runs blocks of steps; users, items, targets: [blocks, width], no user and no item twice within a block."""

    def step(factors: Factors, block: tuple[Array, Array, Array]) -> tuple[Factors, None]:
        user_factors, item_factors = factors
        user, item, target = block
        p, q = user_factors[user], item_factors[item]
        error = (target - link((p * q).sum(-1)))[:, None]
        return (
            user_factors.at[user].add(rate * (error * q - l2 * p)),
            item_factors.at[item].add(rate * (error * p - l2 * q)),
        ), None

    return jax.lax.scan(step, factors, (users, items, targets))[0]


def _initial(fit: FitConfig, n_users: int, n_items: int, rng: np.random.Generator) -> Factors:
    """Random factors, and one more row of zeros each: the pair that padding trains, which stays 0."""
    sd = fit.spread / np.sqrt(fit.dim)
    tables = [rng.normal(0.0, sd, (n, fit.dim)).astype(np.float32) for n in (n_users, n_items)]
    user_factors, item_factors = (jnp.asarray(np.pad(table, ((0, 1), (0, 0)))) for table in tables)
    return user_factors, item_factors


def _product(factors: Factors) -> np.ndarray:
    return np.asarray(factors[0][:-1] @ factors[1][:-1].T)


def blocks_of(users: np.ndarray, items: np.ndarray, width: int) -> np.ndarray:
    """A schedule of steps: i64[n_blocks, width], the steps of each block, −1 for an empty place.

    Step s goes into the first block with room after every block that holds an earlier step with s's user or item.
    Within a block no user and no item appears twice, and steps that share one keep their order: running the blocks is
    running the steps in the given order.
    """
    free_from_user = [0] * (int(users.max()) + 1)
    free_from_item = [0] * (int(items.max()) + 1)
    filled: list[list[int]] = []
    for step, (user, item) in enumerate(zip(users.tolist(), items.tolist(), strict=True)):
        place = max(free_from_user[user], free_from_item[item])
        while place < len(filled) and len(filled[place]) >= width:
            place += 1
        if place == len(filled):
            filled.append([])
        filled[place].append(step)
        free_from_user[user] = free_from_item[item] = place + 1
    schedule = np.full((len(filled), width), -1, np.int64)
    for row, steps in zip(schedule, filled, strict=True):
        row[: len(steps)] = steps
    return schedule


def fit_ratings(log: Interactions, fit: FitConfig, seed: int, progress: Progress) -> np.ndarray:
    """R̂ f32[U, I]: ``fit.steps`` steps, each on a row of the log drawn uniformly with replacement."""
    rng = np.random.default_rng([seed, 0])
    factors = _initial(fit, log.n_users, log.n_items, rng)
    for done in range(0, fit.steps, RATING_CHUNK):
        progress("ratings", done / fit.steps)
        rows = rng.integers(0, len(log), min(RATING_CHUNK, fit.steps - done))
        schedule = blocks_of(log.user[rows], log.item[rows], BLOCK)
        # Few distinct lengths, few compiled programs.
        schedule = np.pad(schedule, ((0, -len(schedule) % 256), (0, 0)), constant_values=-1)
        empty = schedule < 0
        row = rows[schedule]
        user = np.where(empty, log.n_users, log.user[row]).astype(np.int32)
        item = np.where(empty, log.n_items, log.item[row]).astype(np.int32)
        target = np.where(empty, 0.0, log.value[row]).astype(np.float32)
        factors = _descend(factors, user, item, target, fit.rate, fit.l2, _identity)
    progress("ratings", 1.0)
    return _product(factors)


def fit_watched(watched: np.ndarray, fit: FitConfig, seed: int, progress: Progress) -> np.ndarray:
    """Ŵ f32[U, I]: ``fit.steps`` steps on uniformly drawn cells of the 0/1 matrix ``watched``.

    Cells are drawn min(U, I) at a time, as a random one-to-one map between the users and the items (of the longer
    side a random subset): every cell is equally likely in every draw, and the steps of a draw commute.
    """
    rng = np.random.default_rng([seed, 1])
    n_users, n_items = watched.shape
    width = min(n_users, n_items)
    n_blocks = round(fit.steps / width)
    factors = _initial(fit, n_users, n_items, rng)
    for done in range(0, n_blocks, WATCH_CHUNK):
        progress("watched", done / n_blocks)
        shape = (min(WATCH_CHUNK, n_blocks - done), width)
        long_side = np.broadcast_to(np.arange(max(n_users, n_items), dtype=np.int32), (shape[0], max(n_users, n_items)))
        drawn = rng.permuted(long_side, axis=1)[:, :width]
        in_order = np.broadcast_to(np.arange(width, dtype=np.int32), shape)
        user, item = (in_order, drawn) if n_users <= n_items else (drawn, in_order)
        factors = _descend(factors, user, item, watched[user, item], fit.rate, fit.l2, jax.nn.sigmoid)
    progress("watched", 1.0)
    return np.asarray(jax.nn.sigmoid(_product(factors)))


def watch_matrix(log: Interactions) -> np.ndarray:
    """f32[U, I]: 1 where the log has a row."""
    watched = np.zeros((log.n_users, log.n_items), np.float32)
    watched[log.user, log.item] = 1
    return watched


def train(log: Interactions, config: SemiSyntheticConfig, progress: Progress) -> FittedMatrices:
    """Both fits of the world to the rating log (a pair with several rows counts as several ratings)."""
    return FittedMatrices(
        fit_ratings(log, config.ratings, config.seed, progress),
        fit_watched(watch_matrix(log), config.watched, config.seed, progress),
    )


def world_from(fitted: FittedMatrices, config: SemiSyntheticConfig) -> PotentialWorld:
    """The world behind two fitted matrices; another exposure rule needs no new fit.

    Raises:
        UpliftlensError: if the rule can't reach ``config.per_user``.
    """
    mu1, mu0 = 1.0 / (1.0 + np.exp(config.offset - fitted.ratings)), fitted.watched
    rule, cap = ("rank", config.cap) if config.exposure == "capped" else (config.exposure, 1.0)
    e = exposure_by_rank(0.5 * (mu1 + mu0), rule, config.exponent, config.per_user, config.floor, cap)
    return potential_world(mu1, mu0, e)

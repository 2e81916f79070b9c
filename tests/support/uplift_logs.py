"""Tiny worlds and logs for the uplift tests."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from scipy.special import expit

from upliftlens.benchmarks import data
from upliftlens.causal.interactions import Interactions, interactions
from upliftlens.causal.worlds.potential import PotentialWorld, potential_world


def log_of(
    treated: np.ndarray, outcome: np.ndarray, propensity: np.ndarray, logged: np.ndarray | None = None
) -> Interactions:
    """An unchecked log from [U, I] matrices, ``propensity`` = P(Z = 1): enumerations also meet logs without Z = 1."""
    user, item = np.nonzero(np.ones(treated.shape) if logged is None else logged)
    z, e = treated[user, item].astype(bool), propensity[user, item].astype(np.float32).astype(np.float64)
    return interactions(user, item, outcome[user, item], *treated.shape, None, z, np.where(z, e, 1 - e))


def dense(log: Interactions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(logged, treated, outcome), each f32[U, I]; where ``logged`` is 0 the other two are 0 as well."""
    logged, treated, outcome = (np.zeros((log.n_users, log.n_items), np.float32) for _ in range(3))
    logged[log.user, log.item] = 1
    treated[log.user, log.item] = log.treated
    outcome[log.user, log.item] = log.value
    return logged, treated, outcome


def random_world(n_users: int, n_items: int, seed: int) -> PotentialWorld:
    """Exposure follows μ0, so that raw means are confounded."""
    rng = np.random.default_rng(seed)
    mu0 = rng.uniform(0.05, 0.9, (n_users, n_items))
    mu1 = np.clip(mu0 + rng.normal(0.1, 0.3, mu0.shape), 0.02, 0.98)
    return potential_world(mu1, mu0, 0.1 + 0.8 * mu0)


def random_log(n_users: int, n_items: int, seed: int, share: float = 0.8) -> tuple[Interactions, PotentialWorld]:
    """A draw of ``random_world`` of which only ``share`` of the pairs are logged, and some have no overlap."""
    world = random_world(n_users, n_items, seed)
    rng = np.random.default_rng(seed + 1)
    e = np.where(rng.random(world.mu1.shape) < 0.1, rng.integers(0, 2, world.mu1.shape), world.propensity)
    treated = rng.random(e.shape) < e
    outcome = rng.random(e.shape) < np.where(treated, world.mu1, world.mu0)
    return log_of(treated, outcome, e, rng.random(e.shape) < share), world


def rows(n_users: int = 25, n_items: int = 15, seed: int = 0) -> list[tuple[str, str, int, float, float]]:
    """The rows of a file: user, item, treated, outcome, propensity."""
    rng = np.random.default_rng(seed)
    result = []
    for user in range(n_users):
        for item in rng.permutation(n_items)[: n_items * 4 // 5]:
            e = expit(-0.5 + 0.1 * (user % 5) - 0.05 * item)
            z = int(rng.random() < e)
            result.append((f"u{user}", f"i{item}", z, float(rng.random() < 0.2 + 0.3 * z), round(float(e), 4)))
    return result


def file_of(path: Path, table: list, propensity: bool) -> Path:
    names = ["user", "item", "treated", "outcome", "propensity"][: 5 if propensity else 4]
    lines = [",".join(names), *(",".join(map(str, row[: len(names)])) for row in table)]
    path.write_text("\n".join(lines) + "\n")
    return path


def loaded(path: Path, *options: str, say=None):
    return data.load(replace(configured(options), path=str(path)), path.parent, say)


@cache
def configured(options: tuple[str, ...]):
    """The same options are composed once, whatever the file."""
    return data.configure("uplift-log", options)

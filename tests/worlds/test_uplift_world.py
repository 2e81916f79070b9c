"""The MovieLens world and its two matrices: the fits against step-by-step descent, and the gates on the real log."""

from dataclasses import replace

import numpy as np
import pytest
from numpy_neighbours import cubn
from scipy.special import expit
from uplift_logs import dense

from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.data import configure
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.benchmarks.worlds.config import FitConfig, SemiSyntheticConfig
from upliftlens.benchmarks.worlds.semi_synthetic import (
    FittedMatrices,
    blocks_of,
    fit_ratings,
    fit_watched,
    train,
    watch_matrix,
    world_from,
)
from upliftlens.causal.effects.uplift import causal_dcg
from upliftlens.causal.interactions import Interactions, interactions
from upliftlens.causal.worlds.potential import PotentialWorld, draw, fingerprint, ranks

TINY = FitConfig(dim=4, rate=0.05, l2=0.01, steps=300, spread=1.0)
DEFINITION = SemiSyntheticConfig(
    ratings=TINY,
    watched=TINY,
    offset=5.0,
    exposure="log-rank",
    exponent=1.0,
    per_user=3.0,
    floor=1e-6,
    cap=1.0,
    seed=0,
)
ML_100K = SemiSyntheticConfig(
    ratings=FitConfig(dim=100, rate=0.01, l2=0.03, steps=2_000_000, spread=0.1),
    watched=FitConfig(dim=100, rate=0.01, l2=0.001, steps=43_000_000, spread=0.1),
    offset=5.0,
    exposure="log-rank",
    exponent=1.0,
    per_user=100.0,
    floor=1e-6,
    cap=0.95,
    seed=0,
)


def silent(_what: str, _share: float) -> None:
    pass


def small_log(n_users: int, n_items: int) -> Interactions:
    rng = np.random.default_rng(0)
    cells = rng.choice(n_users * n_items, n_users * n_items // 3, replace=False)
    return interactions(cells // n_items, cells % n_items, rng.integers(1, 6, len(cells)), n_users, n_items)


def initial(fit: FitConfig, n_users: int, n_items: int, rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.normal(0, fit.spread / np.sqrt(fit.dim), (n, fit.dim)).astype(np.float32) for n in (n_users, n_items)]


def descend(p: np.ndarray, q: np.ndarray, u: int, i: int, error: float, fit: FitConfig) -> None:
    """One step of the definition, in place."""
    p[u], q[i] = (
        p[u] + fit.rate * (error * q[i] - fit.l2 * p[u]),
        q[i] + fit.rate * (error * p[u] - fit.l2 * q[i]),
    )


def test_the_rating_fit_is_one_step_after_the_other() -> None:
    log = small_log(6, 9)
    rng = np.random.default_rng([3, 0])
    p, q = initial(TINY, 6, 9, rng)
    for row in rng.integers(0, len(log), TINY.steps):
        u, i = log.user[row], log.item[row]
        descend(p, q, u, i, log.value[row] - p[u] @ q[i], TINY)
    assert fit_ratings(log, TINY, 3, silent) == pytest.approx(p @ q.T, abs=1e-4)


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (5, 5)])
def test_the_watch_fit_is_one_step_after_the_other(shape: tuple[int, int]) -> None:
    watched = watch_matrix(small_log(*shape))
    rng = np.random.default_rng([3, 1])
    p, q = initial(TINY, *shape, rng)
    width, long = min(shape), max(shape)
    blocks = round(TINY.steps / width)
    for drawn in rng.permuted(np.tile(np.arange(long, dtype=np.int32), (blocks, 1)), axis=1)[:, :width]:
        for a, b in enumerate(drawn):
            u, i = (a, b) if shape[0] <= shape[1] else (b, a)
            descend(p, q, u, i, watched[u, i] - expit(p[u] @ q[i]), TINY)
    assert fit_watched(watched, TINY, 3, silent) == pytest.approx(expit(p @ q.T), abs=1e-4)


def test_a_schedule_runs_every_step_once_in_order_and_without_conflict() -> None:
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 12, 500), rng.integers(0, 20, 500)
    schedule = blocks_of(users, items, 7)
    assert schedule.shape[1] == 7
    assert sorted(schedule[schedule >= 0].tolist()) == list(range(500))
    place = np.empty(500, int)
    for number, block in enumerate(schedule):
        steps = block[block >= 0]
        place[steps] = number
        assert len(set(users[steps].tolist())) == len(set(items[steps].tolist())) == len(steps) > 0
    for column in (users, items):
        for item in np.unique(column):
            assert (np.diff(place[column == item]) > 0).all()
    assert len(schedule) < 250  # and it does run side by side


def test_the_world_follows_its_formulas() -> None:
    watched = np.linspace(0.01, 0.9, 96, dtype=np.float32).reshape(8, 12)
    matrices = FittedMatrices(np.full((8, 12), 4.0, np.float32), watched)
    world = world_from(matrices, DEFINITION)
    assert world.mu1 == pytest.approx(np.full((8, 12), 1 / (1 + np.e)), rel=1e-6)
    assert (world.mu0 == matrices.watched).all()
    # μ1 is the same everywhere, so the policy ranks by μ0, which grows with the item id.
    expected = 1 / np.log2(np.arange(12, 0, -1) + 1)
    assert world.propensity == pytest.approx(np.tile(3 * expected / expected.sum(), (8, 1)), rel=1e-5)


def test_rebuilding_gives_the_same_fingerprint_and_every_setting_another() -> None:
    log = small_log(8, 12)

    def built(definition: SemiSyntheticConfig) -> str:
        return fingerprint(world_from(train(log, definition, silent), definition))

    assert built(DEFINITION) == built(DEFINITION)
    changes = (
        {"seed": 1},
        {"offset": 4.0},
        {"exposure": "rank"},
        {"exponent": 2.0},
        {"per_user": 2.0},
        {"ratings": replace(TINY, steps=310)},
        {"watched": replace(TINY, l2=0.02)},
    )
    assert len({built(DEFINITION), *(built(replace(DEFINITION, **change)) for change in changes)}) == 1 + len(changes)


def test_progress_is_told_from_the_start_to_the_end_of_either_fit() -> None:
    seen: list[tuple[str, float]] = []
    train(small_log(8, 12), DEFINITION, lambda what, share: seen.append((what, share)))
    assert seen == [("ratings", 0.0), ("ratings", 1.0), ("watched", 0.0), ("watched", 1.0)]


def test_the_shipped_options_are_the_definition_whose_gates_are_checked():
    assert configure("uplift-ml-100k").world == ML_100K
    words = ["data=synthetic", "model=popularity", "metrics=uplift_semi"]
    assert plan(configured(words)).metrics.world == ML_100K


@pytest.mark.parametrize(("exposure", "cap"), [("rank", 1.0), ("capped", 0.6)])
def test_only_the_capped_rule_reads_the_cap(exposure: str, cap: float) -> None:
    """``capped`` is ``rank`` with propensities of at most ``cap``, what it cuts off given to the others."""
    options = [
        f"data.world.exposure={exposure}",
        "data.world.cap=0.6",
        "data.world.exponent=2",
        "data.world.per_user=3",
    ]
    expected = configure("uplift-ml-100k", options).world
    assert expected == replace(ML_100K, exposure=exposure, exponent=2.0, per_user=3.0, cap=0.6)
    watched = np.linspace(0.01, 0.9, 96, dtype=np.float32).reshape(8, 12)
    matrices = FittedMatrices(np.full((8, 12), 4.0, np.float32), watched)
    e = world_from(matrices, expected).propensity
    assert (e.max() == pytest.approx(cap)) and e.sum(axis=1) == pytest.approx(3, abs=1e-4)
    # μ1 is the same everywhere, so the policy ranks by μ0, which grows with the item id: e ∝ 1/rank² below the cap.
    below = e[0] < cap - 1e-6
    scaled = e[0] * np.arange(12, 0, -1) ** 2.0
    assert below.sum() >= 9 and scaled[below] == pytest.approx(scaled[0], rel=1e-4)
    assert (scaled[~below] <= scaled[0]).all()


@pytest.fixture(scope="module")
def real(ml_100k: Dataset) -> tuple[FittedMatrices, PotentialWorld]:
    matrices = train(ml_100k.log, ML_100K, silent)
    return matrices, world_from(matrices, ML_100K)


@pytest.mark.slow
def test_the_real_world_passes_its_gates(ml_100k: Dataset, real: tuple[FittedMatrices, PotentialWorld]) -> None:
    matrices, world = real
    residual = matrices.ratings[ml_100k.log.user, ml_100k.log.item].astype(np.float64) - ml_100k.log.value
    assert np.sqrt(np.mean(residual**2)) == pytest.approx(0.757, abs=0.01)
    watched = watch_matrix(ml_100k.log) > 0
    fitted = np.clip(matrices.watched.astype(np.float64), 1e-12, 1 - 1e-12)
    assert -np.mean(np.where(watched, np.log(fitted), np.log1p(-fitted))) == pytest.approx(0.0945, abs=0.001)
    assert fitted[watched].mean() == pytest.approx(0.536, abs=0.02)
    assert world.mu1.mean(dtype=np.float64) == pytest.approx(0.1425, abs=0.0015)
    assert world.mu0.mean(dtype=np.float64) == pytest.approx(0.064, abs=0.001)
    assert world.propensity.sum(dtype=np.float64) / 943 == pytest.approx(100, abs=1)
    assert draw(world, 0).treated.sum() / 943 == pytest.approx(100, abs=1)
    assert world.propensity.max() < 1  # log-rank leaves every pair with overlap
    always = world_from(matrices, replace(ML_100K, exposure="rank"))
    assert (always.propensity == 1).sum(axis=1).mean() == pytest.approx(18, abs=1)


@pytest.mark.slow
def test_rebuilding_the_real_world_gives_the_same_fingerprint(
    ml_100k: Dataset, real: tuple[FittedMatrices, PotentialWorld]
) -> None:
    assert fingerprint(world_from(train(ml_100k.log, ML_100K, silent), ML_100K)) == fingerprint(real[1])


@pytest.mark.slow
def test_rankings_that_need_no_training_stand_in_the_published_order(
    real: tuple[FittedMatrices, PotentialWorld],
) -> None:
    """By CDCG: oracle > CUBN-O > random > popularity, logged propensity; CUBN-O has .75 of the oracle's CP@10."""
    world = real[1]
    log = draw(world, 1)
    _, _, outcome = dense(log)
    rng = np.random.default_rng(0)
    scores = {
        "oracle": world.tau,
        "cubn-o": cubn(log, "outcome", 943, 1.0, 512),
        "random": rng.random(world.tau.shape),
        "popularity": np.broadcast_to(outcome.sum(axis=0), world.tau.shape),
        "propensity": world.propensity,
    }
    rank = {name: ranks(np.where(outcome > 0, -np.inf, score), rng.permutation(1682)) for name, score in scores.items()}
    gain = {name: causal_dcg(world.tau, item)[:, 0] for name, item in rank.items()}
    for better, worse in (
        ("oracle", "cubn-o"),
        ("cubn-o", "random"),
        ("random", "popularity"),
        ("random", "propensity"),
    ):
        difference = gain[better] - gain[worse]
        assert difference.mean() > 4 * difference.std() / np.sqrt(943), (better, worse)
    precision = {name: (world.tau * ((item > 0) & (item <= 10))).sum() for name, item in rank.items()}
    assert precision["cubn-o"] >= 0.75 * precision["oracle"]

"""95 % intervals hold the truth in 93–97 % of simulated logs, each with users of its own."""

import numpy as np
import pytest
from uplift_logs import random_world

from upliftlens.causal.effects import qini, uplift
from upliftlens.causal.intervals import Resampling, Statistic, percentile, quotient, replicates, value
from upliftlens.causal.worlds.potential import draw, potential_world, ranks

LOGS, USERS, ITEMS, TYPES = 1200, 400, 8, 4000  # of the share of 1,200 logs, 2 points are 3.2 standard deviations


@pytest.mark.slow
def test_coverage_over_logs_that_redraw_users() -> None:
    population = random_world(TYPES, ITEMS, 0)
    rng = np.random.default_rng(1)
    scores = population.mu0 + rng.normal(0, 0.3, population.mu0.shape)
    rank = ranks(scores, np.arange(ITEMS))
    member = (rank <= 3).astype(np.float64)
    group_of = (rank - 1) // 2  # four groups: the curve of a ranking that is the same in every log
    truth = float(population.tau[member > 0].mean(dtype=np.float64))
    by_rank = [population.tau[group_of == g].mean(dtype=np.float64) for g in range(4)]
    curve = np.concatenate([[0], np.cumsum(by_rank) / 4])
    true_auuc = float(np.trapezoid(curve, np.linspace(0, 1, 5)) - curve[-1] / 2)
    targets = {"cp": truth, "ips": truth, "snips": truth, "dr": truth, "auuc": true_auuc}
    hits = dict.fromkeys(targets, 0)
    naive_hits = 0
    for seed in range(LOGS):
        users = rng.integers(0, TYPES, USERS)
        parts = (population.mu1, population.mu0, population.propensity)
        world = potential_world(*(part[users] for part in parts))
        log = draw(world, seed)
        weight = uplift.row_weights(log, member[users])
        m1, m0 = np.full(len(log), 0.6), np.full(len(log), 0.4)
        group = group_of[users][log.user, log.item]
        lists = np.argsort(rank[users], axis=1)[:, :3]
        sums = {
            "cp": (uplift.causal_precision(world.tau, lists), quotient),
            "ips": (uplift.estimate("ips", log, weight, 0.0), uplift.arm_difference),
            "snips": (uplift.estimate("snips", log, weight, 0.0), uplift.arm_difference),
            "dr": (uplift.estimate("dr", log, weight, 0.0, m1, m0), uplift.arm_difference),
            "auuc": (qini.curve_sums(log, group, uplift.inverse_propensity(log, 0.0), 4), qini.auuc),
            "naive": (uplift.estimate("naive", log, weight, 0.0), uplift.arm_difference),
        }
        statistics = [Statistic(np.arange(USERS), item, reduce) for item, reduce in sums.values()]
        drawn, _ = replicates(statistics, Resampling(0.95, 300, seed))
        for name, replicated in zip(sums, drawn, strict=True):
            lo, hi = percentile(replicated, 0.95)
            if name == "naive":
                naive_hits += lo <= truth <= hi
            else:
                hits[name] += lo <= targets[name] <= hi
    for name, count in hits.items():
        assert 0.93 <= count / LOGS <= 0.97, (name, count / LOGS)
    assert naive_hits / LOGS < 0.2


def test_a_resample_recomputes_the_ratio() -> None:
    """Two users: resamples hold (2, 0), (1, 1) or (0, 2) of them, so a replicate has one of three values."""
    sums = np.array([[1.0, 1.0, 0.0, 1.0], [0.0, 4.0, 2.0, 4.0]])
    statistic = Statistic(np.arange(2), sums, uplift.arm_difference)
    drawn, n = replicates([statistic], Resampling(0.9, 200, 0))
    assert n == 2
    assert value(statistic) == pytest.approx(1 / 5 - 2 / 5)
    assert sorted(set(np.round(drawn[0], 12))) == pytest.approx([-0.5, -0.2, 1.0])

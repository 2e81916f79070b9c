"""Uplift metrics as an evaluation reports them, against plain loops over users, items and rows."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from uplift_logs import random_log

from upliftlens.benchmarks.data.world import World
from upliftlens.benchmarks.evaluation.evaluate import evaluate
from upliftlens.benchmarks.evaluation.evidence import Effects, gathered, lacking
from upliftlens.benchmarks.evaluation.exam import HeldOut
from upliftlens.benchmarks.metrics import uplift as uplift_metrics
from upliftlens.benchmarks.metrics.metric import UpliftOptions
from upliftlens.benchmarks.metrics.registry import MetricsConfig, at, choose
from upliftlens.causal.effects.outcome_means import outcome_means
from upliftlens.causal.effects.treatment import treatment_propensity
from upliftlens.causal.interactions import interactions, take
from upliftlens.causal.intervals import Interval
from upliftlens.causal.worlds.potential import realised
from upliftlens.models.contract import Method, TrainingData

USERS, ITEMS, K, CHI, SHRINKAGE, TIES = 14, 9, 3, 0.05, 4.0, 20
MATRIX = Method(
    lambda *_: None, lambda *_: None, lambda s, d, at: s[at.user], lambda s, d, at, i: s[at.user, i], "full", "rank"
)
NAMES = (*(at(metric.name, "@3" if metric.at == "required" else "") for metric in uplift_metrics.METRICS), "recall@3")
SUFFIXES = ("", "/realised", "/semi")
ESTIMATORS = ("naive", "ips", "snips", "dr")


@pytest.fixture(scope="module")
def case():
    """A tested log without user 13, scores with ties, some items seen; the world and a history to predict from."""
    log, world = random_log(USERS, ITEMS, 0, share=0.7)
    keep = log.user != 13
    log = take(log, keep)
    history, _ = random_log(USERS, ITEMS, 50)
    rng = np.random.default_rng(4)
    scores = rng.integers(0, 5, (USERS, ITEMS)).astype(np.float32)
    seen = np.argwhere(rng.random((USERS, ITEMS)) < 0.2)
    frozen = rng.normal(size=(USERS, ITEMS)).astype(np.float32)
    return log, world, history, scores, seen, frozen


@pytest.fixture(scope="module")
def result(case):
    log, world, history, scores, seen, frozen = case
    positive = log.value > 0
    test = interactions(log.user[positive], log.item[positive], log.value[positive], USERS, ITEMS)
    known = interactions(seen[:, 0], seen[:, 1], np.ones(len(seen)), USERS, ITEMS)
    nothing = (np.zeros((n, 0), np.float32) for n in (USERS, ITEMS))
    seen_data = TrainingData(known, np.ones(len(known), np.float32), *nothing)
    config = MetricsConfig(NAMES, 5, TIES, Interval(0.95, 40, 0), UpliftOptions(CHI, ITEMS * USERS, SHRINKAGE))
    effects = Effects(log, history, World(potential=world, test_seed=3), frozen)
    return evaluate(
        MATRIX, jax.numpy.asarray(scores), seen_data, HeldOut(test, known, 1.0, (0, 1), "implicit", effects), config
    )


@pytest.mark.parametrize("size", [0, None])
def test_outcomes_are_not_predicted_from_the_log_that_is_tested(size, case):
    """Without rows that were trained on, DR has a reason to be absent; what needs no prediction is as it was."""
    log, _, history, _, _, _ = case
    empty = take(history, slice(0))
    options = UpliftOptions(CHI, 9, SHRINKAGE)
    known = Effects(log, None if size is None else empty)
    assert "can't be predicted from the tested log" in str(lacking("logged+history", known, options))
    assert lacking("logged", known, options) is None
    assert lacking("logged+history", Effects(log, history), options) is None
    doubly_robust = ("uplift@3/dr", "uplift@3/dr/user-mean", "policy-value@3/dr", "policy-gain@3/dr")
    assert {choose(name).metric.evidence for name in doubly_robust} == {"logged+history"}
    assert choose("uplift@3/snips").metric.evidence == "logged"
    this_result = gathered({"logged"}, known, options, np.unique(log.user), case[3][np.unique(log.user)], TIES)
    assert this_result["logged"].m1 is None


def test_a_tested_log_without_overlap_leaves_its_estimates_out_with_the_count(case):
    log, world, history, scores, _, _ = case
    certain = replace(log, propensity=np.ones(len(log)))
    test = interactions(log.user, log.item, log.value, USERS, ITEMS)
    nothing = (np.zeros((n, 0), np.float32) for n in (USERS, ITEMS))
    seen = TrainingData(test, np.ones(len(test), np.float32), *nothing)
    config = MetricsConfig(
        ("uplift@3/snips", "auuc", "uplift@3/true", "cp@3"),
        5,
        TIES,
        Interval(0.95, 40, 0),
        UpliftOptions(CHI, 9, 1.0),
    )
    effects = Effects(certain, history, World(potential=world, test_seed=3))
    none = interactions(np.zeros(0), np.zeros(0), np.zeros(0), USERS, ITEMS)
    evaluation = evaluate(
        MATRIX, jax.numpy.asarray(scores), seen, HeldOut(test, none, 1.0, (0, 1), "implicit", effects), config
    )
    assert set(evaluation.summaries) == {"cp@3"}
    for reason in evaluation.absent.values():
        assert f"no overlap: all {len(log)} rows" in reason and f"({int(log.treated.sum())} always" in reason


def ranking(case, user):
    """The user's candidates, best first: what was seen is none, whatever the test rows say."""
    scores, seen = case[3], {tuple(pair) for pair in case[4]}
    place = np.random.default_rng(TIES).permutation(ITEMS)
    candidates = [item for item in range(ITEMS) if (user, item) not in seen]
    return sorted(candidates, key=lambda item: (-scores[user, item], place[item]))


def rows_of(case):
    """(user, item, Z, Y, e) of the rows with overlap."""
    log = case[0]
    for u, i, z, y, e in zip(log.user, log.item, log.treated, log.value, treatment_propensity(log), strict=True):
        if 0 < e < 1:
            yield int(u), int(i), bool(z), float(y), float(e)


def weighted(case, weight, m1, m0):
    """naive, IPS, SNIPS and DR of rows weighted by ``weight(user, item)``."""
    n = {z: [0.0, 0.0] for z in (True, False)}
    s = {z: [0.0, 0.0] for z in (True, False)}
    ips = dr = total = 0.0
    for u, i, z, y, e in rows_of(case):
        w, mine = weight(u, i), max(e if z else 1 - e, CHI)
        n[z] = [n[z][0] + w * y, n[z][1] + w]
        s[z] = [s[z][0] + w * y / mine, s[z][1] + w / mine]
        sign, total = (1 if z else -1), total + w
        ips += sign * w * y / mine
        dr += w * (m1[i] - m0[i] + sign * (y - (m1 if z else m0)[i]) / mine)
    arms = {
        name: sum(sign * part[z][0] / part[z][1] if part[z][1] else np.nan for z, sign in ((True, 1), (False, -1)))
        for name, part in (("naive", n), ("snips", s))
    }
    return {**arms, **{name: item / total if total else np.nan for name, item in (("ips", ips), ("dr", dr))}}


def got(result, name):
    return result.summaries[name].value


def test_metrics_of_the_truth(case, result):
    log, world, frozen = case[0], case[1], case[5]
    users = sorted(set(log.user.tolist()))
    assert users == list(range(13)) == result.users.tolist() and not result.absent
    lists = {u: ranking(case, u) for u in users}
    for suffix, tau in zip(SUFFIXES, (world.tau, realised(world, 3), frozen)):
        expected = np.mean([np.mean([tau[u, i] for i in lists[u][:K]]) for u in users])
        assert got(result, f"cp@3{suffix}") == pytest.approx(expected, abs=1e-6)
        gain = [sum(tau[u, i] / np.log2(r + 2) for r, i in enumerate(lists[u])) for u in users]
        assert got(result, f"cdcg{suffix}") == pytest.approx(np.mean(gain), abs=1e-6)
        depth = [np.mean([tau[u, i] * (r + 1) for r, i in enumerate(lists[u])]) for u in users]
        assert got(result, f"car{suffix}") == pytest.approx(np.mean(depth), abs=1e-6)


def test_estimates_from_the_log(case, result):
    history, tau = case[2], case[1].tau
    m1, m0 = outcome_means(history, SHRINKAGE)
    listed = {(u, i) for u in range(13) for i in ranking(case, u)[:K]}
    expected = weighted(case, lambda u, i: float((u, i) in listed), m1, m0)
    for name, value in expected.items():
        assert got(result, f"uplift@3/{name}") == pytest.approx(value, abs=1e-6), name
    truth = [tau[u, i] for u, i, *_ in rows_of(case) if (u, i) in listed]
    assert got(result, "uplift@3/true") == pytest.approx(np.mean(truth), abs=1e-6)
    per_user: dict[str, list[float]] = {name: [] for name in ESTIMATORS}
    for user in range(13):
        only = weighted(case, lambda u, i, user=user: float(u == user and (u, i) in listed), m1, m0)
        for name in ESTIMATORS:
            if np.isfinite(only[name]):  # else an arm of this user's list is empty
                per_user[name].append(only[name])
    assert 0 < len(per_user["snips"]) < 13
    for name, mine in per_user.items():
        assert got(result, f"uplift@3/{name}/user-mean") == pytest.approx(np.mean(mine), abs=1e-6)
        assert result.summaries[f"uplift@3/{name}/user-mean"].n == len(mine)


def test_policies_are_compared_with_the_logged_one(case, result):
    log, tau = case[0], case[1].tau
    lists = {u: ranking(case, u)[:K] for u in range(13)}
    propensity = treatment_propensity(log)
    total = np.bincount(log.user, propensity, USERS)
    recorded = {(u, i): e / total[u] for u, i, e in zip(log.user.tolist(), log.item.tolist(), propensity.tolist())}

    def ours(u: int, i: int) -> float:
        return (i in lists[u]) / len(lists[u])

    def theirs(u: int, i: int) -> float:
        return recorded[u, i]

    m1, m0 = outcome_means(case[2], SHRINKAGE)
    mine, other = (weighted(case, policy, m1, m0) for policy in (ours, theirs))
    true = []
    for policy in (ours, theirs):
        some = [(policy(u, i), tau[u, i]) for u, i, *_ in rows_of(case)]
        true.append(sum(w * t for w, t in some) / sum(w for w, _ in some))
    mine["true"], other["true"] = true
    for name in ("ips", "snips", "dr", "true"):
        assert got(result, f"policy-value@3/{name}") == pytest.approx(mine[name], abs=1e-6)
        assert got(result, f"policy-gain@3/{name}") == pytest.approx(mine[name] - other[name], abs=1e-6)


def test_curves_run_over_the_ranked_rows_of_all_users(case, result):
    """The area by points after every row of distinct score, in plain loops: groups as fine as there are rows."""
    log, scores, tau = case[0], case[3], case[1].tau
    rows = [row for row in rows_of(case) if row[1] in ranking(case, row[0])]
    share, points = [0.0], {name: [0.0] for name in ("auuc", "auuc/naive", "qini", "qini/naive", "auuc/true")}
    for level in sorted({scores[u, i] for u, i, *_ in rows}, reverse=True):
        above = [row for row in rows if scores[row[0], row[1]] >= level]
        share.append(len(above) / len(rows))
        for suffix in ("", "/naive"):
            means, masses = [], []
            for arm in (True, False):
                some = [(1 if suffix else 1 / max(e if z else 1 - e, CHI), y) for _, _, z, y, e in above if z == arm]
                masses.append(sum(w for w, _ in some))
                means.append(sum(w * y for w, y in some) / masses[-1])
            points[f"auuc{suffix}"].append(share[-1] * (means[0] - means[1]))
            points[f"qini{suffix}"].append(masses[0] * (means[0] - means[1]))
            points[f"treated{suffix}"] = [masses[0]]
        points["auuc/true"].append(share[-1] * np.mean([tau[u, i] for u, i, *_ in above]))
    for name in ("auuc", "auuc/naive", "qini", "qini/naive", "auuc/true"):
        # Between levels the groups are empty: the curve rests there, then steps over the share of the tied rows.
        area = np.trapezoid(points[name], share) - points[name][-1] / 2
        if name.startswith("qini"):
            area /= points[name.replace("qini", "treated")][0]
        assert got(result, name) == pytest.approx(area, abs=1e-6), name
    # With every row in both arms, treated weight is the number of rows: the two areas are one number.
    assert got(result, "qini/true") == pytest.approx(got(result, "auuc/true"), abs=1e-9)
    assert len(log) > len(rows)


def test_what_was_seen_is_not_to_be_found(case, result):
    log, seen = case[0], {tuple(pair) for pair in case[4]}
    positive = {(int(u), int(i)) for u, i, y in zip(log.user, log.item, log.value) if y > 0}
    assert positive & seen
    this_result = []
    for user in range(13):
        expected = {i for u, i in positive - seen if u == user}
        if expected:
            this_result.append(len(expected & set(ranking(case, user)[:K])) / len(expected))
    assert got(result, "recall@3") == pytest.approx(np.mean(this_result))
    assert result.counts["relevant_pairs"] == len(positive - seen)

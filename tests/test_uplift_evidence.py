"""Uplift metrics as an evaluation reports them, against plain loops over users, items and rows."""

import jax
import numpy as np
import pytest
from uplift_logs import random_log

from upliftlens.benchmarks.effects import Effects
from upliftlens.benchmarks.evaluate import evaluate
from upliftlens.benchmarks.metric import UpliftOptions
from upliftlens.benchmarks.metrics import MetricsConfig
from upliftlens.benchmarks.truth import Truth
from upliftlens.causal.interactions import interactions
from upliftlens.causal.intervals import Resampling
from upliftlens.causal.outcome_means import outcome_means
from upliftlens.causal.potential import realised
from upliftlens.models.contract import Method, TrainingData

USERS, ITEMS, K, CHI, SHRINKAGE, TIES = 14, 9, 3, 0.05, 4.0, 20
MATRIX = Method(lambda *_: None, lambda *_: None, lambda s, d, u: s[u], lambda s, d, u, i: s[u, i], "full", "rank")
NAMES = (
    *("cp@3", "cdcg", "car", "cp@3/realised", "cp@3/semi", "cdcg/semi"),
    *(f"uplift@3/{one}" for one in ("naive", "ips", "snips", "dr", "true", "snips/user-mean")),
    *("policy-value@3/snips", "policy-gain@3/snips", "policy-gain@3/true", "auuc", "auuc/true", "qini", "recall@3"),
)


@pytest.fixture(scope="module")
def case():
    """A tested log without user 13, scores with ties, some items seen; the world and a history to predict from."""
    log, world = random_log(USERS, ITEMS, 0, share=0.7)
    keep = log.user != 13
    columns = {name: getattr(log, name)[keep] for name in ("user", "item", "treated", "outcome", "propensity")}
    log = type(log)(**columns, n_users=USERS, n_items=ITEMS)
    history, _ = random_log(USERS, ITEMS, 50)
    rng = np.random.default_rng(4)
    scores = rng.integers(0, 5, (USERS, ITEMS)).astype(np.float32)
    seen = np.argwhere(rng.random((USERS, ITEMS)) < 0.2)
    frozen = rng.normal(size=(USERS, ITEMS)).astype(np.float32)
    return log, world, history, scores, seen, frozen


@pytest.fixture(scope="module")
def result(case):
    log, world, history, scores, seen, frozen = case
    positive = log.outcome > 0
    test = interactions(log.user[positive], log.item[positive], log.outcome[positive], USERS, ITEMS)
    known = interactions(seen[:, 0], seen[:, 1], np.ones(len(seen)), USERS, ITEMS)
    nothing = (np.zeros((n, 0), np.float32) for n in (USERS, ITEMS))
    seen_data = TrainingData(known, np.ones(len(known), np.float32), *nothing)
    config = MetricsConfig(NAMES, 5, TIES, Resampling(0.95, 40, 0), UpliftOptions(CHI, ITEMS * USERS, SHRINKAGE))
    effects = Effects(log, history, Truth(world, 3), lambda: frozen)
    return evaluate(MATRIX, jax.numpy.asarray(scores), seen_data, test, known, config, 1.0, (0, 1), "implicit", effects)


def ranking(case, user):
    """The user's candidates, best first: what was seen is none, whatever the test rows say."""
    scores, seen = case[3], {tuple(pair) for pair in case[4]}
    place = np.random.default_rng(TIES).permutation(ITEMS)
    candidates = [item for item in range(ITEMS) if (user, item) not in seen]
    return sorted(candidates, key=lambda item: (-scores[user, item], place[item]))


def rows_of(case):
    """(user, item, Z, Y, e) of the rows with overlap."""
    log = case[0]
    for u, i, z, y, e in zip(log.user, log.item, log.treated, log.outcome, log.propensity, strict=True):
        if 0 < e < 1:
            yield int(u), int(i), bool(z), float(y), float(e)


def weighted(case, weight, m1=None, m0=None):
    """naive, IPS, SNIPS and DR of rows weighted by ``weight(user, item)``."""
    n = {z: [0.0, 0.0] for z in (True, False)}
    s = {z: [0.0, 0.0] for z in (True, False)}
    ips = dr = total = 0.0
    for u, i, z, y, e in rows_of(case):
        w, own = weight(u, i), max(e if z else 1 - e, CHI)
        n[z] = [n[z][0] + w * y, n[z][1] + w]
        s[z] = [s[z][0] + w * y / own, s[z][1] + w / own]
        sign, total = (1 if z else -1), total + w
        ips += sign * w * y / own
        if m1 is not None:
            dr += w * (m1[i] - m0[i] + sign * (y - (m1 if z else m0)[i]) / own)
    ratio = {"naive": n[True][0] / n[True][1] - n[False][0] / n[False][1]}
    ratio["snips"] = s[True][0] / s[True][1] - s[False][0] / s[False][1]
    return {**ratio, "ips": ips / total, "dr": dr / total}


def got(result, name):
    return result.summaries[name].value


def test_metrics_of_the_truth(case, result):
    log, world, frozen = case[0], case[1], case[5]
    users = sorted(set(log.user.tolist()))
    assert users == list(range(13)) == result.users.tolist() and not result.absent
    lists = {u: ranking(case, u) for u in users}
    for suffix, tau in (("", world.tau), ("/realised", realised(world, 3)), ("/semi", frozen)):
        expected = np.mean([np.mean([tau[u, i] for i in lists[u][:K]]) for u in users])
        assert got(result, f"cp@3{suffix}") == pytest.approx(expected, abs=1e-6)
    for suffix, tau in (("", world.tau), ("/semi", frozen)):
        gain = [sum(tau[u, i] / np.log2(r + 2) for r, i in enumerate(lists[u])) for u in users]
        assert got(result, f"cdcg{suffix}") == pytest.approx(np.mean(gain), abs=1e-6)
    depth = [np.mean([world.tau[u, i] * (r + 1) for r, i in enumerate(lists[u])]) for u in users]
    assert got(result, "car") == pytest.approx(np.mean(depth), abs=1e-6)


def test_estimates_from_the_log(case, result):
    history, tau = case[2], case[1].tau
    m1, m0 = outcome_means(history, SHRINKAGE)
    listed = {(u, i) for u in range(13) for i in ranking(case, u)[:K]}
    expected = weighted(case, lambda u, i: float((u, i) in listed), m1, m0)
    for name, value in expected.items():
        assert got(result, f"uplift@3/{name}") == pytest.approx(value, abs=1e-6), name
    truth = [tau[u, i] for u, i, *_ in rows_of(case) if (u, i) in listed]
    assert got(result, "uplift@3/true") == pytest.approx(np.mean(truth), abs=1e-6)
    own = []
    for user in range(13):
        try:
            own.append(weighted(case, lambda u, i, user=user: float(u == user and (u, i) in listed))["snips"])
        except ZeroDivisionError:  # an arm of this user's list is empty
            continue
    assert 0 < len(own) < 13
    assert got(result, "uplift@3/snips/user-mean") == pytest.approx(np.mean(own), abs=1e-6)
    assert result.summaries["uplift@3/snips/user-mean"].n == len(own)


def test_policies_are_compared_with_the_logged_one(case, result):
    log, tau = case[0], case[1].tau
    lists = {u: ranking(case, u)[:K] for u in range(13)}
    total = np.bincount(log.user, log.propensity, USERS)
    recorded = {(u, i): e / total[u] for u, i, e in zip(log.user.tolist(), log.item.tolist(), log.propensity.tolist())}

    def ours(u: int, i: int) -> float:
        return (i in lists[u]) / len(lists[u])

    def theirs(u: int, i: int) -> float:
        return recorded[u, i]

    mine, other = (weighted(case, policy)["snips"] for policy in (ours, theirs))
    assert got(result, "policy-value@3/snips") == pytest.approx(mine, abs=1e-6)
    assert got(result, "policy-gain@3/snips") == pytest.approx(mine - other, abs=1e-6)
    true = []
    for policy in (ours, theirs):
        some = [(policy(u, i), tau[u, i]) for u, i, *_ in rows_of(case)]
        true.append(sum(w * t for w, t in some) / sum(w for w, _ in some))
    assert got(result, "policy-gain@3/true") == pytest.approx(true[0] - true[1], abs=1e-6)


def test_curves_run_over_the_ranked_rows_of_all_users(case, result):
    """The area by points after every row of distinct score, in plain loops: groups as fine as there are rows."""
    log, scores, tau = case[0], case[3], case[1].tau
    rows = [row for row in rows_of(case) if row[1] in ranking(case, row[0])]
    share, uplift, true = [0.0], [0.0], [0.0]
    for level in sorted({scores[u, i] for u, i, *_ in rows}, reverse=True):
        above = [row for row in rows if scores[row[0], row[1]] >= level]
        means = []
        for arm in (True, False):
            inverse = [(1 / max(e if z else 1 - e, CHI), y) for _, _, z, y, e in above if z == arm]
            means.append(sum(w * y for w, y in inverse) / sum(w for w, _ in inverse))
        share.append(len(above) / len(rows))
        uplift.append(share[-1] * (means[0] - means[1]))
        true.append(share[-1] * np.mean([tau[u, i] for u, i, *_ in above]))
    for name, curve in (("auuc", uplift), ("auuc/true", true)):
        # Between levels the groups are empty: the curve rests there, then steps over the shares of tied rows.
        assert got(result, name) == pytest.approx(np.trapezoid(curve, share) - curve[-1] / 2, abs=1e-6), name
    assert len(log) > len(rows)


def test_what_was_seen_is_not_to_be_found(case, result):
    log, seen = case[0], {tuple(pair) for pair in case[4]}
    positive = {(int(u), int(i)) for u, i, y in zip(log.user, log.item, log.outcome) if y > 0}
    assert positive & seen
    found = []
    for user in range(13):
        wanted = {i for u, i in positive - seen if u == user}
        if wanted:
            found.append(len(wanted & set(ranking(case, user)[:K])) / len(wanted))
    assert got(result, "recall@3") == pytest.approx(np.mean(found))
    assert result.counts["relevant_pairs"] == len(positive - seen)

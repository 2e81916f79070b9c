"""Metrics of what recommending changes. The formulas are those of ``causal.effects.uplift`` and
``causal.effects.qini``.

Against a truth τ, which only worlds know (with ``/realised``: τ = Y^T − Y^C of the draw that tests; with ``/semi``: the
τ of the semi-synthetic world that was fitted to all ratings of a plain rating log, frozen, for evaluation only):

    cp@k, cp@k/*      mean over users of the mean τ of their first k (Sato et al. 2020)
    cdcg, cdcg/*      mean over users of Σ τ/log2(1 + rank) (Sato et al. 2020)
    car, car/*        mean over users of the mean of τ·rank; lower is better

Estimated from the tested log of recommendations, pooled over users (``/user-mean``: the mean over users of their own
estimate, for comparison with papers; biased, for users without both arms among their first k drop out):

    uplift@k/*        the effect of recommending what stands among the first k
    policy-value@k/*  the effect of recommending uniformly from the first k
    policy-gain@k/*   policy-value minus the logged policy's: e/Σe over all items of the tested log, taken before or not
    auuc, auuc/*      area over the random line of the uplift curve
    qini, qini/*      area over the random line of the Qini curve

by ``/naive`` (for curves: unweighted), ``/ips``, ``/snips`` or ``/dr``, the curves by inverse propensities.
``/true`` stands beside an estimate: what it would be if every row's τ were known. Rows without overlap are left out.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from upliftlens.benchmarks.metrics.metric import Evidence, Logged, Metric, Ranked, quotient
from upliftlens.causal.effects import qini as curves
from upliftlens.causal.effects import uplift

_UNBOUNDED = (-np.inf, np.inf)
_EFFECT = (-1.0, 1.0)

Estimator = Callable[[Logged, np.ndarray], np.ndarray]
"""Sums f64[U, 4] of the weighted rows of a log: treated numerator and denominator, then control's."""


def _estimate(name: str, logged: Logged, weight: np.ndarray) -> np.ndarray:
    return uplift.estimate(name, logged.log, weight, logged.options.chi, logged.m1, logged.m0)


def _true(logged: Logged, weight: np.ndarray) -> np.ndarray:
    assert logged.tau is not None
    return uplift.true_uplift(logged.log, weight, logged.tau)


def _lists(rank: np.ndarray, k: float) -> np.ndarray:
    length = int(min(k, rank.shape[1]))
    lists = np.full((len(rank), length), -1, np.int64)
    user, item = np.nonzero((rank > 0) & (rank <= k))
    lists[user, rank[user, item] - 1] = item
    return lists


def _precision(ranked: Ranked, k: float) -> np.ndarray:
    return uplift.causal_precision(ranked.tau, _lists(ranked.rank, k))


def _dcg(ranked: Ranked, k: float) -> np.ndarray:
    return uplift.causal_dcg(ranked.tau, ranked.rank)


def _average_rank(ranked: Ranked, k: float) -> np.ndarray:
    return uplift.causal_average_rank(ranked.tau, ranked.rank)


def _on_list(logged: Logged, k: float) -> np.ndarray:
    return uplift.row_weights(logged.log, (logged.rank > 0) & (logged.rank <= k))


def _on_policy(logged: Logged, k: float) -> np.ndarray:
    policy = uplift.uniform_policy(_lists(logged.rank, k), logged.rank.shape[1])
    return uplift.row_weights(logged.log, policy)


def _on_logged_policy(logged: Logged) -> np.ndarray:
    recorded = np.zeros(logged.rank.shape)
    recorded[logged.log.user, logged.log.item] = logged.log.propensity
    return uplift.row_weights(logged.log, uplift.logged_policy(recorded))


def _listed(estimator: Estimator, logged: Logged, k: float) -> np.ndarray:
    return estimator(logged, _on_list(logged, k))


def _listed_by_user(estimator: Estimator, logged: Logged, k: float) -> np.ndarray:
    return uplift.per_user_mean(_listed(estimator, logged, k))


def _policy(estimator: Estimator, logged: Logged, k: float) -> np.ndarray:
    return estimator(logged, _on_policy(logged, k))


def _gain(estimator: Estimator, logged: Logged, k: float) -> np.ndarray:
    both = (estimator(logged, weight) for weight in (_on_policy(logged, k), _on_logged_policy(logged)))
    return np.concatenate(list(both), axis=1)


def _difference(reduce: Callable[[np.ndarray], np.ndarray], totals: np.ndarray) -> np.ndarray:
    first, second = np.split(totals, 2)
    return reduce(first) - reduce(second)


def _curve(logged: Logged, k: float, weighted: bool) -> np.ndarray:
    rows, group, inverse = logged.curve
    return curves.curve_sums(rows, group, inverse if weighted else np.ones(len(rows)), logged.options.points)


def _true_curve(logged: Logged, k: float) -> np.ndarray:
    assert logged.tau is not None
    rows, group, _ = logged.curve
    return curves.true_sums(rows, group, logged.tau, logged.options.points)


def _against(evidence: Evidence, suffix: str) -> tuple[Metric, ...]:
    return (
        Metric(f"cp{suffix}", evidence, _precision, quotient, "mean", True, _EFFECT, "required"),
        Metric(f"cdcg{suffix}", evidence, _dcg, quotient, "mean", True, _UNBOUNDED, "never"),
        Metric(f"car{suffix}", evidence, _average_rank, quotient, "mean", False, _UNBOUNDED, "never"),
    )


def _estimated() -> tuple[Metric, ...]:
    result = []
    ratio = uplift.arm_difference
    for name in uplift.ESTIMATORS:
        item, limits = partial(_estimate, name), _EFFECT if name in ("naive", "snips") else _UNBOUNDED
        needed: Evidence = "logged+history" if name == "dr" else "logged"  # what predicts the outcomes of DR
        sums, by_user = partial(_listed, item), partial(_listed_by_user, item)
        result += [
            Metric(f"uplift/{name}", needed, sums, ratio, "pooled", True, limits, "required"),
            Metric(f"uplift/{name}/user-mean", needed, by_user, quotient, "mean", True, limits, "required"),
        ]
        if name != "naive":
            gain, of_gain = partial(_gain, item), partial(_difference, ratio)
            result += [
                Metric(
                    f"policy-value/{name}", needed, partial(_policy, item), ratio, "pooled", True, limits, "required"
                ),
                Metric(f"policy-gain/{name}", needed, gain, of_gain, "pooled", True, _UNBOUNDED, "required"),
            ]
    return tuple(result)


def _beside() -> tuple[Metric, ...]:
    both, gain = partial(_difference, quotient), partial(_gain, _true)
    return (
        Metric("uplift/true", "logged+truth", partial(_listed, _true), quotient, "pooled", True, _EFFECT, "required"),
        Metric(
            "policy-value/true", "logged+truth", partial(_policy, _true), quotient, "pooled", True, _EFFECT, "required"
        ),
        Metric("policy-gain/true", "logged+truth", gain, both, "pooled", True, _UNBOUNDED, "required"),
        Metric("auuc/true", "logged+truth", _true_curve, curves.auuc, "recomputed", True, _EFFECT, "never"),
        Metric("qini/true", "logged+truth", _true_curve, curves.qini_area, "recomputed", True, _EFFECT, "never"),
    )


def _areas() -> tuple[Metric, ...]:
    result = []
    for name, reduce in (("auuc", curves.auuc), ("qini", curves.qini_area)):
        for suffix, weighted in (("", True), ("/naive", False)):
            sums = partial(_curve, weighted=weighted)
            result.append(Metric(f"{name}{suffix}", "logged", sums, reduce, "recomputed", True, _UNBOUNDED, "never"))
    return tuple(result)


METRICS = (
    *_against("truth", ""),
    *_against("realised", "/realised"),
    *_against("semi", "/semi"),
    *_estimated(),
    *_areas(),
    *_beside(),
)

"""Metrics of the effects of recommendations. The formulas are in ``causal.effects.uplift`` and ``causal.effects.qini``.

Against the true effects τ, which only worlds know (``/realised``: τ = Y^T − Y^C of the tested draw; ``/semi``: τ of a
semi-synthetic world that was fitted to the rows of a plain rating log that are not tested, for evaluation only):

    cp@k, cp@k/*      causal precision: mean over users of the mean τ of their first k (Sato et al. 2020)
    cdcg, cdcg/*      causal DCG: mean over users of Σ τ/log2(1 + rank) (Sato et al. 2020)
    car, car/*        causal average rank: mean over users of the mean of τ·rank; lower is better

Estimated from the tested log of recommendations, pooled over users (``/user-mean``: the mean over users of one estimate
per user, for comparison with papers; biased, since users without both arms among their first k drop out):

    uplift@k/*        mean effect of recommending over the logged rows among each user's first k
    policy-value@k/*  the effect of recommending one item drawn uniformly from the first k
    policy-gain@k/*   policy-value minus that of the logged policy, e/Σe over all items of the tested log, seen or not
    auuc, auuc/*      area between the uplift curve and the line of a random order
    qini, qini/*      area between the Qini curve and the line of a random order

The estimators are ``/naive`` (for curves: unweighted), ``/ips``, ``/snips`` and ``/dr``; curves are weighted by inverse
propensities. ``/true`` is the same value with the true τ of every row. Rows without overlap are left out.
"""

from collections.abc import Callable
from functools import partial
from itertools import chain

import numpy as np

from upliftlens.benchmarks.metrics.metric import Evidence, Logged, Metric, Ranked, quotient
from upliftlens.causal.effects import qini as curves
from upliftlens.causal.effects import uplift
from upliftlens.causal.effects.treatment import treatment_propensity

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


def _on_policy(logged: Logged, k: float) -> np.ndarray:
    policy = uplift.uniform_policy(_lists(logged.rank, k), logged.rank.shape[1])
    return uplift.row_weights(logged.log, policy)


def _listed(estimator: Estimator, logged: Logged, k: float) -> np.ndarray:
    return estimator(logged, uplift.row_weights(logged.log, (logged.rank > 0) & (logged.rank <= k)))


def _listed_by_user(estimator: Estimator, logged: Logged, k: float) -> np.ndarray:
    return uplift.per_user_mean(_listed(estimator, logged, k))


def _policy(estimator: Estimator, logged: Logged, k: float) -> np.ndarray:
    return estimator(logged, _on_policy(logged, k))


def _gain(estimator: Estimator, logged: Logged, k: float) -> np.ndarray:
    recorded = np.zeros(logged.rank.shape)
    recorded[logged.log.user, logged.log.item] = treatment_propensity(logged.log)
    weights = (_on_policy(logged, k), uplift.row_weights(logged.log, uplift.logged_policy(recorded)))
    return np.concatenate([estimator(logged, weight) for weight in weights], axis=1)


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


def _of_truth(evidence: Evidence, suffix: str) -> tuple[Metric, ...]:
    return (
        Metric(f"cp{suffix}", evidence, _precision, quotient, "mean", True, _EFFECT, "required"),
        Metric(f"cdcg{suffix}", evidence, _dcg, quotient, "mean", True, _UNBOUNDED, "never"),
        Metric(f"car{suffix}", evidence, _average_rank, quotient, "mean", False, _UNBOUNDED, "never"),
    )


def _by_estimator(name: str) -> tuple[Metric, ...]:
    estimator, limits = partial(_estimate, name), _EFFECT if name in ("naive", "snips") else _UNBOUNDED
    evidence: Evidence = "logged+history" if name == "dr" else "logged"  # DR predicts outcomes from the history
    ratio, by_user = uplift.arm_difference, partial(_listed_by_user, estimator)
    metrics = (
        Metric(f"uplift/{name}", evidence, partial(_listed, estimator), ratio, "pooled", True, limits, "required"),
        Metric(f"uplift/{name}/user-mean", evidence, by_user, quotient, "mean", True, limits, "required"),
    )
    if name == "naive":
        return metrics
    policy, gain, difference = partial(_policy, estimator), partial(_gain, estimator), partial(_difference, ratio)
    return (
        *metrics,
        Metric(f"policy-value/{name}", evidence, policy, ratio, "pooled", True, limits, "required"),
        Metric(f"policy-gain/{name}", evidence, gain, difference, "pooled", True, _UNBOUNDED, "required"),
    )


def _area(name: str, reduce: Callable[[np.ndarray], np.ndarray]) -> tuple[Metric, ...]:
    weighted = Metric(name, "logged", partial(_curve, weighted=True), reduce, "recomputed", True, _UNBOUNDED, "never")
    return weighted, weighted._replace(name=f"{name}/naive", sums=partial(_curve, weighted=False))


def _of_true_effects(name: str, sums: Callable[..., np.ndarray], reduce: Callable[..., np.ndarray]) -> Metric:
    """What the metrics ``name``/* estimate, from the true τ of every row."""
    limits = _UNBOUNDED if name == "policy-gain" else _EFFECT
    return Metric(f"{name}/true", "logged+truth", partial(sums, _true), reduce, "pooled", True, limits, "required")


METRICS = (
    *_of_truth("truth", ""),
    *_of_truth("realised", "/realised"),
    *(metric._replace(version=2) for metric in _of_truth("semi", "/semi")),
    *chain.from_iterable(map(_by_estimator, uplift.ESTIMATORS)),
    *_area("auuc", curves.auuc),
    *_area("qini", curves.qini_area),
    _of_true_effects("uplift", _listed, quotient),
    _of_true_effects("policy-value", _policy, quotient),
    _of_true_effects("policy-gain", _gain, partial(_difference, quotient)),
    Metric("auuc/true", "logged+truth", _true_curve, curves.auuc, "recomputed", True, _EFFECT, "never"),
    Metric("qini/true", "logged+truth", _true_curve, curves.qini_area, "recomputed", True, _EFFECT, "never"),
)

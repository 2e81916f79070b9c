"""Evaluation: predict the test pairs, rank all items, keep sums per user, reduce, and put an interval on each value."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import jax
import numpy as np

from upliftlens.benchmarks.evaluation.evaluation import Evaluation, summaries
from upliftlens.benchmarks.evaluation.evidence import KINDS, gathered, lacking
from upliftlens.benchmarks.evaluation.exam import Exam, HeldOut, exam_of
from upliftlens.benchmarks.evaluation.ranking import rank, score_matrix
from upliftlens.benchmarks.evaluation.scoring import predictions
from upliftlens.benchmarks.evaluation.timeline import summed
from upliftlens.benchmarks.metrics.metric import SECTIONS, Evidence, Imputed, Lists, Metric, Pairs, Ranks, crossed_sums
from upliftlens.benchmarks.metrics.registry import Chosen, MetricsConfig, choose
from upliftlens.causal.effects.outcome_means import additive_means
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.intervals import Statistic, value
from upliftlens.models.contract import Method, TrainingData


def _undefined(metric: Metric) -> str:
    """Why a metric that is possible has no value on these rows."""
    if metric.undefined is not None:
        return metric.undefined
    if metric.evidence.startswith("logged"):
        return "of the rows with overlap that it counts, none was recommended, or all were"
    if metric.evidence == "imputed":
        return "no propensities balance the imputed errors, or the estimate under the root is negative"
    return "no user's rows define it (none that it counts, no relevant item, or only one class of labels)"


_SELECT = (
    "Fix: train.monitor= a metric that they have, more validation rows (split.validation), or a lower data.relevance"
)


def evaluate(method: Method, state: Any, data: TrainingData, test: HeldOut, config: MetricsConfig) -> Evaluation:
    """All metrics of ``config.names`` that the method and the test rows allow, for the users with test rows.

    ``method.score`` and ``method.predict`` are compiled once per shape, whatever the state: keep one Method object for
    runs of one structure.

    Raises:
        UpliftlensError: for an unknown metric, or a NaN or infinite score or prediction.
    """
    exam = exam_of(test, method, data)
    chosen = list(map(choose, config.names))
    absent = {choice.name: reason for choice in chosen if (reason := _impossible(choice, method, exam, config))}
    possible = [choice for choice in chosen if choice.name not in absent]
    exam = _with_outcome(exam, method, data, possible, config)
    statistics = _measure(method, state, data, exam, possible, config, config.interval.over == "users-items")
    for name in [name for name, statistic in statistics.items() if not np.isfinite(value(statistic))]:
        del statistics[name]
        absent[name] = _undefined(choose(name).metric)
    users = exam.users
    counts = {
        "users": len(users),
        "users_without_relevant": len(users) - len(np.unique(exam.owner[exam.targets.row])),
        "test_pairs": len(exam.held.rows),
        "cold_test_pairs": int(exam.cold.sum()),
        "relevant_pairs": len(exam.targets.row),
        "seen_test_pairs": exam.targets.overlap,
        **({"moments": len(exam.owner)} if test.each_moment else {}),
    }
    return Evaluation(users, statistics, summaries(statistics, config.interval), absent, counts, method.random)


def monitor(
    method: Method, data: TrainingData, validation: HeldOut, name: str, config: MetricsConfig
) -> Callable[[Any], float]:
    """The value of one metric on validation rows as a function of the state: for early stopping, after every epoch.

    Everything that doesn't depend on the state is computed once, here, and only what this metric needs.
    ``choose(name).metric.higher_is_better`` is the direction.

    Raises:
        UpliftlensError: if the method or the validation rows don't have this metric; later, for a NaN score.
    """
    chosen = choose(name)
    exam = exam_of(validation, method, data)
    if reason := _impossible(chosen, method, exam, config):
        raise UpliftlensError(f"can't select by {name}: {reason.replace('test ', 'validation ')}. {_SELECT}")
    exam = _with_outcome(exam, method, data, [chosen], config)

    def monitored(state: Any) -> float:
        result = value(_measure(method, state, data, exam, [chosen], config)[name])
        if not np.isfinite(result):
            raise UpliftlensError(f"can't select by {name}: {_undefined(chosen.metric)}. {_SELECT}")
        return result

    return monitored


def _impossible(chosen: Chosen, method: Method, exam: Exam, config: MetricsConfig) -> str | None:
    """Why the metric is undefined for the method on this test set, or None."""
    metric = chosen.metric
    if not len(exam.held.rows):
        return "the test set is empty"
    if metric.weighted and exam.held.weights.propensity is None:
        return exam.held.weights.missing
    if metric.weighted and exam.inside is not None and not exam.inside.any():
        return "propensity.trim leaves out all test rows"
    if metric.reads is not None and getattr(config, metric.reads) is None:
        options = (f"metrics.{metric.reads}.{field.name}" for field in fields(SECTIONS[metric.reads]))
        return f"it needs the options {' and '.join(options)}"
    if metric.evidence in ("pairs", "imputed") and exam.held.feedback == "implicit":
        return "an implicit log has no negative or graded pairs to predict"
    if method.link not in metric.links:
        links = " or a ".join(sorted(metric.links))
        return f"{metric.name} is for methods that predict a {links}, this one gives a {method.link}"
    if exam.held.each_moment and metric.evidence in ("imputed", *KINDS):
        return "it is about one moment per user, and split.moments=each asks at several"
    if metric.evidence in KINDS:
        return lacking(metric.evidence, exam.held.effects, config.uplift)
    if metric.evidence == "ranks" and not exam.positive.any():
        return "no user has a relevant test item"
    return None


def _with_outcome(
    exam: Exam, method: Method, data: TrainingData, chosen: Sequence[Chosen], config: MetricsConfig
) -> Exam:
    """The exam with an outcome model fitted to the training rows, where a metric imputes the errors of all pairs."""
    if config.debiased is None or not any(choice.metric.evidence == "imputed" for choice in chosen):
        return exam
    outcome = data.log.value if method.link == "rating" else data.positive
    return exam._replace(outcome=additive_means(data.log, outcome, config.debiased.shrinkage))


def _measure(
    method: Method,
    state: Any,
    data: TrainingData,
    exam: Exam,
    chosen: Sequence[Chosen],
    config: MetricsConfig,
    by_item: bool = False,
) -> dict[str, Statistic]:
    """Statistics of the chosen metrics, with ``by_item`` for intervals over users and items; only the evidence that
    they need is computed.
    """
    kinds, users = {choice.metric.evidence for choice in chosen}, exam.users
    state, data = jax.device_put((state, data))  # once, not once per block
    evidence: dict[Evidence, Any] = {}
    if kinds & {"pairs", "imputed"}:
        evidence["pairs"] = _pairs(method, state, data, exam, config)
    if "imputed" in kinds:
        evidence["imputed"] = _imputed(method, state, data, exam, evidence["pairs"])
    weighted = evidence if exam.inside is None else _trimmed(evidence, exam, exam.inside)
    if kinds & {"ranks", "lists"}:
        length = int(max((choice.cutoff for choice in chosen if choice.metric.evidence == "lists"), default=0))
        ranking = rank(method.score, state, data, exam.known, exam.targets, config.block, config.tie_seed, length)
        row = exam.targets.row
        order = np.lexsort((ranking.rank, row))
        relevant = np.bincount(row, minlength=len(exam.owner)).astype(np.float64)
        evidence["ranks"] = Ranks(row[order], ranking.rank[order], relevant, exam.cold_targets[order])
        if length:
            popularity = np.bincount(np.asarray(data.log.item), np.asarray(data.log.weight) > 0, data.log.n_items)
            evidence["lists"] = Lists(ranking.lists, popularity)
    if of_effects := kinds & set(KINDS):
        scores = score_matrix(method.score, state, data, exam.known, exam.targets, config.block)
        evidence |= gathered(of_effects, exam.held.effects, config.uplift, users, scores, config.tie_seed)
    units, statistics = users.astype(np.int64), {}
    for name, metric, cutoff, _ in chosen:
        known = (weighted if metric.weighted else evidence)[metric.evidence]
        sums, crossed = crossed_sums(metric, known, cutoff) if by_item else (metric.sums(known, cutoff), None)
        if exam.held.each_moment and metric.evidence in ("ranks", "lists"):
            sums = summed(metric, sums, exam.owner, len(users))
        statistics[name] = Statistic(units, sums, metric.reduce, metric.without, crossed)
    return statistics


def _pairs(method: Method, state: Any, data: TrainingData, exam: Exam, config: MetricsConfig) -> Pairs:
    """The held out rows and the method's predictions for them."""
    rows = exam.held.rows
    return Pairs(
        exam.row,
        len(exam.users),
        np.asarray(rows.value, np.float64),
        exam.positive,
        predictions(method, state, data, exam.known, rows.user, rows.item, np.float64, exam.moment),
        exam.held.scale,
        exam.held.weights.propensity,
        rows.n_users * rows.n_items,
        config.debiased,
        exam.cold,
        np.asarray(rows.item, np.int64),
        config.calibration,
    )


def _trimmed(evidence: Mapping[Evidence, Any], exam: Exam, inside: np.ndarray) -> dict[Evidence, Any]:
    """The evidence on pairs without those that trimming leaves out."""
    kept, result = exam.held.weights.kept, dict[Evidence, Any]()
    if kept is not None and "pairs" in evidence:
        counts = {"n_pairs": kept.n_pairs, "user_pairs": kept.shared_out(exam.users)}
        result["pairs"] = evidence["pairs"].take(inside)._replace(**counts)
    if "imputed" in evidence:
        imputed = evidence["imputed"]
        result["imputed"] = imputed._replace(pairs=result["pairs"], item=imputed.item[inside], kept=kept)
    return result


def _imputed(method: Method, state: Any, data: TrainingData, exam: Exam, pairs: Pairs) -> Imputed:
    """The pairs, with the method's and an outcome model's prediction for every pair, f32[n_users, n_items]."""
    assert exam.outcome is not None
    rows = exam.held.rows
    users, items = np.divmod(np.arange(pairs.n_pairs), rows.n_items)
    everywhere = predictions(method, state, data, exam.known, users, items, np.float32).reshape(
        rows.n_users, rows.n_items
    )
    return Imputed(pairs, exam.users, np.asarray(rows.item, np.int64), everywhere, exam.outcome)

"""What is asked of a method: held out rows, the moments and candidates to rank, and what it is given of the users."""

from typing import Literal, NamedTuple

import numpy as np

from upliftlens.benchmarks.evaluation.evidence import Effects
from upliftlens.benchmarks.evaluation.ranking import Targets, targets
from upliftlens.benchmarks.evaluation.scoring import Moments, moments
from upliftlens.benchmarks.evaluation.timeline import moments_at, targets_at, timeline
from upliftlens.benchmarks.metrics.cold import is_cold
from upliftlens.causal.effects.outcome_means import AdditiveMeans
from upliftlens.causal.interactions import Interactions, take
from upliftlens.causal.propensities.trimming import Kept
from upliftlens.models.contract import Method, TrainingData


class PairWeights(NamedTuple):
    """``propensity`` f32[N]: P(the pair is among the rows) of each row, or None and ``missing``: why not.

    ``kept``: the pairs that trimming leaves, None for all.
    """

    propensity: np.ndarray | None
    missing: str
    kept: Kept | None = None


class HeldOut(NamedTuple):
    """Rows that were kept from training, and how a method is judged on them.

    ``seen``: the rows that the method may have learned from; their items are no candidates unless the user has a held
    out row for them. A row is relevant, and positive, if its value ≥ ``relevance``; with implicit ``feedback`` every
    row is. ``scale``: lowest and highest possible value.
    ``effects``: what is known of the effects of recommendations. With a log of recommendations its users are ranked
    for as well, and no seen item is a candidate: the candidates must not depend on the held out outcomes.
    ``weights``: of the rows, for metrics that are weighted by propensities. ``shown``: rows before the moment of users
    whom the method was not trained on; then all users are such users. ``each_moment``: a user is asked for at the time
    of each row (``timeline``), not at one moment after all training rows.
    """

    rows: Interactions
    seen: Interactions
    relevance: float
    scale: tuple[float, float]
    feedback: Literal["explicit", "implicit"]
    effects: Effects = Effects()
    weights: PairWeights = PairWeights(None, "the rows come without propensities")
    shown: Interactions | None = None
    each_moment: bool = False


class Exam(NamedTuple):
    """Held out rows without padding (``held``) and what is asked about them.

    ``positive`` bool[N]: which rows are. ``users`` i[U], ascending; ``row`` i[N]: the position of a row's user there;
    ``moment`` i[N]: the place of a row's moment in ``known``, what the method is given; ``targets``: the R lists to
    rank; ``owner`` i[R]: the position of each list's user. ``outcome``: fitted to training rows, where a metric
    imputes.
    ``cold`` bool[N], of the rows, and ``cold_targets`` bool[P], of the relevant pairs: no row of the user, or of the
    item, was trained on. ``inside`` bool[N]: the rows that trimming leaves, None for all.
    """

    held: HeldOut
    positive: np.ndarray
    users: np.ndarray
    row: np.ndarray
    moment: np.ndarray
    targets: Targets
    owner: np.ndarray
    cold: np.ndarray
    cold_targets: np.ndarray
    inside: np.ndarray | None
    known: Moments
    outcome: AdditiveMeans | None = None


def exam_of(held: HeldOut, method: Method, data: TrainingData) -> Exam:
    """What the method is asked, and given, for held out rows."""
    real = np.asarray(held.rows.weight) > 0
    rows, weights = take(held.rows, real), held.weights
    if weights.propensity is not None:
        weights = weights._replace(propensity=weights.propensity[real].astype(np.float64))

    def relevant(part: Interactions) -> np.ndarray:
        return np.ones(len(part), bool) if held.feedback == "implicit" else np.asarray(part.value) >= held.relevance

    positive = relevant(rows)
    log, moment, has_history = held.effects.log, np.asarray(rows.user), np.zeros(rows.n_users, bool)
    if held.each_moment:
        line = timeline(rows, held.seen)
        to_rank, known = targets_at(line, rows, positive), moments_at(method, data, line, relevant(line.log))
        moment, has_history = line.of_row, known.end > known.begin
    else:
        to_rank = targets(rows, positive, held.seen, None if log is None else log.user, again=log is None)
        known = moments(method, data, to_rank.users, held.shown, None if held.shown is None else relevant(held.shown))
        if held.shown is not None:
            has_history[held.shown.user] = True
    users, owner = np.unique(to_rank.users, return_inverse=True)
    of_pair = to_rank.users[to_rank.row], to_rank.item, has_history[to_rank.moment[to_rank.row]]
    return Exam(
        held=held._replace(rows=rows, weights=weights),
        positive=positive,
        users=users,
        row=np.searchsorted(users, np.asarray(rows.user)),
        moment=moment,
        targets=to_rank,
        owner=owner,
        cold=is_cold(data.log, rows.user, rows.item, has_history[moment]),
        cold_targets=is_cold(data.log, *of_pair),
        inside=None if weights.kept is None else weights.kept.of(rows.user, rows.item),
        known=known,
    )

"""Scores and predictions of a finished run: of pairs, and of users for all items."""

from collections.abc import Sequence

import jax
import numpy as np

from upliftlens.benchmarks.evaluation.ranking import score_matrix, targets
from upliftlens.benchmarks.evaluation.scoring import moments, predictions
from upliftlens.benchmarks.runs.lookup import pair_indices, user_indices
from upliftlens.benchmarks.runs.opened import Opened
from upliftlens.benchmarks.system.talk import Reporter
from upliftlens.causal.interactions import take


def scores(opened: Opened, users: Sequence[str], reporter: Reporter) -> np.ndarray:
    """f32[U, n_items]: the score of every item, also of those that the user has, for raw user ids; higher is better.

    Raises:
        UpliftlensError: for an unknown user, or a NaN or infinite score.
    """
    asked, trained = user_indices(opened.prepared.dataset, users), opened.trained(reporter)
    method, (state, data) = trained.method, jax.device_put((trained.state, trained.data))
    out = np.empty((len(asked), data.n_items), np.float32)
    for known in opened.known(trained, asked):
        distinct, back = np.unique(known.users, return_inverse=True)
        nothing = take(known.seen, np.zeros(len(known.seen), bool))
        told = moments(
            method, data, distinct, known.shown, None if known.shown is None else opened.positive(known.shown)
        )
        to_rank = targets(nothing, np.zeros(0, bool), nothing, distinct)
        block = min(opened.plan.metrics.block, len(distinct))
        out[known.places] = score_matrix(method.score, state, data, told, to_rank, block)[back]
    return out


def predict(opened: Opened, users: Sequence[str], items: Sequence[str], reporter: Reporter) -> np.ndarray:
    """f32[N]: the prediction of each pair of raw ids, a rating or a probability; of a model that only ranks, the score.

    Raises:
        UpliftlensError: for unknown users or items, or a NaN or infinite prediction.
    """
    asked, things = pair_indices(opened.prepared.dataset, users, items)
    trained = opened.trained(reporter)
    method, (state, data) = trained.method, jax.device_put((trained.state, trained.data))
    out = np.empty(len(asked), np.float32)
    for known in opened.known(trained, asked):
        told = moments(
            method,
            data,
            np.unique(known.users),
            known.shown,
            None if known.shown is None else opened.positive(known.shown),
        )
        out[known.places] = predictions(method, state, data, told, known.users, things[known.places], np.float32)
    return out

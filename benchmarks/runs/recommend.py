"""Top-N lists from a finished run: what the trained model would recommend to a user, beyond what it knows of them.

As in evaluation, items that the user has only in the test set may be in the list.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.evaluation.ranking import targets, top_lists
from upliftlens.benchmarks.evaluation.scoring import moments
from upliftlens.benchmarks.runs.compatible import FOR_NEW_USERS
from upliftlens.benchmarks.runs.fit import Trained
from upliftlens.benchmarks.runs.lookup import item_indices, some_of, user_indices
from upliftlens.benchmarks.runs.opened import Known, Opened
from upliftlens.benchmarks.system.talk import Reporter, say
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions, interactions, take


class Recommended(NamedTuple):
    """One line of a list: raw user id ("" for one who is not in the data), rank from 1, raw item id, title (or the id
    again), score.
    """

    user: str
    rank: int
    item: str
    title: str
    score: float


def recommend(opened: Opened, users: Sequence[str] | None, k: int, reporter: Reporter) -> list[Recommended]:
    """The ``k`` best items for raw user ids, or for every user (None), without the items known of the user.

    Those are the items of training and validation, and of what is shown of new users. Ties are broken as in evaluation.
    Says which users have no training row.

    Raises:
        UpliftlensError: for an unknown user, or ``k`` below 1.
    """
    _check(k)
    dataset = opened.prepared.dataset
    asked = np.arange(len(dataset.users)) if users is None else user_indices(dataset, users)
    trained = opened.trained(reporter)
    ids, order = dataset.users["id"].astype(str).to_numpy(), {int(user): place for place, user in enumerate(asked)}
    groups = list(opened.known(trained, asked))
    rows = [_learned(opened, trained), *(known.shown for known in groups if known.shown is not None)]
    without = np.setdiff1d(asked, np.concatenate([part.user for part in rows]))
    if len(without) == len(order) == 1:
        say(f"user {ids[without[0]]} has no training row: the list does not rest on anything that this user did")
    elif len(without):
        some = some_of([f"'{name}'" for name in ids[without]])
        say(
            f"{len(without):,} of {len(order):,} users have no training row ({some}): their lists do not rest on "
            "anything that these users did"
        )
    lists = [line for known in groups for line in _lists(opened, trained, known, k)]
    lists.sort(key=lambda pair: (order[pair[0]], pair[1].rank))
    return [line._replace(user=ids[index]) for index, line in lists]


def recommend_for(opened: Opened, history: Sequence[str], k: int, reporter: Reporter) -> list[Recommended]:
    """The ``k`` best items for somebody who liked the items that ``history`` names, the oldest first; without those.

    Each counts as a positive, with the highest value of the scale. Otherwise as ``recommend``. Says which of them have
    no training row.

    Raises:
        UpliftlensError: for an unknown item, or a model that has no score for users whom it was not trained on.
    """
    _check(k)
    dataset = opened.prepared.dataset
    items = item_indices(dataset, history)
    trained = opened.trained(reporter)
    if trained.method.new_users is None:
        raise UpliftlensError(
            f"model={opened.record.model} has no score for users whom it was not trained on: take a run of "
            f"{', '.join(FOR_NEW_USERS)}, or ask for a user of the data"
        )
    without = items[~np.isin(items, _learned(opened, trained).item)]
    if len(without):
        some = some_of([f"'{title}'" for title in _titles(dataset)[without]])
        say(f"the history names items without a training row, which the list cannot rest on: {some}")
    nobody, best = np.zeros(len(items)), np.full(len(items), max(dataset.scale[1], dataset.relevance))
    shown = interactions(nobody, items, best, len(dataset.users), len(dataset.items))
    known = Known(np.zeros(1, int), np.zeros(1, int), shown, shown)
    return [line for _, line in _lists(opened, trained, known, k)]


def _check(k: int) -> None:
    if k < 1:
        raise UpliftlensError(f"k={k}: ask for at least one item")


def _learned(opened: Opened, trained: Trained) -> Interactions:
    """The rows that the model was trained on."""
    parts = opened.prepared.split
    return parts.fit if trained.info["refitted"] else parts.train


def _titles(dataset: Dataset) -> np.ndarray:
    """The title of each item, or its id."""
    return dataset.items["title" if "title" in dataset.items else "id"].astype(str).to_numpy()


def _lists(opened: Opened, trained: Trained, known: Known, k: int) -> list[tuple[int, Recommended]]:
    """The lists of some users, with the user's index."""
    users, seen, shown = known.users, known.seen, known.shown
    method, (state, data) = trained.method, jax.device_put((trained.state, trained.data))
    dataset, options = opened.prepared.dataset, opened.plan.metrics
    nothing = take(seen, np.zeros(len(seen), bool))
    to_rank = targets(nothing, np.zeros(0, bool), take(seen, np.isin(seen.user, users)), users)
    told = moments(method, data, users, shown, None if shown is None else opened.positive(shown))
    block = min(options.block, len(users))
    items, scores = top_lists(method.score, state, data, told, to_rank, block, options.tie_seed, k)
    ids = dataset.items["id"].astype(str).to_numpy()
    titles = _titles(dataset)
    return [
        (int(user), Recommended("", place, ids[item], titles[item], float(score)))
        for user, row, values in zip(to_rank.users, items, scores, strict=True)
        for place, (item, score) in enumerate(zip(row, values, strict=True), start=1)
        if item >= 0
    ]

"""Full ranking: the ranks of a user's relevant test items among all items that the user hasn't seen.

Users are processed in blocks: score all items, mask the seen items, then count for each relevant item how many
candidates rank before it. Memory is one block of scores; nothing is sorted, nothing padded to the longest user.

Rules
- Candidates of a user: every item except those with a row in ``seen``. An item that has a *test* row of the user stays
  a candidate even when it is also in ``seen`` (366 pairs of Coat are); otherwise no method could rank it.
- Ties are broken by a pseudo-random order of the items, the same for all users, fixed by ``tie_seed``. The order of the
  ids would be unfair: in MovieLens low ids are popular films, so a constant score would look good.
- −inf means "never recommend": such an item is in no list, and a relevant item has rank ∞. NaN or +inf is an error.

Measured on 2 CPU cores, k = 64, ML-1M's shape (6,040 × 3,706, 57,500 relevant pairs): scoring and masking 50 ms,
counting ranks one positive at a time 58 ms (vectorised: 160–570 ms), top-10 lists row by row 52 ms (a block at once:
260 ms). Counting costs as much as ``top_k``, and gives every cut-off and the reciprocal rank at once.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from upliftlens.benchmarks.evaluation.scoring import Moments
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions
from upliftlens.models.contract import Query, TrainingData

_CHUNK = 512  # positives per call: one compiled program whatever their number; changes no result


class Targets(NamedTuple):
    """R lists to rank, each for a user or for a moment of a user, their relevant pairs, and what is no candidate.

    ``users`` i[R] ascending; ``moment`` i[R]: where ``Moments`` has each row. Relevant pairs ``row`` i64[P], ``item``
    i64[P], sorted by row. The items ``hidden`` [begin_r, end_r), i[R] each, are no candidates of row r, unless
    (r, item) is among the pairs ``again_row``, ``again_item`` i64[A], sorted by row. ``overlap``: seen pairs that stay
    candidates.
    """

    users: np.ndarray
    moment: np.ndarray
    row: np.ndarray
    item: np.ndarray
    hidden: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    again_row: np.ndarray
    again_item: np.ndarray
    overlap: int

    def mask(self, start: int, size: int, n_items: int) -> np.ndarray:
        """bool[size, n_items]: what is no candidate of rows [start, start + size); False beyond the last row."""
        mask = np.zeros((size, n_items), bool)
        begin, count = self.begin[start : start + size], (self.end - self.begin)[start : start + size]
        place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        mask[np.repeat(np.arange(len(count)), count), self.hidden[np.repeat(begin, count) + place]] = True
        again = slice(*np.searchsorted(self.again_row, (start, start + size)))
        mask[self.again_row[again] - start, self.again_item[again]] = False
        return mask


def targets(
    test: Interactions,
    relevant: np.ndarray,
    seen: Interactions,
    also: np.ndarray | None = None,
    again: bool = True,
) -> Targets:
    """What to rank, from test rows, which of them count as relevant (bool[N]), and the rows that were seen before.

    ``also`` i[M]: users to rank for besides those with test rows. ``again``: whether seen items with a test row are
    candidates. If not, they are no relevant pairs either: for tests that redraw pairs, where the candidates must not
    depend on the drawn outcomes.
    """
    n = test.n_items
    users = np.unique(test.user if also is None else np.concatenate([test.user, also]))
    position = np.full(test.n_users, -1, np.int64)
    position[users] = np.arange(len(users))
    keys = position[test.user] * n + test.item
    tested, relevant_keys = distinct(keys), distinct(keys[relevant])
    row = position[seen.user]
    known = distinct((row * n + seen.item)[(row >= 0) & (np.asarray(seen.weight) > 0)])
    both = np.intersect1d(known, tested, assume_unique=True)
    if not again:
        relevant_keys = np.setdiff1d(relevant_keys, both, assume_unique=True)
    hidden = np.delete(known, np.searchsorted(known, both)) if again else known
    hidden_row, item = np.divmod(hidden, n)
    begin, end = (np.searchsorted(hidden_row, np.arange(len(users)), side) for side in ("left", "right"))
    none = np.zeros(0, np.int64)
    return Targets(users, users, *np.divmod(relevant_keys, n), item, begin, end, none, none, len(both))


def distinct(keys: np.ndarray) -> np.ndarray:
    """Ascending, as ``np.unique``, whose hashing takes 45 times as long for 900,000 keys (NumPy 2.4)."""
    keys = np.sort(keys)
    return keys[np.diff(keys, prepend=-1) > 0]


class Ranking(NamedTuple):
    """``rank`` f64[P] of each relevant pair, from 1, inf where never recommended.

    ``lists`` i32[R, K]: the first K items for each row, best first, −1 beyond the last candidate.
    """

    rank: np.ndarray
    lists: np.ndarray


def tie_order(n_items: int, tie_seed: int) -> np.ndarray:
    """i32[n_items]: the place of each item among items with equal scores."""
    return np.random.default_rng(tie_seed).permutation(n_items).astype(np.int32)


def rank(
    score: Callable[..., jax.Array],
    state: Any,
    data: TrainingData,
    known: Moments,
    to_rank: Targets,
    block: int,
    tie_seed: int,
    length: int,
) -> Ranking:
    """Ranks of the relevant pairs and, for ``length`` > 0, the top lists.

    ``score`` is a Method's and ``known`` what it is told of the users. Each (score, block, shapes of state, data
    and queries) compiles once in a process, since the state is an argument. Put ``state`` and ``data`` on the
    device beforehand where this is called often.

    Raises:
        UpliftlensError: if a score is NaN or +inf, naming the pair.
    """
    n_rows, n_items = len(to_rank.users), data.n_items
    tie = tie_order(n_items, tie_seed)
    first_item = np.argsort(tie).astype(np.int32)
    length = min(length, n_items)
    ranks = np.empty(len(to_rank.row))
    lists = np.full((n_rows, length), -1, np.int32)
    for start, scores in _blocks(score, state, data, known, to_rank, block):
        first, last = np.searchsorted(to_rank.row, (start, start + block))
        for at in range(first, last, _CHUNK):
            chunk = slice(at, min(at + _CHUNK, last))
            filling = (0, _CHUNK - (chunk.stop - at))
            rows, items = (np.pad(ids[chunk], filling).astype(np.int32) for ids in (to_rank.row - start, to_rank.item))
            ranks[chunk] = np.asarray(_count(scores, tie, rows, items))[: chunk.stop - at]
        if length:
            lists[start : start + block] = np.asarray(_first(scores, first_item, length)[0])[: n_rows - start]
    return Ranking(np.where(ranks > 0, ranks, np.inf), lists)


def top_lists(
    score: Callable[..., jax.Array],
    state: Any,
    data: TrainingData,
    known: Moments,
    to_rank: Targets,
    block: int,
    tie_seed: int,
    length: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The first K = min(length, n_items) items for each user, i32[U, K], −1 beyond the last candidate, and their scores
    f32[U, K]; same arguments and errors as ``rank``.
    """
    shape = len(to_rank.users), min(length, data.n_items)
    items, values = np.full(shape, -1, np.int32), np.full(shape, -np.inf, np.float32)
    first_item = np.argsort(tie_order(data.n_items, tie_seed)).astype(np.int32)
    for start, scores in _blocks(score, state, data, known, to_rank, block):
        rows = slice(start, start + block)
        of_block = _first(scores, first_item, shape[1])
        items[rows], values[rows] = (np.asarray(part)[: shape[0] - start] for part in of_block)
    return items, values


def score_matrix(
    score: Callable[..., jax.Array], state: Any, data: TrainingData, known: Moments, to_rank: Targets, block: int
) -> np.ndarray:
    """f32[U, n_items]: all scores, −inf where an item is left out; same arguments and errors as ``rank``."""
    out = np.empty((len(to_rank.users), data.n_items), np.float32)
    for start, scores in _blocks(score, state, data, known, to_rank, block):
        out[start : start + block] = np.asarray(scores)[: len(out) - start]
    return out


def _blocks(
    score: Callable[..., jax.Array], state: Any, data: TrainingData, known: Moments, to_rank: Targets, block: int
) -> Iterator[tuple[int, jax.Array]]:
    """(first row's position, scores f32[block, n_items], −inf where an item is left out) of each block of rows."""
    for start in range(0, len(to_rank.users), block):
        at = known.query(np.resize(to_rank.moment[start : start + block], block))  # the last block repeats its rows
        scores, sound = _masked_scores(score, state, data, at, to_rank.mask(start, block, data.n_items))
        if not sound:
            raise _unsound(score, state, data, at, np.resize(to_rank.users[start : start + block], block))
        yield start, scores


@partial(jax.jit, static_argnums=0)
def _masked_scores(
    score: Callable[..., jax.Array], state: Any, data: TrainingData, at: Query, mask: jax.Array
) -> tuple[jax.Array, jax.Array]:
    scores = score(state, data, at).astype(jnp.float32)
    scores = jnp.where(scores == 0, 0.0, scores)  # top_k would put +0 before −0
    return jnp.where(mask, -jnp.inf, scores), ~(jnp.isnan(scores) | (scores == jnp.inf)).any()


def _at_once(number: int) -> int | None:
    """Rows per step of ``lax.map``: on a CPU one, which stays in cache; on an accelerator all in parallel."""
    return None if jax.default_backend() == "cpu" else number


@jax.jit
def _count(scores: jax.Array, tie: jax.Array, rows: jax.Array, items: jax.Array) -> jax.Array:
    """i32[C]: 1 + the number of candidates before (row, item), or 0 where the item is never recommended."""

    def rank_of(pair: tuple[jax.Array, jax.Array]) -> jax.Array:
        row, item = pair
        candidates = scores[row]
        score = candidates[item]
        before = (candidates > score) | ((candidates == score) & (tie < tie[item]))
        return jnp.where(score == -jnp.inf, 0, 1 + before.sum())

    return jax.lax.map(rank_of, (rows, items), batch_size=_at_once(len(rows)))


@partial(jax.jit, static_argnums=2)
def _first(scores: jax.Array, first_item: jax.Array, length: int) -> tuple[jax.Array, jax.Array]:
    """Items i32[B, K] and scores f32[B, K]: ``top_k`` prefers the lower of two equal columns, hence the columns in tie
    order.
    """

    def list_of(candidates: jax.Array) -> tuple[jax.Array, jax.Array]:
        values, columns = jax.lax.top_k(candidates[first_item], length)
        return jnp.where(values == -jnp.inf, -1, first_item[columns]), values

    return jax.lax.map(list_of, scores, batch_size=_at_once(len(scores)))


def _unsound(
    score: Callable[..., jax.Array], state: Any, data: TrainingData, at: Query, users: np.ndarray
) -> UpliftlensError:
    scores = np.asarray(score(state, data, jax.tree.map(jnp.asarray, at)), np.float32)
    bad = np.argwhere(np.isnan(scores) | (scores == np.inf))
    where = f" for user index {users[bad[0, 0]]} and item index {bad[0, 1]}" if len(bad) else ""
    what = scores[tuple(bad[0])] if len(bad) else "NaN or infinite"
    return UpliftlensError(
        f"the model's score{where} is {what}, so there is nothing to rank by.\n"
        "Has training diverged? Try a smaller train.lr or more regularisation (−inf is allowed: never recommend)."
    )

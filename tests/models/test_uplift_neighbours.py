"""CUBN and CIBN against loops over a tiny log."""

import numpy as np
import pytest
from numpy_neighbours import cibn, cubn
from uplift_logs import log_of, random_log

from upliftlens.causal.interactions import Interactions


def plain_cubn(
    rows: list[tuple[int, int, bool, float]], shape: tuple[int, int], basis: str, k: int, b: float
) -> np.ndarray:
    """From (user, item, treated, outcome) rows; users are compared."""
    vectors = np.zeros(shape)
    for u, i, z, y in rows:
        vectors[u, i] = y if basis == "outcome" else z
    scores = np.zeros(shape)
    for u in range(shape[0]):
        similarity = {}
        for v in range(shape[0]):
            norms = np.sqrt((vectors[u] ** 2).sum() * (vectors[v] ** 2).sum())
            if v != u and norms > 0:
                similarity[v] = (vectors[u] * vectors[v]).sum() / norms
        kept = sorted(similarity, key=lambda v: -similarity[v])
        if len(kept) > k:
            last = similarity[kept[k - 1]]
            kept = [v for v in kept if similarity[v] >= last - 1e-9]
        for i in range(shape[1]):
            means = []
            for arm in (True, False):
                theirs = [(similarity[v], y) for v, j, z, y in rows if v in kept and j == i and bool(z) is arm]
                weight = b + sum(s for s, _ in theirs)
                means.append(sum(s * y for s, y in theirs) / weight if weight > 0 else 0.0)
            scores[u, i] = means[0] - means[1]
    return scores


def rows_of(log: Interactions) -> list[tuple[int, int, bool, float]]:
    return list(zip(log.user.tolist(), log.item.tolist(), log.treated.tolist(), log.value.tolist(), strict=True))


@pytest.mark.parametrize("basis", ["outcome", "treatment"])
@pytest.mark.parametrize(("k", "b"), [(3, 0.0), (4, 1.5), (100, 0.7)])
def test_both_agree_with_plain_loops(basis: str, k: int, b: float) -> None:
    log, _ = random_log(9, 7, 6)
    rows = rows_of(log)
    assert cubn(log, basis, k, b, 4) == pytest.approx(plain_cubn(rows, (9, 7), basis, k, b), abs=1e-5)
    turned = [(i, u, z, y) for u, i, z, y in rows]
    assert cibn(log, basis, k, b, 3) == pytest.approx(plain_cubn(turned, (7, 9), basis, k, b).T, abs=1e-5)


def test_blocks_change_no_score() -> None:
    log, _ = random_log(11, 8, 2)
    assert cubn(log, "outcome", 5, 0.5, 2) == pytest.approx(cubn(log, "outcome", 5, 0.5, 11), abs=1e-6)


def test_users_and_items_that_nobody_resembles_score_zero() -> None:
    treated, outcome = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0]]), np.array([[1, 1, 0], [1, 1, 0], [0, 0, 0]])
    scores = cubn(log_of(treated, outcome, np.full((3, 3), 0.5)), "outcome", 2, 0.0, 3)
    assert scores[2].tolist() == [0, 0, 0]
    assert scores[0] == pytest.approx([1, -1, 0])  # user 1 took item 0 when recommended, item 1 without


def test_wrong_arguments_are_refused() -> None:
    log, _ = random_log(4, 4, 0)
    with pytest.raises(ValueError, match="unknown basis 'outcomes'"):
        cubn(log, "outcomes", 2, 0.0, 4)
    for k, b in ((0, 1.0), (2, -1.0)):
        with pytest.raises(ValueError, match="k ≥ 1 and shrinkage ≥ 0"):
            cibn(log, "outcome", k, b, 4)

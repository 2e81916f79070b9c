"""The oracle of CUBN and CIBN (Sato et al. 2021) in NumPy: the outcome of the recommended against the others'.

    CUBN   ŝ_ui = Σ_v w_uv Z_vi Y_vi / (b + Σ_v w_uv Z_vi) − Σ_v w_uv (1−Z_vi) Y_vi / (b + Σ_v w_uv (1−Z_vi))
    CIBN   the same over items j similar to i, within u's own rows

w is the cosine of two users' rows of a basis matrix, over the k nearest: of the outcomes Y (CUBN-O) or of the
treatments Z (CUBN-T). Sums run over logged pairs. Nobody is their own neighbour. The shrinkage b pulls a mean towards
0 while there is little behind it; an arm with no weight at all is 0.
"""

import numpy as np
from uplift_logs import dense

from upliftlens.causal.interactions import Interactions
from upliftlens.causal.intervals import ratio


def nearest(basis: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """w f32[len(rows), n]: cosine of the given rows of ``basis`` f32[n, F] to all of them; the k largest, others 0.

    Negative cosines and the row itself are never kept; rows tied at the k-th place are all kept. A row of zeros is like
    no other.
    """
    norm = np.linalg.norm(basis, axis=1, keepdims=True)
    unit = np.divide(basis, norm, out=np.zeros_like(basis), where=norm > 0)
    cosine = np.maximum(unit[rows] @ unit.T, 0.0)
    cosine[np.arange(len(rows)), rows] = 0.0
    if k < cosine.shape[1]:
        smallest = np.partition(cosine, -k, axis=1)[:, -k, None]
        cosine = np.where(cosine >= smallest, cosine, 0.0)
    return cosine


def _arm(weight: np.ndarray, outcome: np.ndarray, exposed: np.ndarray, shrinkage: float) -> np.ndarray:
    return np.nan_to_num(ratio(weight @ (outcome * exposed), shrinkage + weight @ exposed))


def _scores(
    basis: np.ndarray,
    logged: np.ndarray,
    treated: np.ndarray,
    outcome: np.ndarray,
    k: int,
    shrinkage: float,
    block: int,
) -> np.ndarray:
    scores = np.empty(logged.shape, np.float32)
    control = logged - treated
    for start in range(0, len(logged), block):
        rows = np.arange(start, min(start + block, len(logged)))
        weight = nearest(basis, rows, k)
        scores[rows] = _arm(weight, outcome, treated, shrinkage) - _arm(weight, outcome, control, shrinkage)
    return scores


def _check(k: int, shrinkage: float) -> None:
    if k < 1 or shrinkage < 0:
        raise ValueError(f"neighbours need k ≥ 1 and shrinkage ≥ 0, got {k} and {shrinkage}")


def cubn(log: Interactions, basis: str, k: int, shrinkage: float, block: int) -> np.ndarray:
    """Scores f32[U, I] from similar users; ``basis`` is "outcome" or "treatment", ``block`` the users done at a time.

    ``block`` bounds memory and changes no number beyond rounding.

    Raises:
        ValueError: if k < 1, shrinkage < 0, or the basis has another name.
    """
    _check(k, shrinkage)
    logged, treated, outcome = dense(log)
    return _scores(_basis(basis, treated, outcome), logged, treated, outcome, k, shrinkage, block)


def cibn(log: Interactions, basis: str, k: int, shrinkage: float, block: int) -> np.ndarray:
    """Scores f32[U, I] from similar items; arguments and errors as in ``cubn``, ``block`` counts items."""
    _check(k, shrinkage)
    logged, treated, outcome = (np.ascontiguousarray(part.T) for part in dense(log))
    return _scores(_basis(basis, treated, outcome), logged, treated, outcome, k, shrinkage, block).T


def _basis(name: str, treated: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    if name == "outcome":
        return outcome
    if name == "treatment":
        return treated
    raise ValueError(f"unknown basis '{name}': there is: outcome, treatment")

"""Logistic propensities fitted to the whole exposure matrix, every pair of D counted once.

    minimise  Σ_D [log(1 + e^z_ui) − o_ui·z_ui] + l2·‖penalised parameters‖²,   p = σ(z)

    regression     z_ui = x_uᵀ W x_i + γ_u + β_i + c     w·x_ui over all user × item covariate pairs, and biases
                   (Schnabel et al. 2016, section 5.2); convex; W, γ and β are penalised
    factorisation  z_ui = v_u·w_i + γ_u + β_i + c        logistic MF; not convex, so the seed matters; all but c
                   are penalised

Both are one bilinear form, minimised by L-BFGS in float64, a block of users at a time.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Array, Interactions
from upliftlens.causal.propensities.propensity import Propensity

_FLAT = 1e-5  # where rounding ends the line search, a smaller gradient still counts as a minimum
CELLS = 2_000_000  # pairs held at a time, 16 MB in float64; the block size does not change the numbers that matter


class _Bilinear(NamedTuple):
    """z = left @ rightᵀ + γ_u + β_i + c: f64[U, k], f64[I, k], f64[U], f64[I], f64[]."""

    left: np.ndarray
    right: np.ndarray
    user: np.ndarray
    item: np.ndarray
    constant: np.ndarray

    def logits(self, users: Array) -> np.ndarray:
        """f64[B, I]."""
        return self.left[users] @ self.right.T + self.user[users, None] + self.item + self.constant


def logistic_regression(
    log: Interactions, user_features: Array, item_features: Array, l2: float, iterations: int
) -> Propensity:
    """Logistic regression of exposure on all products of a user and an item feature, and a bias for each id.

    ``user_features`` f[n_users, Fu], ``item_features`` f[n_items, Fi]; without features only the biases are left.

    Raises:
        UpliftlensError: if the log is empty or holds every pair, the features do not fit the log, ``l2`` is not
            positive, or L-BFGS does not converge in ``iterations``.
    """
    x, y = np.asarray(user_features, np.float64), np.asarray(item_features, np.float64)
    if x.shape[:1] != (log.n_users,) or y.shape[:1] != (log.n_items,):
        raise UpliftlensError(
            f"logistic regression: features of {len(x)} users and {len(y)} items "
            f"for a log of {log.n_users} and {log.n_items}"
        )
    shapes = [(x.shape[1], y.shape[1]), (log.n_users,), (log.n_items,), ()]

    def unpack(theta: np.ndarray) -> _Bilinear:
        w, user, item, constant = _split(theta, shapes)
        return _Bilinear(x @ w, y, user, item, constant)

    def pull_back(gradient: _Bilinear) -> np.ndarray:
        return _flat(x.T @ gradient.left, gradient.user, gradient.item, gradient.constant)

    start = _flat(*(np.zeros(shape) for shape in shapes[:3]), _prior(log))
    model = unpack(_fit(log, start, unpack, pull_back, l2, iterations))
    return _propensity(
        "logistic_regression", model, "exposure depends on the features and on the two ids only, in logits"
    )


def logistic_mf(log: Interactions, dim: int, l2: float, seed: int, iterations: int) -> Propensity:
    """Logistic factorisation of the exposure matrix with ``dim`` factors, which start at N(0, .1²) drawn from ``seed``.

    With many factors and little ``l2`` it overfits the exposure matrix o: 1/p tends to 1 on O. Its calibration on
    held-out cells, or Σ_O 1/p far below |D|, shows it.

    Raises:
        UpliftlensError: as ``logistic_regression``.
    """
    shapes = [(log.n_users, dim), (log.n_items, dim), (log.n_users,), (log.n_items,), ()]

    def unpack(theta: np.ndarray) -> _Bilinear:
        return _Bilinear(*_split(theta, shapes))

    def pull_back(gradient: _Bilinear) -> np.ndarray:
        return _flat(*gradient)

    stream = np.random.default_rng(seed)
    factors = [stream.normal(0, 0.1, shape) for shape in shapes[:2]]
    start = _flat(*factors, np.zeros(log.n_users), np.zeros(log.n_items), _prior(log))
    model = unpack(_fit(log, start, unpack, pull_back, l2, iterations))
    return _propensity("logistic_mf", model, f"exposure is a logistic factor model of rank {dim}")


def _fit(
    log: Interactions,
    start: np.ndarray,
    unpack: Callable[[np.ndarray], _Bilinear],
    pull_back: Callable[[_Bilinear], np.ndarray],
    l2: float,
    iterations: int,
) -> np.ndarray:
    if not l2 > 0:
        raise UpliftlensError(
            f"a logistic propensity needs l2 > 0 (an id without rows would go to minus infinity), got {l2}"
        )
    rows = np.asarray(log.weight) > 0
    # Sorted by user; a pair that occurs twice is observed once.
    user, item = np.divmod(np.unique(np.asarray(log.user, np.int64)[rows] * log.n_items + log.item[rows]), log.n_items)
    penalised = np.ones(len(start))
    penalised[-1] = 0  # the constant
    block = max(1, CELLS // log.n_items)

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        model = unpack(theta)
        total = 0.0
        gradient = _Bilinear(*(np.zeros_like(part) for part in model))
        for start_of_block in range(0, log.n_users, block):
            users = np.arange(start_of_block, min(start_of_block + block, log.n_users))
            z = model.logits(users)
            first, last = np.searchsorted(user, [users[0], users[-1] + 1])
            seen = (user[first:last] - users[0], item[first:last])
            small = np.exp(-np.abs(z))  # one exponential for both log(1 + e^z) and σ(z)
            total += np.maximum(z, 0).sum() + np.log1p(small).sum() - z[seen].sum()
            residual = np.where(z >= 0, 1, small) / (1 + small)
            residual[seen] -= 1
            gradient.left[users] = residual @ model.right
            gradient.right[...] += residual.T @ model.left[users]
            gradient.user[users] = residual.sum(axis=1)
            gradient.item[...] += residual.sum(axis=0)
            gradient.constant[...] += residual.sum()
        square = penalised * theta
        total, slope = total + l2 * (square * theta).sum(), pull_back(gradient) + 2 * l2 * square
        return total / len(user), slope / len(user)  # per row, so that one tolerance serves logs of every size

    settings = {"maxfun": 4 * iterations, "ftol": 1e-13, "gtol": 1e-7, "maxcor": 20}
    return lbfgs(objective, start, "the logistic propensity", iterations, **settings)


def lbfgs(
    objective: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    what: str,
    iterations: int,
    **options: Any,
) -> np.ndarray:
    """The minimum f64[P] of an ``objective`` (value and gradient f64[P], both per row) from ``start`` f64[P].

    ``what`` names it in the error; ``options`` are those of SciPy's L-BFGS-B. A line search that ends abnormally counts
    as converged only if no entry of the gradient exceeds 1e-5.

    Raises:
        UpliftlensError: if it does not converge in ``iterations``.
    """
    from scipy.optimize import minimize  # slow to load, and most who read this file fit nothing

    result = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": iterations, **options})
    if result.success or (result.status == 2 and np.abs(result.jac).max() <= _FLAT):
        return result.x
    reason = str(result.message).rstrip(". ")
    raise UpliftlensError(
        f"{what} did not converge in {result.nit} of {iterations} iterations ({reason}): allow more, or a larger l2"
    )


def _propensity(name: str, model: _Bilinear, assumes: str) -> Propensity:
    def pairs(users: Array, items: Array, values: Array) -> np.ndarray:
        z = (
            (model.left[users] * model.right[items]).sum(axis=1)
            + model.user[users]
            + model.item[items]
            + model.constant
        )
        return expit(z).astype(np.float32)

    return Propensity(name, pairs, lambda users: expit(model.logits(users)).astype(np.float32), assumes)


def _prior(log: Interactions) -> np.ndarray:
    """The logit of |O|/|D|, f64[]: where the constant starts."""
    total, n_pairs = float(np.asarray(log.weight).sum()), log.n_users * log.n_items
    if not 0 < total < n_pairs:
        raise UpliftlensError(
            f"a logistic propensity needs observed and unobserved pairs: the log holds {total:g} of {n_pairs}"
        )
    return np.log(total / (n_pairs - total))


def _split(theta: np.ndarray, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(theta, ends[:-1]), shapes)]


def _flat(*parts: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ravel(part) for part in parts])

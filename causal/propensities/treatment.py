"""Propensities of recommending, estimated from the recommended pairs, for logs that do not record them."""

import numpy as np
from scipy.special import expit, logit

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.propensities.logistic import lbfgs


def additive_logistic(
    user: np.ndarray,
    item: np.ndarray,
    treated: np.ndarray,
    n_users: int,
    n_items: int,
    l2: float,
    iterations: int,
    fitted: np.ndarray,
) -> np.ndarray:
    """P(Z = 1) f32[N] of each row: logit e_ui = c + γ_u + β_i, a logistic regression of Z on the two ids.

        minimise  Σ_fitted rows [log(1 + exp z) − Z·z] + l2·(‖γ‖² + ‖β‖²),   z = c + γ_u + β_i

    Convex, solved by L-BFGS in float64. It assumes that recommendations depend on nothing else; outcomes are
    not used. ``fitted`` bool[N]: the rows whose treatment enters; the others are predicted, with γ = 0 (β = 0) for a
    user (an item) without a fitted row.

    Raises:
        UpliftlensError: if ``l2`` is not positive; or if of the fitted rows none or every one is treated, or every
            item (or user) is always or never recommended; or if L-BFGS takes more than ``iterations``.
    """
    every_user, every_item = user, item
    user, item, treated = user[fitted], item[fitted], treated[fitted]
    if not l2 > 0:
        raise UpliftlensError(
            f"estimated propensities need l2 > 0 (else a user who is always treated has e = 1), got {l2}"
        )
    share = float(np.mean(treated)) if len(treated) else 0.0
    if not 0 < share < 1:
        raise UpliftlensError(
            f"{share:.0%} of the rows are treated: there is nothing to estimate propensities from. Fix: record them, "
            "or give rows of both kinds"
        )
    for side, ids, n in (("item", item, n_items), ("user", user, n_users)):
        one_sided, repeated = one_arm(ids, treated, n)
        if repeated.any() and one_sided[repeated].all():
            raise UpliftlensError(
                f"no overlap: every {side} is always or never recommended, so no effect can be told from the {side} "
                "itself. Fix: record the propensities, or give a log in which some are both"
            )
    label = np.asarray(treated, np.float64)

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        by_user, by_item = theta[:n_users], theta[n_users:-1]
        z = theta[-1] + by_user[user] + by_item[item]
        residual = expit(z) - label
        gradient = np.concatenate(
            [np.bincount(user, residual, n_users), np.bincount(item, residual, n_items), [residual.sum()]]
        )
        gradient[:-1] += 2 * l2 * theta[:-1]
        loss = (np.logaddexp(0, z) - label * z).sum() + l2 * (theta[:-1] @ theta[:-1])
        return loss / len(z), gradient / len(z)

    start = np.zeros(n_users + n_items + 1)
    start[-1] = logit(share)
    theta = lbfgs(objective, start, "the propensity of recommending", iterations, gtol=1e-8)
    return expit(theta[-1] + theta[:n_users][every_user] + theta[n_users:-1][every_item]).astype(np.float32)


def one_arm(ids: np.ndarray, treated: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of ``n`` users (or items) have rows of one arm only, and which have two or more rows; bool[n] both."""
    rows, recommended = np.bincount(ids, minlength=n), np.bincount(ids, np.asarray(treated, np.float64), n)
    return (recommended == 0) | (recommended == rows), rows > 1

"""Minimising by L-BFGS, with an error where no minimum was reached."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import minimize

from upliftlens.causal.errors import UpliftlensError

_FLAT = 1e-5  # where rounding ends the line search, a smaller gradient still counts as a minimum


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
    result = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": iterations, **options})
    if result.success or (result.status == 2 and np.abs(result.jac).max() <= _FLAT):
        return result.x
    reason = str(result.message).rstrip(". ")
    raise UpliftlensError(
        f"{what} did not converge in {result.nit} of {iterations} iterations ({reason}): allow more, or a larger l2"
    )

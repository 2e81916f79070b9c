"""Where training starts: the rows that an objective sums over, and the constant that is added to a module's score."""

import jax.numpy as jnp

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions
from upliftlens.causal.losses import Loss
from upliftlens.causal.objectives.objective import Objective
from upliftlens.models.contract import Array, Recommendations, TrainingData


def training_rows(objective: Objective, data: TrainingData) -> Interactions | Recommendations:
    """The rows that the objective's observed samples are drawn from, in the layouts pairs and tiles.

    Raises:
        UpliftlensError: if the objective needs recommendations and the data have none.
    """
    if "recommendations" not in objective.needs:
        return data.log
    if data.recommendations is None:
        raise UpliftlensError(f"objective {objective.name} learns from what was recommended, which the data do not say")
    return data.recommendations


def start(name: str, loss: Loss, objective: Objective, data: TrainingData) -> Array:
    """f32[], the constant of a module before training.

    The mean target (squared loss) or its logit (logistic loss); 0 for pairwise losses and for modules that score a
    difference; the logit of |O|/|D| for a module called "propensity".
    """
    if name in objective.differences:
        return jnp.zeros(())
    rows = training_rows(objective, data)
    if name == "propensity":  # its score is the logit of being observed, whatever the loss
        return _logit(rows.weight.sum() / (data.n_users * data.n_items), 1e-6)
    if isinstance(rows, Recommendations):
        target = rows.outcome
    else:
        target = rows.value if loss.link == "rating" else data.positive
    mean = (rows.weight * target).sum() / jnp.maximum(rows.weight.sum(), 1)
    if loss.link == "rating":
        return mean
    if loss.link == "probability":
        return _logit(mean, 1e-3)  # a log with one class only would start at ±infinity
    return jnp.zeros(())


def _logit(share: Array, least: float) -> Array:
    bounded = jnp.clip(share, least, 1 - least)
    return jnp.log(bounded / (1 - bounded))

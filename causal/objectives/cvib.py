"""CVIB, the counterfactual variational information bottleneck (Wang et al. 2020), without propensities.

    mean_O CE(r, r̂) + α·CE(mean_O r̂, mean_D r̂) + γ·mean_O r̂ log r̂        CE(a, b) = −a log b − (1 − a) log(1 − b)

r̂ = σ(score). The second term pulls the mean prediction over all pairs to that over the observed ones, the third keeps
predictions uncertain. As in the authors' code, D replaces the paper's D∖O. It is not
linear in its sums: the full batch is the definition and the minibatch gradient is biased. α = γ = 0 gives naive.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import jax
import jax.numpy as jnp

from upliftlens.causal.interactions import Array
from upliftlens.causal.objectives.objective import Objective, Phase, View, all_pairs
from upliftlens.causal.options import AtLeast, Traced
from upliftlens.causal.sample import Batch


@dataclass(frozen=True)
class CVIBOptions:
    """``balance``: α; ``confidence``: γ."""

    balance: Annotated[Traced[float], AtLeast(0)]
    confidence: Annotated[Traced[float], AtLeast(0)]


def _cvib(view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
    observed, everything = batch.observed, all_pairs(batch)
    score = view.score("prediction", observed)
    prediction = view.predict(score)
    factual = (observed.weight * prediction).sum()
    overall = (everything.weight * view.predict(view.score("prediction", everything))).sum()
    # Sums of rounded weights can exceed 1 by a hair, and a mean of σ can underflow to 0.
    low = jnp.finfo(overall.dtype).eps
    overall = jnp.clip(overall, low, 1 - low)
    balance = -factual * jnp.log(overall) - (1 - factual) * jnp.log1p(-overall)
    confidence = (observed.weight * prediction * jax.nn.log_sigmoid(score)).sum()
    naive = (observed.weight * view.error(score, observed.target)).sum()
    return naive + hp["balance"] * balance + hp["confidence"] * confidence


cvib = Objective(
    "cvib",
    CVIBOptions,
    phases=(Phase(_cvib, moves=("prediction",)),),
    needs=frozenset({"everything"}),
    links=frozenset({"probability"}),
)
"""Information-theoretic learning from unobserved pairs, without propensities."""

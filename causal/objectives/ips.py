"""Inverse propensity scoring.

    ips    Σ_O (e/p) / |D|
    snips  Σ_O (e/p) / Σ_O (1/p)    a ratio, so its minibatch gradient is biased: the full batch is the definition

Schnabel et al. 2016, sections 3.3 and 4.
With ``propensity`` as a sample's p: clip or normalise it where it is made. Public code often divides by the number of
rows instead of |D|, which changes the size of the loss against the L2 term, not its minimum without one.
"""

from collections.abc import Callable, Mapping

from upliftlens.causal import risk
from upliftlens.causal.interactions import Array
from upliftlens.causal.objectives.objective import Objective, Phase, View, pairs_per_row
from upliftlens.causal.options import NoOptions
from upliftlens.causal.risk import RiskEstimator
from upliftlens.causal.sample import Batch


def _objective(name: str, estimator: RiskEstimator, n_pairs: Callable[[Batch], Array | float]) -> Objective:
    def loss(view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
        observed = batch.observed
        return estimator(view.errors("prediction", observed), observed.propensity, n_pairs(batch), observed.weight)

    return Objective(name, NoOptions, (Phase(loss, moves=("prediction",)),), needs=frozenset({"propensity"}))


ips = _objective("ips", risk.ips, pairs_per_row)
"""Σ_O (e/p) / |D|."""

snips = _objective("snips", risk.snips, lambda batch: 1.0)  # self-normalised: the number of pairs may be unknown
"""Σ_O (e/p) / Σ_O (1/p)."""

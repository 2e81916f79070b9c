"""Learning with imputed errors: EIB, DR, DR-JL, MRDR, StableDR.

e = ℓ(r, r̂), ê = ℓ(g, r̂) with g the imputation model's pseudo-label in the unit of the target.

                 prediction loss                      imputation loss
    eib          mean_D[o·e + (1 − o)·ê]              mean_O (e − ê)²                  Steck 2013
    dr           mean_D[ê + o(e − ê)/p]               mean_O ℓ(r, g)                   Dudík et al. 2011
    dr_jl        as dr                                mean_O (e − ê)²/p                Wang et al. 2019
    mrdr         as dr                                mean_O (e − ê)²·(1 − p)/p²       Guo et al. 2021
    stable_dr    Σ_O(e/p) / Σ_O(1/p)                  as dr_jl                         Li et al. 2023
                 propensity loss: CE(o, p) + η·{mean_D (1 − o/p)(ê − mean_D ê)}²
    stable_dr_given    as stable_dr, where the learned p starts from a given one: logit p = logit p_given + z, z from 0

The prediction loss is differentiated through r̂ in both e and ê, with g (and p) stopped; the imputation loss stops r̂.
In ``dr`` the imputation is fixed in the sense that it never sees r̂: g is an outcome model fitted to the ratings on O.
The imputation's λ (and in stable_dr the propensity's) is a share of the prediction's that the options state: its loss
is of another size, (e − ê)² being of fourth order in the ratings and weighed by 1/p.

Under squared loss (e − ê)² vanishes at g = r and, mirrored, at g = 2r̂ − r; where ratings are noisy its mean is least
where |g − r̂| is about the noise, on either side. On Coat 35 to 57 % of the observed pairs ended nearer to the mirrored
solution, and under a large λ g stood off r̂ by one constant everywhere. ``anchor`` adds α·mean_O ℓ(r, g), which pulls g
to the ratings' side (5 to 20 % mirrored, unless λ is large); α = 0 is the paper's loss. Under log loss e − ê is linear
in g: there is no second solution.

Where public code departs: a widely copied line computes (Σ_O e/p − Σ_O ê + Σ_S ê)/|S|, in which ê on O is not divided
by p and the batch of O is not scaled by |O|/|D|; there ``dr`` takes one constant pseudo-label, estimated on the MAR
test data. All losses here but stable_dr's are linear in their sums over O and D, so a minibatch's gradient is unbiased.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import jax
import jax.numpy as jnp

from upliftlens.causal import risk
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Array
from upliftlens.causal.objectives.objective import Objective, Phase, View, all_pairs, pairs_per_row
from upliftlens.causal.options import AtLeast, Traced, Within
from upliftlens.causal.risk import RiskEstimator
from upliftlens.causal.sample import Batch, Sample

Step = Callable[[View, Batch, Mapping[str, Array]], Array]


@dataclass(frozen=True)
class OutcomeOptions:
    """``imputation_l2``: share of λ that regularises the imputation; 1: as the prediction."""

    imputation_l2: Annotated[Traced[float], AtLeast(0)]


@dataclass(frozen=True)
class ImputationOptions(OutcomeOptions):
    """``anchor``: α, the weight of mean_O ℓ(r, g) in the imputation's loss."""

    anchor: Annotated[Traced[float], AtLeast(0)]


def prediction_loss(transform: Callable[[Array, Array], RiskEstimator]) -> Step:
    """The loss of the prediction under a transform of (ê on O, mean_D ê) to an estimator of mean_D e."""

    def loss(view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
        observed = batch.observed
        score = view.score("prediction", observed)
        error = view.error(score, observed.target)
        imputed = view.error(score, pseudo_label(view, observed))
        estimator = transform(imputed, imputed_mean(view, all_pairs(batch)))
        return estimator(error, observed.propensity, pairs_per_row(batch), observed.weight)

    return loss


def imputation_loss(weight: Callable[[Array], Array] | None) -> Step:
    """mean_O [(e − ê)²·weight(p) + α·ℓ(r, g)], with r̂ stopped; without a weight, p is not read."""

    def loss(view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
        observed = batch.observed
        if weight is None:
            return gap_and_anchor(view, observed, 1.0, hp)
        if observed.propensity is None:
            raise UpliftlensError("this objective weighs its imputation by propensities: none were given")
        return gap_and_anchor(view, observed, weight(jnp.where(observed.weight > 0, observed.propensity, 1)), hp)

    return loss


def gap_and_anchor(view: View, sample: Sample, weight: Array | float, hp: Mapping[str, Array]) -> Array:
    """mean [(e − ê)²·weight + α·ℓ(r, g)], differentiable in g only; one pass scores g for both terms."""
    score = jax.lax.stop_gradient(view.score("prediction", sample))
    imputation = view.score("imputation", sample)
    gap = view.error(score, sample.target) - view.error(score, view.predict(imputation))
    return (sample.weight * (weight * gap**2 + hp["anchor"] * view.error(imputation, sample.target))).sum()


def pseudo_label(view: View, sample: Sample) -> Array:
    """g in the unit of the target, a constant to the gradient."""
    return jax.lax.stop_gradient(view.predict(view.score("imputation", sample)))


def imputed_mean(view: View, everything: Sample) -> Array:
    """mean_D ê, differentiable in r̂."""
    error = view.error(view.score("prediction", everything), pseudo_label(view, everything))
    return (everything.weight * error).sum()


def outcome_loss(view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
    """mean_O ℓ(r, g): that of an outcome model, which never sees the prediction."""
    return (batch.observed.weight * view.errors("imputation", batch.observed)).sum()


def _objective(
    name: str, imputation: Step, prediction: Step, needs: frozenset[str], options: type = ImputationOptions
) -> Objective:
    return Objective(
        name,
        options,
        phases=(
            Phase(imputation, moves=("imputation",), l2=(("imputation", "imputation_l2"),)),
            Phase(prediction, moves=("prediction",)),
        ),
        modules=("prediction", "imputation"),
        needs=needs,
        links=frozenset({"rating", "probability"}),
        version=4,
    )


_EVERYTHING = frozenset({"everything"})
_BOTH = frozenset({"everything", "propensity"})
_DR = prediction_loss(partial(risk.doubly_robust, risk.ips))

eib = _objective("eib", imputation_loss(None), prediction_loss(risk.eib), _EVERYTHING)
"""Error imputation: unobserved errors are imputed, no propensity is used."""

dr = _objective("dr", outcome_loss, _DR, _BOTH, OutcomeOptions)
"""Doubly robust with an outcome model that never sees the prediction."""

dr_jl = _objective("dr_jl", imputation_loss(jnp.reciprocal), _DR, _BOTH)
"""Doubly robust, joint learning: the imputation is fitted to the prediction's own errors."""

mrdr = _objective("mrdr", imputation_loss(lambda p: (1 - p) / p**2), _DR, _BOTH)
"""More robust DR: the imputation minimises DR's variance."""


@dataclass(frozen=True)
class StableDROptions(ImputationOptions):
    """``balance``: η, the weight of the squared constraint; ``floor``: lowest propensity that is divided by.

    ``propensity_l2``: share s of λ that regularises the propensity, whose loss is a mean over D: of Σ_D CE + s·λ‖θ‖².
    """

    balance: Annotated[Traced[float], AtLeast(0)]
    floor: Annotated[Traced[float], Within(0, 1)]
    propensity_l2: Annotated[Traced[float], AtLeast(0)]


ExposureLogit = Callable[[Array, Sample], Array]
"""(score, sample) -> logit P(observed) of the sample's pairs, of the score's shape."""


def from_density(score: Array, sample: Sample) -> Array:
    """The score as it is: it is learned from |O|/|D| on."""
    return score


def from_given(score: Array, sample: Sample) -> Array:
    """logit p + score, p the sample's: it is learned from a given p on.

    Raises:
        UpliftlensError: if the sample has no propensities.
    """
    if sample.propensity is None:
        raise UpliftlensError("this objective starts from the propensities of all pairs: none were given")
    # Off O, and in padding, a sample of O may hold anything; beyond 1e-6 a logit in float32 has no room to move.
    p = jnp.clip(jnp.where(sample.weight > 0, sample.propensity, 0.5), 1e-6, 1 - 1e-6)
    return jnp.log(p / (1 - p)) + score


def exposure_entropy(on_observed: Array, on_everything: Array, batch: Batch) -> Array:
    """CE(o, σ(z)) = mean_D[log(1 + e^z)] − |O|/|D|·mean_O z, from the logits z on both samples."""
    everything = (all_pairs(batch).weight * jax.nn.softplus(on_everything)).sum()
    return everything - (batch.observed.weight * on_observed).sum() / pairs_per_row(batch)


def _stable_propensity(logit_of: ExposureLogit, view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
    observed, everything = batch.observed, all_pairs(batch)
    logit = logit_of(view.score("propensity", observed), observed)
    entropy = exposure_entropy(logit, logit_of(view.score("propensity", everything), everything), batch)
    score = view.score("prediction", observed)
    imputed = jax.lax.stop_gradient(view.error(score, pseudo_label(view, observed)))
    centre = jax.lax.stop_gradient(imputed_mean(view, everything))
    # mean_D (ê − mean_D ê) is 0, which leaves the part that the observed pairs contribute.
    p = jnp.maximum(jax.nn.sigmoid(logit), hp["floor"])
    gap = risk.ips(imputed - centre, p, pairs_per_row(batch), observed.weight)
    return entropy + hp["balance"] * gap**2


def _held(logit_of: ExposureLogit, view: View, observed: Sample, hp: Mapping[str, Array]) -> Array:
    """The learned p of the observed pairs, at least the floor, a constant to the gradient."""
    logit = logit_of(view.score("propensity", observed), observed)
    return jax.lax.stop_gradient(jnp.maximum(jax.nn.sigmoid(logit), hp["floor"]))


def _stable_imputation(logit_of: ExposureLogit, view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
    return gap_and_anchor(view, batch.observed, 1 / _held(logit_of, view, batch.observed, hp), hp)


def _stable_prediction(logit_of: ExposureLogit, view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
    observed = batch.observed
    p = _held(logit_of, view, observed, hp)
    return risk.snips(view.errors("prediction", observed), p, pairs_per_row(batch), observed.weight)


def _stable(name: str, logit_of: ExposureLogit, needs: frozenset[str], version: int) -> Objective:
    return Objective(
        name,
        StableDROptions,
        phases=(
            Phase(partial(_stable_propensity, logit_of), ("propensity",), (("propensity", "propensity_l2"),)),
            Phase(partial(_stable_imputation, logit_of), ("imputation",), (("imputation", "imputation_l2"),)),
            Phase(partial(_stable_prediction, logit_of), ("prediction",)),
        ),
        modules=("prediction", "imputation", "propensity"),
        needs=needs,
        links=frozenset({"rating", "probability"}),
        version=version,
    )


stable_dr = _stable("stable_dr", from_density, _EVERYTHING, 5)
"""SNIPS with propensities learned so that it gives the imputed errors their true mean."""

stable_dr_given = _stable("stable_dr_given", from_given, frozenset({*_BOTH, "everywhere"}), 1)
"""StableDR whose propensities are learned from given ones on; with z held at 0 it is SNIPS with the given p where
p ≥ ``floor``, and with the floor elsewhere."""

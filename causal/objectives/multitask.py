"""ESCM²-DR (Wang et al. 2022): exposure, rating and imputation towers over shared embeddings.

    CE(p, o) + β·CE(p·r̂, o·r) + θ·mean_D[ê + o(e − ê)/p]        moves embeddings, rating and exposure tower
    mean_O (e − ê)²/p                                            moves the imputation tower

escm2_dr_given: logit p = logit p_given + exposure score, so that p is learned from a given one on.

r̂ = σ(rating score), p = σ(exposure score), r in {0, 1}; 1/p in the doubly robust risk is a constant to the gradient, as
in the authors' code. The embeddings are those of the prediction module; the imputation's loss does not move them.

The backbone's module must offer ``embed(users i32[B], items i32[B]) -> (f32[B, d], f32[B, d'])`` and
``tower(user part, item part) -> f32[B]``. A backbone without parameters above its embeddings (plain MF) can't: its
towers would all give the same score.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import jax
import jax.numpy as jnp

from upliftlens.causal import risk
from upliftlens.causal.interactions import Array
from upliftlens.causal.objectives.dr import (
    ExposureLogit,
    OutcomeOptions,
    exposure_entropy,
    from_density,
    from_given,
)
from upliftlens.causal.objectives.objective import Objective, Phase, View, all_pairs, pairs_per_row
from upliftlens.causal.options import AtLeast, Traced, Within
from upliftlens.causal.sample import Batch, Sample, pair_ids


@dataclass(frozen=True)
class ESCM2Options(OutcomeOptions):
    """``joint``: β of the loss of p·r̂; ``risk``: θ of the doubly robust risk; ``floor``: lowest p divided by.

    ``propensity_l2``: share s of λ that regularises the exposure tower, whose loss is a mean over D.
    """

    joint: Annotated[Traced[float], AtLeast(0)]
    risk: Annotated[Traced[float], AtLeast(0)]
    floor: Annotated[Traced[float], Within(0, 1)]
    propensity_l2: Annotated[Traced[float], AtLeast(0)]


def shared_score(view: View, tower: str, sample: Sample) -> Array:
    """The score of another module's tower on the prediction module's embeddings, of the sample's shape."""
    user, item = view.module("prediction").embed(*pair_ids(sample))
    return view.module(tower).tower(user, item).reshape(sample.weight.shape)


def _tasks(logit_of: ExposureLogit, view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
    observed, everything, n_pairs = batch.observed, all_pairs(batch), pairs_per_row(batch)
    rating, rating_all = view.score("prediction", observed), view.score("prediction", everything)
    seen, seen_all = _exposure(logit_of, view, observed), _exposure(logit_of, view, everything)
    # CE(p·r̂, o·r): log(1 − p·r̂) on all of D, and log(p·r̂) − log(1 − p·r̂) more where a pair is observed with r = 1.
    odds = observed.target * (_log_both(seen, rating) - _log_not_both(seen, rating))
    joint = -(everything.weight * _log_not_both(seen_all, rating_all)).sum() - (observed.weight * odds).sum() / n_pairs

    error = view.error(rating, observed.target)
    imputed = view.error(rating, _pseudo_label(view, observed))
    mean = (everything.weight * view.error(rating_all, _pseudo_label(view, everything))).sum()
    p = jax.lax.stop_gradient(jnp.maximum(jax.nn.sigmoid(seen), hp["floor"]))
    robust = risk.doubly_robust(risk.ips, imputed, mean)(error, p, n_pairs, observed.weight)
    return exposure_entropy(seen, seen_all, batch) + hp["joint"] * joint + hp["risk"] * robust


def _imputation(logit_of: ExposureLogit, view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
    observed = batch.observed
    score = jax.lax.stop_gradient(view.score("prediction", observed))
    imputed = view.error(score, view.predict(shared_score(view, "imputation", observed)))
    p = jnp.maximum(jax.nn.sigmoid(_exposure(logit_of, view, observed)), hp["floor"])
    gap = (view.error(score, observed.target) - imputed) ** 2
    return (observed.weight / jax.lax.stop_gradient(p) * gap).sum()


def _exposure(logit_of: ExposureLogit, view: View, sample: Sample) -> Array:
    return logit_of(shared_score(view, "propensity", sample), sample)


def _pseudo_label(view: View, sample: Sample) -> Array:
    return jax.lax.stop_gradient(view.predict(shared_score(view, "imputation", sample)))


def _log_both(a: Array, b: Array) -> Array:
    """log(σ(a)·σ(b))."""
    return jax.nn.log_sigmoid(a) + jax.nn.log_sigmoid(b)


def _log_not_both(a: Array, b: Array) -> Array:
    """log(1 − σ(a)·σ(b)) = log(e^−a + e^−b + e^−(a+b)) + log(σ(a)·σ(b)), finite for all a and b."""
    return jnp.logaddexp(jnp.logaddexp(-a, -b), -a - b) + _log_both(a, b)


def _escm2(name: str, logit_of: ExposureLogit, needs: frozenset[str], version: int) -> Objective:
    return Objective(
        name,
        ESCM2Options,
        phases=(
            Phase(partial(_imputation, logit_of), ("imputation",), (("imputation", "imputation_l2"),)),
            Phase(partial(_tasks, logit_of), ("prediction", "propensity"), (("propensity", "propensity_l2"),)),
        ),
        modules=("prediction", "propensity", "imputation"),
        needs=needs,
        requires=frozenset({"embed", "tower"}),
        links=frozenset({"probability"}),
        version=version,
    )


escm2_dr = _escm2("escm2_dr", from_density, frozenset({"everything"}), 4)
"""Entire-space multi-task learning with a doubly robust risk."""

escm2_dr_given = _escm2("escm2_dr_given", from_given, frozenset({"everything", "propensity", "everywhere"}), 1)
"""ESCM²-DR whose exposure is learned from given propensities on."""

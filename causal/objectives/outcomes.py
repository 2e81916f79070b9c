"""Effects from outcome models: S-learner, T-learner, DR-learner, on any backbone.

m1, m0 = P(Y = 1) if recommended / if not, in the unit of the loss; Z = was recommended, Y = outcome, e = P(Z = 1); the
means are over all logged rows:

    t_learner   mean ℓ(Y, m_Z), one module for each arm; ranks by m1 − m0                        Künzel et al. 2019
    s_learner   mean ℓ(Y, m_Z) with the score of m_Z = s + Z·t: one model with the treatment as an input, which changes
                the score by t, a function of user and item; ranks by m1 − m0                    Künzel et al. 2019
    dr_learner  the t_learner's loss in each half of the rows, with models of its own, and w · mean over rows with
                overlap of (τ̂ − φ)², with the pseudo-outcome φ = m1 − m0 + Z(Y − m1)/e − (1 − Z)(Y − m0)/(1 − e)
                by the models of the other half, e clipped by χ as in dlce; ranks by τ̂           Kennedy 2023

s_learner: as one more 0/1 feature of a factorisation the treatment would rank items alike for everyone; here s and t
are each built from the backbone, and λ pulls t to a constant.
dr_learner: cross-fitted, so that no row's noise is in the models that correct it; a pair's half is fixed (``half``). φ
is a constant to the gradient. Outcome models and effect learn side by side, one step each, so early φ are crude and
later steps mend them; Kennedy fits the outcome models first. φ is far noisier than Y, so one λ can't suit both losses:
w < 1 shrinks τ̂ more, as λ/w would.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import jax
import jax.numpy as jnp

from upliftlens.causal.interactions import Array
from upliftlens.causal.objectives.objective import Objective, Phase, View
from upliftlens.causal.objectives.uplift import RECOMMENDATIONS, CappedOptions, inverse_propensity, treatment
from upliftlens.causal.options import Above, NoOptions, Traced
from upliftlens.causal.sample import Batch, Sample

_LINKS = frozenset({"rating", "probability"})


def _by_arm(view: View, rows: Sample, treated_module: str, control_module: str) -> Array:
    """Σ weight·ℓ(Y, m_Z)."""
    treated = treatment(rows)
    score = treated * view.score(treated_module, rows) + (1 - treated) * view.score(control_module, rows)
    return (rows.weight * view.error(score, rows.target)).sum()


def _t_loss(view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
    return _by_arm(view, batch.observed, "prediction", "control")


def _t_rank(view: View, sample: Sample, hp: Mapping[str, Array]) -> Array:
    return view.predict(view.score("prediction", sample)) - view.predict(view.score("control", sample))


t_learner = Objective(
    "t_learner",
    NoOptions,
    phases=(Phase(_t_loss, moves=("prediction", "control")),),
    modules=("prediction", "control"),
    needs=RECOMMENDATIONS,
    links=_LINKS,
    rank=_t_rank,
    link="rank",
)
"""Two outcome models, one for each arm."""


def _s_loss(view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
    rows = batch.observed
    score = view.score("control", rows) + treatment(rows) * view.score("prediction", rows)
    return (rows.weight * view.error(score, rows.target)).sum()


def _s_rank(view: View, sample: Sample, hp: Mapping[str, Array]) -> Array:
    control = view.score("control", sample)
    return view.predict(control + view.score("prediction", sample)) - view.predict(control)


s_learner = Objective(
    "s_learner",
    NoOptions,
    phases=(Phase(_s_loss, moves=("prediction", "control")),),
    modules=("prediction", "control"),
    needs=RECOMMENDATIONS,
    links=_LINKS,
    differences=frozenset({"prediction"}),
    rank=_s_rank,
    link="rank",
)
"""One outcome model with the treatment among its inputs."""


_HALVES = (("treated", "control"), ("treated_other", "control_other"))


def half(sample: Sample) -> Array:
    """bool of the sample's shape: which half of all pairs a pair is in, by a hash of user and item."""
    users = sample.users if sample.items is not None else sample.users[:, None]
    items = jnp.arange(sample.weight.shape[-1]) if sample.items is None else sample.items
    mixed = users.astype(jnp.uint32) * jnp.uint32(0x9E3779B1) + items.astype(jnp.uint32)
    for factor in (0x85EBCA6B, 0xC2B2AE35):
        mixed = (mixed ^ (mixed >> 16)) * jnp.uint32(factor)
    return (mixed >> 31) == 1


def _outcomes(view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
    rows = batch.observed
    in_second = half(rows)
    first, second = (rows._replace(weight=rows.weight * (in_second == index)) for index in range(2))
    return _by_arm(view, first, *_HALVES[0]) + _by_arm(view, second, *_HALVES[1])


def pseudo_outcome(view: View, rows: Sample, chi: Array) -> Array:
    """φ of each row by the outcome models of the half it isn't in, a constant to the gradient."""
    in_second = half(rows)
    m1, m0 = (
        view.predict(jnp.where(in_second, view.score(first, rows), view.score(second, rows)))
        for first, second in zip(*_HALVES, strict=True)
    )
    treated = treatment(rows)
    inverse = inverse_propensity(rows, chi)
    corrected = m1 - m0 + inverse * (treated * (rows.target - m1) - (1 - treated) * (rows.target - m0))
    return jax.lax.stop_gradient(corrected)


@dataclass(frozen=True)
class DROptions(CappedOptions):
    """``chi`` as in dlce; ``effect``: w, the weight of the effect's loss against λ."""

    effect: Annotated[Traced[float], Above(0)]


def _effect(view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
    rows = batch.observed
    gap = view.score("prediction", rows) - pseudo_outcome(view, rows, hp["chi"])
    usable = inverse_propensity(rows, hp["chi"]) > 0
    return hp["effect"] * (rows.weight * usable * gap**2).sum()


dr_learner = Objective(
    "dr_learner",
    DROptions,
    phases=(Phase(_outcomes, moves=(*_HALVES[0], *_HALVES[1])), Phase(_effect, moves=("prediction",))),
    modules=("prediction", *_HALVES[0], *_HALVES[1]),
    needs=RECOMMENDATIONS,
    links=_LINKS,
    differences=frozenset({"prediction"}),
    link="rank",
    version=2,
)
"""A regression on cross-fitted doubly-robust pseudo-outcomes."""

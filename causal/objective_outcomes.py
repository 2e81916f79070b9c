"""Effects from outcome models: S-learner, T-learner, DR-learner, on any backbone.

m1, m0 = P(Y = 1) if recommended / if not, in the unit of the loss; Z = was recommended, Y = outcome, e = P(Z = 1); the
means are over all logged rows:

    t_learner   mean ℓ(Y, m_Z), one module for each arm; ranks by m1 − m0                        Künzel et al. 2019
    s_learner   mean ℓ(Y, m_Z) with the score of m_Z = s + Z·t: one model with the treatment as an input, which changes
                the score by t, a function of user and item; ranks by m1 − m0                    Künzel et al. 2019
    dr_learner  the t_learner's loss, and w · mean over rows with overlap of (τ̂ − φ)², with the pseudo-outcome
                φ = m1 − m0 + Z(Y − m1)/e − (1 − Z)(Y − m0)/(1 − e), e clipped by χ as in dlce;
                ranks by τ̂                                                                       Kennedy 2023

s_learner: as one more 0/1 feature of a factorisation the treatment would rank items alike for everyone; here s and t
are each built from the backbone, and λ pulls t to a constant.
dr_learner: φ is a constant to the gradient. All three modules learn side by side from the same rows, one step each, so
early φ are crude and later steps mend them; Kennedy fits the outcome models first, and on other rows. φ is far noisier
than Y, so one λ can't suit both losses: w < 1 shrinks τ̂ more, as λ/w would.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import jax

from upliftlens.causal.interactions import Array
from upliftlens.causal.objective_uplift import RECOMMENDATIONS, CappedOptions, inverse_propensity, treatment
from upliftlens.causal.objectives import NoOptions, Objective, Phase, View
from upliftlens.causal.options import Traced
from upliftlens.causal.sample import Batch, Sample

_LINKS = frozenset({"rating", "probability"})


def _by_arm(view: View, batch: Batch, treated_module: str) -> Array:
    rows = batch.observed
    treated, _ = treatment(rows)
    score = treated * view.score(treated_module, rows) + (1 - treated) * view.score("control", rows)
    return (rows.weight * view.error(score, rows.target)).sum()


def _t_loss(view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
    return _by_arm(view, batch, "prediction")


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
    treated, _ = treatment(rows)
    score = view.score("control", rows) + treated * view.score("prediction", rows)
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


def _outcomes(view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
    return _by_arm(view, batch, "treated")


def pseudo_outcome(view: View, rows: Sample, chi: Array) -> Array:
    """φ of each row, a constant to the gradient."""
    m1, m0 = (view.predict(view.score(name, rows)) for name in ("treated", "control"))
    treated, _ = treatment(rows)
    inverse = inverse_propensity(rows, chi)
    corrected = m1 - m0 + inverse * (treated * (rows.target - m1) - (1 - treated) * (rows.target - m0))
    return jax.lax.stop_gradient(corrected)


@dataclass(frozen=True)
class DROptions(CappedOptions):
    """``chi`` as in dlce; ``effect``: w > 0, the weight of the effect's loss against λ."""

    effect: Traced[float]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.effect > 0:
            raise ValueError(f"effect must be positive, got {self.effect}")


def _effect(view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
    rows = batch.observed
    gap = view.score("prediction", rows) - pseudo_outcome(view, rows, hp["chi"])
    usable = inverse_propensity(rows, hp["chi"]) > 0
    return hp["effect"] * (rows.weight * usable * gap**2).sum()


dr_learner = Objective(
    "dr_learner",
    DROptions,
    phases=(Phase(_outcomes, moves=("treated", "control")), Phase(_effect, moves=("prediction",))),
    modules=("prediction", "treated", "control"),
    needs=RECOMMENDATIONS,
    links=_LINKS,
    differences=frozenset({"prediction"}),
    link="rank",
)
"""A regression on doubly-robust pseudo-outcomes."""

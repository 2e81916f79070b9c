"""Learning to rank by what recommending changes: DLCE, BLCE, DLTO, ULBPR, ULRMF.

Z = was recommended, Y = outcome in [0, 1], e = P(Z = 1), s the score, x_uij = s_ui − s_uj:

    dlce   mean over rows with Y > 0 of  w·softplus(−x_uij) if w > 0, else |w|·softplus(x_uij),  j any item at random,
           w = Y·(Z/e − (1 − Z)/(1 − e)),  with e ≥ χ where Z = 1 and e ≤ 1 − χ where Z = 0      Sato et al. 2020
    blce   the same with  w = Y·(Z − (1 − Z)): without inverse propensities
    dlto   dlce over the recommended rows only
    ulbpr  mean of softplus(−x_uij), i a positive and j a negative row of the same user          Sato et al. 2019
    ulrmf  mean over all logged rows of  softplus(s_ui) − P(positive)·s_ui                       Sato et al. 2019

A row is positive if recommended and taken (with probability Y) and, with probability α, if neither; else negative.

dlce: E[w] = μ1 − μ0 without a cap, so a pair is pushed up by what recommending it changes. Rows without overlap
(e = 0 or 1) are left out. For w < 0 the paper's softplus(x) is kept: the unbiased −softplus(−x) has no lower bound. j
is drawn anew for every row in every epoch, uniformly from all items. The paper draws rows one by one; here an epoch
takes each row once, in minibatches, so |w| is a weight in both.
ulrmf: linear in its label, so the expectation over the α coin is exact and nothing is drawn; the sum is over every
logged row, where the authors draw as many negatives as there are positives.
ulbpr: i is drawn over the whole log in proportion to P(positive), then j within the user in proportion to
1 − P(positive); every draw flips the coins anew. Users with one class only can't be drawn.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import jax.numpy as jnp
import numpy as np

from upliftlens.causal.effects.treatment import overlap
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Array, Interactions
from upliftlens.causal.objectives.objective import Objective, Phase, View
from upliftlens.causal.objectives.triples import (
    DrawTriples,
    against_any_item,
    class_pairs,
    positive_probability,
)
from upliftlens.causal.options import NoOptions, Traced, Within
from upliftlens.causal.sample import Batch, Sample

RECOMMENDATIONS = frozenset({"recommendations"})


@dataclass(frozen=True)
class CappedOptions:
    """``chi``: χ: propensities are clipped to e ≥ χ where Z = 1 and e ≤ 1 − χ where Z = 0, so |w| ≤ Y/χ."""

    chi: Annotated[Traced[float], Within(0, 1, "[)")]


@dataclass(frozen=True)
class CoinOptions:
    """``alpha``: α = P(a row counts as positive that was neither recommended nor taken)."""

    alpha: Annotated[Traced[float], Within(0, 1)]


def treatment(sample: Sample) -> Array:
    """Z of a sample's rows, 1 where the pair was recommended.

    Raises:
        UpliftlensError: if the sample is not of a log of recommendations.
    """
    if sample.treated is None:
        raise UpliftlensError("this objective learns from what was recommended: its batches need treatments")
    return sample.treated


def inverse_propensity(sample: Sample, chi: Array) -> Array:
    """1/max(e, χ) where Z = 1, 1/max(1 − e, χ) where Z = 0, and 0 where there is no overlap; of the sample's shape."""
    done = sample.propensity
    if done is None:
        raise UpliftlensError("this objective weighs by what was recommended: its batches need propensities")
    usable = (sample.weight > 0) & (done > 0) & (done < 1)
    return jnp.where(usable, 1 / jnp.where(usable, jnp.maximum(done, chi), 1), 0)


def _signed(view: View, sample: Sample, size: Array) -> Array:
    """Σ weight·size·ℓ(x, Z): rows that were recommended are pushed up, the others down."""
    return (sample.weight * size * view.error(view.score("prediction", sample), treatment(sample))).sum()


def _dlce(view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
    rows = batch.observed
    return _signed(view, rows, rows.target * inverse_propensity(rows, hp["chi"]))


def _blce(view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
    return _signed(view, batch.observed, batch.observed.target)


def _ulbpr(view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
    rows = batch.observed
    return (rows.weight * view.error(view.score("prediction", rows), jnp.ones_like(rows.weight))).sum()


def _ulrmf(view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
    rows = batch.observed
    label = positive_probability(treatment(rows), rows.target, hp["alpha"])
    return (rows.weight * view.error(view.score("prediction", rows), label)).sum()


def _pairwise(
    name: str,
    options: type,
    loss: Callable[[View, Batch, Mapping[str, Array]], Array],
    triples: Callable[[Interactions, Mapping[str, float]], DrawTriples],
) -> Objective:
    phases = (Phase(loss, moves=("prediction",)),)
    return Objective(name, options, phases, needs=RECOMMENDATIONS, links=frozenset({"rank"}), triples=triples)


dlce = _pairwise("dlce", CappedOptions, _dlce, against_any_item(lambda log: overlap(log).usable))
"""Debiased learning for the causal effect: pairs weighted by the inverse propensity of what was done."""

blce = _pairwise("blce", NoOptions, _blce, against_any_item(lambda log: np.ones(len(log), bool)))
"""Biased learning for the causal effect: DLCE's ablation without propensities."""

dlto = _pairwise("dlto", CappedOptions, _dlce, against_any_item(lambda log: overlap(log).usable & log.treated))
"""Debiased learning for the treated outcome: DLCE's ablation without the rows that were not recommended."""

ulbpr = _pairwise("ulbpr", CoinOptions, _ulbpr, class_pairs)
"""Uplift-based pairwise learning, without propensities."""

ulrmf = Objective(
    "ulrmf",
    CoinOptions,
    phases=(Phase(_ulrmf, moves=("prediction",)),),
    needs=RECOMMENDATIONS,
    links=frozenset({"probability"}),
    link="rank",
)
"""Uplift-based pointwise learning, without propensities."""

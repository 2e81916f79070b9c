"""Debiased learning from implicit feedback: Rel-MF, UBPR, MACR. Y = 1 where a pair is observed as a positive, else 0.

    rel_mf  {Σ_D (Y/θ)(1 − s)² + w(1 − Y/θ)s²} / Σ_D {Y + w(1 − Y)},  s = σ(score)                Saito et al. 2020
    ubpr    mean over (u, i, j) with Y_ui = 1 of max(0, (1/θ_ui)(1 − Y_uj/θ_uj)·softplus(s_uj − s_ui))     Saito 2020
    macr    BCE(ŷ) + a·BCE(σ(y_i)) + b·BCE(σ(y_u)),  ŷ = σ(y_k·σ(y_u)·σ(y_i));
            ranks by (y_k − c)·σ(y_u)·σ(y_i)                                                          Wei et al. 2021

θ is the sample's propensity, usually relative popularity to the power .5, clipped by the propensity's options.

rel_mf: like the authors' code the squared loss is of the sigmoid, whatever the loss of other objectives is; the sum is
over all of D, not over one random negative per positive. It is a ratio whose denominator counts a batch's positives, so
its minibatch gradient is biased: the full batch is the definition.
ubpr: clipping each triple at 0 removes every triple whose j is a positive (there 1 − 1/θ ≤ 0), and leaves the factor 1
where it is not: on triples whose j is drawn from the items without a positive row this is BPR weighted by 1/θ_ui.
macr: y_k is the prediction's score; y_u and y_i are towers of their own over the prediction's embeddings of the user
alone and of the item alone (the other half is zero). BCE is the mean over all of D with Y as label, where the authors
sample four negatives per positive, so the learned constants differ. c shifts the ranking only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import jax
import jax.numpy as jnp

from upliftlens.causal import risk
from upliftlens.causal.interactions import Array
from upliftlens.causal.objectives.objective import Objective, Phase, View, all_pairs, pairs_per_row
from upliftlens.causal.options import AtLeast, NoOptions, Traced
from upliftlens.causal.sample import Batch, Sample, pair_ids


@dataclass(frozen=True)
class RelMFOptions:
    """``unlabelled``: w, the weight of pairs without feedback against positives."""

    unlabelled: Annotated[Traced[float], AtLeast(0)]


def _rel_mf(view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
    observed, everything, n_pairs = batch.observed, all_pairs(batch), pairs_per_row(batch)
    w = hp["unlabelled"]
    s, s_all = view.predict(view.score("prediction", observed)), view.predict(view.score("prediction", everything))
    background = w * (everything.weight * s_all**2).sum()
    positive = observed.target * ((1 - s) ** 2 - w * s**2)
    total = w * everything.weight.sum() + (1 - w) * (observed.weight * observed.target).sum() / n_pairs
    return (background + risk.ips(positive, observed.propensity, n_pairs, observed.weight)) / total


rel_mf = Objective(
    "rel_mf",
    RelMFOptions,
    phases=(Phase(_rel_mf, moves=("prediction",)),),
    needs=frozenset({"everything", "propensity"}),
    links=frozenset({"probability"}),
    implicit=True,
)
"""Pointwise relevance from positives that are missing not at random."""


def _ubpr(view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
    observed = batch.observed
    return risk.ips(view.errors("prediction", observed), observed.propensity, 1.0, observed.weight)


ubpr = Objective(
    "ubpr",
    NoOptions,
    phases=(Phase(_ubpr, moves=("prediction",)),),
    needs=frozenset({"propensity"}),
    links=frozenset({"rank"}),
    implicit=True,
)
"""Unbiased BPR, non-negative: BPR with each positive weighted by 1/θ."""


@dataclass(frozen=True)
class MACROptions:
    """``item_weight``: a; ``user_weight``: b; ``reference``: c, the matching score that popularity alone explains."""

    item_weight: Annotated[Traced[float], AtLeast(0)]
    user_weight: Annotated[Traced[float], AtLeast(0)]
    reference: Traced[float]


def _branches(view: View, sample: Sample, reference: Array | float) -> tuple[Array, Array, Array]:
    """(y_k − reference)·σ(y_u)·σ(y_i), y_i and y_u, each of the sample's shape."""
    user, item = view.module("prediction").embed(*pair_ids(sample))
    y_user = view.module("user").tower(user, jnp.zeros_like(item)).reshape(sample.weight.shape)
    y_item = view.module("item").tower(jnp.zeros_like(user), item).reshape(sample.weight.shape)
    matching = view.score("prediction", sample) - reference
    return matching * jax.nn.sigmoid(y_user) * jax.nn.sigmoid(y_item), y_item, y_user


def _macr(view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
    observed, everything = batch.observed, all_pairs(batch)

    def entropy(on_observed: Array, on_everything: Array) -> Array:
        positive = (observed.weight * observed.target * on_observed).sum() / pairs_per_row(batch)
        return (everything.weight * jax.nn.softplus(on_everything)).sum() - positive

    matching, item, user = map(entropy, _branches(view, observed, 0.0), _branches(view, everything, 0.0))
    return matching + hp["item_weight"] * item + hp["user_weight"] * user


def _macr_rank(view: View, sample: Sample, hp: Mapping[str, Array]) -> Array:
    return _branches(view, sample, hp["reference"])[0]


macr = Objective(
    "macr",
    MACROptions,
    phases=(Phase(_macr, moves=("prediction", "user", "item")),),
    modules=("prediction", "user", "item"),
    needs=frozenset({"everything"}),
    requires=frozenset({"embed", "tower"}),
    links=frozenset({"probability"}),
    implicit=True,
    rank=_macr_rank,
)
"""Model-agnostic counterfactual reasoning: takes the popularity and conformity part out of the ranking."""

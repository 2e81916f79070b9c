"""What one training step sees: weighted samples of pairs, whatever layout they came from."""

from typing import NamedTuple

from upliftlens.causal.interactions import Array


class Sample(NamedTuple):
    """Pairs that stand for a set of pairs: Σ weight·f(pair) is an unbiased estimate of the mean of f over that set.

    Sparse: ``users`` i32[B], ``items`` i32[B], ``target`` f32[B], ``weight`` f32[B].
    Tile:   ``users`` i32[B], ``items`` None, ``target`` f32[B, n_items], ``weight`` f32[B, n_items].
    Triple: as sparse, with ``negatives`` i32[B]; the score of a row is s(user, item) − s(user, negative).

    ``propensity``, of the shape of ``weight``, is P(the pair is observed); read only where the weight is positive.
    In a sample of a log of recommendations the target is the outcome Y, ``treated`` is 1 where the pair was recommended
    and 0 elsewhere, and ``propensity`` is P(treated = 1).
    The weights carry the scale, so an objective that is linear in its sums has an unbiased minibatch gradient in every
    layout.
    """

    users: Array
    items: Array | None
    target: Array
    weight: Array
    negatives: Array | None = None
    propensity: Array | None = None
    treated: Array | None = None


class Batch(NamedTuple):
    """``observed`` stands for O, the observed pairs; ``everything`` for D = users × items, where it is asked for.

    In a log of recommendations O is what was logged, recommended or not.

    ``density`` f32[] is |O|/|D|: what turns a mean over O into a sum over O per pair of D.
    """

    observed: Sample
    everything: Sample | None = None
    density: Array | None = None

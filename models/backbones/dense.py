"""What ``mlp`` and ``two_tower`` share: their options, and a stack of dense layers.

x_0 = input, x_l = dropout(relu(W_l x_{l−1} + c_l)) for the hidden layers, W_L x_{L−1} + c_L at the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from flax import nnx

from upliftlens.causal.options import AtLeast, Within
from upliftlens.models.contract import Array


@dataclass(frozen=True)
class DenseOptions:
    """``dim``: size of embeddings; ``layers``: hidden widths; ``init``: sd of the id embeddings at the start.

    ``dropout``: share of hidden units dropped in training.
    """

    dim: Annotated[int, AtLeast(1)]
    layers: tuple[Annotated[int, AtLeast(1)], ...]
    dropout: Annotated[float, Within(0, 1, "[)")]
    init: Annotated[float, AtLeast(0)]


class Dense(nnx.Module):
    """Linear layers from ``widths[0]`` to ``widths[-1]``, relu and dropout between them."""

    def __init__(self, widths: Sequence[int], dropout: float, rngs: nnx.Rngs) -> None:
        self.layers = nnx.List([nnx.Linear(a, b, rngs=rngs) for a, b in pairwise(widths)])
        self.dropout = nnx.Dropout(dropout, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """f32[B, widths[-1]] from f32[B, widths[0]]."""
        *hidden, last = self.layers
        for layer in hidden:
            x = self.dropout(nnx.relu(layer(x)))
        return last(x)

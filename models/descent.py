"""How parameters move: a direction of descent, a learning rate, and a schedule of it."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from upliftlens.models.contract import Array, Hyper

Optimizer = Literal["adam", "adagrad", "sgd", "lbfgs"]
Schedule = Literal["cosine", "constant"]

OPTIMIZERS: dict[str, Callable[[], optax.GradientTransformation]] = {
    "adam": lambda: optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8),
    "adagrad": lambda: optax.scale_by_rss(initial_accumulator_value=0.1, eps=1e-7),
    "sgd": optax.identity,
    "lbfgs": lambda: optax.lbfgs(memory_size=10),
}
"""Directions of descent by the names of ``Optimizer``; the learning rate is applied outside of them, since it is an
argument of the compiled program.

``lbfgs`` brings its own line search and therefore needs the full batch; it ignores learning rate and schedule.
"""

NOT_READ: dict[str, frozenset[str]] = {
    "lbfgs": frozenset({"lr", "schedule", "batch_size", "tile_users", "everything_share"})
}
"""The options of ``train`` that an optimiser does not read; all are read by those without an entry."""


class Descent(NamedTuple):
    """A name in ``OPTIMIZERS``, and how the learning rate changes over ``hp.train["steps"]`` steps."""

    optimizer: str
    schedule: Schedule


class Descended(NamedTuple):
    """The point and the optimiser's state after a step; value and by-product of the function before it."""

    point: Any
    state: Any
    value: Array
    byproduct: Any


def start_state(descent: Descent, point: Any) -> Any:
    """The optimiser's state before the first step from ``point``, a pytree of parameters."""
    return OPTIMIZERS[descent.optimizer]().init(point)


def descend(
    descent: Descent, function: Callable[[Any], tuple[Array, Any]], point: Any, state: Any, step: Array, hp: Hyper
) -> Descended:
    """One step down ``function(point) -> (value f32[], by-product)``; ``step`` i32[] is how many came before it."""
    direction = OPTIMIZERS[descent.optimizer]()
    (value, byproduct), gradient = jax.value_and_grad(function, has_aux=True)(point)
    if descent.optimizer == "lbfgs":
        updates, state = direction.update(
            gradient, state, point, value=value, grad=gradient, value_fn=lambda there: function(there)[0]
        )
    else:
        updates, state = direction.update(gradient, state, point)
        rate = -hp.train["lr"] * _decay(descent.schedule, step, hp.train["steps"])
        updates = jax.tree.map(lambda update: rate * update, updates)
    return Descended(optax.apply_updates(point, updates), state, value, byproduct)


def _decay(schedule: Schedule, step: Array, steps: Array) -> Array:
    """Share of the learning rate at a step: constant, or a half cosine from 1 to 0."""
    if schedule == "constant":
        return jnp.ones(())
    return 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(step / steps, 1.0)))

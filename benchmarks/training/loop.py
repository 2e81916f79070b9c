"""The training loop: one compiled epoch per structure, and a short loop on the host around it.

Seeds and traced floats are arguments of the compiled epoch, so that another seed or learning rate compiles nothing.
"""

import math
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from upliftlens.benchmarks.system.talk import Epoch
from upliftlens.benchmarks.training.rows import Feed
from upliftlens.causal.errors import UpliftlensError
from upliftlens.models.contract import Array, Hyper, Method, State, TrainingData


class FitResult(NamedTuple):
    """The state to keep, the number of epochs that led to it, and one line per epoch."""

    state: State
    best_epoch: int
    epochs: list[Epoch]


class Stopping(NamedTuple):
    """Early stopping by ``monitor(state) -> float`` on validation data.

    Training stops after ``patience`` epochs without a better value, and the best state is kept. Patience 0 never stops:
    the last state is kept, and only that state is measured.
    """

    monitor: Callable[[State], float]
    lower_is_better: bool
    patience: int


class Diverged(UpliftlensError):
    """The loss or the validation value is no longer a finite number."""


@lru_cache(maxsize=64)
def compiled(method: Method, cut: Callable[[Any, Any], Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The jitted ``init`` and ``epoch`` of a method; one pair per method and layout, however many runs use it."""

    def epoch(
        state: State, data: TrainingData, arrays: Any, order: Any, key: Array, number: Array, hp: Hyper
    ) -> tuple[State, Array]:
        def body(carry: State, step: tuple[Any, Array]) -> tuple[State, Array]:
            index, position = step
            return method.step(carry, data, cut(arrays, index), jax.random.fold_in(key, position), hp)

        n_steps = jax.tree.leaves(order)[0].shape[0]
        positions = number * n_steps + jnp.arange(n_steps)
        state, losses = jax.lax.scan(body, state, (order, positions))
        return state, losses.mean()

    return jax.jit(method.init), jax.jit(epoch, donate_argnums=0)


def fit(
    method: Method,
    data: TrainingData,
    feed: Feed,
    hp: Hyper,
    seed: int,
    epochs: int,
    stopping: Stopping | None,
    on_epoch: Callable[[int, Epoch], None],
) -> FitResult:
    """Trains for ``epochs`` epochs, or until early stopping, and returns the state to keep.

    Randomness derives from named axes of ``seed``: initialisation, dropout and sampling in steps, order of rows.
    On one platform the same seed and data give the same bits.

    Raises:
        Diverged: as soon as a loss or a validation value is not finite.
    """
    init, run = compiled(method, feed.cut)
    root = jax.random.key(seed)
    init_key, step_key = jax.random.fold_in(root, 0), jax.random.fold_in(root, 1)
    host = np.random.default_rng(np.random.SeedSequence([seed, 2]))
    state = init(init_key, data, hp)
    best_state, best_value, best_epoch = state, math.inf, 0
    early = stopping is not None and stopping.patience > 0
    lines: list[Epoch] = []
    order = feed.order(host)
    for number in range(epochs):
        started = time.perf_counter()
        state, loss = run(state, data, feed.arrays, order, step_key, jnp.int32(number), hp)
        if number + 1 < epochs:
            order = feed.order(host)  # drawn while the device works on the epoch just dispatched
        line: Epoch = {"epoch": number + 1, "loss": float(loss)}
        _require_finite(line, method)
        if stopping is not None and (early or number + 1 == epochs):
            line["validation"] = stopping.monitor(state)
            _require_finite(line, method)
        line["seconds"] = time.perf_counter() - started
        lines.append(line)
        on_epoch(number + 1, line)
        if stopping is None or not early:
            continue
        value = line["validation"] if stopping.lower_is_better else -line["validation"]
        if value < best_value:
            # The compiled epoch donates its input, so the best state must be a copy.
            best_state, best_value, best_epoch = jax.tree.map(jnp.copy, state), value, number + 1
        elif number + 1 - best_epoch >= stopping.patience:
            break
    return FitResult(best_state, best_epoch, lines) if early else FitResult(state, len(lines), lines)


def _require_finite(line: Epoch, method: Method) -> None:
    if all(math.isfinite(value) for value in line.values()):
        return
    fix = "Lower train.lr, raise train.l2"
    if method.layout == "full":  # a solver reads neither
        fix = "Raise the model's own penalty or lower its rate, where it has them (e.g. model.l2, model.lr)"
    raise Diverged(f"training diverged: {line}. {fix}, or check the data's values")

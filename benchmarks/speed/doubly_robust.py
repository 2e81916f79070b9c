"""What does a doubly-robust epoch cost? ``python -m upliftlens.benchmarks.speed.doubly_robust [ROUNDS]``

Times one epoch of naive and doubly-robust training on ML-100K's training rows, alternately, and prints medians and
their ratios. MF sums over D exactly (dense tiles); the MLP samples it (``train.everything_share``).
"""

import statistics
import sys
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.runs.feeding import feed_of, rows
from upliftlens.benchmarks.runs.method import hyper, method_of
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.benchmarks.runs.prepare import exposure, prepare
from upliftlens.benchmarks.system.talk import quiet
from upliftlens.benchmarks.training.loop import compiled

CASES = {
    "mf naive, tiles": ["model=mf"],
    "mf naive, pairs": ["model=mf", "train.layout=pairs"],
    "mf dr_jl, tiles": ["model=mf", "objective=dr_jl"],
    "mlp naive, pairs": ["model=mlp"],
    "mlp dr_jl, pairs": ["model=mlp", "objective=dr_jl"],
}
RATIOS = [
    ("mf dr_jl, tiles", "mf naive, pairs"),
    ("mf dr_jl, tiles", "mf naive, tiles"),
    ("mlp dr_jl, pairs", "mlp naive, pairs"),
]


def epoch(overrides: list[str]) -> Callable[[], float]:
    """A function that trains one epoch and returns its seconds; the program is compiled already."""
    planned = plan(configured(["data=ml-100k", "propensity=popularity", *overrides]))
    prepared = prepare(planned, quiet)
    data = rows(prepared, refit=False).device
    method = method_of(planned, data)
    source = feed_of(planned, prepared, exposure(planned, quiet), method, refit=False)
    hp = hyper(planned, source.n_steps)
    init, run = compiled(method, source.cut)
    state = init(jax.random.key(0), data, hp)
    host = np.random.default_rng(0)

    def timed() -> float:
        nonlocal state
        started = time.perf_counter()
        state, loss = run(state, data, source.arrays, source.order(host), jax.random.key(1), jnp.int32(0), hp)
        loss.block_until_ready()
        return time.perf_counter() - started

    timed()
    return timed


def main(rounds: int) -> None:
    """Prints medians of ``rounds`` interleaved epochs of each case, and the ratios of the median of each round."""
    epochs = {name: epoch(overrides) for name, overrides in CASES.items()}
    seconds: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(rounds):
        for name, timed in epochs.items():
            seconds[name].append(timed())
    for name, second in seconds.items():
        print(f"{name:<20} {1e3 * statistics.median(second):7.1f} ms an epoch")
    for above, below in RATIOS:
        ratios = [a / b for a, b in zip(seconds[above], seconds[below], strict=True)]
        print(f"{above} / {below}: {statistics.median(ratios):.2f} (range {min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)

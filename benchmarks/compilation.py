"""Counts what XLA compiles in this process: how many programs, and for how many seconds."""

from dataclasses import dataclass
from functools import cache

import jax.monitoring


@dataclass(frozen=True)
class Compilations:
    """Programs compiled so far in this process, and the seconds that tracing, lowering and compiling took."""

    count: int
    seconds: float


def compilations() -> Compilations:
    """The count up to now; a difference of two says what happened between them."""
    totals = _totals()
    return Compilations(int(totals["count"]), totals["seconds"])


@cache
def _totals() -> dict[str, float]:
    totals = {"count": 0.0, "seconds": 0.0}

    def listen(event: str, duration_secs: float, **details: str | int) -> None:
        if event.startswith("/jax/core/compile/"):
            totals["seconds"] += duration_secs
            totals["count"] += event.endswith("backend_compile_duration")

    jax.monitoring.register_event_duration_secs_listener(listen)
    return totals

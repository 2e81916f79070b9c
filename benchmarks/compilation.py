"""What XLA compiles: how many programs in this process, for how many seconds, and where they are kept for the next."""

import hashlib
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jax.monitoring
from jax.experimental.compilation_cache import compilation_cache

from upliftlens.benchmarks.environment import cores, installed, processor


@dataclass(frozen=True)
class Compilations:
    """Programs made ready so far in this process (compiled, or read from where they are kept), and the seconds that
    tracing, lowering and compiling or reading took."""

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


def keep_programs(folder: Path) -> None:
    """From now on, keep compiled programs in ``folder``/programs and take from there what an earlier process compiled.

    A program is kept for one kind of processor, number of cores and release of XLA, so that what is read has the bits
    that compiling would give. A folder that JAX was told otherwise stays; where the folder can't be written, or an
    entry is damaged, the program is compiled as if there were none.
    """
    if jax.config.jax_compilation_cache_dir is not None:  # type: ignore[attr-defined]
        return
    maker = "\n".join([processor(), str(cores()), *(str(installed(name)) for name in ("jax", "jaxlib"))])
    path = folder.expanduser() / "programs" / hashlib.sha256(maker.encode()).hexdigest()[:16]
    with suppress(OSError):
        path.mkdir(parents=True, exist_ok=True)
        jax.config.update("jax_compilation_cache_dir", str(path))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        compilation_cache.reset_cache()  # JAX decides once, at the first program, whether it keeps any
        warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache entry")

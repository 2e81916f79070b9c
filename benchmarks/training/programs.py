"""Programs that XLA compiles: their number and seconds in this process, and the folder that keeps them for the next."""

import hashlib
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jax.monitoring
from jax.experimental.compilation_cache import compilation_cache

from upliftlens.benchmarks.system.environment import cores, installed, processor

_UNREADABLE = re.compile("Error reading persistent compilation cache entry for '(?P<name>[^']*)'")


@dataclass(frozen=True)
class Compilations:
    """Programs made ready so far in this process, ``compiled`` or ``read`` from where they are kept, and the seconds
    that tracing, lowering and compiling or reading took."""

    compiled: int
    read: int
    seconds: float

    def since(self, before: "Compilations") -> "Compilations":
        """The difference to an earlier count."""
        return Compilations(self.compiled - before.compiled, self.read - before.read, self.seconds - before.seconds)


def compilations() -> Compilations:
    """The count up to now."""
    totals = _totals()
    return Compilations(int(totals["ready"] - totals["read"]), int(totals["read"]), totals["seconds"])


@cache
def _totals() -> dict[str, float]:
    totals = {"ready": 0.0, "read": 0.0, "seconds": 0.0}

    def timed(event: str, duration_secs: float, **details: str | int) -> None:
        if event.startswith("/jax/core/compile/"):
            totals["seconds"] += duration_secs
            totals["ready"] += event.endswith("backend_compile_duration")  # also after a read

    def happened(event: str, **details: str | int) -> None:
        totals["read"] += event == "/jax/compilation_cache/cache_hits"

    jax.monitoring.register_event_duration_secs_listener(timed)
    jax.monitoring.register_event_listener(happened)
    return totals


def programs_folder(folder: Path) -> Path:
    """The folder in a cache ``folder`` for programs of this kind of processor, number of cores and release of XLA.

    A program that is read from it gives the same bits as a compiled one.
    """
    maker = "\n".join([processor(), str(cores()), *(str(installed(name)) for name in ("jax", "jaxlib"))])
    return folder.expanduser() / "programs" / hashlib.sha256(maker.encode()).hexdigest()[:16]


def keep_programs(folder: Path) -> None:
    """From now on, keep compiled programs in ``programs_folder(folder)`` and take from there what an earlier process
    compiled.

    A folder that JAX is already configured to use stays. Where the folder can't be written, programs are compiled and
    not kept; a damaged entry is deleted, so that the program that is compiled in its place is kept.
    """
    if jax.config.jax_compilation_cache_dir is not None:  # type: ignore[attr-defined]
        return
    path = programs_folder(folder)
    with suppress(OSError):
        path.mkdir(parents=True, exist_ok=True)
        jax.config.update("jax_compilation_cache_dir", str(path))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        jax.config.update("jax_persistent_cache_enable_xla_caches", "none")  # else a moved folder is never read
        compilation_cache.reset_cache()  # JAX decides once, at the first program, whether it keeps any
        warnings.filterwarnings("ignore", "Error writing persistent compilation cache entry")
        warnings.filterwarnings("always", _UNREADABLE.pattern)
        warnings.showwarning = _repairing(path, warnings.showwarning)


def _repairing(folder: Path, show: Callable[..., Any]) -> Callable[..., None]:
    """``warnings.showwarning`` that deletes the entries which JAX says it can't read, and shows all else by ``show``.

    A warning is the only sign of a damaged entry, and JAX writes no entry whose file exists.
    """

    def shown(message: Warning | str, *where: Any, **more: Any) -> None:
        if (unreadable := _UNREADABLE.match(str(message))) is None:
            show(message, *where, **more)
            return
        with suppress(OSError):
            for entry in folder.glob("*-cache"):  # NAME-HASH-cache
                if entry.name.rsplit("-", 2)[0] == unreadable["name"]:
                    entry.unlink(missing_ok=True)

    return shown

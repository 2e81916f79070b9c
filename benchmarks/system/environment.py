"""Where a number was computed: interpreter, packages, devices, code. Provenance for a record, not part of its key."""

import os
import platform
import re
import resource
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from traceback import walk_tb
from typing import Any

from upliftlens.causal.errors import UpliftlensError

PACKAGES = (
    "upliftlens",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "numpy",
    "scipy",
    "pandas",
    "hydra-core",
    "omegaconf",
    "wandb",
)

_ROOT = Path(__file__).resolve().parents[2]
_CGROUP = Path("/sys/fs/cgroup")
_CODE = ("causal", "models", "benchmarks", "configs", "pyproject.toml", "constraints.txt")


NUMERICS = {
    "jax_enable_x64": False,
    "jax_default_prng_impl": "threefry2x32",
    "jax_threefry_partitionable": True,
    "jax_random_seed_offset": 0,
    "jax_disable_jit": False,
    "jax_disable_most_optimizations": False,
    "jax_exec_time_optimization_effort": 0.0,
    "jax_default_matmul_precision": None,
    "jax_numpy_dtype_promotion": "standard",
}
"""Settings of JAX that change numbers. Runs fix them, so that no environment variable can."""

_COMPILERS = ("XLA_FLAGS", "LIBTPU_INIT_ARGS")
"""Variables that the compiler has read before anybody could overrule them; records keep their values."""
_DEVICES = ("JAX_PLATFORMS", "JAX_PLATFORM_NAME", "JAX_NUM_CPU_DEVICES", "CUDA_VISIBLE_DEVICES")
_CHANGES_NUMBERS = re.compile(
    r"--xla\w*(?:(?:fast_math|fast_min_max|expensive_passes)\w*(?!\w|=false|=0)|optimization_level(?!\w|=3\b)"
    r"|(?:max_isa|excess_precision|prefer_vector_width|disable_hlo_passes|extra_options)\w*)"
)
"""Flags that turn something on that is off by default; another level than the default, 3; any value of the others."""


def fix_numerics() -> None:
    """Puts JAX into the settings of ``NUMERICS``, whatever environment variables say.

    Raises:
        UpliftlensError: for a compiler flag that changes numbers and can't be undone here; if JAX can't start.
    """
    for name in _COMPILERS:
        flags = os.environ.get(name, "").strip()
        if flags and not flags.startswith("-"):
            raise UpliftlensError(f"{name}={flags} names a file of flags, which no record would hold: write them out")
        if flag := _CHANGES_NUMBERS.search(flags):
            raise UpliftlensError(
                f"the environment variable {name} holds {flag[0]}, which changes numbers under one key: "
                f"start again without it (unset {name})"
            )
    stated = " ".join(f"{name}={os.environ[name]}" for name in _DEVICES if name in os.environ)
    try:
        import jax

        jax.devices()
    except Exception as error:  # RuntimeError, AssertionError or ValueError, by the variable
        why = str(error).splitlines()[0] if str(error) else "no such device"
        stated = stated or "these packages"
        raise UpliftlensError(f"JAX can't start with {stated} ({why}): unset such variables") from error
    for name, value in NUMERICS.items():
        jax.config.update(name, value)


def refusal_of_jax(error: ValueError) -> str:
    """A sentence on the environment variable that JAX refused while it was imported; "" for any other error."""
    *_, (frame, _line) = walk_tb(error.__traceback__)
    why, here = str(error), frame.f_locals  # not every message holds the variable, and none the choices
    stated = (name for name in os.environ if name.startswith("JAX_") and name in why.upper().replace(".", "_"))
    name = next(stated, here.get("varname", ""))
    if frame.f_globals["__name__"] != "jax._src.config" or name not in os.environ:
        return ""
    choices = here.get("enum_values", here.get("enum_class", ()))
    allowed = " or ".join(str(getattr(choice, "value", choice)) for choice in choices)
    if not allowed and why.lower().startswith("invalid"):
        allowed = "true or false" if "truth" in why else "a number"
    return f"JAX refuses {name}={os.environ[name]}: {f'set it to {allowed}' if allowed else why}, or unset it"


@cache
def collect() -> dict[str, Any]:
    """The environment of this process, as plain data.

    ``git`` is the commit of the checkout that the package runs from and whether its code differs from that commit
    (changed or untracked files), or None for an installed package.
    """
    import jax

    devices = jax.devices()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu(),
        "cores": cores(),
        "packages": {name: installed(name) for name in PACKAGES},
        "device": {"backend": devices[0].platform, "kind": devices[0].device_kind, "count": len(devices)},
        "git": _git(),
        "variables": {name: os.environ[name] for name in _COMPILERS if name in os.environ},
    }


def installed(package: str) -> str | None:
    """The installed version of a package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def cpu() -> str:
    """The processor's model, where the system names it."""
    return _stated("cpuinfo", "model name") or platform.processor() or platform.machine()


def processor() -> str:
    """The processor's model and its instruction-set flags, where the system names them."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    return cpu()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_memory() -> int:
    """Bytes: the most host memory that this process has held so far, over all its runs."""
    # getrusage would count what the parent held when it started this process.
    if held := _stated("self/status", "VmHWM"):
        return int(held.split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


def available_memory() -> int:
    """Bytes of free memory: of the accelerator if there is one, else of the machine or container."""
    import jax

    stats = jax.devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"] - stats["bytes_in_use"])
    free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if available := _stated("meminfo", "MemAvailable"):
        free = int(available.split()[0]) * 1024
    with suppress(OSError, ValueError):  # ValueError: "max", no limit
        free = min(free, int((_CGROUP / "memory.max").read_text()) - int((_CGROUP / "memory.current").read_text()))
    return max(free, 0)


def _stated(file: str, name: str) -> str:
    """What a file of Linux's /proc states as ``name: VALUE``, the first time; "" where it does not."""
    with suppress(OSError):
        lines = (line.partition(":") for line in Path("/proc", file).read_text().splitlines())
        return next((value.strip() for known, _, value in lines if known.strip() == name), "")
    return ""


def _git() -> dict[str, Any] | None:
    top = _ask_git("rev-parse", "--show-toplevel")
    if top is None or Path(top) != _ROOT:  # installed inside another checkout, whose commit is not this code's
        return None
    commit, changes = _ask_git("rev-parse", "HEAD"), _ask_git("status", "--porcelain", "--", *_CODE)
    return None if commit is None or changes is None else {"commit": commit, "dirty": bool(changes)}


def _ask_git(*arguments: str) -> str | None:
    command = ["git", "-C", str(_ROOT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None

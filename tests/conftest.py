"""What all tests share: the helpers beside them under any import mode, and compilation for programs of a few steps."""

import os
import sys
from pathlib import Path

os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

import jax
import pytest

from upliftlens.benchmarks.training.programs import programs_folder

# Compiled programs are shared by all workers, by the processes that tests start, and by the next time the tests run;
# not by other processors, for which their bits may differ.
_PROGRAMS = os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(programs_folder(Path(__file__).parent.parent / ".pytest_cache"))
)
jax.config.update("jax_compilation_cache_dir", _PROGRAMS)

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def cache() -> Path:
    """The folder of downloaded data that a user has, too: real data are fetched once."""
    from upliftlens.benchmarks.config.choices import default

    return Path(default("cache", "cache.yaml")).expanduser()


@pytest.fixture(scope="session")
def ml_100k(cache):
    """Real ML-100K. Where it can't be had a test is skipped, but under CI it fails: green means checked."""
    from upliftlens.benchmarks.data import DataUnavailable, configure, load

    try:
        return load(configure("ml-100k"), cache)
    except DataUnavailable as error:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(f"ML-100K can't be had here: {error}")


def pytest_runtest_setup(item):
    """Programs that run a few steps need no optimisation: compiling is what costs there, by more than half.

    They compute the same up to rounding. The long tail and real data are computed by the programs that users get.
    """
    compile_quickly("slow" not in item.keywords and "ml_100k" not in item.fixturenames)


@pytest.fixture
def quick_compilation():
    """A slow test whose programs run a few steps all the same."""
    compile_quickly(True)


def compile_quickly(do: bool) -> None:
    """Here and in the processes that the test starts, so that both have the same bits."""
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = str(int(do))
    jax.config.update("jax_disable_most_optimizations", do)

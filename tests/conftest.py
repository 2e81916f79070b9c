"""What all tests share: the helpers beside them under any import mode, and compilation for programs of a few steps."""

import gc
import os
import sys
from copy import deepcopy
from pathlib import Path

os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

import jax
import pytest
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins

from upliftlens.benchmarks.training.programs import programs_folder

# Compiled programs are shared by all workers, by the processes that tests start, and by the next time the tests run;
# not by other processors, for which their bits may differ.
_PROGRAMS = os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(programs_folder(Path(__file__).parent.parent / ".pytest_cache"))
)
jax.config.update("jax_compilation_cache_dir", _PROGRAMS)

# What tests share lies in support/; a few test modules share what another one defines.
sys.path[:0] = sorted(str(path) for path in Path(__file__).parent.iterdir() if path.is_dir())


# Objects of JAX and Hydra live long; with Python's own threshold looking for garbage among them takes 7 % of the time.
gc.set_threshold(100_000, 50, 100)


def _read_once(load):
    """Hydra reads and parses the same files of configs/ in every composition, a quarter of its time."""
    read = {}

    def loaded(source, config_path):
        key = source.path, config_path
        if key not in read:
            read[key] = load(source, config_path)
        return deepcopy(read[key])

    return loaded


Plugins.instance()  # has Hydra register its sources of configurations
_packaged = SourcesRegistry.instance().types["pkg"]
_packaged.load_config = _read_once(_packaged.load_config)


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


def pytest_configure(config):
    """XLA compiles small programs by a third faster with its older writer of fused loops, by a fifth more when it
    doesn't cut a program into parts for several threads. A process has one compiler, so only `-m slow` has the usual.

    The processes that tests start inherit it.
    """
    if config.option.markexpr != "slow":
        quick = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {quick}".strip()


def pytest_runtest_setup(item):
    """Programs that run a few steps need no optimisation: compiling is what costs there, by more than half.

    They compute the same up to rounding. Run by `-m slow`, the long tail is computed by the programs that users get.
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


_LEFT_OUT = pytest.StashKey[int]()


def pytest_deselected(items):
    """Counts the slow tests that this run leaves out, in whichever process collects them."""
    for item in items:
        stash = item.config.stash
        stash[_LEFT_OUT] = stash.get(_LEFT_OUT, 0) + ("slow" in item.keywords)


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(_LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    node.config.stash[_LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)


def pytest_terminal_summary(terminalreporter, config):
    if n := config.stash.get(_LEFT_OUT, 0):
        what = "simulated coverage, whole sweeps, real data"
        terminalreporter.write_line(f"{n} slow tests were left out ({what}): `make test-all` runs them, too")

"""What all tests share: the helpers beside them under any import mode, and compilation for programs of a few steps."""

import sys
from pathlib import Path

import jax
import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def quick_compilation():
    """Programs that run a few steps need no optimisation: compiling is what costs there."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)

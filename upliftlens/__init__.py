"""Upliftlens from Python: ``import upliftlens as ul``, then ``ul.Lab("runs")``.

Names are loaded when they are first used; importing this module imports nothing heavy and changes no setting of JAX.
"""

from importlib import import_module
from pkgutil import extend_path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from upliftlens.benchmarks.lab.frames import dataset as dataset
    from upliftlens.benchmarks.lab.lab import Lab as Lab
    from upliftlens.benchmarks.lab.run import Run as Run
    from upliftlens.causal import risk as risk
    from upliftlens.causal.errors import UpliftlensError as UpliftlensError
    from upliftlens.causal.options import AtLeast as AtLeast
    from upliftlens.models.contract import Backbone as Backbone
    from upliftlens.models.contract import Solver as Solver
    from upliftlens.models.contract import TrainingData as TrainingData

__path__ = extend_path(__path__, __name__)  # the rooms of an installation, where this folder lies in a checkout

_NAMES = {
    "Lab": "upliftlens.benchmarks.lab.lab:Lab",
    "Run": "upliftlens.benchmarks.lab.run:Run",
    "dataset": "upliftlens.benchmarks.lab.frames:dataset",
    "Backbone": "upliftlens.models.contract:Backbone",
    "Solver": "upliftlens.models.contract:Solver",
    "TrainingData": "upliftlens.models.contract:TrainingData",
    "AtLeast": "upliftlens.causal.options:AtLeast",
    "UpliftlensError": "upliftlens.causal.errors:UpliftlensError",
    "risk": "upliftlens.causal.risk:",
}
__all__ = list(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"upliftlens has no {name}: there is {', '.join(_NAMES)}")
    module, _, thing = _NAMES[name].partition(":")
    loaded = import_module(module)
    return getattr(loaded, thing) if thing else loaded


def __dir__() -> list[str]:
    return [*globals(), *_NAMES]

"""Models that were defined in Python, as in a notebook: a Backbone, a Solver, or the class of a Flax module."""

import inspect
from typing import Any, get_type_hints

from flax import nnx

from upliftlens.benchmarks.config.chosen import define
from upliftlens.benchmarks.config.definitions import definition_hash
from upliftlens.benchmarks.config.installed import as_choice
from upliftlens.causal.errors import UpliftlensError
from upliftlens.models.contract import Backbone, Solver


def defined(model: Any) -> str:
    """Makes a model a choice of ``model`` in this process, under its code as it is now; its name.

    Raises:
        UpliftlensError: for what is no model, has the name of an installed one, or whose source can't be read.
    """
    if isinstance(model, type):
        model = _backbone(model)
    if not isinstance(model, Backbone | Solver):
        raise UpliftlensError(
            f"model is a {type(model).__name__}: give a name, a class of a Flax module, a Backbone or a Solver"
        )
    if define(
        model, lambda: definition_hash(model.options, model.build if isinstance(model, Backbone) else model.method)
    ):
        as_choice("model", model)
    return str(model.name)


def _backbone(kind: type) -> Backbone:
    """The backbone of a module ``kind(options, data, rngs)``, whose options are annotated with their dataclass."""
    if not issubclass(kind, nnx.Module):
        raise UpliftlensError(f"the class {kind.__name__} is no Flax module: derive it from nnx.Module")
    parameters = list(inspect.signature(kind.__init__).parameters)[1:]
    options = get_type_hints(kind.__init__).get("options")
    if parameters[:3] != ["options", "data", "rngs"] or not isinstance(options, type):
        raise UpliftlensError(
            f"{kind.__name__}.__init__ must be (self, options: OPTIONS, data: TrainingData, rngs: nnx.Rngs), "
            f"OPTIONS being a frozen dataclass that the annotation names; it has ({', '.join(parameters)})"
        )
    return Backbone(kind.__name__.lower(), options, kind)

"""What learns, from a configuration: a model with its options and, for a backbone, the loss and objective."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from upliftlens.benchmarks.config.plugins import Entry, entry, model_entry
from upliftlens.benchmarks.config.typed import typed


class Learning(NamedTuple):
    """A model with its options and, for a backbone, what trains it."""

    model: Entry
    options: Any
    loss: Entry
    objective: Entry
    objective_options: Any


def learning(config: Mapping[str, Any]) -> Learning:
    """The typed learner of a resolved configuration.

    Raises:
        UpliftlensError: for an unknown name, a plugin that breaks its contract, or an option of a wrong type or range.
    """
    section = config["model"]
    model = model_entry(section["name"], section.get("file"))
    objective = entry("objectives", config["objective"]["name"])
    options = {name: value for name, value in section.items() if name not in ("name", "file", "space")}
    objective_options = {name: value for name, value in config["objective"].items() if name != "name"}
    return Learning(
        model,
        typed(model.value.options, options, "model"),
        entry("losses", config["loss"]["name"]),
        objective,
        typed(objective.value.options, objective_options, "objective"),
    )

"""What is installed, or read from a file, made a choice of a config group like those that come as YAML."""

from dataclasses import MISSING, fields
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf.errors import OmegaConfBaseException

from upliftlens.benchmarks import data
from upliftlens.benchmarks.config.choices import packaged
from upliftlens.benchmarks.config.plugins import GROUPS, entry, model_entry, names
from upliftlens.causal.errors import UpliftlensError


def register_installed() -> None:
    """Makes installed models, objectives, splits, propensities and data sets choices, with their defaults.

    Raises:
        UpliftlensError: for one that can't be imported, or isn't what its group is of.
    """
    for points in ("models", "objectives", "splits", "propensities"):
        group = GROUPS[points].config
        assert group is not None
        for name in sorted({*names(points)} - {*packaged(group)}):
            found = entry(points, name).value
            as_choice(group, found)
    data.register()


def register_file(path: str) -> str:
    """Makes the model of a file a choice of the group ``model``; its name.

    Raises:
        UpliftlensError: for a file that can't be imported, or defines no usable model.
    """
    model = model_entry("", path).value
    as_choice("model", model, path)
    return model.name


def as_choice(group: str, made: Any, file: str | None = None) -> None:
    """Makes a model or objective a choice of its group, with the defaults of its options, which are its configuration.

    Raises:
        UpliftlensError: if an option has no default, or one that no YAML could state.
    """
    what = f"{group} '{made.name}'" + (f" of {file}" if file else "")
    if missing := [f.name for f in fields(made.options) if f.default is MISSING and f.default_factory is MISSING]:
        raise UpliftlensError(f"{what}: give its options defaults ({', '.join(missing)}); they are its configuration")
    try:
        options = {
            name: list(value) if isinstance(value, tuple) else value for name, value in vars(made.options()).items()
        }
        node = {"name": made.name, **({"file": file} if file else {}), **options}
        ConfigStore.instance().store(group=group, name=made.name, node=node, provider="upliftlens")
    except (ValueError, OmegaConfBaseException) as error:
        raise UpliftlensError(
            f"{what}: the defaults of its options can't be used: {str(error).splitlines()[0]}"
        ) from None

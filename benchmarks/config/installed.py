"""Plugins, and models read from files, as choices of a config group like those with a YAML file."""

from dataclasses import MISSING, asdict, fields
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf.errors import OmegaConfBaseException

from upliftlens.benchmarks.config.choices import packaged
from upliftlens.benchmarks.config.plugins import GROUPS, entry, installed
from upliftlens.benchmarks.config.saved import register_saved, saved
from upliftlens.causal.errors import UpliftlensError


def choices(config: str) -> list[str]:
    """Every choice of a config group, sorted: its YAML files, the plugins of other packages, data that a user saved."""
    names = {*packaged(config), *(name for _, name in _of_other_packages(config))}
    return sorted(names | saved().keys() if config == "data" else names)


def register_installed(config: str | None = None) -> None:
    """Makes the plugins of other packages choices with the defaults of their options; in all config groups, or in one.

    Where a YAML file has the same name, the file is the choice. Data sets that a user saved become choices, too.

    Raises:
        UpliftlensError: for a plugin that can't be imported, or has the wrong type for its group, or a broken file.
    """
    for chosen in dict.fromkeys(kind.config for kind in GROUPS.values()):
        if chosen is not None and config in (None, chosen):
            for group, name in _of_other_packages(chosen):
                if name not in packaged(chosen):
                    as_choice(chosen, entry(group, name).value)
    if config in (None, "data"):
        register_saved([name for _, name in _of_other_packages("data")])


def as_choice(config: str, plugin: Any, file: str | None = None) -> None:
    """Makes a plugin a choice of a config group; the defaults of its options, if it has options, are its configuration.

    Raises:
        UpliftlensError: if an option has no default, or a default that YAML can't express.
    """
    what = f"{config} '{plugin.name}'" + (f" of {file}" if file else "")
    kind = getattr(plugin, "options", None)
    options = () if kind is None else fields(kind)
    if missing := [f.name for f in options if f.default is MISSING and f.default_factory is MISSING]:
        raise UpliftlensError(f"{what}: give its options defaults ({', '.join(missing)}); they are its configuration")
    try:
        defaults = {} if kind is None else asdict(kind())
        space = {name: dict(entry) for name, entry in getattr(kind, "space", {}).items()}
        stated = {"file": file, "space": space}
        node = {"name": plugin.name, **{name: value for name, value in stated.items() if value}, **defaults}
        ConfigStore.instance().store(group=config, name=plugin.name, node=node, provider="upliftlens")
    except (ValueError, TypeError, OmegaConfBaseException) as error:
        raise UpliftlensError(
            f"{what}: the defaults of its options can't be used: {str(error).splitlines()[0]}"
        ) from None
    if node["name"] != plugin.name:
        raise UpliftlensError(f"{what}: the default of its option name is '{node['name']}': make it '{plugin.name}'")


def _of_other_packages(config: str) -> list[tuple[str, str]]:
    """(plugin group, name) of every entry point of other packages for a config group."""
    return [
        (group, point.name) for group, kind in GROUPS.items() if kind.config == config for point in installed(group)
    ]

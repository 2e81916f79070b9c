"""What is installed, or read from a file, made a choice of a config group like those that come as YAML."""

from dataclasses import MISSING, asdict, fields
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf.errors import OmegaConfBaseException

from upliftlens.benchmarks.config.choices import packaged
from upliftlens.benchmarks.config.plugins import GROUPS, entry, installed, model_entry
from upliftlens.causal.errors import UpliftlensError


def choices(config: str) -> list[str]:
    """Every choice of a config group, sorted: its YAML files, and what other packages brought."""
    return sorted({*packaged(config), *(name for _, name in _brought(config))})


def register_installed(config: str | None = None) -> None:
    """Makes what other packages brought choices, with the defaults of their options; of all config groups, or of one.

    A name that a YAML file has is that file's.

    Raises:
        UpliftlensError: for one that can't be imported, or isn't what its group is of.
    """
    for chosen in dict.fromkeys(kind.config for kind in GROUPS.values()):
        if chosen is not None and config in (None, chosen):
            for group, name in _brought(chosen):
                if name not in packaged(chosen):
                    as_choice(chosen, entry(group, name).value)


def register_file(path: str) -> str:
    """Makes the model of a file a choice of the group ``model``; its name.

    Raises:
        UpliftlensError: for a file that can't be imported, or defines no usable model.
    """
    model = model_entry("", path).value
    as_choice("model", model, path)
    return model.name


def as_choice(config: str, plugin: Any, file: str | None = None) -> None:
    """Makes a plugin a choice of a config group, with the defaults of its options, if it has some: its configuration.

    Raises:
        UpliftlensError: if an option has no default, or one that no YAML could state.
    """
    what = f"{config} '{plugin.name}'" + (f" of {file}" if file else "")
    kind = getattr(plugin, "options", None)
    lacking = [] if kind is None else fields(kind)
    if missing := [f.name for f in lacking if f.default is MISSING and f.default_factory is MISSING]:
        raise UpliftlensError(f"{what}: give its options defaults ({', '.join(missing)}); they are its configuration")
    try:
        options = {} if kind is None else _plain(asdict(kind()))
        node = {"name": plugin.name, **({"file": file} if file else {}), **options}
        ConfigStore.instance().store(group=config, name=plugin.name, node=node, provider="upliftlens")
    except (ValueError, TypeError, OmegaConfBaseException) as error:
        raise UpliftlensError(
            f"{what}: the defaults of its options can't be used: {str(error).splitlines()[0]}"
        ) from None
    if node["name"] != plugin.name:
        raise UpliftlensError(f"{what}: the default of its option name is '{node['name']}': make it '{plugin.name}'")


def _brought(config: str) -> list[tuple[str, str]]:
    """Group and name of every entry point for a config group that other packages brought."""
    return [
        (group, point.name) for group, kind in GROUPS.items() if kind.config == config for point in installed(group)
    ]


def _plain(value: Any) -> Any:
    """With lists for tuples, as in YAML."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value

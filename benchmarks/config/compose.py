"""Configurations: composed by Hydra from overrides, typed, and changed by values without being composed again."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from types import NoneType
from typing import Any

import yaml
from hydra import compose, initialize_config_module
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hydra_plugins.upliftlens.launcher import InProcess
from upliftlens.benchmarks.config.choices import CONFIGS, groups
from upliftlens.benchmarks.config.installed import register_installed
from upliftlens.benchmarks.config.overrides import (
    choices_of,
    chosen_of,
    quoted,
    refuse_no_choice,
    refuse_unreadable,
    swept,
    with_model_files,
)
from upliftlens.benchmarks.config.sections import SECTIONS, Configuration, configuration_of, section_of
from upliftlens.benchmarks.config.typed import allowed
from upliftlens.benchmarks.system.environment import fix_numerics
from upliftlens.causal.errors import UpliftlensError, unknown


def composed(overrides: Sequence[str], primary: str = "config", resolve: bool = True) -> dict[str, Any]:
    """The configuration of a run as plain data, or that of another ``primary`` file of configs/.

    With ``resolve=False`` interpolations stay as written, for ``changed``. Works inside of a run of Hydra, too.

    Raises:
        UpliftlensError: if it can't be composed.
    """
    try:
        return _composed(overrides, primary, resolve)
    except (HydraException, OmegaConfBaseException) as error:
        raise explained(error, overrides, primary) from None


def _composed(overrides: Sequence[str], primary: str, resolve: bool = True) -> dict[str, Any]:
    """As ``composed``, with Hydra's errors."""
    running = GlobalHydra.instance().hydra  # Hydra takes one at a time
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module(CONFIGS, version_base="1.3"):
            config = compose(primary, overrides=list(overrides), return_hydra_config=True)
            HydraConfig.instance().set_config(config)  # for a store such as runs/${hydra:job.name}
            return plain(config, resolve)
    finally:
        GlobalHydra.instance().hydra = running


def configured(arguments: Sequence[str]) -> Configuration:
    """The configuration of one run, from the words of a command.

    Raises:
        UpliftlensError: if it can't be composed or typed.
    """
    overrides = prepare_overrides(arguments)
    return configuration_of(composed(overrides), overrides)


def of_job(loader: ConfigLoader, config: DictConfig, overrides: Sequence[str]) -> Configuration:
    """The configuration of one job of a sweep; ``config``: of the command.

    Raises:
        UpliftlensError: if it can't be composed or typed. Hydra's error for an unknown choice stays: it is a wrong
            name, whatever the other options are.
    """
    try:
        job = loader.load_sweep_config(config, list(overrides))
        content = plain(job)
    except MissingConfigException:
        raise
    except (HydraException, OmegaConfBaseException) as error:
        raise explained(error, overrides) from None
    return configuration_of(content, job.hydra.overrides.task)


def changed(content: Mapping[str, Any], changes: Sequence[str], overrides: Sequence[str] = ()) -> Configuration:
    """The configuration with other values, ``NAME=VALUE`` each; ``content``: of ``composed``, not resolved.

    A change never chooses from a group (``model=mf``), so nothing has to be composed again.

    Raises:
        UpliftlensError: for an unknown option, and as ``configuration_of``.
    """
    config = deepcopy(dict(content))
    parser = OverridesParser.create()
    for change in changes:
        try:
            parsed = parser.parse_override(change)
        except HydraException as error:
            raise UpliftlensError(f"{change}: not a value that an option can have ({_first_line(error)})") from None
        if parsed.is_sweep_override():
            raise UpliftlensError(f"{change} holds several values: a trial or a row of a table has one")
        *path, name = parsed.key_or_group.split(".")
        section: Any = config
        for depth, step in enumerate(path):
            within = section.get(step)
            if not isinstance(within, dict):
                wrong = parsed.key_or_group if step in section else ".".join(path[: depth + 1])
                raise unknown("option", wrong, (".".join((*path[:depth], option)) for option in section))
            section = within
        section[name] = parsed.value()
    if not _as_stated(config):
        try:
            config = plain(OmegaConf.create(config))
        except OmegaConfBaseException as error:
            raise UpliftlensError(_first_line(error)) from None
    return configuration_of(config, overrides)


def _as_stated(value: Any) -> bool:
    """Whether plain data have nothing to resolve: OmegaConf takes 15 ms, and a table has thousands."""
    if type(value) is dict:
        return all(map(_as_stated, value.values()))
    if type(value) is list:
        return all(map(_as_stated, value))
    return type(value) in (int, float, bool, NoneType) or (type(value) is str and "${" not in value and value != "???")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def prepare_overrides(arguments: Sequence[str]) -> list[str]:
    """Arguments made ready for Hydra; plugins and model files become choices with the defaults of their options.

    Raises:
        UpliftlensError: for a model file, a path or a choice that is not valid.
    """
    fix_numerics()
    register_installed()
    for name, text in (("choices", _all_choices), ("options", _all_options), ("allowed", _all_allowed)):  # for --help
        OmegaConf.register_new_resolver(f"upliftlens.{name}", text, replace=True)
    plugins = Plugins.instance()  # the first call reloads Hydra's modules: import subclasses afterwards
    from hydra_plugins.upliftlens.sweeper import Product

    for plugin in (InProcess, Product):  # Hydra's scan does not find editable installs
        plugins.register(plugin)
    overrides = [quoted(argument) for argument in with_model_files(arguments)]
    refuse_unreadable(overrides)
    for override in overrides:
        refuse_no_choice(override)
    return overrides


def _all_choices() -> str:
    """A line per config group with its choices."""
    choices = {group: choices_of(group) for group in sorted(groups() - {"table"})}
    return "\n".join(f"{group}: {', '.join(names)}" for group, names in choices.items() if names)


def _all_options(*, _root_: DictConfig) -> str:
    """A composed configuration for people: in the order of its files, a line for each option but long lists."""
    return yaml.dump(plain(_root_), Dumper=_Inline, sort_keys=False, allow_unicode=True, width=100)


class _Inline(yaml.SafeDumper):
    """YAML whose lists are on one line, as they are typed: shares: [0.5, 0.5]."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        return super().represent_sequence(tag, sequence, flow_style=True)


def _all_allowed(*, _root_: DictConfig) -> str:
    """A line per option of a composed configuration that has a range or a fixed set of values, or what is wrong."""
    config = plain(_root_)
    try:
        parts = [(*section_of(config, group), group) for group in SECTIONS]
    except UpliftlensError as error:
        return str(error)
    lines = [line for part in parts for line in allowed(*part)]
    width = max(len(option) for option, _ in lines)
    return "\n".join(f"{option:<{width}}  {words}" for option, words in lines)


def explained(error: Exception, overrides: Sequence[str], primary: str = "config") -> UpliftlensError:
    """Hydra's error in one or two lines, with the nearest name where one was unknown."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options is not None:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return unknown(f"{group} choice", name, [option for option in error.options if not option.startswith("_")])
    cause = error.__cause__ if isinstance(error, ConfigCompositionException) and error.__cause__ else error
    if str(error).startswith(("Ambiguous value for argument '", "Sweep parameters '")):
        option = str(error).split("'")[1]
        return UpliftlensError(f"{option} has several values, one is wanted here: `upliftlens sweep` takes several")
    if "does not support sweep type" in str(error):
        return UpliftlensError("interval(…) is no list of values: write range(0,5), choice(1,2) or 1,2 in a sweep")
    if full_key := getattr(cause, "full_key", None):
        parent, _, name = str(full_key).rpartition(".")
        for choice, options in _options(parent, overrides, primary):
            if parent == "propensity" and options == ["name"]:
                return UpliftlensError(
                    f"{full_key}: without a propensity there is none: choose one, as in propensity=popularity"
                )
            if options and name not in options:
                return unknown(f"option '{full_key}': {choice or 'the configuration'} has no", name, options)
    return UpliftlensError(" ".join(str(error).split("\n")[0:2]).strip())


def plain(config: DictConfig, resolve: bool = True) -> dict[str, Any]:
    """A composed configuration as plain data, without ``hydra``, which only a job within Hydra can resolve."""
    job = OmegaConf.masked_copy(config, [str(name) for name in config if name not in ("hydra", "sweep")])
    content = OmegaConf.to_container(job, resolve=resolve, throw_on_missing=resolve)
    assert isinstance(content, dict)
    return {str(name): value for name, value in content.items()}


def _options(parent: str, overrides: Sequence[str], primary: str) -> Iterator[tuple[str, list[str]]]:
    """The option names of a section under the group choices (model=…) of the overrides, and what to call it there.

    Where the section is a group with several choices, those of each.
    """
    chosen = [text for text in overrides if text.lstrip("+").partition("=")[0] in groups()]
    of_section = [text for text in chosen if text.startswith(f"{parent}=")]
    others = [text for text in chosen if text not in of_section and not swept(text)]
    for choice in [f"{parent}={name}" for text in of_section[-1:] for name in chosen_of(text)] or [parent]:
        try:
            content: Any = _composed([*others, *[choice] * bool(of_section)], primary)
        except (HydraException, OmegaConfBaseException):
            continue
        for part in parent.split(".") if parent else ():
            content = content.get(part) if isinstance(content, Mapping) else None
        yield choice, list(content) if isinstance(content, Mapping) else []

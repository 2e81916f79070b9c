"""The verbs that compute, as Hydra applications: ``run`` and ``sweep``; also composes configurations for others."""

import errno
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hydra import compose, initialize_config_module
from hydra import main as hydra_main
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hydra_plugins.upliftlens.launcher import InProcess, node
from upliftlens.benchmarks.choices import CONFIGS, groups, packaged
from upliftlens.benchmarks.errors import UpliftlensError, unknown
from upliftlens.benchmarks.installed import register_installed
from upliftlens.benchmarks.overrides import quoted, refuse_no_choice, refuse_unreadable, with_model_files
from upliftlens.benchmarks.records import Record, canonical_key


def run_app(verb: str, arguments: Sequence[str]) -> list[Record]:
    """Runs ``upliftlens run`` or ``upliftlens sweep`` with the arguments that follow the verb.

    Returns the records of the jobs that this process did or found. In a sweep a failed job is told when it fails.

    Raises:
        UpliftlensError: for a configuration that can't be composed, and for whatever a run finds.
        SweepFailed: after the last job of a sweep, if any failed.
    """
    from upliftlens.benchmarks.jobs import Jobs

    jobs = Jobs(sweep=verb == "sweep")
    overrides = prepare_overrides(arguments)
    if jobs.sweep:
        overrides = ["--multirun", *overrides, *_group(overrides)]

    def task(config: DictConfig) -> float:
        hydra = HydraConfig.get()
        try:
            return jobs.run(_plain(config), hydra.overrides.task)
        except UpliftlensError as error:
            if hydra.launcher._target_ != node["_target_"]:
                raise  # the job may be in another process: its launcher has to know
            jobs.failed.append(error)  # raised past Hydra, it would come with a line of Hydra's own
            return float("nan")

    try:
        _launch(verb, overrides, task)
    except OSError as error:  # not of a job: Hydra makes the sweep's folder and writes its configuration there
        if not jobs.sweep or error.errno == errno.EPIPE:
            raise
        store = next((one for one in reversed(overrides) if one.startswith("store=")), "store=runs")
        raise UpliftlensError(
            f"the sweep can't write {error.filename or 'into the folder sweeps'} of its store ({store}; "
            f"{error.strerror}): free some space there, or choose another with store=FOLDER.\n"
            "Nothing was started; finished runs are safe"
        ) from None
    return jobs.finished()


def _launch(verb: str, overrides: Sequence[str], task: Callable[[DictConfig], float]) -> None:
    """Has Hydra compose the configuration of each job and call ``task`` with it.

    Raises:
        UpliftlensError: for a configuration that can't be composed, and what the task raises.
    """
    # Hydra would print an error of its own and leave; the caller prints ours.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv = [f"upliftlens {verb}", *overrides]
    try:
        hydra_main(version_base="1.3", config_path=f"pkg://{CONFIGS}", config_name="config")(task)()
    except (HydraException, OmegaConfBaseException) as error:
        raise explained(error, overrides) from None


def composed(overrides: Sequence[str], primary: str = "config") -> dict[str, Any]:
    """The resolved configuration of a run as plain data, or that of another ``primary`` file of configs/.

    Raises:
        UpliftlensError: if it can't be composed.
    """
    try:
        with initialize_config_module(CONFIGS, version_base="1.3"):
            return _plain(compose(primary, overrides=list(overrides)))
    except (HydraException, OmegaConfBaseException) as error:
        raise explained(error, overrides, primary) from None


def prepare_overrides(arguments: Sequence[str]) -> list[str]:
    """Arguments for Hydra, once what is installed is a choice like the others, with the defaults of its options.

    Raises:
        UpliftlensError: for a model file, a path or a choice that can't be.
    """
    register_installed()
    OmegaConf.register_new_resolver("upliftlens.choices", _all_choices, replace=True)  # for --help
    Plugins.instance().register(InProcess)  # Hydra's scan for plugins does not see editable installs
    overrides = [quoted(one) for one in with_model_files(arguments)]
    refuse_unreadable(overrides)
    for one in overrides:
        refuse_no_choice(one)
    return overrides


def _all_choices() -> str:
    """A line per config group with its choices: Hydra's own list names the shared parts of configurations, too."""
    lines = []
    for group in sorted(groups() - {"table"}):
        installed = (one.removesuffix(".yaml") for one in ConfigStore.instance().repo.get(group, {}))
        if choices := {*packaged(group), *installed}:
            lines.append(f"{group}: {', '.join(sorted(choices))}")
    return "\n".join(lines)


def explained(error: Exception, overrides: Sequence[str], primary: str = "config") -> UpliftlensError:
    """Hydra's error in one or two lines, with the nearest name where one was unknown."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options is not None:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return unknown(f"{group} choice", name, [one for one in error.options if not one.startswith("_")])
    cause = error.__cause__ if isinstance(error, ConfigCompositionException) and error.__cause__ else error
    if str(error).startswith("Ambiguous value for argument '"):
        return UpliftlensError(f"{str(error).split(chr(39))[1]} has several values: give them to `upliftlens sweep`")
    if full_key := getattr(cause, "full_key", None):
        parent, _, name = str(full_key).rpartition(".")
        options = _options(parent, overrides, primary)
        if options and name not in options:
            return unknown(f"option '{full_key}': {parent or 'the configuration'} has no", name, options)
    return UpliftlensError(" ".join(str(error).split("\n")[0:2]).strip())


def _plain(config: DictConfig) -> dict[str, Any]:
    content = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(content, dict)
    return {str(name): value for name, value in content.items() if name not in ("hydra", "sweep")}


def sweep_name(verb: str, overrides: Sequence[str]) -> str:
    """The name of what a command starts: the same command has the same name, however often it is continued."""
    return f"{verb}-{canonical_key({'overrides': sorted(overrides)})[:8]}"


def _group(overrides: Sequence[str]) -> list[str]:
    return [] if any(one.startswith("group=") for one in overrides) else [f"group={sweep_name('sweep', overrides)}"]


def _options(parent: str, overrides: Sequence[str], primary: str) -> list[str]:
    """What a section offers under the group choices (model=…) of the overrides."""
    parser = OverridesParser.create()
    choices = []
    for text in overrides:
        try:
            parsed = parser.parse_override(text)
        except HydraException:
            continue
        if parsed.key_or_group in groups() and not parsed.is_sweep_override():
            choices.append(text)
    try:
        with initialize_config_module(CONFIGS, version_base="1.3"):
            content: Any = _plain(compose(primary, overrides=choices))
    except (HydraException, OmegaConfBaseException):
        return []
    for part in parent.split(".") if parent else ():
        content = content.get(part) if isinstance(content, Mapping) else None
    return list(content) if isinstance(content, Mapping) else []

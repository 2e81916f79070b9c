"""The words of a command that repeat a run, from its configuration, and the key that they have today."""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from upliftlens.benchmarks.config.choices import NEEDED, packaged
from upliftlens.benchmarks.config.chosen import in_python
from upliftlens.benchmarks.config.compose import composed, prepare_overrides
from upliftlens.benchmarks.config.overrides import FILES, text
from upliftlens.benchmarks.runs.records import OF_THE_PROCESS
from upliftlens.causal.errors import UpliftlensError


def repeating(config: Mapping[str, Any]) -> list[str]:
    """The words of ``upliftlens run`` that compose a run's configuration: its choices, then what differs from theirs.

    Where it is stored and how it is shown are not among them. Files below the current folder are named from there.

    Raises:
        UpliftlensError: for a model of a Python session, or choices that are no longer there.
    """
    if in_python(str(config["model"]["name"])):
        raise UpliftlensError(f"model={config['model']['name']} is a class of a Python session: no command repeats it")
    groups = [name for name in NEEDED if name not in ("train", "metrics", "logger", "model")]
    file = config["model"].get("file")
    model = f"model={config['model']['name']}" if file is None else f"model.file={_near(file)}"
    choices = [model, *(f"{name}={config[name]['name']}" for name in groups)]
    for metrics in packaged("metrics"):
        chosen = (*choices, f"metrics={metrics}")
        usual = _usual(chosen)
        if usual["metrics"].keys() == config["metrics"].keys():
            return [*chosen, *_differing(config, usual, ""), f"seed={config['seed']}"]
    raise UpliftlensError(f"no choice of metrics has the options {', '.join(config['metrics'])}")


@lru_cache(maxsize=256)
def _usual(choices: Sequence[str]) -> Mapping[str, Any]:
    """The configuration of choices."""
    return composed(prepare_overrides(choices))


def _differing(config: Mapping[str, Any], usual: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, value in config.items():
        path = f"{prefix}{name}"
        if path in OF_THE_PROCESS or path in ("seed", "model.file") or value == usual.get(name, ...):
            continue
        if isinstance(value, Mapping) and isinstance(usual.get(name), Mapping) and usual[name].keys() >= value.keys():
            yield from _differing(value, usual[name], f"{path}.")
        else:
            yield f"{path}={text(path, _near(value) if path in FILES and value else value)}"


def _near(path: str) -> str:
    """A path from the current folder, if it lies below it."""
    here = Path.cwd()
    return os.path.relpath(path, here) if Path(path).is_relative_to(here) else path

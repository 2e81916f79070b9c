"""The words of a command that repeat a run, from its configuration, and the key that they have today."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from upliftlens.benchmarks.config.choices import NEEDED, packaged
from upliftlens.benchmarks.config.chosen import chosen, in_python
from upliftlens.benchmarks.config.compose import composed, prepare_overrides
from upliftlens.benchmarks.config.overrides import FILES, choices_of, text
from upliftlens.benchmarks.config.plugins import names
from upliftlens.benchmarks.runs.compatible import names_of, unread
from upliftlens.benchmarks.runs.records import OF_THE_PROCESS
from upliftlens.causal.errors import UpliftlensError
from upliftlens.models.contract import Solver

_CHOSEN = ("split", "loss", "objective", "propensity")
"""Groups of which the data or the model may state a choice: a command names its own where it is another one."""


def repeating(config: Mapping[str, Any]) -> list[str]:
    """The words of ``upliftlens run`` that give a run of this configuration: data and model, then what differs from
    what these two state, the seed last. Of a solver, no option that it does not read.

    Where it is stored and how it is shown are not among them. Files below the current folder are named from there.

    Raises:
        UpliftlensError: for a model of a Python session, choices that are no longer there, or a configuration that
            lacks a group.
    """
    if lacking := [name for name in NEEDED if name not in config]:
        raise UpliftlensError(f"the record states no {', '.join(lacking)}")
    model, data = config["model"], config["data"]
    if in_python(str(model["name"])):
        raise UpliftlensError(f"model={model['name']} is a class of a Python session: no command repeats it")
    source = data["name"] if data["name"] in choices_of("data") else data.get("format", data["name"])
    file = model.get("file")
    words = [f"data={source}", f"model={model['name']}" if file is None else f"model.file={_near(file)}"]
    usual = _usual(words)
    words += [f"{group}={config[group]['name']}" for group in _CHOSEN if config[group]["name"] != usual[group]["name"]]
    solver = isinstance(chosen("model", model).value, Solver)
    words = _without(words, unread(words) if solver else ())
    if _usual(words)["metrics"].keys() != config["metrics"].keys():
        words.append(f"metrics={_metrics(words, config['metrics'])}")
    differing = list(_differing(config, _usual(words), ""))
    if data.get("format") in names("worlds"):  # their sizes follow from other options
        differing = [word for word in differing if not word.startswith("data.facts.")]
    differing = _without(differing, unread(differing) if solver else ())
    return [*words, *differing, f"seed={config['seed']}"]


def _metrics(words: Sequence[str], section: Mapping[str, Any]) -> str:
    """The choice of metrics that has the options of a configuration's section."""
    for name in packaged("metrics"):
        if _usual([*words, f"metrics={name}"])["metrics"].keys() == section.keys():
            return name
    raise UpliftlensError(f"no choice of metrics has the options {', '.join(section)}")


def _without(words: Iterable[str], options: Iterable[str]) -> list[str]:
    left_out = set(options)
    return [word for word in words if not left_out.intersection(names_of([word]))]


def _usual(words: Sequence[str]) -> Mapping[str, Any]:
    """The configuration of words.

    Raises:
        UpliftlensError: for choices that are no longer there.
    """
    content = _composed(tuple(words))
    if isinstance(content, UpliftlensError):
        raise content
    return content


@lru_cache(maxsize=256)
def _composed(words: Sequence[str]) -> Mapping[str, Any] | UpliftlensError:
    """An error is kept, too: composing takes a third of a second, and thousands of runs may choose what is gone."""
    try:
        return composed(prepare_overrides(words))
    except UpliftlensError as error:
        return error


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

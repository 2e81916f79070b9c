"""The command that repeats runs, from the configurations in their records."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.config.overrides import choices_of
from upliftlens.benchmarks.config.plugins import names
from upliftlens.benchmarks.runs.compatible import names_of, unread
from upliftlens.benchmarks.runs.records import Record, stored_otherwise
from upliftlens.causal.errors import UpliftlensError

_CHOSEN = ("split", "loss", "objective", "propensity")
"""Groups of which the data or the model may state a choice: a command names its own where it is another one."""

_REPEATED = ("seed", "split.fold")


def repeating(records: Sequence[Record]) -> list[str]:
    """The command that repeats the runs: a sweep if they are all combinations of their seeds and folds, else one each.

    It has no ``store=``, and computes nothing that the store has.

    Raises:
        UpliftlensError: if what they chose is not there, such as a model that was defined in a notebook.
    """
    words = [words_of(record) for record in records]
    values = {name: _values(records, name) for name in _REPEATED}
    several = {name: each for name, each in values.items() if len(each) > 1}
    shared = [_without(each, several) for each in words]
    combinations = len(values["seed"]) * max(1, len(values["split.fold"]))
    if several and combinations == len(records) and all(each == shared[0] for each in shared):
        swept = [f"{name}={','.join(each)}" for name, each in several.items()]
        return [shlex.join(["upliftlens", "sweep", *shared[0], *swept])]
    return [shlex.join(["upliftlens", "run", *each]) for each in words]


def words_of(record: Record) -> list[str]:
    """The words with which `upliftlens run` gives a run of this configuration: its choices, then single options.

    Raises:
        UpliftlensError: as ``repeating``.
    """
    config, solver = record.config, record.loss is None
    data, file = config["data"], config["model"].get("file")
    name = data["name"] if data["name"] in choices_of("data") else data.get("format", data["name"])
    words = [f"data={name}", f"model.file={file}" if file else f"model={record.model}"]
    usual = _composed(tuple(words))
    stated = {group: config.get(group, {}).get("name") for group in _CHOSEN}
    words += [f"{group}={name}" for group, name in stated.items() if name not in (None, usual[group].get("name"))]
    words = _without(words, unread(words) if solver else ())
    values = stored_otherwise(record, _composed(tuple(words)))
    if data.get("format") in names("worlds"):  # their sizes follow from other options
        values = [value for value in values if not value.startswith("data.facts.")]
    return words + _without(values, unread(values) if solver else ())


def _composed(words: tuple[str, ...]) -> Mapping[str, Any]:
    content = _composed_once(words)
    if isinstance(content, UpliftlensError):
        raise content
    return content


@cache
def _composed_once(words: tuple[str, ...]) -> Mapping[str, Any] | UpliftlensError:
    """An error is kept, too: composing takes a third of a second, and thousands of runs may choose what is gone."""
    try:
        return configured(words).content
    except UpliftlensError as error:
        return error


def _without(words: Iterable[str], options: Iterable[str]) -> list[str]:
    left_out = set(options)
    return [word for word in words if not left_out.intersection(names_of([word]))]


def _values(records: Sequence[Record], name: str) -> list[str]:
    """The different values of the seed, or the fold, in order; of a split without folds none."""
    folds = (record.config.get("split", {}).get("fold") for record in records)
    numbers = {record.seed for record in records} if name == "seed" else {fold for fold in folds if fold is not None}
    return [str(number) for number in sorted(numbers)]

"""Finds models and objectives by name or file; built-ins come through the same entry points as installed plugins."""

import hashlib
import importlib.util
import inspect
import sys
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from upliftlens.models.contract import Backbone, Model, Solver

BUILT_IN = "upliftlens."


class Entry(NamedTuple):
    """A registered object and where its code is.

    ``source`` is the sha256 of the file, "" for built-ins (their ``version`` counts).
    """

    value: Any
    source: str


def names(group: str) -> list[str]:
    """The names that an entry-point group, e.g. ``upliftlens.models``, offers."""
    return sorted(_points(group))


@cache
def entry(group: str, name: str) -> Entry:
    """The object that an entry point names.

    Raises:
        ValueError: for an unknown name (with the nearest one), or an entry point that can't be imported.
    """
    points = _points(group)
    if name not in points:
        close = get_close_matches(name, points, n=1, cutoff=0.5)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise ValueError(f"unknown name '{name}' in {group}: {hint}there is: {', '.join(sorted(points))}")
    point = points[name]
    try:
        value = point.load()
    except Exception as error:
        raise ValueError(
            f"{group}: '{name}' ({point.value}) can't be imported: {type(error).__name__}: {error}"
        ) from error
    built_in = point.module.startswith(BUILT_IN)
    return Entry(value, "" if built_in else file_hash(Path(inspect.getfile(sys.modules[point.module]))))


def from_file(path: Path) -> Entry:
    """The model that a Python file defines as ``model`` (a Backbone or a Solver).

    Raises:
        ValueError: if there is no such file, it fails to import, or it defines no ``model``.
    """
    if not path.is_file():
        raise ValueError(f"model.file={path}: there is no such file")
    return _from_file(path, file_hash(path))


@cache
def _from_file(path: Path, source: str) -> Entry:
    module = _load(path)
    model = getattr(module, "model", None)
    if not isinstance(model, (Backbone, Solver)):
        found = "nothing" if model is None else type(model).__name__
        raise ValueError(
            f"{path} must define `model = Backbone(name, options, build)` or `model = Solver(name, options, method)`, "
            f"both from upliftlens.models.contract; found {found} under that name"
        )
    return Entry(model, source)


def model_entry(name: str, file: str | None) -> Entry:
    """A model by its file where one is given, else by its name."""
    return from_file(Path(file).resolve()) if file else entry("upliftlens.models", name)


def file_hash(path: Path) -> str:
    """sha256 of a source file: part of a run's key, so that an edited plugin is another run."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_backbone(model: Model) -> bool:
    """Whether losses and objectives apply to a model."""
    return isinstance(model, Backbone)


def _points(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}


def _load(path: Path) -> ModuleType:
    name = f"upliftlens_plugin_{path.stem}_{file_hash(path)[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"model.file={path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look their module up by name
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ValueError(f"model.file={path} can't be imported: {type(error).__name__}: {error}") from error
    return module

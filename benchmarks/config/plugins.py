"""Finds models and objectives by name or file; built-ins come through the same entry points as installed plugins."""

import contextlib
import importlib.metadata
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from upliftlens.benchmarks.config.sources import file_hash, source_hash
from upliftlens.causal.errors import UpliftlensError, unknown
from upliftlens.models.checks import checked_model, checked_objective
from upliftlens.models.contract import Backbone, Solver

_CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "upliftlens.models": checked_model,
    "upliftlens.objectives": checked_objective,
}
_MACHINERY = (__file__, contextlib.__file__, importlib.__file__, importlib.metadata.__file__)
_PLUGIN = "upliftlens_plugin_"  # begins the name of a module that was read from a model's file


class Entry(NamedTuple):
    """A registered object and where its code is.

    ``source`` is the ``source_hash`` of the file, "" for built-ins (their ``version`` counts); ``file``: its path.
    """

    value: Any
    source: str
    file: str = ""


def names(group: str) -> list[str]:
    """The names that an entry-point group, e.g. ``upliftlens.models``, offers."""
    return sorted(_points(group))


def load_point(group: str, name: str) -> tuple[EntryPoint, Any]:
    """An entry point and what it names, as it is; ``place`` says in errors where it is from.

    Raises:
        UpliftlensError: for an unknown name (with the nearest one), or an entry point that can't be imported.
    """
    points = _points(group)
    if name not in points:
        raise unknown(f"name in {group}", name, points)
    with _importing(place(points[name])):
        return points[name], points[name].load()


def place(point: EntryPoint) -> str:
    """What an entry point is called in errors."""
    return f"{point.group}: '{point.name}' ({point.value})"


@cache
def entry(group: str, name: str) -> Entry:
    """The object that an entry point names.

    Raises:
        UpliftlensError: as ``load_point``, or for an object that is not what its group is of.
    """
    point, value = load_point(group, name)
    where = place(point)
    if check := _CHECKS.get(group):
        check(value, where)
        if value.name != name:
            raise UpliftlensError(f"{where} is called '{value.name}': the entry point and the object need one name")
    if point.dist is not None and point.dist.name == "upliftlens":
        return Entry(value, "")
    module = sys.modules[point.module]
    file = inspect.getfile(module)
    return Entry(value, source_hash(Path(file), module.__package__ or ""), file)


def from_file(path: Path) -> Entry:
    """The model that a Python file defines as ``model`` (a Backbone or a Solver).

    Raises:
        UpliftlensError: if there is no such file, it fails to import, or it defines no ``model``.
    """
    if not path.is_file():
        raise UpliftlensError(f"model.file={path}: there is no such file")
    entry_of = _from_file(path, file_hash(path))
    return entry_of._replace(source=source_hash(path, ""))


@cache
def _from_file(path: Path, own: str) -> Entry:
    module = _load(path)
    if not hasattr(module, "model"):
        defined = [name for name in vars(module) if not name.startswith("_")]
        models = [name for name in defined if isinstance(getattr(module, name), Backbone | Solver)]
        near = models or get_close_matches("model", defined, n=3, cutoff=0.5)
        hint = f"; is it {' or '.join(map(repr, near))}, to be called model?" if near else ""
        raise UpliftlensError(
            f"{path} must define `model = Backbone(name, options, build)` or `model = Solver(name, options, method)`, "
            f"both from upliftlens.models.contract{hint}"
        )
    model = checked_model(module.model, f"{path}: model")
    if model.name in _points("upliftlens.models"):
        raise UpliftlensError(
            f"{path}: an installed model is called '{model.name}' too: give this one a name of its own"
        )
    return Entry(model, own, str(path))


def model_entry(name: str, file: str | None) -> Entry:
    """A model by its file where one is given, else by its name."""
    return from_file(Path(file).resolve()) if file else entry("upliftlens.models", name)


def place_in(file: str, error: BaseException) -> str:
    """``FILE, line N``: where in a file an exception was raised or passed through last; "" if it never was there."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{file}, line {lines[-1]}" if lines else ""


def _points(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}


def _load(path: Path) -> ModuleType:
    name = f"{_PLUGIN}{path.stem}_{file_hash(path)[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UpliftlensError(f"model.file={path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look their module up by name
    try:
        with _importing(f"model.file={path}"):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _importing(where: str) -> Iterator[None]:
    """Turns whatever a plugin raises on import, leaving the program included, into a ValueError.

    A plugin that leaves the working directory is brought back: relative paths are the user's.
    """
    try:
        with chdir("."):
            yield
    except SystemExit as error:
        raise UpliftlensError(
            f"{where} ends the program (exit code {error.code}) when it is imported: "
            'put what is not definitions below `if __name__ == "__main__":`'
        ) from error
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename not in _MACHINERY]
        own = frames and not isinstance(error, SyntaxError)  # which says its place itself
        place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if own else ""
        raise UpliftlensError(f"{where} can't be imported: {type(error).__name__}: {error}{place}") from error

"""The plugin that a section of a configuration chooses: installed, from a file, or a model defined in Python.

What a model must be is imported where one is read, since it takes JAX, which is slow to load.
"""

import importlib.util
import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from upliftlens.benchmarks.config.definitions import AsOf
from upliftlens.benchmarks.config.plugins import GROUPS, Entry, entry, importing, names, points_of
from upliftlens.benchmarks.config.source_hash import file_hash, source_hash
from upliftlens.causal.errors import UpliftlensError, unknown

if TYPE_CHECKING:
    from upliftlens.models.contract import Backbone, Solver

_PLUGIN = "upliftlens_plugin_"  # begins the name of a module that was read from a model's file


def from_file(path: Path) -> Entry:
    """The model that a Python file defines as ``model`` (a Backbone or a Solver).

    Raises:
        UpliftlensError: if there is no such file, it fails to import, or it defines no ``model``.
    """
    if not path.is_file():
        raise UpliftlensError(f"model.file={path}: there is no such file")
    return _from_file(path, file_hash(path))._replace(source=source_hash(path, ""))


@cache
def _from_file(path: Path, content_hash: str) -> Entry:
    from upliftlens.models.checks import checked_model
    from upliftlens.models.contract import Backbone, Solver

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
    if model.name in points_of("models"):
        raise UpliftlensError(
            f"{path}: an installed model is called '{model.name}' too: give this one a name of its own"
        )
    return Entry(model, content_hash, str(path))


_DEFINED: dict[str, Entry] = {}  # models of this process, by name


def define(model: "Backbone | Solver", source: Callable[[], str]) -> bool:
    """Takes a model that was defined in Python, with the hash of its code; False if it is an installed one.

    Raises:
        UpliftlensError: if it is not sound, or another installed model has its name.
    """
    from upliftlens.models.checks import checked_model
    from upliftlens.models.contract import Backbone

    checked_model(model, "model")
    if model.name in points_of("models"):
        if entry("models", model.name).value == model:
            return False
        raise UpliftlensError(f"an installed model is called '{model.name}' too: give this one a name of its own")
    code = source()
    if isinstance(model, Backbone):
        model = model._replace(build=AsOf(model.build, code))
    else:
        model = model._replace(method=AsOf(model.method, code))
    _DEFINED[model.name] = Entry(model, code)
    return True


def in_python(name: str) -> bool:
    """Whether a model was defined in Python, in this process."""
    return name in _DEFINED


def chosen(config: str, section: Mapping[str, Any]) -> Entry:
    """The plugin that a section of a configuration chooses, by its name; a model with a file by that, data by a format.

    Raises:
        UpliftlensError: as ``entry``, or ``from_file``.
    """
    if config == "model" and section.get("file"):
        return from_file(Path(section["file"]).resolve())
    if config == "model" and section["name"] in _DEFINED:
        return _DEFINED[section["name"]]
    key = "format" if config == "data" and "format" in section else "name"
    name, groups = str(section[key]), (group for group, kind in GROUPS.items() if kind.config == config)
    known = {point: group for group in groups for point in names(group)}
    if name not in known:
        raise unknown(f"data.{key}" if config == "data" else config, name, known)
    return entry(known[name], name)


def _load(path: Path) -> ModuleType:
    name = f"{_PLUGIN}{path.stem}_{file_hash(path)[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UpliftlensError(f"model.file={path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look their module up by name
    try:
        with importing(f"model.file={path}"):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module

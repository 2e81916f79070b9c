"""Plugins: what an entry point of a group ``upliftlens.GROUP`` names. The built-ins are registered in the same way.

``GROUPS`` lists every kind of plugin. An entry point names one object of its group's contract, called like the entry
point, or (where the group is of ``families``) a tuple of such objects.
"""

import contextlib
import importlib.metadata
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import chdir, contextmanager
from functools import cache
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from pkgutil import resolve_name
from types import MappingProxyType, ModuleType, UnionType
from typing import Any, NamedTuple, get_type_hints

from upliftlens.benchmarks.config.source_hash import source_hash
from upliftlens.causal.errors import UpliftlensError, unknown
from upliftlens.models.record_checks import check_call, check_record

_CHOSEN = str(Path(__file__).with_name("chosen.py"))
_MACHINERY = (__file__, _CHOSEN, contextlib.__file__, importlib.__file__, importlib.metadata.__file__)


class Group(NamedTuple):
    """A kind of plugin.

    ``config``: the config group that chooses one by its name, or None; ``contract``: dotted paths of the classes that
    its objects may have (by path, since most of them lie in rooms above this one); ``calls``: the functions among an
    object's fields, by the positional arguments that they are called with (None only where the contract allows it);
    ``check``: of the function that refuses an object whose other fields are wrong, as ``check(object, where)``, the
    path, as "module:function" (what checks models loads JAX); "": they are a record's, whose name may have ``marks``;
    ``families``: an entry point may name a tuple of objects.
    """

    config: str | None
    contract: tuple[str, ...]
    check: str = ""
    marks: str = "_-"
    families: bool = False
    calls: Mapping[str, str] = MappingProxyType({})


_SOURCE = {"load": "options, cache, say", "read": "files, options"}

GROUPS: dict[str, Group] = {
    "models": Group(
        "model",
        ("upliftlens.models.contract.Backbone", "upliftlens.models.contract.Solver"),
        "upliftlens.models.checks:checked_model",
    ),
    "losses": Group("loss", ("upliftlens.causal.losses.Loss",), calls={"error": "score, target", "predict": "score"}),
    "objectives": Group(
        "objective",
        ("upliftlens.causal.objectives.objective.Objective",),
        "upliftlens.models.checks:checked_objective",
    ),
    "propensities": Group(
        "propensity",
        ("upliftlens.benchmarks.propensities.kinds.PropensityKind",),
        calls={"fit": "options, known", "take_sample": "dataset, split, options"},
    ),
    "splits": Group(
        "split",
        ("upliftlens.benchmarks.splits.kinds.SplitKind",),
        calls={"held_out": "dataset, options", "validation": "log, rows, options"},
    ),
    "data": Group("data", ("upliftlens.benchmarks.data.contract.DataSource",), calls=_SOURCE),
    "worlds": Group("data", ("upliftlens.benchmarks.data.contract.DataSource",), calls=_SOURCE),
    "metrics": Group(
        None,
        ("upliftlens.benchmarks.metrics.metric.Metric",),
        marks="_-/",
        families=True,
        calls={"sums": "evidence, cutoff", "reduce": "totals", "without": "sums"},
    ),
    "tables": Group(
        None,
        ("upliftlens.benchmarks.tables.table.TableKind",),
        calls={"cells": "definition, where", "remarks": "definition, cells"},
    ),
}
"""Every kind of plugin, by the last part of its entry-point group."""


class Entry(NamedTuple):
    """A registered object and where its code is.

    ``source`` is the ``source_hash`` of the file, "" for built-ins (their ``version`` counts); ``file``: its path.
    """

    value: Any
    source: str
    file: str = ""


def names(group: str) -> list[str]:
    """The names of the entry points of a group of ``GROUPS``."""
    return sorted(points_of(group))


@cache
def entry(group: str, name: str) -> Entry:
    """The object that an entry point names.

    Raises:
        UpliftlensError: for an unknown name (with the nearest one), an entry point that can't be imported, an object
            of the wrong type for its group, or one with another name than its entry point.
    """
    _, entries = opened(group, name)
    called = [entry.value.name for entry in entries]
    if called != [name]:
        where, shown = place(points_of(group)[name]), ", ".join(map(repr, called))
        raise UpliftlensError(f"{where} is called {shown}: the entry point and the object need one name")
    return entries[0]


def entries(group: str) -> dict[str, Entry]:
    """All objects of a group by their names, those of families included.

    Raises:
        UpliftlensError: as ``entry``, or if two objects share a name.
    """
    by_name: dict[str, Entry] = {}
    others = {point.name for point in installed(group)}
    for name in sorted(names(group), key=others.__contains__):  # built-in first, so that an error names the plugin
        for loaded in opened(group, name)[1]:
            called = loaded.value.name
            if by_name.setdefault(called, loaded).value is not loaded.value:
                code = points_of(group)[name].value
                raise UpliftlensError(f"two {group} are called '{called}'; one is {code}: rename or uninstall it")
    return by_name


def place(point: EntryPoint) -> str:
    """How errors name an entry point."""
    return f"{point.group}: '{point.name}' ({point.value})"


def built_in(point: EntryPoint) -> bool:
    """Whether an entry point is one of Upliftlens' own."""
    return point.dist is not None and _package(point.dist) == "upliftlens"


@cache
def _package(distribution: Distribution) -> str:
    """Its name, once per process: reading it parses the metadata, and every composition asks for every entry point."""
    return distribution.name


def installed(group: str) -> list[EntryPoint]:
    """The entry points of a group that other packages define."""
    return [point for point in points_of(group).values() if not built_in(point)]


def opened(group: str, name: str) -> tuple[ModuleType, list[Entry]]:
    """The module of an entry point, and the objects that the entry point names, checked.

    Raises:
        UpliftlensError: as ``entry``, but for the name.
    """
    kind, points = GROUPS[group], points_of(group)
    if name not in points:
        raise unknown(kind.config or f"name in upliftlens.{group}", name, points)
    point = points[name]
    where = place(point)
    with importing(where):
        value = point.load()
    family = kind.families and type(value) is tuple  # an object of a contract may be a NamedTuple
    objects = value if family else (value,)
    for plugin in objects:
        bases = {f"{base.__module__}.{base.__qualname__}" for base in type(plugin).__mro__}
        if bases.isdisjoint(kind.contract):
            classes = [path.rpartition(".")[2] for path in kind.contract]
            expected = " or ".join(f"{'an' if name[0] in 'AEIOU' else 'a'} {name}" for name in classes)
            raise UpliftlensError(f"{where} is a {type(plugin).__name__}: it must be {expected}")
        if kind.check:
            resolve_name(kind.check)(plugin, where)
        else:
            check_record(plugin, where, marks=kind.marks)
        hints = get_type_hints(type(plugin))
        for function, arguments in kind.calls.items():
            call = getattr(plugin, function)
            if call is not None or not isinstance(hints[function], UnionType):  # … | None
                check_call(call, function, arguments, where)
    module = sys.modules[point.module]
    if built_in(point):
        return module, [Entry(plugin, "") for plugin in objects]
    file = inspect.getfile(module)
    source = source_hash(Path(file), module.__package__ or "")
    return module, [Entry(plugin, source, file) for plugin in objects]


def place_in(file: str, error: BaseException) -> str:
    """``FILE, line N``: the last line of a file that an exception passed through; "" if it passed through none."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{file}, line {lines[-1]}" if lines else ""


@cache
def _scanned(read: Callable[..., Iterable[EntryPoint]], group: str) -> tuple[EntryPoint, ...]:
    """What ``read`` finds in the metadata of every package, once per process: a run asks for it ten times."""
    return tuple(read(group=group))


def points_of(group: str) -> dict[str, EntryPoint]:
    """The entry points of a group by name; no other of it may have the name, nor of a group chosen by the same option.

    Raises:
        UpliftlensError: for a name that two of them have.
    """
    config = GROUPS[group].config
    beside = [other for other, kind in GROUPS.items() if kind.config == config is not None and other != group]
    points: dict[str, EntryPoint] = {}
    for of_group in (*beside, group):
        for point in _scanned(entry_points, f"upliftlens.{of_group}"):
            other = points.setdefault(point.name, point)
            if other.value != point.value:
                theirs = other if built_in(point) else point
                raise UpliftlensError(f"{place(theirs)}: another entry point has this name: rename or uninstall it")
    return {name: point for name, point in points.items() if point.group == f"upliftlens.{group}"}


@contextmanager
def importing(where: str) -> Iterator[None]:
    """Turns whatever a plugin raises on import, also SystemExit, into an UpliftlensError.

    The working directory is restored afterwards, since relative paths are the user's.
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
        located = frames and not isinstance(error, SyntaxError)  # whose text holds its place
        place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if located else ""
        raise UpliftlensError(f"{where} can't be imported: {type(error).__name__}: {error}{place}") from error

"""The code of what was defined in Python, in a notebook cell or a module: it is hashed into the keys of its runs.

Its source, that of the functions and classes of its module that it names, and the values of the constants that it
names. Installed packages count by their names only, as everywhere.
"""

import ast
import builtins
import dataclasses
import hashlib
import inspect
import linecache
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from upliftlens.benchmarks.config.source_hash import source_hash
from upliftlens.causal.errors import UpliftlensError

_LIBRARIES = ("site-packages", "dist-packages")
_CONSTANTS = (str, bytes, int, float, complex, bool, type(None))


def definition_hash(*objects: Any) -> str:
    """sha256 over the code of classes and functions, and all that they name of their module, directly or indirectly.

    Raises:
        UpliftlensError: for code whose source can't be read, or that reads an object which is no constant.
    """
    parts: dict[str, str] = {}
    todo = list(objects)
    while todo:
        thing = todo.pop()
        home, name = thing.__module__, f"{thing.__module__}.{thing.__qualname__}"
        if name in parts:
            continue
        parts[name] = text = _source(thing)
        for used, value in _named(thing, text):
            if isinstance(value, ModuleType):
                parts[f"{home}:{used}"] = _outside(value.__name__)
            elif isinstance(value, type | FunctionType) and value.__module__ == home:
                todo.append(value)
            elif callable(value) or (hasattr(value, "__module__") and hasattr(value, "__qualname__")):
                parts[f"{home}:{used}"] = _outside(getattr(value, "__module__", "") or "")
            else:
                parts[f"{home}:{used}"] = _constant(value, f"{thing.__qualname__} reads {used}")
    return hashlib.sha256("\n".join(f"{name}\n{parts[name]}" for name in sorted(parts)).encode()).hexdigest()


def _source(thing: Any) -> str:
    """The source of a class or function; of a class without functions of its own, its fields."""
    try:
        return textwrap.dedent(inspect.getsource(thing))
    except (OSError, TypeError):
        pass
    if isinstance(thing, type):
        functions = [value for value in vars(thing).values() if isinstance(value, FunctionType)]
        for function in functions:  # of a cell: the class itself has no file, its functions have
            lines = linecache.getlines(function.__code__.co_filename)
            line = function.__code__.co_firstlineno
            for node in ast.walk(ast.parse("".join(lines))):
                if isinstance(node, ast.ClassDef) and node.name == thing.__name__:
                    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                    if first <= line <= (node.end_lineno or 0):
                        return "".join(lines[first - 1 : node.end_lineno])
        if dataclasses.is_dataclass(thing):
            fields = [(field.name, str(field.type), repr(field.default)) for field in dataclasses.fields(thing)]
            return repr([*fields, getattr(thing, "space", None)])
    raise UpliftlensError(
        f"the source of {thing.__qualname__} can't be read here, and runs are kept by it: "
        "put the model into a file and give model.file=FILE"
    )


def _named(thing: Any, text: str) -> Iterator[tuple[str, Any]]:
    """The names in a source that mean something in its module or in the functions around it."""
    functions = [thing] if isinstance(thing, FunctionType) else vars(thing).values()
    around: dict[str, Any] = {}
    for function in functions:
        if isinstance(function, FunctionType) and function.__closure__:
            around.update(inspect.getclosurevars(function).nonlocals)
    known: Mapping[str, Any] = {**vars(sys.modules[thing.__module__]), **around}
    if text.startswith("["):  # fields
        return
    names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    for name in sorted(names - {thing.__name__}):
        if name in known and not (hasattr(builtins, name) and name not in around):
            yield name, known[name]


def _outside(module: str) -> str:
    """A module that is named: of the user's files, with the hash of its code."""
    top = sys.modules.get(module)
    file = getattr(top, "__file__", None)
    if not file or module.partition(".")[0] in ("upliftlens", *sys.stdlib_module_names):
        return module
    path = Path(file)
    if set(path.parts) & set(_LIBRARIES) or path.suffix != ".py":
        return module
    return f"{module} {source_hash(path, top.__package__ or '' if top else '')}"


def _constant(value: Any, where: str) -> str:
    """A constant as text.

    Raises:
        UpliftlensError: for anything that may change without its text changing.
    """
    if isinstance(value, _CONSTANTS):
        return repr(value)
    if isinstance(value, tuple | list | frozenset | set):
        inner = [_constant(item, where) for item in value]
        return f"{type(value).__name__}({','.join(sorted(inner) if isinstance(value, set | frozenset) else inner)})"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{_constant(key, where)}:{_constant(item, where)}' for key, item in value.items())}}}"
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        if array.dtype != object:
            return f"{array.dtype}{array.shape}{hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()}"
    raise UpliftlensError(
        f"{where}, a {type(value).__name__}: runs are kept by the model's code, which can't hold it. "
        "Make it an option, or a constant (a number, text, list or array)"
    )

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
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import nullcontext, suppress
from functools import lru_cache, partial
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from upliftlens.benchmarks.config.code_names import names_of_code, outside_bodies
from upliftlens.benchmarks.config.source_hash import source_hash
from upliftlens.causal.errors import UpliftlensError

_LIBRARIES = ("site-packages", "dist-packages")
_CONSTANTS = (str, bytes, int, float, complex, bool, type(None))


@dataclasses.dataclass(frozen=True)
class AsOf:
    """What builds a model, as its code was: equal to itself under the same code only, so that a program that was
    compiled from older code is never used again.
    """

    build: Callable[..., Any]
    source: str

    def __call__(self, *arguments: Any) -> Any:
        """What it builds."""
        return self.build(*arguments)


def definition_hash(*objects: Any) -> str:
    """sha256 over the code of classes and functions, and all of the user's that they name, directly or indirectly.

    Raises:
        UpliftlensError: for code whose source can't be read, or code of the objects' own module that reads an object
            which is no constant. Of another module of the user's such objects are left to the hash of its file.
    """
    parts: list[str] = []
    seen: list[Any] = []
    todo = list(objects)
    own = {getattr(thing, "__module__", "") for thing in objects}
    while todo:
        thing = todo.pop()
        if not any(thing is other for other in seen):
            seen.append(thing)
            texts, more = _read(thing, own)
            parts += texts
            todo += more
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()


def _read(thing: Any, own: Collection[str]) -> tuple[list[str], list[Any]]:
    """A class, function or partial as text with all that it reads, and what of the user's it names."""
    if isinstance(thing, partial):
        return [_constant((thing.args, thing.keywords), f"a partial of {thing.func.__qualname__}")], [thing.func]
    home, text, place = thing.__module__, *_source(thing)
    parts = [f"{home}.{thing.__qualname__}\n{text}"]
    parts += [f"{home}.{thing.__qualname__} defaults {text}" for text in _defaults(thing)]
    more: list[Any] = []
    values: list[tuple[str, Any, str]] = []
    if isinstance(thing, type):
        more += [base for base in thing.__bases__ if _is_users(base.__module__, home)]
        for name, value in vars(thing).items():
            if functions := _functions(value):
                more += [function for function in functions if _replaced(function, place)]
            elif not name.startswith("_") and not hasattr(value, "__get__"):
                values.append((f"{thing.__qualname__}.{name}", value, f"{thing.__qualname__} has {name}"))
    for used, value in _named(thing, text):
        if isinstance(value, ModuleType):
            parts += [f"{home}:{used}:{text}" for text in (_outside(value.__name__), *_values(value, home))]
        elif isinstance(value, partial) or _is_users_code(value, home):
            more.append(value)
        elif callable(value) or (hasattr(value, "__module__") and hasattr(value, "__qualname__")):
            parts.append(f"{home}:{used}:{_outside(getattr(value, '__module__', '') or '')}")
        else:
            values.append((f"{home}:{used}", value, f"{thing.__qualname__} reads {used}"))
    if home not in own:
        parts.append(_outside(home))
    for name, value, where in values:
        with nullcontext() if home in own else suppress(UpliftlensError):
            parts.append(f"{name}:{_constant(value, where)}")
    return parts, more


Place = tuple[str, int, int]
"""A file and the first and last of some lines in it."""


def _source(thing: Any) -> tuple[str, Place | None]:
    """The source of a class or function, and where it is; of a class without functions its bases and fields."""
    if not isinstance(thing, type):
        try:
            text = textwrap.dedent(inspect.getsource(thing))
        except (OSError, TypeError):
            raise _unreadable(thing) from None
        _check_current(thing)
        return text, None
    functions = [each for value in vars(thing).values() for each in _functions(value) if _written(each)]
    for function in functions:  # a class itself does not say which lines it was made from
        lines = linecache.getlines(function.__code__.co_filename)
        line = function.__code__.co_firstlineno
        for node in ast.walk(ast.parse("".join(lines))):
            if isinstance(node, ast.ClassDef) and node.name == thing.__name__:
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                if first <= line <= (last := node.end_lineno or 0):
                    for each in functions:
                        _check_current(each)
                    text = textwrap.dedent("".join(lines[first - 1 : last]))
                    return text, (function.__code__.co_filename, first, last)
    if functions:
        raise _unreadable(thing)
    fields = dataclasses.fields(thing) if dataclasses.is_dataclass(thing) else ()
    stated = [(field.name, str(field.type), _default(field, thing)) for field in fields]
    return repr([[base.__qualname__ for base in thing.__bases__], stated]), None


def _default(field: Any, thing: type) -> str:
    """The default of a field of a dataclass as text, what its factory makes included; empty if it has none."""
    if field.default is not dataclasses.MISSING:
        return repr(field.default)
    if field.default_factory is dataclasses.MISSING:
        return ""
    return _constant(field.default_factory(), f"{thing.__qualname__} has {field.name}")


def _check_current(function: Any) -> None:
    """Refuses a function whose file was edited after it was imported: its key would be of code that doesn't run.

    Raises:
        UpliftlensError: if the file, as it is now, has no such code at that line.
    """
    code = function.__code__
    if not Path(code.co_filename).is_file():
        return  # a cell: each run of it is another source
    linecache.checkcache(code.co_filename)
    if code not in _codes("".join(linecache.getlines(code.co_filename)), code.co_filename):
        raise UpliftlensError(
            f"{function.__qualname__} was edited in {code.co_filename} after it was imported, and the old code would "
            "run: reload the module or restart Python"
        )


@lru_cache(maxsize=32)
def _codes(source: str, file: str) -> frozenset[CodeType]:
    """The code of every function of a source; none where it is no whole program."""
    try:
        todo, found = [compile(source, file, "exec", dont_inherit=True)], set[CodeType]()
    except SyntaxError:
        return frozenset()
    while todo:
        code = todo.pop()
        found.add(code)
        todo += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return frozenset(found)


def _unreadable(thing: Any) -> UpliftlensError:
    return UpliftlensError(
        f"the source of {thing.__qualname__} can't be read here, and runs are kept by it: "
        "put the model into a file and give model.file=FILE"
    )


def _written(function: FunctionType) -> bool:
    """Whether somebody wrote a function, and no dataclass or named tuple added it.

    What `python -c` and exec compile is of the file "<string>", too, but these functions have other names.
    """
    code = function.__code__
    added = code.co_qualname.startswith("__create_fn__.") or (code.co_name, function.__name__) == (
        "<lambda>",
        "__new__",
    )
    return not (added and code.co_filename == "<string>") and code.co_filename != dataclasses.__file__


def _replaced(function: FunctionType, place: Place | None) -> bool:
    """Whether a function of a class was not written in it."""
    code = function.__code__
    if place is None or not _written(function):
        return False
    return code.co_filename != place[0] or not place[1] <= code.co_firstlineno <= place[2]


def _named(thing: Any, text: str) -> Iterator[tuple[str, Any]]:
    """The names in a source that mean something in its module or in the functions around it."""
    values = [thing] if isinstance(thing, FunctionType) else vars(thing).values()
    functions = [function for value in values for function in _functions(value) if _written(function)]
    around: dict[str, Any] = {}
    names = {name for function in functions for name in names_of_code(function.__code__)}
    for function in functions:
        if function.__closure__:
            around.update(inspect.getclosurevars(function).nonlocals)
    with suppress(SyntaxError):  # a part of a line, as of a lambda
        names |= set(outside_bodies(ast.parse(text))) - vars(thing).keys()
    if not functions and thing.__module__ not in sys.modules:
        raise _unreadable(thing)
    module = functions[0].__globals__ if functions else vars(sys.modules[thing.__module__])
    known: Mapping[str, Any] = {**module, **around}
    for name in sorted((names | around.keys()) - {thing.__name__}):
        if name in known and not (hasattr(builtins, name) and name not in around):
            yield name, known[name]


def _functions(value: Any) -> list[FunctionType]:
    """The functions of an attribute of a class: a method, those of a property, what a static or cached one wraps."""
    if isinstance(value, property):
        wrapped = [value.fget, value.fset]
    else:
        wrapped = [getattr(value, name, value) for name in ("__func__", "func") if hasattr(value, name)] or [value]
    return [function for function in wrapped if isinstance(function, FunctionType)]


def _defaults(thing: Any) -> Iterator[str]:
    """The values of arguments' defaults, as they are now; what is no constant stands in the source."""
    for function in (
        [thing] if isinstance(thing, FunctionType) else (f for v in vars(thing).values() for f in _functions(v))
    ):
        for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            if not isinstance(value, _CONSTANTS):  # text, numbers: in the source
                with suppress(UpliftlensError):
                    yield _constant(value, "")


def _is_users(module: str, home: str) -> bool:
    """Whether a module is ``home`` or another file of the user's, whose code is followed."""
    return module == home or " " in _outside(module)


def _is_users_code(value: Any, home: str) -> bool:
    return isinstance(value, type | FunctionType) and _is_users(value.__module__, home)


def _values(module: ModuleType, home: str) -> Iterator[str]:
    """The constants of a module of the user's, as they are now."""
    if _is_users(module.__name__, home):
        for name, value in sorted(vars(module).items()):
            if not name.startswith("_"):
                with suppress(UpliftlensError):
                    yield f"{name}={_constant(value, '')}"


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

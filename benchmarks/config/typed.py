"""Options as typed records: from a YAML mapping to a frozen dataclass, or a clear error; allowed values in words."""

import dataclasses
from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from omegaconf import BooleanNode, FloatNode, IntegerNode, OmegaConf, StringNode
from omegaconf.errors import ValidationError

from upliftlens.causal.errors import UpliftlensError, located, unknown
from upliftlens.causal.options import Range, check_ranges

T = TypeVar("T")

_SCALARS = {  # what a user calls the type, and the conversions that a YAML file and the command line allow
    int: ("a whole number", IntegerNode),
    float: ("a number", FloatNode),
    bool: ("true or false", BooleanNode),
    str: ("text", StringNode),
}


def typed(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """An instance of the frozen dataclass ``kind`` from a mapping; lists become tuples.

    ``where`` is how the user writes the group, e.g. "model" for ``model.dim``, and "" for options outside of groups.

    Raises:
        UpliftlensError: for an unknown option (with the nearest one), a missing one, a wrong type or choice, a number
            out of its range, NaN or infinity.
    """
    if OmegaConf.is_config(values):
        values = OmegaConf.to_container(values, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in fields:
            raise unknown(f"option of {where or 'the configuration'}", str(name), fields or ["none"])
    for name, f in fields.items():
        if name not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise UpliftlensError(f"{_dotted(where, name)} is missing: state a value, or null where there is none")
    hints = get_type_hints(kind, include_extras=True)
    options = {name: _value(hints[name], value, _dotted(where, name)) for name, value in values.items()}
    check_ranges(kind, options, where)
    with located(where):
        return kind(**options)


def allowed(kind: type, section: Mapping[str, Any], where: str) -> Iterator[tuple[str, str]]:
    """(option, allowed values) of each option with a range or a fixed set of values, nested options included.

    ``section``: the configuration of the options class ``kind``; options that it doesn't state are left out. ``where``:
    how a user writes the section, e.g. "model" for ``model.dim``, "" for options outside of groups.
    """
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if name not in section:
            continue
        option = _dotted(where, name)
        if isinstance(section[name], Mapping):
            for nested in (hint, *get_args(hint)):
                if dataclasses.is_dataclass(nested):
                    yield from allowed(nested, section[name], option)  # type: ignore[arg-type]
        elif words := _words(hint):
            yield option, words


def is_whole(kind: type, option: str) -> bool:
    """Whether an option of the options class ``kind`` takes whole numbers only, or null."""
    return get_type_hints(kind).get(option) in (int, int | None)


def _dotted(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _value(hint: Any, value: Any, where: str) -> Any:
    """A plain value converted to the type ``hint``."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _value(parts[0], value, where)
    if origin in (Union, UnionType):
        if value is None and NoneType in parts:
            return None
        inner = [part for part in parts if part is not NoneType]
        return _value(inner[0] if len(inner) == 1 else Any, value, where)
    if hint in _SCALARS:
        return _scalar(hint, value, where)
    if dataclasses.is_dataclass(hint) or origin is Mapping:
        if not isinstance(value, Mapping):
            raise UpliftlensError(f"{where} must be a mapping of options, as in {{a: 1}}, got {value}")
        if origin is Mapping:
            return {str(name): _value(parts[1], entry, f"{where}.{name}") for name, entry in value.items()}
        return typed(hint, value, where)  # type: ignore[arg-type]
    if origin is tuple and not isinstance(value, list | tuple):
        raise UpliftlensError(f"{where} must be a list, as in [a,b], got {value}")
    if isinstance(value, list | tuple):
        fixed = origin is tuple and Ellipsis not in parts
        if fixed and len(value) != len(parts):
            raise UpliftlensError(f"{where} takes {len(parts)} values, got {list(value)}")
        hints = parts if fixed else [parts[0] if parts else Any] * len(value)
        return tuple(_value(hints[i], entry, f"{where}[{i}]") for i, entry in enumerate(value))
    return value


def _scalar(hint: type, value: Any, where: str) -> Any:
    name, node = _SCALARS[hint]
    try:
        converted = node(value, is_optional=False)._value()
    except ValidationError:
        raise UpliftlensError(f"{where} must be {name}, got {'null' if value is None else value}") from None
    return converted


def _words(hint: Any, plural: str = "") -> str:
    """ "whole number, at least 1"; "" where nothing but the type is stated."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        stated = [str(mark) for mark in parts[1:] if isinstance(mark, Range)]
        number = "whole number" if parts[0] is int else "number"
        return ", ".join([number + plural, *stated]) if stated else _words(parts[0], plural)
    if origin is Literal:
        return ", ".join(map(str, parts))
    if origin is tuple:
        return _words(parts[0], "s")
    if origin in (Union, UnionType):
        words = ", or ".join(filter(None, map(_words, parts)))
        return f"{words}, or null" if words and NoneType in parts else words
    return ""

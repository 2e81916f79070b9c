"""Options as typed records: a composed YAML mapping in, a frozen dataclass out, and a clear error in between."""

import copy
import dataclasses
import math
from collections.abc import Mapping
from functools import cache, partial
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from upliftlens.causal.errors import UpliftlensError, located, unknown
from upliftlens.models.contract import TRACED

T = TypeVar("T")


def typed(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """An instance of the frozen dataclass ``kind`` from a mapping; lists become tuples.

    ``where`` is how the user writes the group, e.g. "model" for ``model.dim``.

    Raises:
        UpliftlensError: for an unknown option (with the nearest one), a missing one, a wrong type or choice, NaN or
            infinity.
    """
    return _build(kind, _checked(kind, values, where), where)


def traced_names(kind: type) -> tuple[str, ...]:
    """The options of a dataclass that are marked ``Traced``: arguments of the compiled program."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(name for name, hint in hints.items() if get_origin(hint) is Annotated and TRACED in hint.__metadata__)


def structural(options: T) -> T:
    """The options with every traced float set to 0: what a program is compiled for."""
    made = copy.copy(options)
    for name in traced_names(type(options)):
        object.__setattr__(made, name, 0.0)  # not dataclasses.replace, which would ask whether 0 is in range
    return made


def _checked(kind: type, values: Mapping[str, Any], where: str) -> Any:
    """The mapping, completed by defaults and converted to the dataclass's types, as plain data."""
    fields = [f.name for f in dataclasses.fields(kind)]
    for name in values:
        if name not in fields:
            raise unknown(f"option of {where or 'the configuration'}", str(name), fields or ["none"])
    try:
        merged = OmegaConf.merge(OmegaConf.structured(_schema(kind)), OmegaConf.create(dict(values)))
        return OmegaConf.to_container(merged, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = ".".join(part for part in (where, getattr(error, "full_key", None)) if part)
        raise UpliftlensError(f"{key}: {str(error).splitlines()[0]}") from None


def _build(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    hints = get_type_hints(kind, include_extras=True)
    options = {name: _value(hints[name], value, f"{where}.{name}") for name, value in values.items()}
    with located(where):
        return kind(**options)


def _value(hint: Any, value: Any, where: str) -> Any:
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if value is not None and get_origin(hint) in (Union, UnionType):
        hint = next(part for part in get_args(hint) if part is not type(None))
    if get_origin(hint) is Literal and value is not None and value not in get_args(hint):
        raise unknown(where, str(value), map(str, get_args(hint)))
    if hint in (str, int, float, bool) and isinstance(value, list | dict):  # OmegaConf lets it pass inside of a list
        raise UpliftlensError(f"{where} must be one {hint.__name__}, got {value}")
    if hint is float and value is not None:  # OmegaConf converts, but not inside of a list of lists
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UpliftlensError(f"{where} must be a number, got {value}")
        value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise UpliftlensError(f"{where} must be a finite number, got {value}")
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return _build(hint, value, where)  # type: ignore[arg-type]
    if isinstance(value, list):
        parts = get_args(hint)
        if len(parts) == 2 and get_origin(hint) is tuple and parts[1] is not Ellipsis and len(value) != 2:
            raise UpliftlensError(f"{where} takes two values, got {value}")
        inner = parts[0] if parts else Any
        return tuple(_value(inner, part, where) for part in value)
    return value


@cache
def _schema(kind: type) -> type:
    """The same dataclass in the vocabulary that OmegaConf checks: without Annotated, Literal and tuples."""
    hints = get_type_hints(kind, include_extras=True)
    columns: list[Any] = []
    for f in dataclasses.fields(kind):
        if f.default is not dataclasses.MISSING:
            default: Any = dataclasses.field(default_factory=partial(_unfrozen, f.default))
        elif f.default_factory is not dataclasses.MISSING:
            default = dataclasses.field(default_factory=f.default_factory)
        else:
            default = dataclasses.field(default=MISSING)
        columns.append((f.name, _plain(hints[f.name]), default))
    return dataclasses.make_dataclass(kind.__name__, columns)


def _unfrozen(value: Any) -> Any:
    """A default as OmegaConf holds it: a tuple is a list there."""
    return list(value) if isinstance(value, tuple) else value


def _plain(hint: Any) -> Any:
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _plain(parts[0])
    if origin is Literal:
        return type(parts[0])
    if origin in (tuple, list):
        nested = not parts or get_origin(parts[0]) in (tuple, list)
        return list[Any] if nested else list[_plain(parts[0])]  # type: ignore[misc]
    if origin in (Union, UnionType):
        inner = [_plain(part) for part in parts if part is not type(None)]
        return inner[0] | None if len(inner) == 1 and type(None) in parts else Any
    if dataclasses.is_dataclass(hint):
        return _schema(hint)  # type: ignore[arg-type]
    return hint

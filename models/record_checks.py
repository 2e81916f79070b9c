"""Checks of a plugin's record, whatever its kind: its name, its options, and how its functions can be called.

Nothing here needs JAX, which is slow to load. All errors are of one line and name the plugin and the fix.
"""

import dataclasses
import inspect
import re
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

from upliftlens.causal.errors import UpliftlensError

_SCALARS = {int: "a whole number", bool: "True or False"}


class BrokenContract(UpliftlensError):
    """A plugin is not what its contract says."""


def check_record(value: Any, where: str, reserved: Sequence[str] = (), marks: str = "_-") -> None:
    """Checks the name of a plugin, in which ``marks`` may stand, its numbers, choices and, where it has them, options.

    No option may have a ``reserved`` name.

    Raises:
        BrokenContract: naming the field that is wrong and what belongs there.
    """
    if not isinstance(value.name, str) or not re.fullmatch(f"[A-Za-z0-9][A-Za-z0-9{re.escape(marks)}]*", value.name):
        raise BrokenContract(
            f"{where}: its name must be text of letters, digits and any of {' '.join(marks)}, "
            f'as in "my_model", got {value.name!r}'
        )
    where = f"{where}, '{value.name}'"
    check_choices(value, where)
    if hasattr(value, "options"):
        _check_options(value.options, where, reserved)


def check_choices(value: Any, where: str) -> None:
    """Refuses a record with another value where its type says a whole number, True or False, or one of some words.

    Raises:
        BrokenContract: naming the field and what belongs there.
    """
    for name, hint in get_type_hints(type(value)).items():
        field, words = getattr(value, name), _SCALARS.get(hint, "")
        wrong = type(field) is not hint if words else False
        if get_origin(hint) is Literal:
            wrong, words = field not in get_args(hint), f"one of {', '.join(get_args(hint))}"
        if wrong:
            raise BrokenContract(f"{where}: {name} must be {words}, got {field!r}")


def _check_options(options: Any, where: str, reserved: Sequence[str]) -> None:
    if not isinstance(options, type) or not dataclasses.is_dataclass(options):
        raise BrokenContract(
            f"{where}: options must be a class marked @dataclass(frozen=True), got {options!r}; where there is nothing "
            "to choose, upliftlens.causal.options.NoOptions"
        )
    if not options.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise BrokenContract(
            f"{where}: write @dataclass(frozen=True) above {options.__name__}: options are part of a key"
        )
    if taken := [f.name for f in dataclasses.fields(options) if f.name in reserved]:
        raise BrokenContract(f"{where}: an option can't be called {taken[0]}, which says something else: rename it")
    try:
        get_type_hints(options)
    except Exception as error:
        raise BrokenContract(f"{where}: the types of {options.__name__} can't be read: {error}") from error


def check_call(call: Any, what: str, arguments: str, where: str) -> None:
    """Refuses a ``call`` that does not take these positional arguments, "a, b, c"."""
    if not callable(call):
        raise BrokenContract(f"{where}: {what} must be callable as {what}({arguments}), got {call!r}")
    # The metaclass of Flax modules takes anything and hands it on to __init__.
    function, bound = (call.__init__, (call,)) if isinstance(call, type) else (call, ())  # type: ignore[misc]
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # builtins without a signature
        return
    try:
        signature.bind(*bound, *arguments.split(", "))
    except TypeError as error:
        takes = f"{getattr(function, '__qualname__', what)}{signature}"
        raise BrokenContract(f"{where}: {what} is called with ({arguments}), but {takes}: {error}") from None

"""Options of a table on the command line: ``upliftlens table NAME KEY=VALUE …`` replaces what its definition states."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import yaml

from upliftlens.benchmarks.errors import UpliftlensError, unknown

_FIXED = ("kind", "published")


def overridden(content: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The definition with top-level keys replaced, each by a value of the type it had; the title says what was changed.

    Values are written as in the definition, in YAML: ``draws=5``, ``seeds=[0,1]``, ``grid={model.dim: [2, 4]}``.

    Raises:
        UpliftlensError: for what isn't KEY=VALUE, an unknown key, or a value of another type.
    """
    changed = dict(content)
    known = [key for key in content if key not in _FIXED]
    for override in overrides:
        key, sign, text = override.partition("=")
        if not sign:
            raise UpliftlensError(f"'{override}' is no option of a table: write KEY=VALUE, as in draws=5")
        if key not in known:
            raise unknown("option of the table", key, known)
        changed[key] = _like(content[key], text, key)
    if overrides and changed["title"] == content["title"]:
        changed["title"] = f"{content['title']} ({' '.join(overrides)})"
    return changed


def _like(default: Any, text: str, key: str) -> Any:
    """The text as YAML, a value of the type of the default."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UpliftlensError(f"{key}={text}: not a value in YAML") from None
    if isinstance(default, float) and isinstance(value, int | str) and not isinstance(value, bool):
        with suppress(ValueError):
            value = float(value)  # YAML reads 1e-3 as text, 1 as an integer
    if default is not None and type(value) is not type(default):
        wanted = {int: "a whole number", float: "a number", bool: "true or false", list: "a list, as in [0,1]"}
        kind = wanted.get(type(default), "text" if isinstance(default, str) else "a mapping, as in {a: 1}")
        raise UpliftlensError(f"{key}={text}: must be {kind}, as is the definition's {default!r}")
    return value

"""Options of a table on the command line: ``upliftlens table NAME KEY=VALUE …`` replaces values of its definition.

A definition is also the schema: a value must have the type and shape of the value that it replaces. Its range depends
on its name and is the same in every table.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import yaml

from upliftlens.benchmarks.config.typed import typed
from upliftlens.causal.errors import UpliftlensError, unknown
from upliftlens.causal.intervals import Resampling
from upliftlens.causal.options import SEEDS, Above, AtLeast, Within

_FIXED = ("kind", "published", "note")
_RANGES = {
    **dict.fromkeys(["seed", "search_seed", "tune_seed"], SEEDS),
    **dict.fromkeys(["draws", "folds", "logs", "users"], AtLeast(2)),  # 1 has no spread, or nothing to train on
    **dict.fromkeys(["level", "validation", "narrow", "density", "floor"], Within(0, 1, "()")),
    "refining": AtLeast(0),
    "chi": Within(0, 0.5, "[)"),
}
"""Ranges of numbers by name. Other whole numbers are at least 1, others above 0."""
_FILLED = (
    *("seeds", "draws", "validation_seeds", "backbones", "objectives", "columns", "estimators"),
    *("data", "knobs", "rows", "grid", "blocks", "training"),
)
"""Lists and mappings that must not be empty."""
_KINDS = {int: "a whole number", float: "a number", bool: "true or false", list: "a list, as in [0,1]", str: "text"}


def overridden(content: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The definition with top-level keys replaced by values of the same type; the title lists the overrides.

    Values are written as in the definition, in YAML: ``draws=5``, ``seeds=[0,1]``, ``grid={model.dim: [2, 4]}``.

    Raises:
        UpliftlensError: for an override that isn't KEY=VALUE, an unknown key, a value of another type or out of range.
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
    for key in known:
        check(key, changed[key])
    if overrides and changed["title"] == content["title"]:
        changed["title"] = f"{content['title']} ({' '.join(overrides)})"
    return changed


def check(key: str, value: Any) -> None:
    """Refuses a value of a definition that is out of the range for its key.

    Raises:
        UpliftlensError: naming the key and its range.
    """
    try:
        if key == "interval":
            typed(Resampling, value, key)
        elif type(value) in (int, float):
            _RANGES.get(key, AtLeast(1) if type(value) is int else Above(0)).check(key, value)
        elif key in _FILLED:
            _check_filled(key, value)
    except UpliftlensError as error:
        raise UpliftlensError(f"the table's {error}") from None


def _check_filled(key: str, value: Any) -> None:
    if not value:
        raise UpliftlensError(f"{key} is empty, so there would be nothing to compute")
    if isinstance(value, list) and (twice := [entry for entry in value if value.count(entry) > 1]):
        raise UpliftlensError(f"{key} lists {twice[0]} more than once")
    for place, seed in enumerate(value if key in ("seeds", "validation_seeds", "draws") else ()):
        SEEDS.check(f"{key}[{place}]", seed)


def _like(default: Any, text: str, key: str) -> Any:
    """The value of a YAML text; it must have the type of the default."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UpliftlensError(f"{key}={text}: not a value in YAML") from None
    return _shaped(default, value, key, f"{key}={text}")


def _shaped(default: Any, value: Any, where: str, typed_as: str) -> Any:
    """``value`` with the types of ``default``, also inside of lists and mappings; a list's first entry sets them."""
    if isinstance(default, float) and isinstance(value, int | str) and not isinstance(value, bool):
        with suppress(ValueError):
            value = float(value)  # YAML reads 1e-3 as text, 1 as an integer
    if default is not None and type(value) is not type(default):
        kind = _KINDS.get(type(default), "a mapping, as in {a: 1}")
        here = "" if typed_as.startswith(f"{where}=") else f"{where} "
        raise UpliftlensError(f"{typed_as}: {here}must be {kind}, as is the definition's {default!r}")
    if isinstance(default, list) and default:
        return [_shaped(default[0], entry, f"{where}[{i}]", typed_as) for i, entry in enumerate(value)]
    if isinstance(default, dict) and default:
        first = next(iter(default.values()))
        return {
            name: _shaped(default.get(name, first), entry, f"{where}.{name}", typed_as) for name, entry in value.items()
        }
    return value

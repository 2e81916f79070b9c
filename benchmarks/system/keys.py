"""Keys: hashes of plain data; equal data has equal keys."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def canonical_key(mapping: Mapping[str, Any]) -> str:
    """16 hex digits of the sha256 of the mapping's canonical JSON: equal mappings, and only those, share a key.

    Numbers are compared by value: 1 and 1.0 give the same key, as 1e-3 and 0.001 do, so a key does not depend on
    whether a float option passed through a typed configuration. ``True`` is not 1. The order of entries does not
    matter; a tuple equals a list. Floats are written by ``repr``, which differs for all different doubles.

    Raises:
        TypeError: for a name that is not text, or a value that is not a mapping, list, text, number, bool or None.
    """
    text = json.dumps(_canonical(mapping), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _canonical(value: Any) -> Any:
    match value:
        case None | bool() | str() | int():
            return value
        case float():
            return int(value) if value.is_integer() else float(value)
        case Mapping():
            if wrong := [name for name in value if not isinstance(name, str)]:
                raise TypeError(f"a key is made of mappings with text for names, not {wrong[0]!r}")
            return {name: _canonical(entry) for name, entry in value.items()}
        case list() | tuple():
            return [_canonical(entry) for entry in value]
        case _:
            raise TypeError(f"a key is made of plain data, not of {type(value).__name__}: {value!r}")

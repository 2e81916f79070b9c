"""What ``--help`` says of options: their values as YAML, and in words which are allowed, from their dataclasses."""

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from upliftlens.causal.options import Range


class _Inline(yaml.SafeDumper):
    """YAML whose lists are on one line, as they are typed: shares: [0.5, 0.5]."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        return super().represent_sequence(tag, sequence, flow_style=True)


def in_yaml(config: Mapping[str, Any]) -> str:
    """A configuration for people: in the order of its files, a line for each option but long lists."""
    return yaml.dump(config, Dumper=_Inline, sort_keys=False, allow_unicode=True, width=100)


def allowed(kind: type, section: Mapping[str, Any], where: str) -> Iterator[tuple[str, str]]:
    """(option, allowed values) of each option with a range or a fixed set of values, nested options included.

    ``section``: the configuration of the options class ``kind``; options that it doesn't state are left out. ``where``:
    how a user writes the section, e.g. "model" for ``model.dim``, "" for options outside of groups.
    """
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if name not in section:
            continue
        option = f"{where}.{name}" if where else name
        if isinstance(section[name], Mapping):
            for nested in (hint, *get_args(hint)):
                if is_dataclass(nested):
                    yield from allowed(nested, section[name], option)  # type: ignore[arg-type]
        elif words := _words(hint):
            yield option, words


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

"""YAML of definitions, in which nothing may stand twice: PyYAML takes the last of two equal keys without a word."""

from collections.abc import Hashable
from typing import Any

import yaml

from upliftlens.causal.errors import UpliftlensError


def loaded(text: str) -> Any:
    """The content of a text in YAML.

    Raises:
        UpliftlensError: if it is no YAML, or a mapping has a key twice, with the lines.
    """
    try:
        return yaml.load(text, _Strict)
    except yaml.YAMLError as error:
        raise UpliftlensError(f"it is no YAML: {' '.join(str(error).split())}") from None


class _Strict(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[str, int] = {}
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):  # what "<<" merges comes later
            line = key.start_mark.line + 1
            if key.value in lines:
                raise UpliftlensError(f"{key.value} stands twice in a mapping: line {lines[key.value]} and line {line}")
            lines[key.value] = line
        return super().construct_mapping(node, deep)

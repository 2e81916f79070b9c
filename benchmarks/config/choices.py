"""The choices of a config group: its YAML files. Names with a leading _ are shared parts, no choices."""

import re
from functools import cache
from importlib.resources import files
from itertools import takewhile
from typing import Any

import yaml

CONFIGS = "upliftlens.configs"

NEEDED = ("data", "split", "model", "loss", "objective", "propensity", "train", "metrics", "logger")
"""The config groups that every run has a choice of."""


def packaged(group: str) -> list[str]:
    """The built-in choices of a group, sorted; those of plugins are not included."""
    paths = (path.name for path in files(f"{CONFIGS}.{group}").iterdir())
    return sorted(name.removesuffix(".yaml") for name in paths if name.endswith(".yaml") and not name.startswith("_"))


def about(group: str, name: str) -> str:
    """The description of a built-in choice: the first sentence of the comment at the top of its file."""
    lines = files(f"{CONFIGS}.{group}").joinpath(f"{name}.yaml").read_text().splitlines()
    comment = takewhile(lambda line: line.startswith("#"), lines)
    return first_sentence(" ".join(line.strip("# ") for line in comment if not line.startswith("# @package")))


def first_sentence(text: str) -> str:
    """Up to the first full stop before a capital letter, or the end of the paragraph; on one line, without the stop."""
    paragraph = " ".join(text.split("\n\n")[0].replace("``", "").split())
    return re.split(r"\.\s+(?=[A-Z])", paragraph)[0].rstrip(".")


@cache
def default(option: str, file: str = "config.yaml") -> str:
    """The value of an option in a file of configs/, for code that needs it before Hydra composes."""
    return str(stated(file)[option])


def stated(file: str) -> dict[str, Any]:
    """What a file of configs/ states."""
    return dict(yaml.safe_load(files(CONFIGS).joinpath(file).read_text()))


@cache
def groups() -> frozenset[str]:
    """The names of all config groups."""
    return frozenset(path.name for path in files(CONFIGS).iterdir() if path.is_dir() and not path.name.startswith("_"))

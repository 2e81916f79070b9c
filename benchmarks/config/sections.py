"""A configuration as one typed record: the options of each section, and the plugins that learn.

Most classes of options lie in rooms above this one: they are reached by the plugin that a section chooses, or by path.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Annotated, Any, NamedTuple

from upliftlens.benchmarks.config.choices import NEEDED, packaged
from upliftlens.benchmarks.config.chosen import chosen
from upliftlens.benchmarks.config.plugins import Entry
from upliftlens.benchmarks.config.saved import saved
from upliftlens.benchmarks.config.typed import typed
from upliftlens.causal.errors import UpliftlensError, located, unknown
from upliftlens.causal.options import SEEDS, AtLeast

SECTIONS = ("", *(group for group in NEEDED if group != "loss"))
"""The sections that have options, in the order of errors and of ``--help``; "" names the options outside of groups."""

_OTHERS = {"": NEEDED, "model": ("name", "file", "space"), "objective": ("name",)}
"""What stands in a section beside its options."""

_PATHS = {
    "": f"{__name__}:GeneralConfig",
    "train": "upliftlens.benchmarks.runs.plan:TrainConfig",
    "metrics": "upliftlens.benchmarks.metrics.registry:MetricsConfig",
    "logger": "upliftlens.benchmarks.runs.tracking:KINDS",
}
"""Where the class of a section is, or its classes by name, where no plugin brings it."""


@dataclass(frozen=True)
class GeneralConfig:
    """The options outside of the groups: see configs/config.yaml."""

    seed: Annotated[int, SEEDS]
    trial: bool
    group: str | None
    store: str
    cache: str
    budget: Annotated[int, AtLeast(1)]
    tune_seed: Annotated[int, SEEDS]
    progress: bool

    def __post_init__(self) -> None:
        for name in ("store", "cache"):  # an interpolation may be empty, which no look at overrides shows
            if not getattr(self, name).strip():
                raise UpliftlensError(f"{name}= is empty: name a folder, or leave it out")


class Configuration(NamedTuple):
    """The configuration of a run.

    ``content``: as plain data; ``overrides``: what the user stated; ``plugins``: the chosen model, loss and objective;
    ``sections``: the typed options of each config group that has some.
    """

    content: Mapping[str, Any]
    overrides: Sequence[str]
    plugins: Mapping[str, Entry]
    general: GeneralConfig
    sections: Mapping[str, Any]


def configuration_of(content: Mapping[str, Any], overrides: Sequence[str] = ()) -> Configuration:
    """A resolved configuration, typed.

    Raises:
        UpliftlensError: for anything unknown, missing, of a wrong type or out of range.
    """
    for group in NEEDED:
        section = content.get(group)
        named = group in ("train", "metrics") or (isinstance(section, Mapping) and section.get("name"))
        if not isinstance(section, Mapping) or not named:
            raise UpliftlensError(
                f"the configuration states no {group if named else f'{group}.name'}: "
                f"choose one with {group}=…, from {', '.join(packaged(group))}"
            )
    parts = [(*section_of(content, group), group) for group in SECTIONS]  # names are refused before values
    sections: dict[str, Any] = {group: _typed(kind, values, group) for kind, values, group in parts}
    plugins = {group: chosen(group, content[group]) for group in ("model", "loss", "objective")}
    return Configuration(content, overrides, plugins, sections.pop(""), sections)


def typed_section(content: Mapping[str, Any], group: str) -> Any:
    """The typed options of one section of a resolved configuration.

    Raises:
        UpliftlensError: as ``configuration_of``.
    """
    return _typed(*section_of(content, group), group)


def _typed(kind: type, values: Mapping[str, Any], group: str) -> Any:
    """As ``typed``; an error of a saved data set names its file."""
    path = saved().get(str(values["name"])) if group == "data" else None
    with nullcontext() if path is None else located(f"data={values['name']} ({path})"):
        return typed(kind, values, group)


def section_of(content: Mapping[str, Any], group: str) -> tuple[type, dict[str, Any]]:
    """The options class of a section of ``SECTIONS``, and the values that a resolved configuration states of it.

    Raises:
        UpliftlensError: for an unknown name.
    """
    section = content[group] if group else content
    kind = resolve_name(_PATHS[group]) if group in _PATHS else chosen(group, section).value.options
    if isinstance(kind, Mapping):
        if section["name"] not in kind:
            raise unknown(group, str(section["name"]), kind)
        kind = kind[section["name"]]
    return kind, {name: value for name, value in section.items() if name not in _OTHERS.get(group, ())}

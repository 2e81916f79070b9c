"""The list of data sets, built in or from plugins, and how they are configured, loaded and checked."""

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from upliftlens.benchmarks.config.choices import packaged
from upliftlens.benchmarks.config.chosen import chosen
from upliftlens.benchmarks.config.compose import composed
from upliftlens.benchmarks.config.installed import choices, register_installed
from upliftlens.benchmarks.config.plugins import Entry
from upliftlens.benchmarks.config.sections import typed_section
from upliftlens.benchmarks.data.config import BaseConfig, DataConfig
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.data.files import open_files
from upliftlens.benchmarks.data.obtain import in_cache
from upliftlens.benchmarks.data.problems import BadData
from upliftlens.benchmarks.system.environment import fix_numerics
from upliftlens.benchmarks.system.talk import Say
from upliftlens.causal.errors import UpliftlensError, unknown

_NAME_OF_FILE = {
    "u.data": "ml-100k",
    "train.ascii": "coat",
    "ydata-ymusic-rating-study-v1_0-train.txt": "yahoo-r3",
}


class Listed(NamedTuple):
    """One line of ``data list``. Numbers are from the configuration; None where only the file has them."""

    name: str
    users: int | None
    items: int | None
    rows: int | None
    ready: str
    terms: str


def names() -> list[str]:
    """Every data set that ``data=NAME`` takes, sorted: the files of configs/data and the installed plugins."""
    return choices("data")


def configure(name: str, overrides: list[str] | tuple[str, ...] = ()) -> Any:
    """The typed options of ``data=NAME`` with overrides as on the command line, e.g. ``data.filter.user_core=5``.

    Raises:
        UpliftlensError: for an unknown name, option or type.
    """
    if name not in names():
        raise unknown("data set", name, names())
    register_installed("data")
    for option in (override.split("=")[0] for override in overrides):
        if option.lstrip("+~").partition(".")[0] != "data":  # of a run: a data set alone has none of it
            known = pd.json_normalize({"data": composed([f"data={name}"], "_data")["data"]})
            raise unknown("option", option, map(str, known))
    return typed_section(composed([f"data={name}", *overrides], "_data"), "data")


def load(config: Any, cache: Path, say: Say | None = None) -> Dataset:
    """The data set of typed options (see ``configure``), from the cache folder or one of its sources.

    ``say`` takes one line for the user; with it, downloads also draw a bar on a terminal's standard error.

    Raises:
        DataUnavailable: if no source delivers it.
        BadData: if a file is wrong.
        UpliftlensError: for anything else that the user can fix.
    """
    fix_numerics()
    dataset: Dataset = _source(config).value.load(config, Path(cache).expanduser(), say)
    if say is not None and dataset.treatment is not None:
        e = dataset.treatment.propensity
        if out := int(((e <= 0) | (e >= 1)).sum()):
            say(f"{dataset.name}: {out:,} of {len(e):,} rows have propensity 0 or 1 and are left out of estimates")
    return dataset


def source_file(config: Any) -> str:
    """The file of the plugin that loads a data set of typed options; "" for a built-in one."""
    return _source(config).file


def _source(config: Any) -> Entry:
    """The DataSource of typed options: their ``format`` names it or, where they have none, their ``name``."""
    return chosen("data", {key: getattr(config, key) for key in ("format", "name") if hasattr(config, key)})


def check(path: Path, config: DataConfig, say: Say | None = None) -> BadData | None:
    """The problems of the files at ``path``, read with the options ``config``, at most 100; None if there are none.

    ``say`` takes lines for the user about what is no problem for sure.

    Raises:
        UpliftlensError: if there is no such file or archive, or the data set is not read from files.
    """
    read = _source(config).value.read
    if read is None:
        raise UpliftlensError(f"data set '{config.name}' is not read from files: there is nothing to check")
    files = open_files(Path(path).expanduser())._replace(say=say)
    try:
        read(files, config)
    except BadData as error:
        return error
    return None


def guess(path: Path) -> str:
    """The data set whose layout a file, folder or archive has, by the names of its files; ``csv`` if none fits."""
    files = open_files(Path(path).expanduser())
    listed = [Path(files.chosen)] if files.chosen else [Path(name) for name in files.names]
    present = {path.name for path in listed}
    for file, name in _NAME_OF_FILE.items():
        if file in present:
            return name
    return "recbole" if any(path.suffix == ".inter" for path in listed) else "csv"


def listing(cache: Path) -> list[Listed]:
    """Every data set with its known size, whether its archive lies in the cache, and its terms."""
    return [_listed(name, Path(cache).expanduser()) for name in names()]


def _listed(name: str, cache: Path) -> Listed:
    config = configure(name)
    facts = config.facts if isinstance(config, BaseConfig) else None
    ready = "generated" if name in packaged("data") else "plugin"
    if isinstance(config, DataConfig):
        ready = ("cached" if in_cache(config, cache) else "to fetch") if config.sources else "data.path="
    numbers = (None, None, None) if facts is None else (facts.users, facts.items, facts.rows)
    return Listed(name, *numbers, ready, config.terms if facts is not None else "see the plugin")

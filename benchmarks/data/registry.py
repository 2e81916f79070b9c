"""The list of data sets, built in or from plugins, and how they are configured, loaded and checked."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from upliftlens.benchmarks.config.choices import packaged
from upliftlens.benchmarks.config.chosen import chosen
from upliftlens.benchmarks.config.compose import composed
from upliftlens.benchmarks.config.installed import choices, register_installed
from upliftlens.benchmarks.config.plugins import Entry
from upliftlens.benchmarks.config.saved import check_name, saved, write
from upliftlens.benchmarks.config.sections import typed_section
from upliftlens.benchmarks.data.card import remark_on_times
from upliftlens.benchmarks.data.config import BaseConfig, DataConfig
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.data.files import open_files
from upliftlens.benchmarks.data.obtain import in_cache
from upliftlens.benchmarks.data.problems import BadData
from upliftlens.benchmarks.system.environment import fix_numerics
from upliftlens.benchmarks.system.talk import Say
from upliftlens.causal.effects.treatment import without_overlap
from upliftlens.causal.errors import UpliftlensError, unknown

_NAME_OF_FILE = {
    "u.data": "ml-100k",
    "train.ascii": "coat",
    "ydata-ymusic-rating-study-v1_0-train.txt": "yahoo-r3",
}


_FRAMES = "frames"  # the folder of the cache that keeps the tables of Python (see lab.frames)


class Listed(NamedTuple):
    """One line of ``data list``. Numbers are from the configuration; None where only the file has them."""

    name: str
    users: int | None
    items: int | None
    rows: int | None
    ready: str
    terms: str


def names() -> list[str]:
    """Every data set that ``data=NAME`` takes, sorted: the files of configs/data, installed plugins, saved ones."""
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
            known = [str(path) for path in pd.json_normalize({"data": composed([f"data={name}"], "_data")["data"]})]
            raise unknown("option", option, [path for path in known if path.endswith(f".{option}")] or known)
    return typed_section(composed([f"data={name}", *overrides], "_data"), "data")


def save(name: str, base: str, overrides: list[str] | tuple[str, ...]) -> Path:
    """Saves ``data=BASE`` with overrides as ``data=NAME``, for commands in this directory; the path of its file.

    The file states what differs from BASE, with absolute paths.

    Raises:
        UpliftlensError: as ``configure``; for data that are not the user's files, a name that can't be used or is
            taken, or a file that can't be written.
    """
    config = configure(base, overrides)
    if not isinstance(config, DataConfig) or config.sources:
        raise UpliftlensError(f"data={base} is known already: save files of your own, with data=csv for instance")
    options = ("path",) if config.path else ("train", "validation", "test")  # with a path these are names within it
    paths = {option: Path(path).expanduser() for option in options if (path := getattr(config, option, None))}
    if not paths:
        raise UpliftlensError(f"data={base} without a file: give {config.asks.replace('= ', '=FILE ')}FILE")
    for path in paths.values():
        open_files(path)
    check_name(name)
    if name in names():
        file = saved().get(name)
        reason = f"{file} exists: delete it first, or" if file else f"there is a data set '{name}' already:"
        raise UpliftlensError(f"{reason} choose another name")
    usual, stated = (composed([f"data={base}", *more], "_data")["data"] for more in ((), overrides))
    absolute = {option: str(path.resolve()) for option, path in paths.items()}
    return write(name, base, _differences(usual, {**stated, **absolute}))


def _differences(usual: Mapping[str, Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    """What of ``stated`` is not as usual, section by section."""
    return {
        option: _differences(usual[option], value) if isinstance(value, Mapping) else value
        for option, value in stated.items()
        if value != usual[option]
    }


def load(config: Any, cache: Path, say: Say | None = None) -> Dataset:
    """The data set of typed options (see ``configure``), from the cache folder or one of its sources.

    ``say`` takes one line for the user; with it, downloads also draw a bar on a terminal's standard error.

    Raises:
        DataUnavailable: if no source delivers it.
        BadData: if a file is wrong.
        UpliftlensError: for anything else that the user can fix.
    """
    fix_numerics()
    cache = Path(cache).expanduser()
    try:
        dataset: Dataset = _source(config).value.load(config, cache, say)
    except BadData as error:
        raise error.listed_by(_check_command(config, cache)) from error
    if say is not None and dataset.log.time is not None and (remark := remark_on_times(dataset.log.time)):
        say(f"{dataset.name}: {remark}")
    if say is not None and dataset.has_treatments and (out := int(without_overlap(dataset.log).sum())):
        rows = f"{out:,} of {len(dataset.log):,} rows"
        say(f"{dataset.name}: {rows} have propensity 0 or 1 and are left out of estimates")
    return dataset


def _check_command(config: Any, cache: Path) -> str:
    """The command that lists what is wrong with the files of typed options; "" where there is none."""
    path = getattr(config, "path", None)
    # A name that data.name= gives is no choice of data=NAME; the name of the layout may be.
    name = next((name for name in (config.name, getattr(config, "format", None)) if name in names()), None)
    if name is None or (path is not None and Path(path).parent == (cache / _FRAMES).absolute()):
        return ""
    if path is None:
        return f"upliftlens data check {name}, and the same options"
    return f"upliftlens data check {name} {shlex.quote(f'data.path={path}')}, and your other options"


def source_file(config: Any) -> str:
    """The file of the plugin that loads a data set of typed options; "" for a built-in one."""
    return _source(config).file


def _source(config: Any) -> Entry:
    """The DataSource of typed options: their ``format`` names it or, where they have none, their ``name``."""
    return chosen("data", {key: getattr(config, key) for key in ("format", "name") if hasattr(config, key)})


def check(path: Path, config: DataConfig, say: Say | None = None) -> BadData | None:
    """The problems of the files at ``path``, read with the options ``config``; None if there are none.

    ``say`` takes lines for the user about what is no problem for sure, such as other numbers of users, items or rows
    than the options state as facts, or times that seem to be no seconds.

    Raises:
        UpliftlensError: if there is no such file or archive, or the data set is not read from files.
    """
    read = _source(config).value.read
    if read is None:
        raise UpliftlensError(f"data set '{config.name}' is not read from files: there is nothing to check")
    files = open_files(Path(path).expanduser())._replace(say=say)
    try:
        raw = read(files, config)
    except BadData as error:
        return error
    facts, rows = config.facts, [raw.log] if raw.test is None else [raw.log, raw.test]
    users, items = (pd.concat([part[side] for part in rows]).nunique() for side in ("user", "item"))
    known, here = (facts.users, facts.items, facts.rows), (users, items, len(raw.log))
    if say is not None and None not in known and known != here:
        counts = [f"{u:,} users, {i:,} items, {n:,} rows" for u, i, n in (here, known)]
        say(f"{path} is another edition of {config.name}: it holds {counts[0]}; known are {counts[1]}")
    if say is not None and "time" in raw.log and (remark := remark_on_times(raw.log["time"].to_numpy())):
        say(f"{path}: {remark}")
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
        mine = "saved" if config.path or getattr(config, "train", None) else config.asks
        ready = ("cached" if in_cache(config, cache) else "to fetch") if config.sources else mine
    numbers = (None, None, None) if facts is None else (facts.users, facts.items, facts.rows)
    return Listed(name, *numbers, ready, config.terms if facts is not None else "see the plugin")

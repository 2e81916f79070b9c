"""Which data sets there are, and the one door through which they are loaded: built in, or installed by a plugin."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from omegaconf import DictConfig, OmegaConf

from upliftlens.benchmarks.config.choices import packaged
from upliftlens.benchmarks.config.plugins import values
from upliftlens.benchmarks.config.typed import typed
from upliftlens.benchmarks.data.build import Raw, build
from upliftlens.benchmarks.data.coat import read_coat, read_yahoo
from upliftlens.benchmarks.data.config import BaseConfig, CsvConfig, DataConfig, RecboleConfig, UpliftLogConfig
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.data.delimited import read_delimited, read_recbole
from upliftlens.benchmarks.data.files import Files, open_files
from upliftlens.benchmarks.data.movielens import read_100k, read_csv, read_dat
from upliftlens.benchmarks.data.problems import BadData
from upliftlens.benchmarks.data.recommendations import load_log, read_log
from upliftlens.benchmarks.data.sources import in_cache, obtain
from upliftlens.benchmarks.system.talk import Say, watched
from upliftlens.causal.errors import UpliftlensError, unknown

GROUP = "upliftlens.data"


@dataclass(frozen=True)
class DataSource:
    """A data set from a plugin: what an entry point of the group ``upliftlens.data`` names.

    ``options``: a frozen dataclass whose fields are the options of ``data=NAME``, each with a default; the default of
    its field ``name`` is NAME. ``load(options, cache, say)`` returns the Dataset, passed through
    ``upliftlens.benchmarks.data.sealed`` so that it carries its fingerprint; ``say`` is None or takes a line
    for the user.
    """

    name: str
    options: type
    load: Callable[[Any, Path, Say | None], Dataset]


class Format(NamedTuple):
    """How files of one layout are configured and read."""

    options: type[DataConfig]
    read: Callable[[Files, Any], Raw]


FORMATS: dict[str, Format] = {
    "movielens-100k": Format(DataConfig, read_100k),
    "movielens-dat": Format(DataConfig, read_dat),
    "movielens-csv": Format(DataConfig, read_csv),
    "coat": Format(DataConfig, read_coat),
    "yahoo-r3": Format(DataConfig, read_yahoo),
    "csv": Format(CsvConfig, read_delimited),
    "recbole": Format(RecboleConfig, read_recbole),
    "uplift-log": Format(UpliftLogConfig, read_log),
}


def _worlds() -> Any:
    from upliftlens.benchmarks.worlds.sources import WORLDS  # which is built on this room

    return WORLDS


class Listed(NamedTuple):
    """One line of ``data list``. Numbers are those that the configuration states, None where only the file can tell."""

    name: str
    users: int | None
    items: int | None
    rows: int | None
    ready: str
    terms: str


@lru_cache(maxsize=1)
def plugins() -> dict[str, DataSource]:
    """The installed data sources by name.

    Raises:
        UpliftlensError: if an entry point cannot be imported or names something else.
    """
    return values("data")


def names() -> list[str]:
    """Every data set that ``data=NAME`` takes, sorted: the files of configs/data and the installed plugins."""
    return sorted({*packaged("data"), *plugins()})


def register() -> None:
    """Put the options of every plugin into Hydra's store, as ``data=NAME``; call this before Hydra composes."""
    from hydra.core.config_store import ConfigStore

    for name, source in plugins().items():
        fields = asdict(source.options())
        node = {option: list(value) if isinstance(value, tuple) else value for option, value in fields.items()}
        ConfigStore.instance().store(group="data", name=name, node=node, provider=GROUP)


def configure(name: str, overrides: list[str] | tuple[str, ...] = ()) -> Any:
    """The typed options of ``data=NAME`` with overrides as on the command line, e.g. ``data.filter.user_core=5``.

    Raises:
        UpliftlensError: for an unknown name, option or type.
    """
    from hydra import compose, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException

    if name not in names():
        raise unknown("data set", name, names())
    register()
    options = [override.split("=")[0] for override in overrides]
    running = GlobalHydra.instance().hydra  # of a run that asks for another data set; Hydra takes one at a time
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module("upliftlens.configs", version_base="1.3"):
            plain = OmegaConf.masked_copy(compose("_data", overrides=[f"data={name}"]), "data")
            for option in options:
                if option.lstrip("+~").partition(".")[0] != "data":
                    raise unknown("option", option, _options(plain, ""))
            try:
                composed = compose("_data", overrides=[f"data={name}", *overrides])
            except HydraException as error:
                known = _options(plain, "")
                for option in options:
                    if option not in known:
                        raise unknown("option", option, known) from error
                raise UpliftlensError(str(error).splitlines()[0]) from error
    finally:
        GlobalHydra.instance().hydra = running
    return typed(config_type(composed.data), composed.data, "data")


def _options(group: DictConfig, prefix: str) -> list[str]:
    """The dotted names of everything in a composed configuration, groups included."""
    options = []
    for raw_key, value in group.items_ex(resolve=False):
        key = str(raw_key)
        options.append(f"{prefix}{key}")
        if isinstance(value, DictConfig):
            options += _options(value, f"{prefix}{key}.")
    return options


def config_type(options: Mapping[str, Any]) -> type:
    """The dataclass that the composed group ``data`` must fit, for ``benchmarks.config.typed.typed``.

    Raises:
        UpliftlensError: if its name or format is not known.
    """
    name = str(options["name"])
    if name in plugins():
        return plugins()[name].options
    kind = str(options["format"]) if "format" in options else ""
    if kind in _worlds():
        return _worlds()[kind].options
    if kind not in FORMATS:
        raise unknown("data.format", kind, [*FORMATS, *_worlds()])
    return FORMATS[kind].options


def load(config: Any, cache: Path, say: Say | None = None) -> Dataset:
    """The data set of typed options (see ``config_type``), from the cache folder or wherever it can be had.

    ``say`` takes one line for the user; with it, downloads also draw a bar on a terminal's standard error.

    Raises:
        DataUnavailable: if no source delivers it.
        BadData: if a file has something wrong in it.
        UpliftlensError: for anything else that the user can mend.
    """
    made = _loaded(config, cache, say)
    if say is not None and made.treatment is not None:
        e = made.treatment.propensity
        if out := int(((e <= 0) | (e >= 1)).sum()):
            say(f"{made.name}: {out:,} of {len(e):,} rows have propensity 0 or 1 and are left out of estimates")
    return made


def source_file(config: Any) -> str:
    """The file of the plugin whose function loads a data set of typed options; "" for a built-in one."""
    source = plugins().get(config.name)
    code = None if source is None else getattr(source.load, "__code__", None)
    return "" if code is None else str(code.co_filename)


def _loaded(config: Any, cache: Path, say: Say | None) -> Dataset:
    cache = Path(cache).expanduser()
    if config.name in plugins():
        return plugins()[config.name].load(config, cache, say)
    if (world := _worlds().get(config.format)) is not None:
        return world.load(config, _base(cache, say), cache, say)
    with watched(say) as progress:
        files, origin = obtain(config, cache, progress)
    if isinstance(config, UpliftLogConfig):
        return load_log(files, config, origin, say)
    return build(FORMATS[config.format].read(files, config), config, origin)


def true_propensity(config: Any, cache: Path) -> np.ndarray | None:
    """P(the log holds the pair) f32[U, I] of a world with known truth; None for other data."""
    world = _worlds().get(getattr(config, "format", ""))
    return None if world is None or world.propensity is None else world.propensity(config, _base(cache))


def true_ratings(config: Any, cache: Path) -> np.ndarray | None:
    """The rating f64[U, I] of every pair of a world with known ones; None for other data."""
    world = _worlds().get(getattr(config, "format", ""))
    return None if world is None or world.ratings is None else world.ratings(config, _base(cache))


def _base(cache: Path, say: Say | None = None) -> Callable[[Any], Dataset]:
    return lambda base: load(configure(base) if isinstance(base, str) else base, cache, say)


def check(path: Path, config: DataConfig) -> BadData | None:
    """What is wrong with the files at ``path``, read as ``config`` says; None if nothing is. At most 100 are listed.

    Raises:
        UpliftlensError: if there is no such file or archive, or the data set is not read from files.
    """
    if config.format not in FORMATS:
        raise UpliftlensError(f"data set '{config.name}' is not read from files: there is nothing to check")
    files = open_files(Path(path).expanduser())
    try:
        FORMATS[config.format].read(files, config)
    except BadData as error:
        return error
    return None


def guess(path: Path) -> str:
    """The data set whose layout a file, folder or archive has, by the names of its files; ``csv`` if none fits."""
    files = open_files(Path(path).expanduser())
    listed = [Path(files.chosen)] if files.chosen else [Path(name) for name in files.names]
    present = {path.name for path in listed}
    for name, sign in SIGNS.items():
        if sign in present:
            return name
    return "recbole" if any(path.suffix == ".inter" for path in listed) else "csv"


SIGNS = {
    "ml-100k": "u.data",
    "coat": "train.ascii",
    "yahoo-r3": "ydata-ymusic-rating-study-v1_0-train.txt",
}


def listing(cache: Path) -> list[Listed]:
    """Every data set with its known size, whether its archive lies in the cache, and its terms."""
    return [_listed(name, Path(cache).expanduser()) for name in names()]


def _listed(name: str, cache: Path) -> Listed:
    config = configure(name)
    facts = config.facts if isinstance(config, BaseConfig) else None
    ready = "plugin" if facts is None else "generated"
    if isinstance(config, DataConfig):
        ready = ("cached" if in_cache(config, cache) else "to fetch") if config.sources else "data.path="
    numbers = (None, None, None) if facts is None else (facts.users, facts.items, facts.rows)
    return Listed(name, *numbers, ready, config.terms if facts is not None else "see the plugin")

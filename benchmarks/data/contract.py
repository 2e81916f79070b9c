"""The contract of a kind of data set, for the built-in ones and for plugins: DataSource."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upliftlens.benchmarks.data.build import Raw, build
from upliftlens.benchmarks.data.config import DataConfig
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.data.files import Files
from upliftlens.benchmarks.data.obtain import obtain
from upliftlens.benchmarks.system.talk import Say, watched


@dataclass(frozen=True)
class DataSource:
    """A kind of data set: what an entry point of ``upliftlens.data`` (or, for worlds, ``upliftlens.worlds``) names.

    A configuration's ``format`` names its source; where it has no ``format``, its ``name`` does. ``options``: a frozen
    dataclass of all options of ``data=NAME``, ``name`` included; without a YAML file each field needs a default, and
    that of ``name`` is NAME. ``load(options, cache, say)`` returns the Dataset, passed through
    ``upliftlens.benchmarks.data.sealed`` so that it carries its fingerprint; ``say`` is None or takes a line for the
    user. ``read(files, options)``, for layouts of files only, is what ``upliftlens data check`` calls.
    """

    name: str
    options: type
    load: Callable[[Any, Path, Say | None], Dataset]
    read: Callable[[Files, Any], Raw] | None = None


def file_source(
    name: str,
    options: type[DataConfig],
    read: Callable[[Files, Any], Raw],
    construct: Callable[[Files, Any, str, Say | None], Dataset] | None = None,
) -> DataSource:
    """The source of files of one layout, taken from ``data.path``, the cache or the network and read by ``read``.

    ``construct(files, options, origin, say)`` builds the data set of a layout that needs more than ``build``.
    """

    def load(config: Any, cache: Path, say: Say | None) -> Dataset:
        with watched(say) as progress:
            files, origin = obtain(config, cache, progress)
        files = files._replace(say=say)
        return construct(files, config, origin, say) if construct else build(read(files, config), config, origin)

    return DataSource(name, options, load, read)

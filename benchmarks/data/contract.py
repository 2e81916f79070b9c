"""What a data set is to the house: a DataSource, however its rows come about."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upliftlens.benchmarks.data.build import Raw, build
from upliftlens.benchmarks.data.config import DataConfig
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.data.files import Files
from upliftlens.benchmarks.data.sources import obtain
from upliftlens.benchmarks.system.talk import Say, watched

Build = Callable[[Files, Any, str, Say | None], Dataset]
"""From files, options and where they came from to the data set."""


@dataclass(frozen=True)
class DataSource:
    """A kind of data set: what an entry point of ``upliftlens.data`` (or, for worlds, ``upliftlens.worlds``) names.

    A configuration's ``format`` names its source; where it has no ``format``, its ``name`` does. ``options``: a frozen
    dataclass of all that ``data=NAME`` states, ``name`` included; without a YAML file each field needs a default, and
    that of ``name`` is NAME. ``load(options, cache, say)`` returns the Dataset, passed through
    ``upliftlens.benchmarks.data.sealed`` so that it carries its fingerprint; ``say`` is None or takes a line for the
    user. ``read(files, options)``, for layouts of files only, is what ``upliftlens data check`` calls.
    """

    name: str
    options: type
    load: Callable[[Any, Path, Say | None], Dataset]
    read: Callable[[Files, Any], Raw] | None = None


def file_source(
    name: str, options: type[DataConfig], read: Callable[[Files, Any], Raw], construct: Build | None = None
) -> DataSource:
    """The source of files of one layout, had from the cache, ``data.path`` or the network, and built from ``read``.

    ``construct`` builds the data set of a layout for which reading, filtering and numbering isn't all.
    """

    def load(config: Any, cache: Path, say: Say | None) -> Dataset:
        with watched(say) as progress:
            files, origin = obtain(config, cache, progress)
        return (
            build(read(files, config), config, origin) if construct is None else construct(files, config, origin, say)
        )

    return DataSource(name, options, load, read)

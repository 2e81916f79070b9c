"""``upliftlens doctor``: is everything there that a run needs? A finding that isn't good names its fix."""

import argparse
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import metadata, requires
from pathlib import Path
from typing import Literal, NamedTuple

from upliftlens.benchmarks.runs.store import ELSEWHERE, Store, list_records
from upliftlens.benchmarks.runs.tracking import wandb_login
from upliftlens.benchmarks.system.environment import cores, cpu, installed
from upliftlens.causal.errors import UpliftlensError

_LITTLE = 2 * 2**30  # bytes: MovieLens 32M unpacked, with room for results
_NAME = 12  # columns for the name of a check: hydra-core, tensorstore
_NAME_FOLDERS = "set HOME, or name folders: cache= and store=, or --cache and --store"
_NONE = 64 * 2**20  # bytes: below, a run or its data soon can't be written


class Check(NamedTuple):
    """One finding. ``broken`` makes runs fail; ``note`` is worth knowing; ``fix`` is empty where all is good."""

    name: str
    state: Literal["good", "note", "broken"]
    finding: str
    fix: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``doctor`` has no flags of its own."""


def run(flags: argparse.Namespace) -> int:
    """Prints every check; 1 if something is broken."""
    return report(diagnose(Path(flags.cache), Path(flags.store)))


def diagnose(cache: Path, store: Path) -> Iterator[Check]:
    """All checks, one by one; ``cache``, ``store``: the folders of downloaded data and of results. Uses no network."""
    yield _python()
    yield from _packages()
    yield _devices()
    yield _plugins()
    yield _home()
    yield _folder("cache", cache.expanduser(), "name another folder with cache=FOLDER (here: --cache FOLDER)")
    yield _store(store.expanduser())
    yield _wandb()


def report(checks: Iterable[Check]) -> int:
    """Prints each check when it was made; the exit code: 1 if something is broken."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    marks = {"good": "[green]good[/]", "note": "[yellow]note[/]", "broken": "[red]broken[/]"}
    console, broken = Console(), []
    for check in checks:
        row = Table(box=None, pad_edge=False, show_header=False)
        row.add_column(width=max(map(len, marks)))
        row.add_column(width=_NAME)
        fix = f"\n→ {escape(check.fix)}" if check.fix else ""
        row.add_row(marks[check.state], check.name, escape(check.finding) + fix)
        console.print(row)
        if check.state == "broken":
            broken.append(check.name)
    console.print(f"broken: {', '.join(broken)}" if broken else "Ready to run.")
    return 1 if broken else 0


def _python() -> Check:
    from packaging.specifiers import SpecifierSet

    needed, here = metadata("upliftlens")["Requires-Python"], platform.python_version()
    if not SpecifierSet(needed).contains(here, prereleases=True):
        return Check("python", "broken", f"{here}, but {needed} is needed", "make PYTHON=python3.12 dev")
    return Check("python", "good", f"{here} on {platform.platform()}, {cpu()}, {cores()} cores")


def _packages() -> list[Check]:
    """Installed versions against those that the installed package requires."""
    from packaging.requirements import Requirement

    needed = [Requirement(line) for line in requires("upliftlens") or ()]
    checks = []
    for package in needed:
        if package.marker is not None:  # an optional extra
            continue
        version, fix = installed(package.name), f"pip install '{package}'"
        if version is None:
            checks.append(Check(package.name, "broken", "is not installed", fix))
        elif not package.specifier.contains(version, prereleases=True):
            finding = f"{version} is installed, {package.specifier} is needed"
            checks.append(Check(package.name, "broken", finding, fix))
        else:
            checks.append(Check(package.name, "good", version))
    return checks


def _devices() -> Check:
    try:
        import jax

        devices = jax.devices()
    except (ImportError, RuntimeError) as error:
        return Check("devices", "broken", str(error).splitlines()[0], "JAX_PLATFORMS=cpu runs without the accelerator")
    kinds = ", ".join(sorted({device.device_kind for device in devices}))
    finding = f"{len(devices)} × {kinds} ({devices[0].platform})"
    nvidia = any(Path("/dev").glob("nvidia[0-9]*"))
    if devices[0].platform == "cpu" and nvidia:
        return Check("devices", "note", f"{finding}, but this machine has an NVIDIA GPU", 'pip install "jax[cuda12]"')
    return Check("devices", "good", finding)


def _plugins() -> Check:
    """Whether every installed plugin can be used (one that can't stops each run) and every table is defined rightly."""
    from upliftlens.benchmarks.config import plugins
    from upliftlens.benchmarks.config.installed import register_installed
    from upliftlens.benchmarks.tables import table as tables

    try:
        for group in plugins.GROUPS:
            plugins.entries(group)
        register_installed()
        for name in tables.names():
            tables.checked(name, tables.definition(name))
    except UpliftlensError as error:
        return Check("plugins", "broken", str(error), "repair it, or uninstall the package that it comes with")
    theirs = {group: ", ".join(sorted(point.name for point in plugins.installed(group))) for group in plugins.GROUPS}
    listed = "; ".join(f"{group}: {names}" for group, names in theirs.items() if names)
    return Check("plugins", "good", listed or "none installed")


def _home() -> Check:
    try:
        home = Path.home()
    except RuntimeError:
        return Check("home", "broken", "there is no home folder", _NAME_FOLDERS)
    if not home.is_dir():
        return Check("home", "note", f"{home} does not exist", _NAME_FOLDERS)
    return Check("home", "good", str(home))


def _store(folder: Path) -> Check:
    def content() -> str:
        records, problems = list_records(Store(folder))
        unreadable = f", {len(problems)} unreadable (see `upliftlens results`)" if problems else ""
        return f", {len(records)} runs{unreadable}"

    return _folder("store", folder, f"name another folder with {ELSEWHERE}", content)


def _folder(name: str, folder: Path, fix: str, content: Callable[[], str] = str) -> Check:
    """Whether a folder can be written; if it doesn't exist, its nearest parent is checked and nothing is made."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            free = shutil.disk_usage(there).free
        finding = f"{folder}{content()}, {free / 2**30:.1f} GiB free" + ("" if there == folder else ", not made yet")
    except (OSError, UpliftlensError) as error:
        return Check(name, "broken", f"{folder} can't be used: {str(error).splitlines()[0]}", fix)
    if free < _LITTLE:
        return Check(name, "broken" if free < _NONE else "note", finding, "free some space, or " + fix)
    return Check(name, "good", finding)


def _wandb() -> Check:
    login = wandb_login()
    if login is None:
        return Check("W&B", "good", "not logged in: logger=wandb keeps runs offline; `wandb login` changes that")
    return Check("W&B", "good", f"logged in ({login}): logger=wandb logger.mode=online uploads runs")

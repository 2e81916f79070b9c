"""The semi-synthetic world of a rating data set, fitted once and kept in the cache folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from upliftlens.benchmarks.data.fetch import locked
from upliftlens.benchmarks.system import npz as arrays
from upliftlens.benchmarks.system.atomic import whole
from upliftlens.benchmarks.system.keys import canonical_key
from upliftlens.benchmarks.system.talk import Say
from upliftlens.benchmarks.worlds.config import SemiSyntheticConfig
from upliftlens.benchmarks.worlds.semi_synthetic import Progress, Trained, train, world_from
from upliftlens.causal.errors import UpliftlensError, located
from upliftlens.causal.interactions import Interactions
from upliftlens.causal.worlds.potential import PotentialWorld

VERSION = 1  # bumped whenever the same definition gives another world

WHAT = {"ratings": "fitting the ratings", "watched": "fitting what is watched"}


def frozen_world(
    log: Interactions, fingerprint: str, config: SemiSyntheticConfig, cache: Path, say: Say | None
) -> PotentialWorld:
    """The world fitted to a rating log; the fits come from the cache where they are there, else take minutes.

    ``fingerprint``: the data set's. The cached file is named by it and by all that the fits depend on; the exposure
    rule is applied afterwards, so that all rules share one construction.

    Raises:
        UpliftlensError: if an option is out of range, or the cache can't be written.
    """
    fits = {"ratings": asdict(config.ratings), "watched": asdict(config.watched), "seed": config.seed}
    path = cache / "worlds" / f"{canonical_key({'data': fingerprint, **fits, 'version': VERSION})}.npz"
    trained = _stored(path) or _built(log, config, path, say)
    with located("the semi-synthetic world"):
        return world_from(trained, config)


def _stored(path: Path) -> Trained | None:
    try:
        return Trained(**arrays.read(path)) if path.is_file() else None
    except (UpliftlensError, TypeError):  # damaged: it is built again
        return None


def _built(log: Interactions, config: SemiSyntheticConfig, path: Path, say: Say | None) -> Trained:
    with locked(path.parent, lambda what, done, total: None):
        if (result := _stored(path)) is not None:  # another process was faster
            return result
        if say is not None:
            steps = config.ratings.steps + config.watched.steps
            say(f"building the semi-synthetic world of {len(log):,} ratings: {steps:,} steps, once (kept in {path})")
        with _bars(say) as progress:
            trained = train(log, config, progress)
        try:
            with whole(path) as part, part.open("wb") as file:
                arrays.write(file, trained._asdict(), compress=False)
        except OSError as error:
            raise UpliftlensError(
                f"the world can't be kept in {path.parent} ({error.strerror}): free space there, or choose cache=FOLDER"
            ) from error
    return trained


@contextmanager
def _bars(say: Say | None) -> Iterator[Progress]:
    console = Console(stderr=True)
    shown = say is not None and console.is_terminal
    columns = (TextColumn("  {task.description}"), BarColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True, disable=not shown) as bars:
        tasks: dict[str, object] = {}

        def report(what: str, share: float) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(WHAT[what], total=1.0)
            bars.update(tasks[what], completed=share)  # type: ignore[arg-type]

        yield report

"""The semi-synthetic world of a rating data set, fitted once and kept in the cache folder."""

from dataclasses import asdict
from pathlib import Path

from upliftlens.benchmarks.data.fetch import locked
from upliftlens.benchmarks.system import npz as arrays
from upliftlens.benchmarks.system.atomic import whole
from upliftlens.benchmarks.system.keys import canonical_key
from upliftlens.benchmarks.system.talk import Say, reporting
from upliftlens.benchmarks.worlds.config import SemiSyntheticConfig
from upliftlens.benchmarks.worlds.semi_synthetic import FittedMatrices, train, world_from
from upliftlens.causal.errors import UpliftlensError, located
from upliftlens.causal.interactions import Interactions
from upliftlens.causal.worlds.potential import PotentialWorld

VERSION = 1  # bumped whenever the same definition gives another world


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
    fitted = _stored(path) or _built(log, config, path, say)
    with located("the semi-synthetic world"):
        return world_from(fitted, config)


def _stored(path: Path) -> FittedMatrices | None:
    try:
        return FittedMatrices(**arrays.read(path)) if path.is_file() else None
    except (UpliftlensError, TypeError):  # damaged: it is built again
        return None


def _built(log: Interactions, config: SemiSyntheticConfig, path: Path, say: Say | None) -> FittedMatrices:
    with locked(path.parent, lambda what, done, total: None):
        if (result := _stored(path)) is not None:  # another process was faster
            return result
        if say is not None:
            steps = config.ratings.steps + config.watched.steps
            say(f"building the semi-synthetic world of {len(log):,} ratings: {steps:,} steps, once (kept in {path})")
        with reporting("fitting", bar=say is not None) as reporter:
            fitted = train(log, config, lambda what, share: reporter.epoch(what, round(1000 * share), 1000, {}))
        try:
            with whole(path) as part, part.open("wb") as file:
                arrays.write(file, fitted._asdict(), compress=False)
        except OSError as error:
            raise UpliftlensError(
                f"the world can't be kept in {path.parent} ({error.strerror}): free space there, or choose cache=FOLDER"
            ) from error
    return fitted

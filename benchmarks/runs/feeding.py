"""What a fit is fed with: training data and their feed, built once for all runs that differ in seeds and floats only.

Rows are put on the device once per split; a feed is built once per split, layout, size, propensity and objective that
draws triples. Fingerprints and options are compared, never objects, so it does not matter which object holds the rows.
"""

from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import jax

from upliftlens.benchmarks.propensities.exposure import Exposure
from upliftlens.benchmarks.runs.plan import Plan
from upliftlens.benchmarks.runs.prepare import Prepared, training_data
from upliftlens.benchmarks.splits.kinds import Part
from upliftlens.benchmarks.splits.uplift_parts import logged
from upliftlens.benchmarks.training.feed import feed
from upliftlens.benchmarks.training.rows import Feed, Wants
from upliftlens.causal.errors import located
from upliftlens.models.contract import Method, TrainingData


class Rows(NamedTuple):
    """Training data on the host, which feeds are built from, and the same on the device, which methods see."""

    host: TrainingData
    device: TrainingData


@dataclass(frozen=True)
class _Built:
    """Something to build; two of them are equal if they depend on the same."""

    depends: Hashable
    build: Callable[[], Any] = field(compare=False)


@lru_cache(maxsize=6)  # rows and feeds of a fit and of its refit, for two layouts in turn
def _once(part: _Built) -> Any:
    return part.build()


def rows(prepared: Prepared, refit: bool) -> Rows:
    """What a method may see of a split: training rows, with ``refit`` also the validation rows."""

    def build() -> Rows:
        host = training_data(prepared, refit)
        return Rows(host, jax.device_put(host))

    built: Rows = _once(_Built(("rows", prepared.dataset.fingerprint, prepared.split.fingerprint, refit), build))
    return built


def feed_of(plan: Plan, prepared: Prepared, exposed: Exposure | None, method: Method, refit: bool) -> Feed:
    """The feed of a plan's fit, or of its refit on training and validation rows.

    Raises:
        UpliftlensError: if the rows lack what the layout or the objective needs.
    """
    train, learning, needs = plan.train, plan.learning, plan.needs
    # The line search of lbfgs needs one and the same function at every step.
    batch_size, tile_users = (None, None) if train.optimizer == "lbfgs" else (train.batch_size, train.tile_users)
    weighted, everything = "propensity" in needs, "everything" in needs
    draws = learning.objective.value.triples if needs else None

    def build() -> Feed:
        data = rows(prepared, refit).host
        if not needs:
            return feed(data, method.layout, method.link, batch_size, tile_users)
        part: Part = "fit" if refit else "training"
        p = exposed.of(part, data.log) if weighted and exposed is not None else None
        exposure = None
        if "everywhere" in needs and exposed is not None:
            exposure = exposed.everywhere(part, data.n_users)
        with located(f"objective={learning.objective.value.name}"):
            triples = draws and draws(logged(data), asdict(learning.objective_options))
        kept = exposed.kept if weighted and exposed is not None else None
        wants = Wants(p, everything, train.everything_share, "recommendations" in needs, triples, exposure, kept)
        return feed(data, method.layout, method.link, batch_size, tile_users, wants)

    depends = (
        *("feed", prepared.dataset.fingerprint, prepared.split.fingerprint, refit, method.layout, method.link),
        *(batch_size, tile_users, needs, weighted and plan.propensity, everything and train.everything_share),
        draws and (learning.objective.value, learning.objective_options),
    )
    built: Feed = _once(_Built(depends, build))
    return built

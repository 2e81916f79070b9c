"""What a fit is fed with: training data and their feed, built once for all runs that differ in seeds and floats only.

Rows are put on the device once per split, a feed is built once per split, layout, sizes, propensity and what the
objective draws. What is equal is told by fingerprints and options, so it never matters which object holds the rows.
"""

from collections.abc import Hashable
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import NamedTuple

import jax

from upliftlens.benchmarks.propensities.exposure import Exposure, Part
from upliftlens.benchmarks.runs.plan import Plan
from upliftlens.benchmarks.runs.prepare import Prepared, training_data
from upliftlens.benchmarks.splits.parts import logged
from upliftlens.benchmarks.training.feed import feed
from upliftlens.benchmarks.training.rows import NOTHING, Feed, Wants
from upliftlens.causal.errors import located
from upliftlens.models.contract import Layout, Link, Method, TrainingData

KEPT = 4
"""Of each: the training rows and those of the refit, of two splits or layouts in turn."""


class Rows(NamedTuple):
    """Training data on the host, which feeds are built from, and the same on the device, which methods see."""

    host: TrainingData
    device: TrainingData


@dataclass(frozen=True)
class _Split:
    """The rows of a fit; equal to those of the same content."""

    data: str
    split: str
    refit: bool
    prepared: Prepared = field(compare=False)


@dataclass(frozen=True)
class _Asked:
    """A feed; equal to one that would have the same batches. ``reads`` is what of the plan they depend on."""

    split: _Split
    layout: Layout
    link: Link
    sizes: tuple[int | None, int | None]
    reads: Hashable
    plan: Plan = field(compare=False)
    exposed: Exposure | None = field(compare=False)


def rows(prepared: Prepared, refit: bool) -> Rows:
    """What a method may see of a split: training rows, with ``refit`` also the validation rows."""
    return _rows(_split(prepared, refit))


def feed_of(plan: Plan, prepared: Prepared, exposed: Exposure | None, method: Method, refit: bool) -> Feed:
    """The feed of a plan's fit, or of its refit on training and validation rows.

    Raises:
        UpliftlensError: if the rows lack what the layout or the objective needs.
    """
    full = plan.train.optimizer == "lbfgs"  # its line search needs one and the same function at every step
    sizes = (None, None) if full else (plan.train.batch_size, plan.train.tile_users)
    learning, needs = plan.learning, plan.needs
    draws = (learning.objective.value, learning.objective_options) if _draws(plan) else None
    share = plan.train.everything_share if "everything" in needs else None
    reads = (needs, plan.propensity if "propensity" in needs else None, share, draws)
    return _feed(_Asked(_split(prepared, refit), method.layout, method.link, sizes, reads, plan, exposed))


def _split(prepared: Prepared, refit: bool) -> _Split:
    return _Split(prepared.dataset.fingerprint, prepared.split.fingerprint, refit, prepared)


def _draws(plan: Plan) -> bool:
    return not plan.solver and plan.learning.objective.value.triples is not None


@lru_cache(maxsize=KEPT)
def _rows(split: _Split) -> Rows:
    host = training_data(split.prepared, split.refit)
    return Rows(host, jax.device_put(host))


@lru_cache(maxsize=KEPT)
def _feed(asked: _Asked) -> Feed:
    data = _rows(asked.split).host
    return feed(data, asked.layout, asked.link, *asked.sizes, _wants(asked, data))


def _wants(asked: _Asked, data: TrainingData) -> Wants:
    plan, exposed = asked.plan, asked.exposed
    if not plan.needs:
        return NOTHING
    part: Part = "fit" if asked.split.refit else "training"
    propensity = exposed.of(part, data.log) if exposed is not None and "propensity" in plan.needs else None
    objective, triples = plan.learning.objective.value, None
    if _draws(plan):
        with located(f"objective={objective.name}"):
            triples = objective.triples(logged(data), asdict(plan.learning.objective_options))
    everything, recommended = "everything" in plan.needs, "recommendations" in plan.needs
    return Wants(propensity, everything, plan.train.everything_share, recommended, triples)

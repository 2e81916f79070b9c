"""From a typed configuration to a plan, checked before anything starts.

A plan says what to load, split, train and measure.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from upliftlens.benchmarks.config.plugins import entry
from upliftlens.benchmarks.config.sections import Configuration
from upliftlens.benchmarks.metrics.registry import MetricsConfig, choose, is_weighted, sections_read
from upliftlens.benchmarks.propensities import exposure as propensities
from upliftlens.benchmarks.runs.compatible import (
    SOLVERS_READ,
    Learning,
    check_exposure,
    check_feedback,
    check_learning,
    check_new_users,
    idle,
    names_of,
    unread,
)
from upliftlens.benchmarks.runs.tracking import LoggerConfig
from upliftlens.benchmarks.splits.kinds import SplitOptions
from upliftlens.benchmarks.system.keys import canonical_key
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.options import Above, AtLeast, Traced, identity_of
from upliftlens.models.contract import Solver
from upliftlens.models.descent import Optimizer, Schedule

AUTO_MONITORS = {
    "recommendations": "uplift@10/snips",
    "rank": "ndcg@10",
    "rating": "rmse",
    "probability": "logloss",
    "rating, weighed": "rmse/snips",
    "probability, weighed": "logloss/snips",
}
"""The metrics that ``train.monitor=auto`` chooses from, by what the data say and the method predicts."""


@dataclass(frozen=True)
class TrainConfig:
    """Config group ``train/``: see configs/train/default.yaml for what each option means."""

    epochs: Annotated[int, AtLeast(1)]
    patience: Annotated[int, AtLeast(0)]
    monitor: str
    refit: bool
    optimizer: Optimizer
    schedule: Schedule
    lr: Annotated[Traced[float], Above(0)]
    l2: Annotated[Traced[float], AtLeast(0)]
    layout: Literal["auto", "tiles", "pairs"]
    dense_cells: Annotated[int, AtLeast(0)]
    batch_size: Annotated[int, AtLeast(1)]
    tile_users: Annotated[int, AtLeast(1)]
    everything_share: Annotated[float, Above(0)]

    def __post_init__(self) -> None:
        if self.monitor != "auto":
            choose(self.monitor)
        if self.monitor == "ece/squared":
            raise UpliftlensError(
                "monitor=ece/squared can't select: values below 0 are noise, and the lowest of them would be the best. "
                "Fix: train.monitor=brier, logloss or ece"
            )


@dataclass(frozen=True)
class Plan:
    """A run, typed. ``config`` is the same as plain data, as the record keeps it.

    ``stated``: the user's overrides.
    """

    config: Mapping[str, Any]
    data: Any
    split: SplitOptions
    learning: Learning
    propensity: Any
    train: TrainConfig
    metrics: MetricsConfig
    logger: LoggerConfig
    seed: int
    trial: bool
    group: str | None
    store: Path
    cache: Path
    progress: bool
    stated: tuple[str, ...] = ()

    @property
    def unread(self) -> tuple[str, ...]:
        """The options that the user stated and the model, a solver, does not read."""
        return tuple(unread(self.stated)) if self.solver else ()

    @property
    def idle(self) -> tuple[str, ...]:
        """Those that the training of a backbone does not read, in any layout that the plan allows, though they are part
        of the run's key."""
        return () if self.solver else tuple(idle(self.stated, self.learning, self.train.optimizer, self.train.layout))

    @property
    def solver(self) -> bool:
        """Whether the model brings its own learning rule, so that loss, objective and optimiser don't apply."""
        return isinstance(self.learning.model.value, Solver)

    @property
    def needs(self) -> frozenset[str]:
        """What the objective reads beside the observed rows: "everything", "propensity", …: see ``Objective``."""
        return frozenset() if self.solver else self.learning.objective.value.needs

    @property
    def weighted(self) -> bool:
        """Whether there is a propensity."""
        return self.propensity.name != "none"

    @property
    def label(self) -> str:
        """How lines name the run: data, split with its fold, model with its loss and objective, seed."""
        fold = f":{self.split.fold}" if hasattr(self.split, "fold") else ""
        model, loss, objective = self.learning.model, self.learning.loss, self.learning.objective
        method = "/".join(part.value.name for part in ((model,) if self.solver else (model, loss, objective)))
        return f"{self.data.name} {self.split.name}{fold} {method} seed={self.seed}"


def plan(configuration: Configuration) -> Plan:
    """The plan of a typed configuration.

    Raises:
        UpliftlensError: for an unknown metric, and for what doesn't go together.
    """
    content, overrides, plugins, general, options = configuration
    for name in options["metrics"].names:
        choose(name)  # a typo in a name is refused before anything starts
    this_plan = Plan(
        config=content,
        **{name: of_group for name, of_group in options.items() if name not in ("model", "objective")},
        learning=Learning(
            plugins["model"], options["model"], plugins["loss"], plugins["objective"], options["objective"]
        ),
        seed=general.seed,
        trial=general.trial,
        group=general.group,
        store=Path(general.store).expanduser().absolute(),
        cache=Path(general.cache).expanduser().absolute(),
        progress=general.progress,
        stated=tuple(overrides),
    )
    data, train, weighted = this_plan.data, this_plan.train, this_plan.weighted
    _check_intervals(this_plan)
    check_exposure(f"data={data.name}", getattr(data, "recommendations", False), weighted, this_plan.needs)
    if entry("splits", this_plan.split.name).value.shown is not None:
        check_new_users(this_plan.split.name, this_plan.learning.model, options["model"])
    feedback = getattr(data, "feedback", None)
    if this_plan.solver:
        check_feedback(this_plan.learning.model.value, options["model"], feedback)
    else:
        check_learning(this_plan.learning, train.optimizer, train.layout, feedback, weighted)
    return this_plan


def _check_intervals(plan: Plan) -> None:
    """Refuses intervals over users and items of metrics that divide by |K|, which changes with the items.

    Raises:
        UpliftlensError: naming the metrics.
    """
    if plan.metrics.interval.over == "users" or not getattr(plan.propensity, "trim", 0):
        return
    if names := [name for name in plan.metrics.names if choose(name).metric.by_pair == "numerator"]:
        raise UpliftlensError(
            f"{', '.join(names)} with propensity.trim: how many pairs are left changes with the items that are drawn, "
            "which metrics.interval.over=users-items does not know: leave it at users, choose /snips, or "
            "propensity.trim=0"
        )


def ignored(plan: Plan) -> str | None:
    """A sentence on the options that the user stated and the plan's model does not read, or None."""
    if not plan.unread:
        return None
    name = plan.learning.model.value.name
    return f"model={name} learns by a rule of its own and does not read {', '.join(plan.unread)}"


def repeated(plan: Plan) -> str:
    """What a plan shares with those that are the same run: of a solver, all but the options that it does not read."""
    if not plan.solver:
        return canonical_key(plan.config)
    config = {name: value for name, value in plan.config.items() if name not in ("loss", "objective")}
    model = {name: value for name, value in config["model"].items() if name != "space"}  # where a search would look
    return canonical_key({**config, "model": model, "train": {name: config["train"][name] for name in SOLVERS_READ}})


def without_effect(plan: Plan, layout: str, more: Collection[str] = ()) -> str | None:
    """A sentence on the options that the user stated and that change a run's key, but nothing else, or None.

    ``layout``: the plan's, or that of its method. ``more``: options that this run does not read for other reasons.
    """
    learning, train = plan.learning, plan.train
    names = [name for name in names_of(plan.stated) if name in more]
    if not plan.solver:
        here = idle(plan.stated, learning, train.optimizer, layout)
        if layout != train.layout:  # auto, which has read ``dense_cells``; the others were told before
            here = [name for name in here if name not in ("train.dense_cells", *plan.idle)]
        names = [*here, *(name for name in names if name not in here)]
    if not names:
        return None
    parts = {"model": learning.model, "loss": learning.loss, "objective": learning.objective}
    by = [f"{group}={part.value.name}" for group, part in parts.items() if group == "model" or not plan.solver]
    how = [] if plan.solver else [f"train.optimizer={train.optimizer}", f"train.layout={layout}"]
    return (
        f"{', '.join(names)}: not read with {' '.join([*by, *how])}. Runs that differ in that only have different keys "
        "and the same result"
    )


def refuse_ignored(plan: Plan) -> Plan:
    """The plan, unless the user stated options that its model does not read.

    A solver has no loss and no objective: with one stated, the record would be of another method than the user meant.

    Raises:
        UpliftlensError: naming the options.
    """
    if idle := ignored(plan):
        raise UpliftlensError(f"{idle}: leave that out, or choose a backbone such as model=mf")
    return plan


def fit_identity(plan: Plan) -> dict[str, Any]:
    """All of a plan that may change what is learned, besides the data and the split: part of a fit's key.

    It holds options that the run may turn out not to read, too (``train.batch_size`` in the layout tiles,
    ``train.tile_users`` in another). Which ones are read depends on the data and the model's module, and a list of them
    would have to follow every change of the code. A key that is too fine costs a repeated run; a key that is too coarse
    gives a wrong number.
    """
    model, loss, objective = plan.learning.model, plan.learning.loss, plan.learning.objective
    monitors = AUTO_MONITORS.values() if plan.train.monitor == "auto" else (plan.train.monitor,)
    identity: dict[str, Any] = {
        "model": {"name": model.value.name, "version": model.value.version, "source": model.source},
        "options": identity_of(plan.learning.options),
        "seed": plan.seed,
        "trial": plan.trial,
        # Early stopping depends on its metric, which ``auto`` chooses among several, and on the order of ties.
        "ties": plan.metrics.tie_seed,
        "monitor": [choose(name).code for name in monitors],
    }
    if plan.weighted and ("propensity" in plan.needs or is_weighted(plan.train.monitor)):
        identity["propensity"] = propensities.identity(plan.propensity)
    for section in sections_read([plan.train.monitor]):
        if (options := getattr(plan.metrics, section)) is not None:
            identity[section] = asdict(options)
    if plan.solver:
        return {**identity, "train": {name: getattr(plan.train, name) for name in SOLVERS_READ}}
    return {
        **identity,
        "train": asdict(plan.train),
        "loss": {
            "name": loss.value.name,
            "version": loss.value.version,
            **({"source": loss.source} if loss.source else {}),  # so keys from before losses could be installed stay
        },
        "objective": {
            "name": objective.value.name,
            "version": objective.value.version,
            "source": objective.source,
            "options": asdict(plan.learning.objective_options),
        },
    }

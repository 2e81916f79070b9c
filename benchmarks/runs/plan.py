"""From a composed configuration to a typed plan, checked before anything starts.

A plan says what to load, split, train and measure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from upliftlens.benchmarks.config.choices import NEEDED, packaged
from upliftlens.benchmarks.config.plugins import entry, model_entry
from upliftlens.benchmarks.config.typed import typed
from upliftlens.benchmarks.data import config_type
from upliftlens.benchmarks.metrics.registry import MetricsConfig, choose, is_weighted, sections_read
from upliftlens.benchmarks.propensities import exposure as propensities
from upliftlens.benchmarks.runs.compatible import (
    SOLVERS_READ,
    Learning,
    check_exposure,
    check_history,
    check_learning,
    idle,
    unread,
)
from upliftlens.benchmarks.runs.tracking import LoggerConfig, logger_type
from upliftlens.benchmarks.splits.kinds import SplitOptions
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.options import SEEDS, Above, AtLeast, Traced, identity_of
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


@dataclass(frozen=True)
class GeneralConfig:
    """The options outside of the groups: see configs/config.yaml."""

    seed: Annotated[int, SEEDS]
    trial: bool
    group: str | None
    store: str
    cache: str
    budget: Annotated[int, AtLeast(1)]
    tune_seed: Annotated[int, SEEDS]
    progress: bool

    def __post_init__(self) -> None:
        for name in ("store", "cache"):  # an interpolation may be empty, which no look at overrides shows
            if not getattr(self, name).strip():
                raise UpliftlensError(f"{name}= is empty: name a folder, or leave it out")


@dataclass(frozen=True)
class Plan:
    """A run, typed. ``config`` is the same as plain data, as the record keeps it.

    ``unread``: the options that the user stated and the model, a solver, does not read. ``idle``: those that the
    training of a backbone does not read, though they are part of the run's key.
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
    unread: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()

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


def plan(config: Mapping[str, Any], overrides: Sequence[str] = ()) -> Plan:
    """The typed plan of a resolved configuration; ``overrides``: the options that the user stated.

    Raises:
        UpliftlensError: for anything unknown, missing, of a wrong type, out of range, or that doesn't go together.
    """
    _require_groups(config)
    options = {group: _typed(config, group, kind) for group, kind in options_of(config).items()}
    general, model, objective = options.pop(""), options.pop("model"), options.pop("objective")
    for name in options["metrics"].names:
        choose(name)  # a typo in a name is refused before anything starts
    learning = Learning(
        model_entry(config["model"]["name"], config["model"].get("file")),
        model,
        entry("losses", config["loss"]["name"]),
        entry("objectives", config["objective"]["name"]),
        objective,
    )
    typed_plan = Plan(
        config=config,
        **options,
        learning=learning,
        seed=general.seed,
        trial=general.trial,
        group=general.group,
        store=Path(general.store).expanduser().absolute(),
        cache=Path(general.cache).expanduser().absolute(),
        progress=general.progress,
        unread=tuple(unread(overrides)) if isinstance(learning.model.value, Solver) else (),
    )
    data, train, weighted = typed_plan.data, typed_plan.train, typed_plan.weighted
    check_exposure(f"data={data.name}", getattr(data, "recommendations", False), weighted, typed_plan.needs)
    feedback = getattr(data, "feedback", None)
    if typed_plan.solver:
        check_history(model, feedback)
        return typed_plan
    check_learning(learning, train.optimizer, train.layout, feedback, weighted)
    return replace(typed_plan, idle=tuple(idle(overrides, learning, train.optimizer, train.layout)))


def options_of(config: Mapping[str, Any]) -> dict[str, type]:
    """The options class of each section of a resolved configuration; "" names that of the options outside of them.

    Raises:
        UpliftlensError: for an unknown name.
    """
    model = config["model"]
    return {
        "": GeneralConfig,
        "data": config_type(config["data"]),
        "split": entry("splits", config["split"]["name"]).value.options,
        "model": model_entry(model["name"], model.get("file")).value.options,
        "objective": entry("objectives", config["objective"]["name"]).value.options,
        "propensity": entry("propensities", config["propensity"]["name"]).value.options,
        "train": TrainConfig,
        "metrics": MetricsConfig,
        "logger": logger_type(config["logger"]),
    }


def general(config: Mapping[str, Any]) -> GeneralConfig:
    """The typed options outside of the groups.

    Raises:
        UpliftlensError: for one that is unknown, missing, of a wrong type, or out of range.
    """
    return typed(GeneralConfig, {name: value for name, value in config.items() if name not in NEEDED}, "")


def _typed(config: Mapping[str, Any], group: str, kind: type) -> Any:
    if not group:
        return general(config)
    described = {"model": ("name", "file", "space"), "objective": ("name",)}.get(
        group, ()
    )  # what is no option of theirs
    return typed(kind, {name: value for name, value in config[group].items() if name not in described}, group)


def ignored(plan: Plan) -> str | None:
    """A sentence on the options that the user stated and the plan's model does not read, or None."""
    if not plan.unread:
        return None
    name = plan.learning.model.value.name
    return f"model={name} learns by a rule of its own and does not read {', '.join(plan.unread)}"


def without_effect(plan: Plan) -> str | None:
    """A sentence on the options that the user stated and that change a run's key, but nothing else, or None."""
    if not plan.idle:
        return None
    learning, train = plan.learning, plan.train
    parts = {"model": learning.model, "loss": learning.loss, "objective": learning.objective}
    names = [f"{group}={part.value.name}" for group, part in parts.items()]
    return (
        f"{', '.join(plan.idle)}: not read with {' '.join(names)} train.optimizer={train.optimizer} "
        f"train.layout={train.layout}. Runs that differ in that only have different keys and the same result"
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


def _require_groups(config: Mapping[str, Any]) -> None:
    for group in NEEDED:
        section = config.get(group)
        named = group in ("train", "metrics") or (isinstance(section, Mapping) and section.get("name"))
        if not isinstance(section, Mapping) or not named:
            raise UpliftlensError(
                f"the configuration states no {group if named else f'{group}.name'}: "
                f"choose one with {group}=…, from {', '.join(packaged(group))}"
            )


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

"""From prepared data to a trained state: fit on training rows, stop by validation rows, fit again on both."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.evaluation.evaluate import monitor
from upliftlens.benchmarks.evaluation.evidence import Effects
from upliftlens.benchmarks.evaluation.exam import HeldOut, PairWeights
from upliftlens.benchmarks.metrics.registry import choose, is_weighted
from upliftlens.benchmarks.propensities.exposure import Exposure
from upliftlens.benchmarks.runs import store as stores
from upliftlens.benchmarks.runs.compatible import check_feedback
from upliftlens.benchmarks.runs.feeding import feed_of, rows
from upliftlens.benchmarks.runs.method import hyper, method_of, refuse_disagreement
from upliftlens.benchmarks.runs.plan import AUTO_MONITORS, Plan, without_effect
from upliftlens.benchmarks.runs.prepare import Prepared
from upliftlens.benchmarks.splits.kinds import Part
from upliftlens.benchmarks.splits.uplift_parts import consumed, fitted_rows, uplift_part
from upliftlens.benchmarks.system.talk import Epoch, Reporter, Say, say_once
from upliftlens.benchmarks.training.loop import FitResult, Stopping, fit
from upliftlens.benchmarks.worlds.frozen import SplitRows, effects_for_test
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions, concatenate
from upliftlens.models.contract import Method, Solver, TrainingData

NAMES = {"epoch": "epoch", "loss": "train/loss", "seconds": "train/seconds"}
"""The names of an epoch's values in a tracker; its validation value has the name of the metric."""

INFO = frozenset({"epochs", "best_epoch", "monitor", "validation", "refitted", "layout"})
"""What is kept about a training beside its state."""


def tracked(line: Mapping[str, float], monitored: str) -> dict[str, float]:
    """An epoch's line in the names of a tracker."""
    return {NAMES.get(key, f"validation/{monitored}"): value for key, value in line.items()}


class Trained(NamedTuple):
    """A fit with the data that its state was fitted on."""

    method: Method
    state: Any
    data: TrainingData
    info: Mapping[str, Any]


def train(
    plan: Plan,
    prepared: Prepared,
    exposed: Exposure | None,
    reporter: Reporter,
    on_epoch: Callable[[int, Mapping[str, float]], None],
) -> Trained:
    """Fits on training rows and stops by validation rows; then, with ``train.refit``, fits on both for ``best_epoch``
    epochs.

    ``exposed``: the plan's propensity, if it has one.
    """
    parts = prepared.split
    _require(plan, prepared.dataset)
    data = rows(prepared, refit=False).device
    method = method_of(plan, data)
    refuse_disagreement(plan, data)
    epochs = plan.train.epochs if method.max_epochs is None else min(plan.train.epochs, method.max_epochs)
    name = monitor_name(plan, method, prepared)
    if plan.trial and not len(parts.validation):
        raise UpliftlensError("tuning selects on validation rows, and there are none: set split.validation above 0")
    # A closed form has one state only: validation rows choose nothing, and a trial alone needs their value.
    watching = len(parts.validation) > 0 and (plan.trial or method.max_epochs != 1)
    stopping = _stopping(plan, prepared, method, data, name, exposed) if watching else None
    if remark := without_effect(plan, method.layout, _not_read(method, watching, len(parts.validation) > 0)):
        say_once(remark, reporter.say)

    def fitted(of: TrainingData, stage: str, n: int, stop: Stopping | None) -> FitResult:
        source = feed_of(plan, prepared, exposed, method, refit=stage == "refit")

        def report(number: int, line: Epoch) -> None:
            reporter.epoch(stage, number, n, line)
            if stage == "fit":
                on_epoch(number, tracked(line, name))

        return fit(method, of, source, hyper(plan, source.n_steps), plan.seed, n, stop, report)

    first = fitted(data, "fit", epochs, stopping)
    refitted = plan.train.refit and len(parts.validation) > 0 and not plan.trial and not parts.leak.redrawn
    info = {
        "epochs": first.epochs,
        "best_epoch": first.best_epoch,
        "monitor": name,
        "validation": first.epochs[first.best_epoch - 1]["validation"] if watching else None,
        "refitted": refitted,
        "layout": method.layout,
    }
    if not refitted:
        return Trained(method, first.state, data, info)
    both = rows(prepared, refit=True).device
    return Trained(method, fitted(both, "refit", first.best_epoch, None).state, both, info)


def _not_read(method: Method, watching: bool, validates: bool) -> set[str]:
    """The options of ``train`` that change nothing for a method of one step, or without validation rows."""
    names = set() if watching else {"train.patience", "train.monitor"}
    return names | ({"train.epochs"} if method.max_epochs == 1 else set()) | (set() if validates else {"train.refit"})


def restore(plan: Plan, prepared: Prepared, say: Say) -> Trained:
    """The stored fit of a finished run, ready to score.

    Raises:
        UpliftlensError: if the store has no such fit, or a damaged one.
    """
    store = stores.Store(plan.store)
    info = stores.load_fit(store, prepared.fit_key)
    if info is None or not _whole(info):
        wrong = "missing" if info is None else "damaged"
        raise UpliftlensError(f"the trained state {store.folder('fits', prepared.fit_key)} is {wrong}")
    data = rows(prepared, refit=info["refitted"]).device
    method = method_of(plan, data)
    template = jax.eval_shape(method.init, jax.random.key(0), data, hyper(plan, 1))
    state = stores.load_state(store, prepared.fit_key, template)
    return revealed(plan, prepared, Trained(method, state, data, info), say)


def _whole(info: Mapping[str, Any]) -> bool:
    """Whether a stored ``info`` has everything that ``train`` put into it and that records and trackers read."""
    lines = info.get("epochs")
    return (
        info.keys() >= INFO
        and isinstance(info["refitted"], bool)
        and isinstance(info["monitor"], str)
        and isinstance(lines, list)
        and all(isinstance(line, dict) and "epoch" in line for line in lines)
    )


def revealed(plan: Plan, prepared: Prepared, trained: Trained, say: Say) -> Trained:
    """The fit; that of the oracle gets the true effects as its state.

    Raises:
        UpliftlensError: for an oracle without a world that knows them.
    """
    model, world = plan.learning.model.value, prepared.dataset.world
    if not isinstance(model, Solver) or model.needs != "truth":
        return trained
    tau = world.tau if world is not None and world.knows_effects else simulated(plan, prepared, say)
    if tau is None or isinstance(tau, str):
        raise UpliftlensError(
            f"model={model.name} ranks by effects that are not known: {tau or 'no metric needs them'}"
        )
    return trained._replace(state=jnp.asarray(tau))


def simulated(plan: Plan, prepared: Prepared, say: Say) -> np.ndarray | str | None:
    """τ in the semi-synthetic world that stands beside a test on plain ratings, where the plan measures in one.

    A string says why such a world is refused.
    """
    dataset, parts = prepared.dataset, prepared.split
    asked = any(choice.metric.evidence == "semi" for choice in map(choose, plan.metrics.names))
    if parts.shown is not None and asked:
        return f"the world is fitted to training rows, and split={parts.name} tests users who have none"
    if not asked or plan.metrics.world is None or dataset.has_treatments or dataset.feedback != "explicit":
        return None
    rows = SplitRows(dataset.fingerprint, parts.fingerprint, fitted_rows(parts), parts.test)
    return effects_for_test(rows, plan.metrics.world, plan.cache, say)


def _require(plan: Plan, dataset: Dataset) -> None:
    model, objective = plan.learning.model.value, plan.learning.objective.value
    if isinstance(model, Solver):
        check_feedback(model, plan.learning.options, dataset.feedback)  # of data whose configuration doesn't state it
        learner, needs = f"model={model.name}", model.needs
    else:
        learner = f"objective={objective.name}"
        needs = "recommendations" if "recommendations" in plan.needs else "log"
    if needs == "recommendations" and not dataset.has_treatments:
        raise UpliftlensError(
            f"{learner} learns from what was recommended, which {dataset.name} does not say: "
            "use data=uplift-ml-100k, uplift-synthetic or uplift-log"
        )
    if needs == "truth" and not (dataset.world and dataset.world.knows_effects) and plan.metrics.world is None:
        raise UpliftlensError(
            f"{learner} ranks by the true effects, which are not known for {dataset.name}: "
            "use data=uplift-ml-100k or uplift-synthetic, or with plain ratings metrics=uplift_semi"
        )


def monitor_name(plan: Plan, method: Method, prepared: Prepared) -> str:
    """The validation metric that early stopping and tuning select by (see configs/train)."""
    if plan.train.monitor != "auto":
        return plan.train.monitor
    if prepared.dataset.has_treatments:
        return AUTO_MONITORS["recommendations"]
    if prepared.dataset.feedback != "explicit":
        return AUTO_MONITORS["rank"]
    # Validation rows without weights would stop an objective that weighs its rows before it differs from naive.
    weighed = method.link != "rank" and "propensity" in plan.needs and prepared.split.sampling.validation
    return AUTO_MONITORS[f"{method.link}, weighed" if weighed else method.link]


def _stopping(
    plan: Plan, prepared: Prepared, method: Method, data: TrainingData, name: str, exposed: Exposure | None
) -> Stopping:
    parts = prepared.split
    effects = Effects(uplift_part(parts, "validation"), uplift_part(parts, "training"))
    weights = pair_weights(exposed, "validation", parts.validation, name)
    shown = None if parts.shown is None else parts.shown.validation
    validation = held_out(prepared, parts.validation, consumed(parts.train), effects, weights, shown)
    watch = monitor(method, data, validation, name, plan.metrics)
    return Stopping(watch, not choose(name).metric.higher_is_better, plan.train.patience)


def held_out(
    prepared: Prepared,
    rows: Interactions,
    seen: Interactions,
    effects: Effects,
    weights: PairWeights,
    shown: Interactions | None,
) -> HeldOut:
    """Rows of a part as they are evaluated; of a log of recommendations, those with an outcome above 0.

    What is ``shown`` of new users has been seen, too.
    """
    rows, seen = consumed(rows), seen if shown is None else concatenate(seen, shown)
    dataset, at_each = prepared.dataset, prepared.split.each_moment
    return HeldOut(rows, seen, dataset.relevance, dataset.scale, dataset.feedback, effects, weights, shown, at_each)


def pair_weights(exposed: Exposure | None, part: Part, rows: Interactions, *names: str) -> PairWeights:
    """The propensities of a part's rows, for metrics that weigh by them, or the reason why there are none."""
    if exposed is None or not any(map(is_weighted, names)):
        return PairWeights(None, "there is no propensity: add propensity=popularity, or another")
    if isinstance(why := exposed.shares[part], str):
        return PairWeights(None, why)
    return PairWeights(exposed.of(part, rows), "", exposed.kept)

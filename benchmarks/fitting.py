"""From prepared data to a trained state: fit on training rows, stop by validation rows, fit again on both."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from upliftlens.benchmarks import store as stores
from upliftlens.benchmarks.batches import Feed, feed
from upliftlens.benchmarks.dataset import Dataset
from upliftlens.benchmarks.errors import UpliftlensError
from upliftlens.benchmarks.evaluate import monitor
from upliftlens.benchmarks.metrics import choose
from upliftlens.benchmarks.plan import Plan, hyper, method_of
from upliftlens.benchmarks.prepare import Prepared, Reporter, training_data
from upliftlens.benchmarks.training import Epoch, Fit, Stopping, fit
from upliftlens.models.contract import Method, TrainingData

NAMES = {"epoch": "epoch", "loss": "train/loss", "seconds": "train/seconds"}
"""What an epoch's entries are called in a tracker; its validation value goes by the metric's name."""


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
    plan: Plan, prepared: Prepared, reporter: Reporter, on_epoch: Callable[[int, Mapping[str, float]], None]
) -> Trained:
    """Fits on training rows with early stopping on validation rows, then, where asked, on both for as many epochs."""
    parts = prepared.split
    data = training_data(prepared, refit=False)
    method = method_of(plan, data)
    epochs = plan.train.epochs if method.max_epochs is None else min(plan.train.epochs, method.max_epochs)
    name = monitor_name(plan, method, prepared.dataset)
    watching = len(parts.validation) > 0
    if plan.trial and not watching:
        raise UpliftlensError("tuning selects on validation rows, and there are none: set split.validation above 0")
    stopping = _stopping(plan, prepared, method, data, name) if watching else None

    def supply(of: TrainingData) -> Feed:
        full = plan.train.optimizer == "lbfgs"  # its line search needs one and the same function at every step
        sizes = (len(of.log), of.n_users) if full else (plan.train.batch_size, plan.train.tile_users)
        return feed(of, method.layout, method.link, *sizes)

    def fitted(of: TrainingData, stage: str, n: int, stop: Stopping | None) -> Fit:
        source = supply(of)

        def told(number: int, line: Epoch) -> None:
            reporter.epoch(stage, number, n, line)
            if stage == "fit":
                on_epoch(number, tracked(line, name))

        return fit(method, of, source, hyper(plan, source.n_steps), plan.seed, n, stop, told)

    first = fitted(data, "fit", epochs, stopping)
    refitted = plan.train.refit and watching and not plan.trial
    best = [line["validation"] for line in first.epochs if line["epoch"] == first.best_epoch] if watching else [None]
    info = {
        "epochs": first.epochs,
        "best_epoch": first.best_epoch,
        "monitor": name,
        "validation": best[0],
        "refitted": refitted,
        "layout": method.layout,
    }
    if not refitted:
        return Trained(method, first.state, data, info)
    everything = training_data(prepared, refit=True)
    return Trained(method, fitted(everything, "refit", first.best_epoch, None).state, everything, info)


def restore(plan: Plan, prepared: Prepared) -> Trained:
    """The stored fit of a finished run, ready to score.

    Raises:
        UpliftlensError: if the store has no such fit.
    """
    store = stores.Store(plan.store)
    info = stores.load_fit(store, prepared.fit_key)
    if info is None:
        raise UpliftlensError(
            f"no trained state for fit {prepared.fit_key} in {plan.store}: run it again with `upliftlens run`"
        )
    data = training_data(prepared, refit=info["refitted"])
    method = method_of(plan, data)
    template = jax.eval_shape(method.init, jax.random.key(0), data, hyper(plan, 1))
    return Trained(method, stores.load_state(store, prepared.fit_key, template), data, info)


def monitor_name(plan: Plan, method: Method, dataset: Dataset) -> str:
    """The validation metric that early stopping and tuning select by (see configs/train)."""
    if plan.train.monitor != "auto":
        return plan.train.monitor
    by_link = {"rating": "rmse", "probability": "logloss", "rank": "ndcg@10"}
    return by_link[method.link] if dataset.feedback == "explicit" else "ndcg@10"


def _stopping(plan: Plan, prepared: Prepared, method: Method, data: TrainingData, name: str) -> Stopping:
    dataset, parts = prepared.dataset, prepared.split
    watch = monitor(
        method,
        data,
        parts.validation,
        parts.train,
        name,
        plan.metrics,
        dataset.relevance,
        dataset.scale,
        dataset.feedback,
    )
    return Stopping(watch, not choose(name).metric.higher_is_better, plan.train.patience)

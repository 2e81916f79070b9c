"""One run, from a plan to a record: load, split, fit, evaluate, store.

The order of things that protects the numbers: the model is chosen on validation rows that were carved from the training
rows; it is then fitted again on both; only a finished fit meets the test set, and only in ``evaluate``.
"""

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from upliftlens.benchmarks import store as stores
from upliftlens.benchmarks.batches import Feed, feed
from upliftlens.benchmarks.compilation import compilations
from upliftlens.benchmarks.data import load
from upliftlens.benchmarks.dataset import Dataset
from upliftlens.benchmarks.environment import collect, peak_memory
from upliftlens.benchmarks.errors import UpliftlensError
from upliftlens.benchmarks.evaluate import evaluate, monitor
from upliftlens.benchmarks.evaluation import to_arrays
from upliftlens.benchmarks.metrics import choose, choose_all
from upliftlens.benchmarks.plan import Plan, fit_identity, hyper, method_of
from upliftlens.benchmarks.records import Record, Summary, canonical_key, now
from upliftlens.benchmarks.split import Split, split
from upliftlens.benchmarks.split_store import save_split
from upliftlens.benchmarks.tracking import track
from upliftlens.benchmarks.training import Epoch, Fit, Stopping, fit
from upliftlens.causal.interactions import Interactions, concatenate, padded
from upliftlens.models.contract import Method, TrainingData

_CAPACITY_STEP = (
    1024  # logs are padded to a multiple: folds that differ by a few rows share a program; changes no number
)


NAMES = {"epoch": "epoch", "loss": "train/loss", "seconds": "train/seconds"}
"""What an epoch's entries are called in a tracker; its validation value goes by the metric's name."""


class RunFailed(UpliftlensError):
    """A run that started and failed: what happened, and where its traceback is."""


class Reporter(NamedTuple):
    """How a run tells what it does: ``say`` a sentence, an ``epoch``'s line, the ``data`` layer's progress."""

    say: Callable[[str], None]
    epoch: Callable[[str, int, int, Epoch], None]


quiet = Reporter(lambda sentence: None, lambda stage, number, total, line: None)
"""A reporter that tells nothing."""


class Prepared(NamedTuple):
    """A plan with its data: what is trained on, what is tested on, and the keys of both."""

    dataset: Dataset
    split: Split
    fit_key: str
    key: str


class Trained(NamedTuple):
    """A fit with the data that its state was fitted on."""

    method: Method
    state: Any
    data: TrainingData
    info: Mapping[str, Any]


def prepare(plan: Plan, reporter: Reporter) -> Prepared:
    """Loads and splits the data (once per process for equal configurations) and derives the run's keys."""
    dataset, parts = _data(plan.data, plan.split, plan.cache, reporter.say)
    fit_key = canonical_key({"data": dataset.fingerprint, "split": parts.fingerprint, **fit_identity(plan)})
    versions = {one.name: one.metric.version for one in choose_all(plan.metrics.names)}
    measured = {} if plan.trial else {"metrics": asdict(plan.metrics) | {"block": None}, "versions": versions}
    return Prepared(dataset, parts, fit_key, canonical_key({"fit": fit_key, **measured}))


def run(plan: Plan, reporter: Reporter) -> tuple[Record, bool]:
    """The record of a plan, looked up if it is done, else computed and stored; and whether it was looked up.

    Raises:
        RunFailed: after the failed record and its traceback are stored.
        UpliftlensError: if the data can't be had, or the store can't be written.
    """
    started = time.perf_counter()
    store = stores.open_store(plan.store)
    prepared = prepare(plan, reporter)
    save_split(prepared.split, store.root / "splits")
    found = stores.load_record(store, prepared.key)
    if found is not None and found.status == "done":
        return found, True
    record = _blank(plan, prepared)
    with stores.claim(store, "runs", prepared.key, reporter.say, record):
        found = stores.load_record(store, prepared.key)
        if found is not None and found.status == "done":
            return found, True
        with track(plan.logger, record) as tracker:
            try:
                record, per_user = _compute(plan, prepared, record, store, reporter, tracker.log_epoch, started)
                stores.save_run(store, record, per_user)
            except KeyboardInterrupt as error:
                record = stores.save_failure(store, replace(record, finished=now()), error, traceback.format_exc())
                raise
            except Exception as error:
                record = stores.save_failure(store, replace(record, finished=now()), error, traceback.format_exc())
                path = record.error.traceback if record.error else None
                what = str(error) if isinstance(error, UpliftlensError) else f"{type(error).__name__}: {error}"
                raise RunFailed(f"{' '.join(what.split())}\n(traceback: {path})") from error
            finally:
                tracker.finish(record)
    return record, False


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
    data = _training_data(prepared, refit=info["refitted"])
    method = method_of(plan, data)
    template = jax.eval_shape(method.init, jax.random.key(0), data, hyper(plan, 1))
    return Trained(method, stores.load_state(store, prepared.fit_key, template), data, info)


def monitor_name(plan: Plan, method: Method, dataset: Dataset) -> str:
    """The validation metric that early stopping and tuning select by (see configs/train)."""
    if plan.train.monitor != "auto":
        return plan.train.monitor
    return "rmse" if method.link == "rating" and dataset.feedback == "explicit" else "ndcg@10"


def _compute(
    plan: Plan,
    prepared: Prepared,
    record: Record,
    store: stores.Store,
    reporter: Reporter,
    on_epoch: Callable[[int, Mapping[str, float]], None],
    started: float,
) -> tuple[Record, Mapping[str, np.ndarray]]:
    compiled = compilations()
    ready = time.perf_counter()
    with stores.claim(store, "fits", prepared.fit_key, reporter.say):
        if stores.load_fit(store, prepared.fit_key) is None:
            trained = _train(plan, prepared, reporter, on_epoch)
            stores.save_fit(store, prepared.fit_key, trained.state, trained.info)
        else:
            trained = restore(plan, prepared)
    fitted = time.perf_counter()
    metrics, per_user, diagnostics = _validated(trained.info), {}, {}
    if not plan.trial:
        metrics, per_user, diagnostics = _tested(plan, prepared, trained)
    done = time.perf_counter()
    spent = compilations()
    timing = {
        "prepare": ready - started,
        "compile": spent.seconds - compiled.seconds,
        "train": fitted - ready,
        "evaluate": done - fitted,
        "total": done - started,
    }
    finished = replace(
        record,
        status="done",
        metrics=metrics,
        timing=timing,
        peak_memory=peak_memory(),
        epochs=tuple(trained.info["epochs"]),
        diagnostics={
            **diagnostics,
            "programs_compiled": spent.count - compiled.count,
            **{name: trained.info[name] for name in ("monitor", "validation", "best_epoch", "layout")},
        },
        finished=now(),
    )
    return finished, per_user


def _train(
    plan: Plan, prepared: Prepared, reporter: Reporter, on_epoch: Callable[[int, Mapping[str, float]], None]
) -> Trained:
    """Fits on training rows with early stopping on validation rows, then, where asked, on both for as many epochs."""
    parts = prepared.split
    data = _training_data(prepared, refit=False)
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
                on_epoch(number, {NAMES.get(key, f"validation/{name}"): value for key, value in line.items()})

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
    everything = _training_data(prepared, refit=True)
    return Trained(method, fitted(everything, "refit", first.best_epoch, None).state, everything, info)


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


def _tested(
    plan: Plan, prepared: Prepared, trained: Trained
) -> tuple[Mapping[str, Summary], Mapping[str, np.ndarray], dict[str, Any]]:
    dataset, parts = prepared.dataset, prepared.split
    seen = concatenate(parts.train, parts.validation)
    result = evaluate(
        trained.method,
        trained.state,
        trained.data,
        parts.test,
        seen,
        plan.metrics,
        dataset.relevance,
        dataset.scale,
        dataset.feedback,
    )
    metrics = {name: Summary(*summary) for name, summary in result.summaries.items()}
    return metrics, to_arrays(result), {"evaluation": result.counts, "absent": result.absent}


def _validated(info: Mapping[str, Any]) -> Mapping[str, Summary]:
    value = float("nan") if info["validation"] is None else info["validation"]
    return {f"validation/{info['monitor']}": Summary(value, float("nan"), float("nan"), 0)}


def _training_data(prepared: Prepared, refit: bool) -> TrainingData:
    dataset, parts = prepared.dataset, prepared.split
    rows: Interactions = concatenate(parts.train, parts.validation) if refit else parts.train
    capacity = -(-(len(parts.train) + len(parts.validation)) // _CAPACITY_STEP) * _CAPACITY_STEP
    log = replace(padded(rows, capacity), time=None)
    relevant = log.value >= dataset.relevance if dataset.feedback == "explicit" else np.ones(len(log), bool)
    data = TrainingData(
        log,
        (relevant & (log.weight > 0)).astype(np.float32),
        dataset.user_features.matrix,
        dataset.item_features.matrix,
        dataset.scale,
    )
    return jax.tree.map(jnp.asarray, data)


def _blank(plan: Plan, prepared: Prepared) -> Record:
    learning = plan.learning
    return Record(
        key=prepared.key,
        fit_key=prepared.fit_key,
        status="running",
        config=plan.config,
        data={"name": prepared.dataset.name, "fingerprint": prepared.dataset.fingerprint},
        split={
            "name": prepared.split.name,
            "fingerprint": prepared.split.fingerprint,
            "leak": asdict(prepared.split.leak),
        },
        model=learning.model.value.name,
        loss=None if plan.solver else learning.loss.name,
        objective="" if plan.solver else learning.objective.value.name,
        seed=plan.seed,
        environment=collect(),
        created=now(),
        sweep=plan.group,
    )


@lru_cache(maxsize=4)
def _data(data: Any, split_config: Any, cache: Any, say: Callable[[str], None]) -> tuple[Dataset, Split]:
    dataset = _load(data, cache, say)
    return dataset, split(dataset, split_config)


@lru_cache(maxsize=2)
def _load(data: Any, cache: Any, say: Callable[[str], None]) -> Dataset:
    return load(data, cache, say)

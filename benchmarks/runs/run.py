"""One run, from a plan to a record: load, split, fit, evaluate, store.

This order protects the numbers: the model is chosen on validation rows, which are taken from the training rows; it is
then fitted again on both; only ``evaluate`` reads the test set, after the fit.
"""

import math
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from upliftlens.benchmarks.data.world import hidden
from upliftlens.benchmarks.evaluation.evaluate import evaluate
from upliftlens.benchmarks.evaluation.evaluation import to_arrays
from upliftlens.benchmarks.evaluation.evidence import Effects, by_reason, clipped, mostly_cold, unmeasured
from upliftlens.benchmarks.propensities.exposure import Exposure
from upliftlens.benchmarks.runs import store as stores
from upliftlens.benchmarks.runs.compatible import names_of
from upliftlens.benchmarks.runs.failures import RunFailed, thrown, unprepared
from upliftlens.benchmarks.runs.fit import (
    Trained,
    held_out,
    pair_weights,
    restore,
    revealed,
    simulated,
    tracked,
    train,
)
from upliftlens.benchmarks.runs.plan import Plan, without_effect
from upliftlens.benchmarks.runs.prepare import Prepared, exposure, prepare
from upliftlens.benchmarks.runs.records import Record, Summary, now, stored_otherwise
from upliftlens.benchmarks.runs.tracking import track
from upliftlens.benchmarks.splits.kinds import save_split
from upliftlens.benchmarks.splits.uplift_parts import described, fitted_rows, uplift_part
from upliftlens.benchmarks.system.environment import collect, fix_numerics, peak_memory
from upliftlens.benchmarks.system.talk import Reporter, say_once
from upliftlens.benchmarks.training.programs import compilations, keep_programs
from upliftlens.benchmarks.worlds.frozen import identity_of
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import take


def run(plan: Plan, reporter: Reporter) -> tuple[Record, bool]:
    """The record of a plan, looked up if it is done, else computed and stored; and whether it was looked up.

    Raises:
        RunFailed: after the traceback is stored, and with it the failed record, unless the data could not be prepared:
            a record's key needs them.
        UpliftlensError: if the data can't be loaded, or the store can't be written.
    """
    started = time.perf_counter()
    fix_numerics()
    keep_programs(plan.cache)
    store, unwritable = stores.Store(plan.store), None
    try:
        stores.open_store(plan.store)
    except UpliftlensError as error:
        if not (store.root / "runs").is_dir():
            raise
        unwritable = error  # what is done can still be looked up
    try:
        prepared = prepare(plan, reporter)
    except UpliftlensError:  # its message says what the user can do
        raise
    except (Exception, SystemExit) as error:
        raise unprepared(store, plan, error) from error
    if remark := without_effect(plan, plan.train.layout):
        say_once(remark, reporter.say)
    stored = stores.load_record(store, prepared.key)
    if stored is not None and stored.status == "done":
        _tell_stored(plan, stored, reporter)
        return stored, True
    if unwritable is not None:
        raise unwritable
    if not (store.root / "splits" / f"{prepared.split.fingerprint}.json").exists():
        save_split(prepared.split, store.root / "splits")
    record = _blank(plan, prepared)
    with stores.claim(store, "runs", prepared.key, reporter.say, record):
        stored = stores.load_record(store, prepared.key)
        if stored is not None and stored.status == "done":
            _tell_stored(plan, stored, reporter)
            return stored, True
        with track(plan.logger, record) as tracker:
            record = replace(record, status="failed")  # whatever happens, until it is stored
            try:
                computed, per_user = _compute(plan, prepared, record, store, reporter, tracker.log_epoch, started)
                record = stores.save_run(store, computed, per_user)
            except (Exception, SystemExit, KeyboardInterrupt) as error:  # a plugin may call sys.exit
                record = stores.save_failure(store, replace(record, finished=now()), error, traceback.format_exc())
                if isinstance(error, KeyboardInterrupt):
                    raise
                path = record.error.traceback if record.error else None
                what = str(error) if isinstance(error, UpliftlensError) else thrown(plan, error)
                raise RunFailed(f"{' '.join(what.split())}\n(traceback: {path})", prepared.key) from error
            finally:
                tracker.finish(record)
    return record, False


def _tell_stored(plan: Plan, stored: Record, reporter: Reporter) -> None:
    """Says which options of a looked-up run are not the plan's: its key doesn't depend on them."""
    aside = ("train", "loss", "objective") if plan.solver else ()  # which of them apply, ``ignored`` says
    if options := stored_otherwise(stored, plan.config, (*aside, *(["metrics"] if plan.trial else []))):
        say_once(
            f"the run is stored with {', '.join(options)}: its key does not depend on that, so this record stands",
            reporter.say,
        )


def _compute(
    plan: Plan,
    prepared: Prepared,
    record: Record,
    store: stores.Store,
    reporter: Reporter,
    on_epoch: Callable[[int, Mapping[str, float]], None],
    started: float,
) -> tuple[Record, Mapping[str, np.ndarray]]:
    before = compilations()
    exposed = exposure(plan, reporter)  # before the truth is hidden, which propensity=oracle reads
    ready = time.perf_counter()
    with stores.claim(store, "fits", prepared.fit_key, reporter.say):
        trained = _stored_fit(plan, prepared, store, reporter)
        if trained is None:
            trained = _fitted(plan, prepared, exposed, reporter, on_epoch)
            stores.save_fit(store, prepared.fit_key, trained.state, trained.info)
            trained = revealed(plan, prepared, trained, reporter.say)
        else:
            _replay(trained, on_epoch)
    fitted = time.perf_counter()
    metrics, per_user, diagnostics = _measured(plan, prepared, trained, reporter, exposed)
    done = time.perf_counter()
    programs = compilations().since(before)
    timing = {
        "prepare": ready - started,
        "compile": programs.seconds,
        "train": fitted - ready,
        "evaluate": done - fitted,
        "total": done - started,
    }
    computed = replace(
        record,
        status="done",
        metrics=metrics,
        timing=timing,
        peak_memory=peak_memory(),
        epochs=tuple(trained.info["epochs"]),
        diagnostics={
            **diagnostics,
            "model": {"version": plan.learning.model.value.version, "source": plan.learning.model.source},
            "propensity": None if exposed is None else exposed.diagnostics,
            "uses_mar_data": exposed is not None and exposed.propensity.uses_mar_data,
            "random": trained.method.random,
            "programs_compiled": programs.compiled,
            "programs_read": programs.read,
            **{name: trained.info[name] for name in ("monitor", "validation", "best_epoch", "layout")},
        },
        finished=now(),
    )
    return computed, per_user


_SEEDLESS: dict[str, Trained] = {}
"""The last fit of a method without randomness, by its seedless key: the fits of other seeds are the same."""


def _fitted(
    plan: Plan,
    prepared: Prepared,
    exposed: Exposure | None,
    reporter: Reporter,
    on_epoch: Callable[[int, Mapping[str, float]], None],
) -> Trained:
    """The fit, computed, or that of another seed where the seed changes nothing."""
    if (trained := _SEEDLESS.get(prepared.seedless_key)) is not None:
        say_once(f"model={plan.learning.model.value.name} has no randomness: its seeds share a fit", reporter.say)
        _replay(trained, on_epoch)
        return trained
    _SEEDLESS.clear()  # before the next one, as both may be large
    with hidden():
        trained = train(plan, prepared, exposed, reporter, on_epoch)
    if not trained.method.random:
        _SEEDLESS[prepared.seedless_key] = trained
    return trained


def _replay(trained: Trained, on_epoch: Callable[[int, Mapping[str, float]], None]) -> None:
    """Gives a tracker the history of a fit that is not computed now."""
    for line in trained.info["epochs"]:
        on_epoch(line["epoch"], tracked(line, trained.info["monitor"]))


def _stored_fit(plan: Plan, prepared: Prepared, store: stores.Store, reporter: Reporter) -> Trained | None:
    """The stored fit, or None if there is none or its files are damaged: then it is fitted again."""
    if not (store.folder("fits", prepared.fit_key) / "fit.json").exists():
        return None
    try:
        return restore(plan, prepared, reporter.say)
    except UpliftlensError as error:
        reporter.say(f"{error}: fitting again")
        return None


def _measured(
    plan: Plan, prepared: Prepared, trained: Trained, reporter: Reporter, exposed: Exposure | None
) -> tuple[Mapping[str, Summary], Mapping[str, np.ndarray], dict[str, Any]]:
    """Metrics, their per-user arrays and diagnostics: on the test set, or for a trial on validation rows only."""
    if plan.trial:
        name, value = f"validation/{trained.info['monitor']}", trained.info["validation"]
        return {name: Summary(math.nan if value is None else value, math.nan, math.nan, 0)}, {}, {}
    dataset, parts = prepared.dataset, prepared.split
    log = uplift_part(parts, "test")

    semi = simulated(plan, prepared, reporter.say)
    known = Effects(log, uplift_part(parts, "fit"), dataset.world, semi)
    weights = pair_weights(exposed, "test", parts.test, *plan.metrics.names)
    seen = fitted_rows(parts)
    if plan.metrics.uplift is not None and plan.metrics.uplift.candidates == "all":
        seen = take(seen, np.zeros(len(seen), bool))  # then no item is left out
    shown = None if parts.shown is None else parts.shown.test
    test = held_out(prepared, parts.test, seen, known, weights, shown)
    evaluation = evaluate(trained.method, trained.state, trained.data, test, plan.metrics)
    metrics = {name: Summary(*summary) for name, summary in evaluation.summaries.items()}
    if not metrics:
        reasons = "; ".join(by_reason(evaluation.absent))
        raise UpliftlensError(f"nothing could be measured. {reasons}. Fix: choose others with metrics.names=[…]")
    asked = "metrics.names" in names_of(plan.stated)
    weighted = asked and plan.weighted
    where = f"{dataset.name}, split {parts.name}" if weighted else dataset.name
    for remark in unmeasured(where, evaluation.absent, trained.method.link, weighted, asked):
        say_once(remark, reporter.say)
    if cold := mostly_cold(evaluation.counts):
        say_once(f"{dataset.name}, split {parts.name}: {cold}", reporter.say)
    diagnostics: dict[str, Any] = {"evaluation": evaluation.counts, "absent": evaluation.absent}
    if isinstance(semi, np.ndarray):
        diagnostics["semi_world"] = identity_of(semi)
    if weights.kept is not None:
        below = int((~weights.kept.of(parts.test.user, parts.test.item)).sum())
        diagnostics["evaluation"]["trimmed_test_pairs"] = below
        say_once(
            f"{dataset.name}, split {parts.name}: {below:,} of {len(parts.test):,} test rows have p < "
            f"{weights.kept.threshold:g} (propensity.trim): they are left out of metrics weighted by 1/p",
            reporter.say,
        )
    if log is not None:
        cut = clipped(log, plan.metrics.uplift)
        diagnostics["recommendations"] = {**described(log, dataset.estimated), "clipped": cut}
        if cut and plan.metrics.uplift is not None:
            chi = plan.metrics.uplift.chi
            say_once(
                f"{dataset.name}: {cut:,} of {len(log):,} tested rows had a chance below metrics.uplift.chi={chi:g} of "
                f"being what they are: each weighs {1 / chi:,.0f}, so estimates hang on them",
                reporter.say,
            )
    return metrics, to_arrays(evaluation), diagnostics


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
        loss=None if plan.solver else learning.loss.value.name,
        objective="" if plan.solver else learning.objective.value.name,
        seed=plan.seed,
        environment=collect(),
        created=now(),
        sweep=plan.group,
    )

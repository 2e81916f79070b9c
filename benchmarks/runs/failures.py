"""The messages of runs that failed: which part failed, for a plugin in which line, and where the traceback is."""

import traceback

from upliftlens.benchmarks.config.plugins import entry, place_in
from upliftlens.benchmarks.data.registry import source_file
from upliftlens.benchmarks.metrics.registry import registry
from upliftlens.benchmarks.runs.plan import Plan
from upliftlens.benchmarks.runs.store import Store, save_traceback
from upliftlens.benchmarks.system.keys import canonical_key
from upliftlens.causal.errors import UpliftlensError, as_sentence


class RunFailed(UpliftlensError):
    """A run that started and failed: what happened, where its traceback is, and the key of its record if it has one."""

    def __init__(self, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


def thrown(plan: Plan, error: BaseException) -> str:
    """What went wrong, and in which line of a plugin, if it was in one."""
    learning = plan.learning
    chosen = (entry("propensities", plan.propensity.name), entry("splits", plan.split.name))
    parts = (learning.model, learning.loss, learning.objective, *chosen, *registry().values())
    files = [part.file for part in parts if part.source]
    where = next(filter(None, (place_in(file, error) for file in (*files, source_file(plan.data)) if file)), "")
    what = as_sentence(error) if isinstance(error, OSError | MemoryError) else f"{type(error).__name__}: {error}"
    if "Out of memory" in what:
        what += " Choose smaller data, a smaller model or smaller batches"
    return f"{where}{': ' if where else ''}{what}"


def unprepared(store: Store, plan: Plan, error: BaseException) -> RunFailed:
    """The failure of a run whose data could not be loaded, split or keyed; its traceback is stored if it can be."""
    chosen = f"data={plan.data.name} split={plan.split.name}"
    name = canonical_key({group: plan.config[group] for group in ("data", "split", "propensity")})
    try:
        where = f"(traceback: {save_traceback(store, name, ''.join(traceback.format_exception(error)))})"
    except UpliftlensError:
        where = f"(its traceback can't be kept, as {store.root} can't be written)"
    return RunFailed(f"{chosen} can't be prepared: {' '.join(thrown(plan, error).split())}\n{where}")

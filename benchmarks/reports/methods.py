"""Methods of a store by their names: the runs of a method, which runs are paired, and the comparison of two methods."""

from collections.abc import Sequence
from typing import NamedTuple

from upliftlens.benchmarks.evaluation.evaluation import Evaluation, from_arrays
from upliftlens.benchmarks.metrics.registry import choose, in_full
from upliftlens.benchmarks.reports.comparison import Comparison, compare, in_words, verdict
from upliftlens.benchmarks.reports.selection import once_per_fit, query, require_one_experiment, unmet
from upliftlens.benchmarks.runs.records import Record, dumps, plain
from upliftlens.benchmarks.runs.store import Store, list_records, load_per_user
from upliftlens.causal.errors import UpliftlensError, unknown
from upliftlens.causal.intervals import Resampling


class Compared(NamedTuple):
    """Two methods by ``names``, the paired ``runs`` of each, and their comparison at ``level``."""

    names: tuple[str, str]
    runs: tuple[list[Record], list[Record]]
    comparison: Comparison
    level: float


def compared(store: Store, first: str, second: str, metric: str, where: Sequence[str]) -> Compared:
    """Two methods of a store on the data, splits and seeds that both have; ``where``: conditions on both.

    Raises:
        UpliftlensError: for a method or metric that isn't there, nothing shared, or runs that must not be pooled.
    """
    metric, everything = in_full(metric), list_records(store).records
    records = finished(everything, where)
    if not records and (reasons := unmet(everything, where)):
        raise UpliftlensError("\n".join(reasons))
    records = once_per_fit(records, [metric])
    sides = [_measured(runs_of(records, name), metric) for name in (first, second)]
    shared = sorted(set(map(pairing, sides[0])) & set(map(pairing, sides[1])))
    if not shared:
        raise UpliftlensError(
            f"{first} and {second} share no data, split and seed in {store.root}: run both on the same ones"
        )
    require_one_experiment([run for run in (*sides[0], *sides[1]) if pairing(run) in shared])
    left, right = (one_per_pairing(side, shared, name) for side, name in zip(sides, (first, second), strict=True))
    interval, title = Resampling(**left[0].config["metrics"]["interval"]), f"{first} against {second}"
    comparison = compare({title: (evaluations(store, left), evaluations(store, right))}, metric, interval)[title]
    return Compared((first, second), (left, right), comparison, interval.level)


def as_text(both: Compared) -> list[str]:
    """Lines for a reader."""
    comparison = both.comparison
    shared = f"{len(both.runs[0])} shared run{'s' if len(both.runs[0]) > 1 else ''}"
    lines = [f"{comparison.metric} over {shared} and {comparison.n} users, paired:"]
    lines += in_words(comparison, *both.names, both.level)
    runs = (run for side in both.runs for run in side)
    recorded = [(run.diagnostics.get("recommendations") or {}).get("propensities") for run in runs]
    if choose(comparison.metric).metric.evidence in ("logged", "logged+history") and "estimated" in recorded:
        lines.append(
            "Propensities of recommending were estimated from the log: a hidden cause of both would mislead this."
        )
    return lines


def as_json(both: Compared) -> str:
    """The comparison's fields, the verdict in words, and the keys of the runs of each side."""
    words = verdict(both.comparison, *both.names, both.level)
    keys = [[run.key for run in side] for side in both.runs]
    return dumps(plain({**both.comparison._asdict(), "verdict": words, "runs": keys}))


def evaluations(store: Store, records: Sequence[Record]) -> list[Evaluation]:
    """The evaluations of finished runs, with the per-user sums that the store keeps."""
    return [from_arrays(load_per_user(store, record.key), record.diagnostics) for record in records]


def finished(records: Sequence[Record], where: Sequence[str]) -> list[Record]:
    """The finished runs that meet all conditions, without the trials of a search."""
    return [record for record in query(records, where) if record.status == "done" and not record.trial]


def runs_of(records: Sequence[Record], name: str) -> list[Record]:
    """The runs that ``model``, ``model/loss/objective`` or a list of conditions means."""
    if "=" in name:
        if matching := query(records, name.split(",")):
            return matching
        raise UpliftlensError(f"no finished run meets {name}")
    parts = name.split("/")
    if named := [run for run in records if label(run)[: len(parts)] == parts or [run.model, run.objective] == parts]:
        return named
    raise unknown("method", name, {"/".join(label(run)) for run in records} or {"none: the store is empty"})


def _measured(records: Sequence[Record], metric: str) -> Sequence[Record]:
    """The runs that have a metric; all of them if none has it: reading the metric then raises the error."""
    return [record for record in records if metric in record.metrics] or records


def label(record: Record) -> list[str]:
    """The parts of a method's name: model, and loss and objective where it has them."""
    return [part for part in (record.model, record.loss, record.objective) if part]


def pairing(record: Record) -> tuple[str, str, int]:
    """Data, split and seed: runs that agree in these three can be compared."""
    return (record.data["fingerprint"], record.split["fingerprint"], record.seed)


def one_per_pairing(side: Sequence[Record], shared: Sequence[tuple[str, str, int]], name: str) -> list[Record]:
    """The run of every pairing (``shared``), in their order.

    Raises:
        UpliftlensError: if a pairing has several: the name means more than one configuration.
    """
    chosen = []
    for shared_pairing in shared:
        runs = [run for run in side if pairing(run) == shared_pairing]
        if len(runs) > 1:
            keys = ", ".join(run.key[:8] for run in runs)
            raise UpliftlensError(
                f"'{name}' means {len(runs)} runs of one split and seed ({keys}): narrow it, "
                "e.g. model=mf,model.dim=32, or by keys: --where key!=KEY (see `upliftlens results --format json`)"
            )
        chosen.append(runs[0])
    return chosen

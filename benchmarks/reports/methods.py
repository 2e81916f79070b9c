"""Methods of a store by their names: which runs a name means, which belong together, and two of them compared."""

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
    """Two methods by ``names``, the ``runs`` of each, paired, and what they say at ``level``."""

    names: tuple[str, str]
    runs: tuple[list[Record], list[Record]]
    found: Comparison
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
    sides = [measured(runs_of(records, name), metric) for name in (first, second)]
    shared = sorted({pairing(this_side) for this_side in sides[0]} & {pairing(this_side) for this_side in sides[1]})
    if not shared:
        raise UpliftlensError(
            f"{first} and {second} share no data, split and seed in {store.root}: run both on the same ones"
        )
    require_one_experiment([this_side for this_side in (*sides[0], *sides[1]) if pairing(this_side) in shared])
    left, right = (one_per_pairing(side, shared, name) for side, name in zip(sides, (first, second), strict=True))
    contenders = evaluations(store, left), evaluations(store, right)
    interval, title = Resampling(**left[0].config["metrics"]["interval"]), f"{first} against {second}"
    result = compare({title: contenders}, metric, interval)[title]
    return Compared((first, second), (left, right), result, interval.level)


def as_text(one: Compared) -> list[str]:
    """Lines for a reader."""
    lines = [f"{one.found.metric} over {len(one.runs[0])} shared runs and {one.found.n} users, paired:"]
    lines += in_words(one.found, *one.names, one.level)
    recorded = [(run.diagnostics.get("recommendations") or {}).get("propensities") for side in one.runs for run in side]
    if choose(one.found.metric).metric.evidence in ("logged", "logged+history") and "estimated" in recorded:
        lines.append(
            "Propensities of recommending were estimated from the log: a hidden cause of both would mislead this."
        )
    return lines


def as_json(one: Compared) -> str:
    """The comparison's fields, the verdict in words, and the keys of the runs of each side."""
    said = verdict(one.found, *one.names, one.level)
    keys = [[run.key for run in side] for side in one.runs]
    return dumps(plain({**one.found._asdict(), "verdict": said, "runs": keys}))


def evaluations(store: Store, records: Sequence[Record]) -> list[Evaluation]:
    """What the runs keep per user, ready to be resampled."""
    return [from_arrays(load_per_user(store, record.key), record.diagnostics) for record in records]


def finished(records: Sequence[Record], where: Sequence[str]) -> list[Record]:
    """The finished runs that meet all conditions, without the trials of a search."""
    return [item for item in query(records, where) if item.status == "done" and not item.trial]


def runs_of(records: Sequence[Record], name: str) -> list[Record]:
    """The runs that ``model``, ``model/loss/objective`` or a list of conditions means."""
    if "=" in name:
        matching = query(records, name.split(","))
    else:
        parts = name.split("/")
        matching = [
            record
            for record in records
            if label(record)[: len(parts)] == parts or [record.model, record.objective] == parts
        ]
        if not matching:
            raise unknown(
                "method", name, {"/".join(label(record)) for record in records} or {"none: the store is empty"}
            )
    if not matching:
        raise UpliftlensError(f"no finished run meets {name}")
    return matching


def measured(records: Sequence[Record], metric: str) -> Sequence[Record]:
    """The runs that have a metric; all, if none has it: then the reason is told where its value is asked for."""
    return [record for record in records if metric in record.metrics] or records


def label(record: Record) -> list[str]:
    """What a method is called by: model, and loss and objective where it has them."""
    return [part for part in (record.model, record.loss, record.objective) if part]


def pairing(record: Record) -> tuple[str, str, int]:
    """What two runs have in common that can be compared: data, split and seed."""
    return (record.data["fingerprint"], record.split["fingerprint"], record.seed)


def one_per_pairing(side: Sequence[Record], shared: Sequence[tuple[str, str, int]], name: str) -> list[Record]:
    """The run of every pairing.

    Raises:
        UpliftlensError: if a pairing has several: the name means more than one configuration.
    """
    chosen = []
    for expected in shared:
        runs = [item for item in side if pairing(item) == expected]
        if len(runs) > 1:
            keys = ", ".join(run.key[:8] for run in runs)
            raise UpliftlensError(
                f"'{name}' means {len(runs)} runs of one split and seed ({keys}): narrow it, "
                "e.g. model=mf,model.dim=32, or by keys: --where key!=KEY (see `upliftlens results --format json`)"
            )
        chosen.append(runs[0])
    return chosen

"""Which runs the name of a method means, and which of two methods' runs belong together."""

from collections.abc import Sequence

from upliftlens.benchmarks.runs.records import Record
from upliftlens.causal.errors import UpliftlensError, unknown


def runs_of(records: Sequence[Record], name: str) -> list[Record]:
    """The runs that ``model``, ``model/loss/objective`` or a list of conditions means."""
    from upliftlens.benchmarks.reports.selection import query

    if "=" in name:
        found = query(records, name.split(","))
    else:
        wanted = name.split("/")
        found = [one for one in records if label(one)[: len(wanted)] == wanted or [one.model, one.objective] == wanted]
        if not found:
            raise unknown("method", name, {"/".join(label(one)) for one in records} or {"none: the store is empty"})
    if not found:
        raise UpliftlensError(f"no finished run meets {name}")
    return found


def measured(records: Sequence[Record], metric: str) -> Sequence[Record]:
    """The runs that have a metric; all, if none has it: then the reason is told where its value is asked for."""
    return [one for one in records if metric in one.metrics] or records


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
    for wanted in shared:
        runs = [one for one in side if pairing(one) == wanted]
        if len(runs) > 1:
            keys = ", ".join(one.key[:8] for one in runs)
            raise UpliftlensError(
                f"'{name}' means {len(runs)} runs of one split and seed ({keys}): narrow it, "
                "e.g. model=mf,model.dim=32, or by keys: --where key!=KEY (see `upliftlens results --format json`)"
            )
        chosen.append(runs[0])
    return chosen

"""A fit that was measured several times is one experiment: the run of it that is kept, and why the others are not."""

from collections.abc import Sequence

from upliftlens.benchmarks.reports.selection import measured_as, text
from upliftlens.benchmarks.runs.records import DEFAULT_METRICS, Record, default_metrics


def once_per_fit(records: Sequence[Record], metrics: Sequence[str]) -> list[Record]:
    """The records, with one finished run for each fit: a fit that was measured twice is one experiment.

    Kept is the run that has most of the ``metrics`` (the usual ones if empty), in a tie one without a propensity, and
    then the latest. Two ways to measure it (``measured_as``, and for metrics that are weighted by it the propensity)
    are two experiments.
    """
    names = metrics or DEFAULT_METRICS

    def rank(record: Record) -> tuple[int, bool, str]:
        naive = record.config.get("propensity", {}).get("name", "none") == "none"
        return sum(name in record.metrics for name in names), naive, record.created

    done = sorted((record for record in records if record.status == "done"), key=rank)
    ids = set({_experiment(record, metrics): id(record) for record in done}.values())
    return [record for record in records if record.status != "done" or id(record) in ids]


def of_repeats(records: Sequence[Record], kept: Sequence[Record], metrics: Sequence[str]) -> list[str]:
    """A sentence on the runs that ``once_per_fit`` did not keep: in what they differ from those that it kept."""
    ids = set(map(id, kept))
    config = {_experiment(record, metrics): record.config for record in kept if record.status == "done"}
    pairs = [(record.config, config[_experiment(record, metrics)]) for record in records if id(record) not in ids]
    if not pairs:
        return []
    reasons = {
        "metrics": "other metrics.names or options of metrics",
        "propensity": "another propensity, which changes none of their metrics here",
    }
    differing = [
        why for section, why in reasons.items() if any(left.get(section) != right.get(section) for left, right in pairs)
    ]
    return [
        f"{len(pairs)} runs are left out: the model that they measured is in the table already, measured by another "
        f"run. They have {' or '.join(differing or ['another version of a metric'])}. "
        "`upliftlens results --format json` lists all."
    ]


def _experiment(record: Record, metrics: Sequence[str]) -> tuple[str, bool, str, str]:
    """What finished runs share that are one experiment for the ``metrics``: the fit, and the way to measure it."""
    return record.fit_key, record.trial, text(measured_as(record, metrics)), _weights(record, metrics)


def _weights(record: Record, metrics: Sequence[str]) -> str:
    """The propensity, as text, if one of the metrics (the usual ones if empty) was measured by it."""
    propensity = record.config.get("propensity") or {}
    shown = [name for name in metrics or default_metrics(record.metrics) if name in record.metrics and "/" in name]
    if propensity.get("name", "none") == "none" or not shown:
        return ""
    from upliftlens.benchmarks.metrics.registry import is_weighted  # it takes its time, and few listings need it

    return text(propensity) if any(map(is_weighted, shown)) else ""

"""A reviewer's questions about the runs of a row, answered from their records."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.benchmarks.reports.pooling import protocol
from upliftlens.benchmarks.reports.selection import text
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.splits.leak import LeakReport
from upliftlens.benchmarks.splits.randomness import EqualShares, Randomness, TimeShift
from upliftlens.causal.errors import UpliftlensError


class Answered(NamedTuple):
    """A question in a word or two, and sentences that answer it."""

    question: str
    sentences: tuple[str, ...]


def environments(records: Sequence[Record]) -> dict[str, Mapping[str, Any]]:
    """The different environments of runs by a short name, E1, E2 …, in the order of their first runs."""
    different = {text(record.environment): record.environment for record in records}
    return {f"E{number}": content for number, content in enumerate(different.values(), 1)}


def by_search(trials: Sequence[Record]) -> dict[tuple[Any, ...], list[Record]]:
    """The trials of searches by what they searched for: the method on its data and split."""
    searches: dict[tuple[Any, ...], list[Record]] = {}
    for trial in trials:
        searches.setdefault(_method(trial), []).append(trial)
    return searches


def answers(
    records: Sequence[Record], searches: Mapping[tuple[Any, ...], Sequence[Record]], names: Mapping[str, str]
) -> list[Answered]:
    """What a reviewer asks about the runs of a row; ``searches``: of ``by_search``; ``names``: of environments, by
    their text.
    """
    first = records[0]
    where = sorted({names[text(record.environment)] for record in records})
    return [
        Answered("Split", (_split(records),)),
        Answered("Measured", (_measured(first),)),
        Answered("Seeds", (_seeds(records),)),
        Answered("Selected on", (_selection(first),)),
        Answered("Tuning", (_tuning(first, searches.get(_method(first), ())),)),
        Answered("Intervals", (_intervals(first),)),
        Answered("Environment", (f"{', '.join(where)} (listed below).",)),
        Answered("Time", (_time(records),)),
        Answered("Known faults", _faults(records) or ("None is recorded.",)),
    ]


def sizes(leak: Mapping[str, Any]) -> str:
    """How many rows the parts of a split have; "" where the record doesn't say."""
    parts = [f"{leak[name]:,} {name}" for name in ("train", "validation", "test") if isinstance(leak.get(name), int)]
    return f"rows: {', '.join(parts)}" if parts else ""


def leaks(leak: Mapping[str, Any]) -> tuple[str, ...]:
    """The sentences of a stored leak report: leaks first, then remarks; none from a record of another version."""
    try:
        tests = leak.get("randomness")
        shares = {name: tests[name] and EqualShares(**tests[name]) for name in ("user", "item")} if tests else {}
        random = Randomness(**shares, time=tests["time"] and TimeShift(**tests["time"])) if tests else None
        report = LeakReport(**{**leak, "randomness": random})
    except (TypeError, KeyError):
        return ()
    return (*(f"LEAK: {problem}" for problem in report.problems()), *report.notes())


def _split(records: Sequence[Record]) -> str:
    options = {name: value for name, value in records[0].config.get("split", {}).items() if name != "fold"}
    stated = ", ".join(f"{name}={text(value)}" for name, value in options.items())
    several = {record.split["fingerprint"] for record in records}
    which = ", ".join(fingerprint[:8] for fingerprint in sorted(several))
    return f"{stated}; {sizes(records[0].split.get('leak') or {}) or 'sizes not recorded'}; fingerprint {which}."


def _measured(record: Record) -> str:
    data = record.config.get("data", {})
    relevant = "each of them" if data.get("feedback") == "implicit" else f"one of value {data.get('relevance')} or more"
    leak = record.split.get("leak") or {}
    both = record.config.get("train", {}).get("refit") and leak.get("validation") and not leak.get("redrawn")
    fitted = "training and validation rows" if both else "training rows"
    ranked = "all items that the user has no training or validation row of"
    if record.diagnostics.get("recommendations"):
        ranked = f"items as metrics.uplift.candidates={record.config['metrics']['uplift']['candidates']} says"
    return (
        f"Of the model fitted to {fitted}. Errors are of the test rows; lists rank {ranked}, and of the test rows "
        f"{relevant} is relevant."
    )


def _seeds(records: Sequence[Record]) -> str:
    seeds = sorted({record.seed for record in records})
    folds = sorted(
        {str(fold) for record in records if (fold := record.config.get("split", {}).get("fold")) is not None}
    )
    folded = f", fold {', '.join(folds)}" if folds else ""
    same = " The method does not depend on the seed." if records[0].diagnostics.get("random") is False else ""
    return f"{_count(len(records), 'run')}: seed {', '.join(map(str, seeds))}{folded}.{same}"


def _selection(record: Record) -> str:
    monitor, train = record.diagnostics.get("monitor"), record.config.get("train", {})
    if not any("validation" in line for line in record.epochs):
        return "Nothing was selected while it was trained: no epoch was scored on validation rows."
    best = record.diagnostics.get("best_epoch")
    then = (
        "then trained again on training and validation rows together" if train.get("refit") else "kept as it was then"
    )
    return f"The epoch ({best} of {len(record.epochs)}) by {monitor} on validation rows; {then}. Not on test rows."


def _tuning(record: Record, tried: Sequence[Record]) -> str:
    if not tried:
        return (
            "No trial of a search for this method on these data is in the store: options that the command does not "
            "state are the defaults of configs/, which are not chosen for these data."
        )
    scored = [trial for trial in tried if trial.status == "done" and trial.diagnostics.get("validation") is not None]
    monitors = sorted({trial.diagnostics["monitor"] for trial in scored})
    sentence = f"{_count(len(tried), 'trial')} of searches in the store, each scored on validation rows"
    if len(monitors) != 1:
        return f"{sentence} (by {', '.join(monitors) or 'nothing: none has finished'})."
    sign = -1 if _higher(monitors[0]) else 1
    best = min(scored, key=lambda trial: sign * trial.diagnostics["validation"])
    place = "the options of the best of them" if _learned(best) == _learned(record) else "not the options of the best"
    return f"{sentence} by {monitors[0]}; this row has {place}. Its interval ignores the choice."


def _higher(metric: str) -> bool:
    try:
        return choose(metric).metric.higher_is_better
    except UpliftlensError:
        return False


def _method(record: Record) -> tuple[Any, ...]:
    return (
        record.data["fingerprint"],
        protocol(record),
        record.model,
        record.loss,
        record.objective,
        _propensity(record),
    )


def _propensity(record: Record) -> Any:
    return record.config.get("propensity", {}).get("name")


def _learned(record: Record) -> dict[str, Any]:
    """The options of a fit that a search may change."""
    model = {name: value for name, value in record.config["model"].items() if name != "space"}
    return {"model": model, **{part: record.config.get(part) for part in ("train", "loss", "objective", "propensity")}}


def _intervals(record: Record) -> str:
    interval = record.config.get("metrics", {}).get("interval")
    if not interval:
        return "Not recorded."
    over = "users and items" if interval.get("over") == "users-items" else "users"
    return f"{interval['level']:.0%}, {interval['resamples']:,} resamples of {over}; across runs also over the runs."


def _time(records: Sequence[Record]) -> str:
    totals = [record.timing["total"] for record in records if "total" in record.timing]
    if not totals:
        return "Not recorded."
    peak = max((record.peak_memory or 0 for record in records), default=0)
    memory = f"; the process held up to {peak / 2**30:.1f} GiB" if peak else ""
    several = f" ({sum(totals) / len(totals):.1f} s per run)" if len(totals) > 1 else ""
    return f"{sum(totals):.1f} s in all{several}, from {records[0].created[:19]} UTC{memory}."


def _faults(records: Sequence[Record]) -> tuple[str, ...]:
    """What a record says against its numbers: leaks, weak propensities, undefined metrics, code that was changed."""
    sentences: dict[str, None] = {}
    for record in records:
        diagnostics = record.diagnostics
        sentences |= dict.fromkeys(f"{sentence}." for sentence in leaks(record.split.get("leak") or {}))
        propensity = diagnostics.get("propensity")
        if propensity and propensity["verdict"] != "good":
            sentences[f"The propensity is {propensity['verdict']}: {propensity['reason']}."] = None
        if diagnostics.get("uses_mar_data"):
            sentences["A sample of ratings at random was used to train it, and is not tested on."] = None
        logged = diagnostics.get("recommendations") or {}
        if logged.get("propensities") == "estimated":
            sentences["Propensities of recommending were estimated: a hidden cause of both would mislead."] = None
        if logged.get("without_overlap"):
            sentences[f"{logged['without_overlap']:,} logged rows have no overlap."] = None
        if (record.environment.get("git") or {}).get("dirty"):
            sentences["It ran from a checkout with changes that are in no commit."] = None
    return tuple(sentences)


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'s' * (number != 1)}"

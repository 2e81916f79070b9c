"""Methods of a store by their names: the runs of a method, which runs are paired, and comparisons of methods."""

import operator
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import combinations, product
from typing import NamedTuple

from upliftlens.benchmarks.evaluation.evaluation import Evaluation, Repetition, from_arrays
from upliftlens.benchmarks.metrics.registry import choose, in_full
from upliftlens.benchmarks.reports.comparison import Comparison, compare, p_in_words
from upliftlens.benchmarks.reports.pooling import (
    OF_MODEL_ALONE,
    of_worlds,
    require_one_configuration,
    require_one_experiment,
    require_one_interval,
    require_one_world,
)
from upliftlens.benchmarks.reports.repeats import once_per_fit
from upliftlens.benchmarks.reports.selection import (
    IDENTITY,
    SHOWN,
    Fields,
    columns,
    differ,
    fields,
    measured_as,
    query,
    text,
    unmet,
)
from upliftlens.benchmarks.reports.sentences import (
    direction,
    effect_in_words,
    in_words,
    meaning,
    short_verdict,
    verdict,
)
from upliftlens.benchmarks.runs.records import Record, dumps, plain
from upliftlens.benchmarks.runs.store import Store, load_per_user, readable_records
from upliftlens.causal.errors import UpliftlensError, unknown
from upliftlens.causal.intervals import Interval


class Compared(NamedTuple):
    """Two methods by ``names``, the paired ``runs`` of each, and their comparison at ``level``."""

    names: tuple[str, str]
    runs: tuple[list[Record], list[Record]]
    comparison: Comparison
    level: float

    @property
    def verdict(self) -> str:
        """The result in a sentence."""
        return verdict(self.comparison, *self.names, self.level)


def compared(
    store: Store,
    methods: Sequence[str],
    metric: str,
    where: Sequence[str] = (),
    baseline: str | None = None,
    margin: float | None = None,
) -> list[Compared]:
    """The methods of a store, all with all or each with the ``baseline``, on data, splits and seeds that both have.

    ``where``: conditions on all runs. The pairs are one family: each p is corrected for their number.

    Raises:
        UpliftlensError: for a method or metric that isn't there, one named twice, nothing shared, or runs that must not
            be pooled.
    """
    metric, everything = in_full(metric), readable_records(store)
    records = finished(everything, where)
    if not records and (reasons := unmet(everything, where)):
        raise UpliftlensError("\n".join(reasons))
    records = once_per_fit(records, [metric])
    names = list(methods) if baseline is None or baseline in methods else [*methods, baseline]
    if len(names) < 2:
        only = f"{names[0]} alone" if names else "nothing"
        raise UpliftlensError(f"{only} can't be compared: name two methods, or a --baseline")
    if twice := [name for name in names if names.count(name) > 1]:
        raise UpliftlensError(f"{twice[0]} is named more than once: name different methods")
    sides = {name: _measured(runs_of(records, name), metric) for name in names}
    chosen = combinations(names, 2) if baseline is None else ((name, baseline) for name in names if name != baseline)
    runs = {pair: _paired(sides, *pair, metric) for pair in chosen}
    every = {run.key: run for both in runs.values() for side in both for run in side}
    require_one_world(list(every.values()), [metric])
    require_one_interval(list(every.values()))
    loaded = dict(zip(every, evaluations(store, list(every.values())), strict=True))
    interval = Interval(**next(iter(every.values())).config["metrics"]["interval"])
    family = {
        f"{first} against {second}": ([loaded[run.key] for run in left], [loaded[run.key] for run in right])
        for (first, second), (left, right) in runs.items()
    }
    results = compare(family, metric, interval, margin).values()
    return [Compared(pair, runs[pair], result, interval.level) for pair, result in zip(runs, results, strict=True)]


def _paired(
    sides: Mapping[str, Sequence[Record]], first: str, second: str, metric: str
) -> tuple[list[Record], list[Record]]:
    shared = sorted(set(map(pairing, sides[first])) & set(map(pairing, sides[second])))
    if not shared:
        raise UpliftlensError(
            f"{first} and {second} share no data, split and seed: {_apart(sides[first], sides[second])}"
        )
    both = [[run for run in sides[name] if pairing(run) in shared] for name in (first, second)]
    left, right = ({_way(run, metric) for run in side} for side in both)
    if not left & right:
        raise UpliftlensError(
            f"{first} and {second} were never measured alike: {' or '.join(sorted(left))} against "
            f"{' or '.join(sorted(right))}: run one of them again with the options of the other"
        )
    # First those measured in a way that both sides have: the one that the error would name.
    every = sorted([*both[0], *both[1]], key=lambda run: _way(run, metric) not in left & right)
    require_one_experiment(every, [metric])
    chosen = one_per_pairing(sides[first], shared, first), one_per_pairing(sides[second], shared, second)
    if same := {run.key for run in chosen[0]} & {run.key for run in chosen[1]}:
        raise UpliftlensError(f"{first} and {second} mean the same run ({min(same)[:8]}): name different methods")
    return chosen


def _apart(left: Sequence[Record], right: Sequence[Record]) -> str:
    """What to do about two sides without a pairing."""
    setting_aside = [any(run.diagnostics.get("uses_mar_data") for run in side) for side in (left, right)]
    if setting_aside[0] != setting_aside[1]:
        return (
            "the runs of one side have a propensity (naive_bayes) that sets a sample of ratings aside, so they are "
            "tested on other rows: run the other side with the same propensity"
        )
    pairs = product(*({pairing(run): run for run in side}.values() for side in (left, right)))
    nearest = min(pairs, key=lambda both: sum(map(operator.ne, *map(pairing, both))))
    flat = [fields(run) for run in nearest]
    said = [f"{name} ({' and '.join(text(each.get(name)) for each in flat)})" for name in _of_pairing(*flat)]
    keys = " and ".join(run.key[:SHOWN] for run in nearest)
    return f"the nearest runs, {keys}, differ in {', '.join(said)}: run both on the same ones"


def _of_pairing(first: Fields, second: Fields) -> list[str]:
    """The fields in which the pairings of two runs differ: the data's name or options, the split's, the seed."""

    def differing(names: Iterable[str]) -> list[str]:
        return [name for name in names if differ([first.get(name), second.get(name)])]

    named: list[str] = []
    for fingerprint in differing(["data.fingerprint", "split.fingerprint"]):
        part = fingerprint.partition(".")[0]
        options = (name.removeprefix("config.") for name in {**first, **second} if name.startswith(f"config.{part}."))
        stated = differing([part]) or differing(options)
        named += stated if stated or named else [fingerprint]  # other data are split otherwise
    return named + differing(["seed"])


def _way(record: Record, metric: str) -> str:
    """The options by which a run measured a metric in another way than the usual one, in words."""
    return ", ".join(f"{name}={text(value)}" for name, value in measured_as(record, [metric]).items()) or "the defaults"


def as_text(pairs: Sequence[Compared]) -> list[str]:
    """Lines for a reader: of one pair in full, of several a line each."""
    comparison, level = pairs[0].comparison, pairs[0].level
    if len(pairs) == 1:
        shared = f"{len(pairs[0].runs[0])} shared run{'s' if len(pairs[0].runs[0]) > 1 else ''}"
        lines = [
            f"{comparison.metric} ({direction(comparison.metric)}) over {shared} and {comparison.n} users, paired:"
        ]
        lines += in_words(comparison, *pairs[0].names, level)
    else:
        lines = [f"{comparison.metric} ({direction(comparison.metric)}), {len(pairs)} comparisons:"]
        lines += [line for pair in pairs for line in _in_short(pair)]
        margin = (
            "" if comparison.margin is None else f" What is said beside the margin, ±{comparison.margin:g}, uses them."
        )
        lines.append(
            f"better: hardly chance at level {level:.0%} by p, which is corrected for {len(pairs)} comparisons (Holm). "
            f"The intervals are not corrected.{margin}"
        )
        # Where one pair is about fits only, nothing is said about the seeds of all.
        about = "fits" if any(pair.comparison.about == "fits" for pair in pairs) else "methods"
        lines += meaning(level, about, comparison.over, max(pair.comparison.folds for pair in pairs))
    if choose(comparison.metric).metric.of_model_alone and max(pair.comparison.folds for pair in pairs) > 1:
        lines.append(f"{comparison.metric} {OF_MODEL_ALONE}")
    runs = [run for pair in pairs for side in pair.runs for run in side]
    lines += of_worlds(list({run.key: run for run in runs}.values()), [comparison.metric])
    recorded = [(run.diagnostics.get("recommendations") or {}).get("propensities") for run in runs]
    if choose(comparison.metric).metric.evidence in ("logged", "logged+history") and "estimated" in recorded:
        lines.append(
            "Propensities of recommending were estimated from the log: a hidden cause of both would mislead this."
        )
    return lines


def _in_short(pair: Compared) -> list[str]:
    """Two lines of a pair among several: its values, runs and users; their difference and the verdict."""
    (first, second), result, runs = pair.names, pair.comparison, len(pair.runs[0])
    numbers = f"{result.difference:+.4f} [{result.lo:+.4f}, {result.hi:+.4f}]"
    chance = p_in_words(result, result.p_holm, pair.level)
    over = f"{runs} shared run{'s' if runs > 1 else ''}, {result.n} users"
    return [
        f"  {first} {result.first:.4f} − {second} {result.second:.4f}, over {over}:",
        f"    {numbers}, {chance}{effect_in_words(result)}. {short_verdict(result, first, second)}",
    ]


def as_json(pairs: Sequence[Compared]) -> str:
    """The fields of each comparison, its methods, the verdict in words, and the keys of the runs of each side.

    Of one pair they stand alone; of several they are a list.
    """
    content = [
        plain(
            {
                "methods": pair.names,
                **pair.comparison._asdict(),
                "verdict": pair.verdict,
                "runs": [[run.key for run in side] for side in pair.runs],
            }
        )
        for pair in pairs
    ]
    return dumps(content[0] if len(content) == 1 else content)


def evaluations(store: Store, records: Sequence[Record]) -> list[Evaluation]:
    """The evaluations of finished runs, with the per-user sums that the store keeps."""
    return [
        from_arrays(load_per_user(store, record), record.diagnostics)._replace(
            repetition=repetition(record, record.seed)
        )
        for record in records
    ]


def repetition(record: Record, other: Hashable) -> Repetition:
    """Which repetition of its experiment a run is; ``other``: what repeats it besides the split, such as its seed."""
    rows = record.split["leak"]
    return Repetition(record.split["fingerprint"], other, rows["test"] / (rows["train"] + rows["validation"]))


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
        UpliftlensError: if a pairing has several, or as ``require_one_configuration``: the name means more than one.
    """
    chosen = []
    for shared_pairing in shared:
        runs = [run for run in side if pairing(run) == shared_pairing]
        if len(runs) > 1:
            keys = ", ".join(run.key[:8] for run in runs)
            flat = fields(runs[0])
            differing = [option for option in columns(runs) if option not in (*IDENTITY, "seed") and option in flat]
            option = f"model={runs[0].model},{differing[0]}={text(flat[differing[0]])}" if differing else ""
            by = f"name it with an option in which they differ, e.g. '{option}', or " if option else ""
            raise UpliftlensError(
                f"'{name}' means {len(runs)} runs of one split and seed ({keys}): {by}leave some out by their keys, "
                "--where key!=KEY (`upliftlens results` shows them)"
            )
        chosen.append(runs[0])
    require_one_configuration(chosen, name)
    return chosen

"""Seeded random search over the ranges that a model's configuration states, selected on validation rows.

Every trial is a run of its own in the store (``trial: true``): fitted on the training rows, scored on the validation
rows, never shown the test set. The winner is then run in full, with the refit and the test set.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import qmc

from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.benchmarks.runs.records import Record
from upliftlens.causal.errors import UpliftlensError, unknown

SEARCHED = ("model", "train", "loss", "objective")
"""The config groups whose options may be searched: what they change is what is learned, not what it is judged by."""


class Tuned(NamedTuple):
    """The trials in order, each with its overrides; the position of the best; its full run."""

    trials: list[tuple[list[str], Record | None]]
    best: int
    final: Record


def sample(space: Mapping[str, Mapping[str, Any]], budget: int, seed: int) -> list[list[str]]:
    """Overrides of ``budget`` trials drawn from a search space; trial 0 is the configuration as it stands.

    An entry is ``{choices: […]}``, or ``{low, high, log}`` for a float. Its name is an option of the model, or, with a
    dot, any option. Draw t depends on (seed, t) only, so a larger budget repeats the smaller one's trials.

    Raises:
        UpliftlensError: if there is nothing to search, or an entry says neither.
    """
    _require_space(space)
    trials: list[list[str]] = [[]]
    for number in range(1, budget):
        rng = np.random.default_rng(np.random.SeedSequence([seed, number]))
        trials.append([f"{_full(name)}={_draw(entry, rng)}" for name, entry in space.items()])
    return trials[:budget]


def spread(space: Mapping[str, Mapping[str, Any]], budget: int, seed: int) -> list[list[str]]:
    """As ``sample``, but the draws are the points of a scrambled Halton sequence: they leave no wide gap in any range.

    A larger budget repeats the smaller one's trials here, too.

    Raises:
        UpliftlensError: as ``sample``.
    """
    _require_space(space)
    points = qmc.Halton(len(space), scramble=True, rng=seed).random(budget - 1)
    return [[], *([f"{_full(name)}={_at(entry, u)}" for (name, entry), u in zip(space.items(), p)] for p in points)]


def narrowed(
    space: Mapping[str, Mapping[str, Any]], centre: Mapping[str, Any], width: float
) -> dict[str, dict[str, Any]]:
    """The space around one of its points: ranges of ``width`` of their length, choices of the one that was made.

    A range is centred on the point's value, on its logarithm where the range is logarithmic, and moved to lie within
    the space's. ``centre`` maps each name to a value; one beyond the range counts as the nearest within, and a
    range around None is kept whole.
    """
    return {name: _narrowed(entry, centre[name], width) for name, entry in space.items()}


def tune(
    compose: Callable[[Sequence[str]], dict[str, Any]],
    run: Callable[[Mapping[str, Any]], Record],
    overrides: Sequence[str],
    budget: int,
    seed: int,
    group: str,
    say: Callable[[str], None],
) -> Tuned:
    """Runs ``budget`` trials, then the best one in full.

    What the overrides fix is not searched. A trial that fails is told, counted against the budget, and passed over.

    Raises:
        UpliftlensError: for what is wrong with the configuration itself, or if every trial failed.
    """
    base = compose(overrides)
    if plan(base).trial:
        raise UpliftlensError("trial=true is for tune to set: without it, the best trial is then run in full")
    fixed = {one.lstrip("+").partition("=")[0] for one in overrides}
    stated = base["model"].get("space") or {}
    if not isinstance(stated, Mapping):
        raise UpliftlensError(f"model.space={stated} must be a mapping, e.g. '+model.space={{dim:{{choices:[8,16]}}}}'")
    ranges = {_full(name): entry for name, entry in stated.items()}
    for name in ranges:
        require_searchable(name, base)
    space = {name: entry for name, entry in ranges.items() if name not in fixed}
    trials: list[tuple[list[str], Record | None]] = []
    for number, extra in enumerate(sample(space, budget, seed)):
        record = None
        try:
            record = run(compose([*overrides, *extra, "trial=true", f"group={group}"]))
        except UpliftlensError as error:
            say(f"trial {number} failed: {error}")
        trials.append((extra, record))
    best = _best([record for _, record in trials])
    final = run(compose([*overrides, *trials[best][0], f"group={group}"]))
    return Tuned(trials, best, final)


def _best(records: Sequence[Record | None]) -> int:
    scored = [(index, record) for index, record in enumerate(records) if record is not None]
    if not scored:
        raise UpliftlensError("every trial failed: see the messages above")
    selected_by = {record.diagnostics["monitor"] for _, record in scored}
    if len(selected_by) > 1:
        raise UpliftlensError(
            f"the trials were scored by {' and '.join(sorted(selected_by))}: set train.monitor to one"
        )
    metric = choose(selected_by.pop()).metric
    sign = -1 if metric.higher_is_better else 1
    return min(scored, key=lambda one: (sign * one[1].diagnostics["validation"], one[0]))[0]


def _full(name: str) -> str:
    return name if "." in name else f"model.{name}"


def require_searchable(name: str, config: Mapping[str, Any]) -> None:
    """Refuses an option whose values can't be compared on one set of validation rows, or that there is not.

    Raises:
        UpliftlensError: naming the option.
    """
    section, _, option = name.partition(".")
    if section not in SEARCHED or name == "train.monitor":
        raise UpliftlensError(
            f"model.space names {name}, whose values can't be compared: trials must share their data, split and "
            f"criterion. Search options of {', '.join(SEARCHED)}, and give {name} its values in a sweep"
        )
    if option not in config[section]:
        raise unknown(f"option in model.space: {section} has no", option, config[section])


def _require(name: str, entry: Any) -> None:
    """Refuses an entry that no value can be drawn from."""
    wrong = f"model.space.{name.removeprefix('model.')}={entry}"
    if not isinstance(entry, Mapping) or not ("choices" in entry or {"low", "high"} <= entry.keys()):
        raise UpliftlensError(f"{wrong} must state choices, or low and high (and log: true)")
    if "choices" in entry:
        if not isinstance(entry["choices"], list) or not entry["choices"]:
            raise UpliftlensError(f"{wrong}: choices is a list of at least one value")
        return
    bounds = [entry["low"], entry["high"]]
    numbers = all(isinstance(one, int | float) and np.isfinite(one) for one in bounds)
    if not numbers or not bounds[0] < bounds[1]:
        raise UpliftlensError(f"{wrong}: low must be a number below high, both finite")
    if entry.get("log") and not bounds[0] > 0:
        raise UpliftlensError(f"{wrong}: with log, low must be above 0")


def _draw(entry: Mapping[str, Any], rng: np.random.Generator) -> Any:
    if "choices" in entry:
        return _at(entry, (rng.integers(len(entry["choices"])) + 0.5) / len(entry["choices"]))
    return _at(entry, rng.random())


def _at(entry: Mapping[str, Any], share: float) -> Any:
    """The value at a share in [0, 1) of an entry's choices or range."""
    if "choices" in entry:
        choice = entry["choices"][int(share * len(entry["choices"]))]
        return str(choice).replace(" ", "") if isinstance(choice, list) else choice
    low, high = float(entry["low"]), float(entry["high"])
    if entry.get("log"):
        low, high = np.log(low), np.log(high)
    value = low + (high - low) * share
    # Four digits are enough for a search, and readable in a table.
    return float(f"{np.exp(value) if entry.get('log') else value:.4g}")


def _narrowed(entry: Mapping[str, Any], value: Any, width: float) -> dict[str, Any]:
    if "choices" in entry:
        return {"choices": [value]}
    if value is None:
        return dict(entry)
    low, high = float(entry["low"]), float(entry["high"])
    middle = min(max(float(value), low), high)
    if entry.get("log"):
        low, high, middle = np.log([low, high, middle])
    half = width * (high - low) / 2
    middle = min(max(middle, low + half), high - half)
    low, high = middle - half, middle + half
    if entry.get("log"):
        low, high = np.exp([low, high])
    return {**entry, "low": float(low), "high": float(high)}


def _require_space(space: Mapping[str, Mapping[str, Any]]) -> None:
    if not space:
        raise UpliftlensError(
            "this model's configuration states no search space: give one, e.g. '+model.space={dim:{choices:[8,16]}}'"
        )
    for name, entry in space.items():
        _require(name, entry)

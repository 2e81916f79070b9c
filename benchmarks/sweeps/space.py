"""The space of a search: options with their ranges or choices, and two rules that draw trials from it."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.stats import qmc

from upliftlens.causal.errors import UpliftlensError, unknown

SEARCHED = ("model", "train", "loss", "objective")
"""The config groups whose options may be searched: they change what is learned, not how it is scored."""

Space = Mapping[str, Mapping[str, Any]]
"""By option ``{choices: […]}``, or ``{low, high, log}`` for a float. A name without a dot is one of the model's."""

Rule = Callable[[Space, int, int], list[list[str]]]
"""``rule(space, budget, seed)``: the changes of ``budget`` trials."""


def sample(space: Space, budget: int, seed: int) -> list[list[str]]:
    """Changes of ``budget`` trials drawn from a search space; trial 0 is the configuration as it stands.

    Draw t depends on (seed, t) only, so a larger budget repeats the smaller one's trials.

    Raises:
        UpliftlensError: if there is nothing to search, or an entry states neither choices nor a range.
    """
    _require_space(space)
    trials: list[list[str]] = [[]]
    for number in range(1, budget):
        rng = np.random.default_rng(np.random.SeedSequence([seed, number]))
        trials.append([f"{full_name(name)}={_draw(entry, rng)}" for name, entry in space.items()])
    return trials[:budget]


def spread(space: Space, budget: int, seed: int) -> list[list[str]]:
    """As ``sample``, but the draws are the points of a scrambled Halton sequence: they leave no wide gap in any range.

    A larger budget repeats the smaller one's trials here, too.

    Raises:
        UpliftlensError: as ``sample``.
    """
    _require_space(space)
    points = qmc.Halton(len(space), scramble=True, rng=seed).random(budget - 1)
    return [[], *([f"{full_name(name)}={_at(entry, u)}" for (name, entry), u in zip(space.items(), p)] for p in points)]


def narrowed(space: Space, centre: Mapping[str, Any], width: float) -> dict[str, dict[str, Any]]:
    """The space around one of its points: ranges cut to ``width`` of their length, of choices only the point's.

    A range is centred on the point's value, on its logarithm where the range is logarithmic, and moved to lie within
    the space's. ``centre`` maps each name to a value; one beyond the range counts as the nearest within, and a
    range around None is kept whole.
    """
    return {name: _narrowed(entry, centre[name], width) for name, entry in space.items()}


def require_searchable(name: str, config: Mapping[str, Any]) -> None:
    """Refuses an option whose values can't be compared on the same validation rows, and an unknown option.

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
    numbers = all(isinstance(bound, int | float) and np.isfinite(bound) for bound in bounds)
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


def _require_space(space: Space) -> None:
    if not space:
        raise UpliftlensError(
            "this model's configuration states no search space: give one, e.g. '+model.space={dim:{choices:[8,16]}}'"
        )
    for name, entry in space.items():
        _require(name, entry)


def full_name(name: str) -> str:
    """How the command line writes an option of a space."""
    return name if "." in name else f"model.{name}"

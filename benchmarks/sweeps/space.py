"""The space of a search: options with their ranges or choices, and three rules that draw trials from it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from scipy.stats import qmc

from upliftlens.benchmarks.config.sections import SECTIONS, section_of
from upliftlens.benchmarks.config.typed import is_whole
from upliftlens.causal.errors import UpliftlensError, unknown

SEARCHED = ("model", "train", "loss", "objective")
"""The config groups whose options may be searched: they change what is learned, not how it is scored."""

Space = Mapping[str, Mapping[str, Any]]
"""By option ``{choices: […]}``, or ``{low, high, log}`` for a float. A name without a dot is one of the model's."""

Rule = Callable[[Space, int, int], list[list[str]]]
"""``rule(space, budget, seed)``: the changes of ``budget`` trials."""


def sample(space: Space, budget: int, seed: int) -> list[list[str]]:
    """Changes of ``budget`` trials drawn from a search space; the first is the configuration as it stands.

    Draw t depends on (seed, t) only, so a larger budget repeats the smaller one's trials.
    """
    rngs = (np.random.default_rng(np.random.SeedSequence([seed, number])) for number in range(1, budget))
    return _trials(space, ([_share(entry, rng) for entry in space.values()] for rng in rngs))


def spread(space: Space, budget: int, seed: int) -> list[list[str]]:
    """As ``sample``, but the draws are the points of a scrambled Halton sequence: they leave no wide gap in any range.

    A larger budget repeats the smaller one's trials here, too.
    """
    return _trials(space, qmc.Halton(len(space), scramble=True, rng=seed).random(budget - 1))


def grid(space: Space, budget: int, seed: int) -> list[list[str]]:
    """A trial for each combination of a space's choices, whatever the budget; nothing is drawn."""
    points = product(*(entry["choices"] for entry in space.values()))
    return [[f"{full_name(name)}={_text(choice)}" for name, choice in zip(space, point)] for point in points]


def narrowed(space: Space, centre: Mapping[str, Any], width: float) -> dict[str, dict[str, Any]]:
    """The space around one of its points: ranges cut to ``width`` of their length, of choices only the point's.

    A range is centred on the point's value, on its logarithm where the range is logarithmic, and moved to lie within
    the space's. ``centre`` maps each name to a value; one beyond the range counts as the nearest within, and a
    range around None is kept whole.
    """
    return {name: _narrowed(entry, centre[name], width) for name, entry in space.items()}


def stated(name: str, entry: Mapping[str, Any], config: Mapping[str, Any]) -> Any:
    """The value that a configuration states for an option of a space.

    Raises:
        UpliftlensError: for an unknown option, one whose values can't be compared on the same validation rows, or an
            ``entry`` that no value can be drawn from.
    """
    section, _, option = full_name(name).partition(".")
    if section not in SEARCHED or name == "train.monitor":
        raise UpliftlensError(
            f"model.space names {name}, whose values can't be compared: trials must share their data, split and "
            f"criterion. Search options of {', '.join(SEARCHED)}, and give {name} its values in a sweep"
        )
    if option not in config[section]:
        raise unknown(f"option in model.space: {section} has no", option, config[section])
    value, wrong = config[section][option], f"model.space.{name.removeprefix('model.')}={entry}"
    if not isinstance(entry, Mapping) or not ("choices" in entry or {"low", "high"} <= entry.keys()):
        raise UpliftlensError(f"{wrong} must state choices, or low and high (and log: true)")
    if "choices" in entry:
        if not isinstance(entry["choices"], Sequence) or isinstance(entry["choices"], str) or not entry["choices"]:
            raise UpliftlensError(f"{wrong}: choices is a list of at least one value")
        return value
    bounds = [entry["low"], entry["high"]]
    numbers = all(isinstance(bound, int | float) and np.isfinite(bound) for bound in bounds)
    if not numbers or not bounds[0] < bounds[1]:
        raise UpliftlensError(f"{wrong}: low must be a number below high, both finite")
    if entry.get("log") and not bounds[0] > 0:
        raise UpliftlensError(f"{wrong}: with log, low must be above 0")
    if section in SECTIONS and is_whole(section_of(config, section)[0], option):
        raise UpliftlensError(
            f"{wrong}: {full_name(name)} takes whole numbers, and a range holds others, too: give it choices, as in "
            f"{name}: {{choices: [{bounds[0]:.0f}, {bounds[1]:.0f}]}}"
        )
    if not isinstance(value, int | float | None):
        raise UpliftlensError(f"the search space gives {name} a range, but it is no number: give it choices")
    return value


def full_name(name: str) -> str:
    """How the command line writes an option of a space."""
    return name if "." in name else f"model.{name}"


def _trials(space: Space, points: Iterable[Sequence[float]]) -> list[list[str]]:
    """The configuration as it stands, then a trial for each point: a share in [0, 1) of each option's entry."""
    return [[], *([f"{full_name(name)}={_at(entry, u)}" for (name, entry), u in zip(space.items(), p)] for p in points)]


def _share(entry: Mapping[str, Any], rng: np.random.Generator) -> float:
    if "choices" in entry:
        return (rng.integers(len(entry["choices"])) + 0.5) / len(entry["choices"])
    return rng.random()


def _at(entry: Mapping[str, Any], share: float) -> Any:
    """The value at a share in [0, 1) of an entry's choices or range."""
    if "choices" in entry:
        return _text(entry["choices"][int(share * len(entry["choices"]))])
    to, back = _scale(entry)
    low, high = to(entry["low"]), to(entry["high"])
    # Four digits are enough for a search, and readable in a table.
    return float(f"{back(low + (high - low) * share):.4g}")


def _text(choice: Any) -> Any:
    """A choice as the command line writes it."""
    return f"[{','.join(map(str, choice))}]" if isinstance(choice, list | tuple) else choice


def _narrowed(entry: Mapping[str, Any], value: Any, width: float) -> dict[str, Any]:
    if "choices" in entry:
        return {"choices": [value]}
    if value is None:
        return dict(entry)
    to, back = _scale(entry)
    low, high = to(entry["low"]), to(entry["high"])
    half = width * (high - low) / 2
    middle = np.clip(to(np.clip(float(value), entry["low"], entry["high"])), low + half, high - half)
    return {**entry, "low": float(back(middle - half)), "high": float(back(middle + half))}


def _scale(entry: Mapping[str, Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """To the scale on which a range is even, and back."""
    return (np.log, np.exp) if entry.get("log") else (float, float)

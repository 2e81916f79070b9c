"""Options out of range: refused before anything starts, by every built-in model and by the training group."""

import math
from dataclasses import dataclass, replace
from functools import cache

import pytest

from upliftlens.benchmarks.config.compose import composed
from upliftlens.benchmarks.config.plugins import names
from upliftlens.benchmarks.config.typed import structural, traced_names, typed
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.options import above, at_least, share


@cache
def configured(model):
    return composed([f"model={model}"])


def numeric(options):
    return [(name, value) for name, value in vars(options).items() if isinstance(value, int | float)]


NUMERIC = [(model, name) for model in names("models") for name, _ in numeric(plan(configured(model)).learning.options)]


@pytest.mark.parametrize(("model", "name"), NUMERIC, ids=lambda part: part)
def test_every_number_of_every_model_has_a_range(model, name):
    options = plan(configured(model)).learning.options
    kind = type(getattr(options, name))
    for wrong in (-1, math.nan, math.inf) if kind is float else (-1,):
        with pytest.raises(ValueError, match=rf"^{name} must .*got {wrong}"):
            replace(options, **{name: wrong})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("lr", 0.0), ("l2", -1.0), ("dense_cells", -1), ("epochs", 0), ("everything_share", 0.0), ("batch_size", 0)],
)
def test_training_has_ranges(name, wrong):
    content = configured("mf")
    with pytest.raises(UpliftlensError, match=f"train: {name} must be .*got {wrong}"):
        plan({**content, "train": {**content["train"], name: wrong}})


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("group", "name"), [("train", "lr"), ("train", "l2"), ("model", "init")])
def test_no_float_of_a_configuration_is_infinite_or_nan(group, name, wrong):
    content = configured("mf")
    with pytest.raises(UpliftlensError, match=rf"{group}\.{name} must be a finite number, got {wrong}"):
        plan({**content, group: {**content[group], name: wrong}})


def test_bounds_are_where_they_are_said_to_be():
    at_least(0, x=0)
    above(0, x=1e-30)
    share(x=0.0)
    for check, wrong in ((above, 0.0), (at_least, -1e-30)):
        with pytest.raises(ValueError, match="x must be"):
            check(0, x=wrong)
    with pytest.raises(ValueError, match=r"x must lie in \[0, 1\)"):
        share(x=1.0)


def test_what_a_program_is_compiled_for_may_lie_outside_of_the_range():
    """EASE refuses l2 = 0, which is what stands for any l2 in its structure."""
    options = plan(configured("ease")).learning.options
    assert traced_names(type(options)) == ("l2",)
    assert structural(options) == structural(replace(options, l2=7.0)) != options


@dataclass(frozen=True)
class Nested:
    matrix: tuple[tuple[float, ...], ...]


def test_numbers_inside_of_lists_of_lists_are_converted_or_refused():
    found = typed(Nested, {"matrix": [[1, 0.5], [0, 2]]}, "data").matrix
    assert found == ((1.0, 0.5), (0.0, 2.0)) and {type(one) for row in found for one in row} == {float}
    for wrong in ("one", True, [1]):
        with pytest.raises(UpliftlensError, match=r"data\.matrix must be"):
            typed(Nested, {"matrix": [[1, wrong]]}, "data")

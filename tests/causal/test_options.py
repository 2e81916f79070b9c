"""Options: every number has a range in its type or a reason to have none, and ``typed`` refuses what lies outside."""

import math
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, is_dataclass, replace
from functools import cache
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

import pytest
from omegaconf import OmegaConf

from upliftlens.benchmarks.config.choices import NEEDED, packaged
from upliftlens.benchmarks.config.compose import composed, configured
from upliftlens.benchmarks.config.sections import GeneralConfig, configuration_of, section_of
from upliftlens.benchmarks.config.typed import typed
from upliftlens.benchmarks.reports.effect_features import EffectsOptions
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.options import Above, AtLeast, Range, Within, check_ranges, structural, traced_names
from upliftlens.causal.worlds.potential import EXPOSURES
from upliftlens.causal.worlds.potential_generated import GeneratedOptions
from upliftlens.models.backbones.mf import MFOptions
from upliftlens.models.descent import OPTIMIZERS, Optimizer

UNBOUNDED = {  # numbers that may be anything, and why
    "data.scale[0]": "the unit of the data; the lowest must be below the highest",
    "data.scale[1]": "as above",
    "data.relevance": "on the data's scale, which is checked",
    "data.filter.min_value": "on the data's scale",
    "data.facts.users": "listed, never computed with",
    "data.facts.items": "as above",
    "data.facts.rows": "as above",
    "data.exposure": "below 0 it turns round what is seen",
    "data.popularity_skew": "below 0 what is seldom seen by others is seen more",
    "data.levels[0]": "on the data's scale, which is checked",
    "data.base": "log odds",
    "data.effect": "log odds ratio: recommending may put off",
    "data.heterogeneity": "a difference of two log odds ratios",
    "data.world.offset": "on the scale of ratings",
    "metrics.world.offset": "as above",
    "objective.reference": "a matching score",
}
CHOICES = [(group, name) for group in NEEDED if group != "loss" for name in packaged(group)]


def leaves(hint, value, path):
    """(path, type, range or choices or None) of everything that can be set; a list's first entry stands for all."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated and get_origin(parts[0]) is Literal:
        yield from leaves(parts[0], value, path)
    elif origin is Annotated:
        limits = [mark for mark in parts[1:] if isinstance(mark, Range)]
        yield from [(path, parts[0], limits[0])] if limits else leaves(parts[0], value, path)
    elif origin is tuple:
        for place, part in enumerate(parts[:1] if parts[-1] is Ellipsis else parts):
            if value:
                yield from leaves(part, value[place], (*path, place))
    elif is_dataclass(hint):
        if isinstance(value, dict):
            for name, inner in get_type_hints(hint, include_extras=True).items():
                yield from leaves(inner, value.get(name), (*path, name))
    elif type(None) in parts:
        (inner,) = (part for part in parts if part is not type(None))
        yield from leaves(inner, value, path)
    elif origin is Literal:
        yield path, str, parts
    elif hint in (int, float):
        yield path, hint, None


def label(path):
    """A path as a user writes it."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def unbased(name):
    """A world's base is a data set like others."""
    return name.replace("data.base.", "data.")


def changed(section, path, value):
    section = deepcopy(section)
    inner = section
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    return section


def outside(kind, limits):
    """Values of a type that are not within a range."""
    if isinstance(limits, tuple):
        return ["nonsense"]
    wrong = [limits.low if limits.low_open else limits.low - 1]
    if limits.high < math.inf:
        wrong.append(limits.high if limits.high_open else limits.high + 1)
    return [kind(item) for item in wrong] + ([math.nan, math.inf, -math.inf] if kind is float else [])


def check_group(kind, section, where):
    """Every option refuses what is outside of its range, by its name; the options without one."""
    assert typed(kind, section, where) == typed(kind, deepcopy(section), where)
    free = set()
    for path, number, limits in leaves(kind, section, ()):
        name = label((where, *path) if where else path)
        if limits is None:
            free.add(name)
            continue
        for wrong in outside(number, limits):
            with pytest.raises(UpliftlensError, match=re.escape(name)) as refused:
                typed(kind, changed(section, path, wrong), where)
            assert f"{wrong}" in str(refused.value) and len(str(refused.value).splitlines()) == 1
    return free


@cache
def of_choice(group, name):
    """``section_of`` a configuration that differs from the default in one choice, composed once."""
    return section_of(composed([f"{group}={name}"]), group)


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_every_number_of_every_choice_has_a_range_or_a_reason(group, name):
    free = check_group(*of_choice(group, name), group)
    assert {unbased(name) for name in free} <= set(UNBOUNDED), (
        "state a range in its type, or say here why there is none"
    )


def test_so_have_the_options_outside_of_groups_and_those_of_effects():
    assert check_group(GeneralConfig, section_of(composed([]), "")[1], "") == set()
    effects = composed([], "effects")
    section = {name: value for name, value in effects.items() if name in get_type_hints(EffectsOptions)}
    assert check_group(EffectsOptions, section, "") == set()


def test_no_reason_is_left_over():
    named = {
        unbased(label((group, *path)))
        for group, name in CHOICES
        if group in ("data", "objective", "metrics")
        for kind, section in [of_choice(group, name)]
        for path, _, limits in leaves(kind, section, ())
        if limits is None
    }
    assert named == set(UNBOUNDED)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model.dim=0"], "model.dim must be at least 1, got 0"),
        (["model=mlp", "model.layers=[8,0]"], "model.layers[1] must be at least 1, got 0"),
        (["data=grid", "data.prediction=[[0.5,2]]"], "data.prediction[0][1] must lie in [0, 1], got 2.0"),
        (["data=schnabel-ml-100k", "data.completion.lr=0"], "data.completion.lr must be above 0, got 0.0"),
        (["metrics.interval.level=1"], "metrics.interval.level must lie in (0, 1), got 1.0"),
        (["seed=4294967296"], "seed must lie in [0, 4294967295], got 4294967296"),
        (["train.schedule=cosin"], "unknown train.schedule 'cosin': did you mean 'cosine'?"),
        (["train.l2=.nan"], "train.l2 must be a number, got .nan"),
        (["train.l2=nan"], "train.l2 must be a finite number (of at most 3.4e38, as float32 holds), got nan"),
        (["train.lr=1e39"], "train.lr must be a finite number"),
        (["model.init=-inf"], "model.init must be a finite number"),
    ],
)
def test_a_plan_is_refused_with_the_option_as_it_is_written(words, message):
    with pytest.raises(UpliftlensError, match=f"^{re.escape(message)}"):
        plan(configured(words))


def test_ranges_hold_where_they_say_and_say_it_in_words():
    assert [str(item) for item in (AtLeast(1), Above(0.5), Within(0, 1, "[)"))] == [
        "at least 1",
        "above 0.5",
        "in [0, 1)",
    ]
    assert 0 in AtLeast(0) and -1e-30 not in AtLeast(0) and 1e-30 in Above(0) and 0.0 not in Above(0)
    assert 0.0 in Within(0, 1, "[)") and 1.0 not in Within(0, 1, "[)") and 1.0 in Within(0, 1, "(]")
    assert all(wrong not in AtLeast(0) for wrong in (math.nan, math.inf))


def test_names_in_types_are_those_of_the_code():
    assert get_args(Optimizer) == tuple(OPTIMIZERS)
    assert get_args(get_type_hints(GeneratedOptions)["exposure"]) == tuple(EXPOSURES)


def test_options_made_in_python_are_checked_where_asked():
    options = MFOptions(0, 0.1, 0.3)  # inside of a program its floats are tracers
    with pytest.raises(UpliftlensError, match=r"^dim must be at least 1, got 0"):
        check_ranges(MFOptions, vars(options))


@dataclass(frozen=True)
class Nested:
    pair: tuple[Annotated[int, AtLeast(1)], Annotated[float, Within(0, 1)]]
    by_knob: Mapping[Literal["propensity", "imputation"], Annotated[float, Within(0, 1)]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pair": (0, 0.5)}, "w.pair[0] must be at least 1, got 0"),
        ({"pair": (1, math.inf)}, "w.pair[1] must be a finite number"),
        ({"pair": (1, 2.0)}, "w.pair[1] must lie in [0, 1], got 2.0"),
        ({"by_knob": {"propensity": 2.0}}, "w.by_knob.propensity must lie in [0, 1], got 2.0"),
        ({"by_knob": {"propensty": 0.5}}, "unknown w.by_knob 'propensty': did you mean 'propensity'?"),
    ],
)
def test_each_place_of_a_tuple_and_each_key_and_value_of_a_mapping_is_checked(values, message):
    check_ranges(Nested, {"pair": (5, 0.5), "by_knob": {"propensity": 0.5}})
    with pytest.raises(UpliftlensError, match=f"^{re.escape(message)}"):
        check_ranges(Nested, values, "w")


def test_what_a_program_is_compiled_for_may_lie_outside_of_the_range():
    """EASE refuses l2 = 0, which is what stands for any l2 in its structure."""
    options = plan(configured(["model=ease"])).learning.options
    assert traced_names(type(options)) == ("l2",)
    assert structural(options) == structural(replace(options, l2=7.0)) != options


@dataclass(frozen=True)
class Inner:
    size: int = 3


@dataclass(frozen=True)
class Outer:
    matrix: tuple[tuple[float, ...], ...]
    pair: tuple[float, float] = (0.0, 1.0)
    inner: Inner | None = None
    mixed: int | str = "a"
    flag: bool = False


def test_values_become_those_of_the_types():
    result = typed(
        Outer, {"matrix": [[1, 0.5], [0, "1e-3"]], "inner": {"size": "4"}, "mixed": 5, "flag": "true"}, "data"
    )
    assert result == Outer(((1.0, 0.5), (0.0, 0.001)), inner=Inner(4), mixed=5, flag=True)
    assert {type(item) for row in result.matrix for item in row} == {float}
    composed_values = OmegaConf.create({"matrix": [[1.0]], "inner": {"size": 2}, "pair": ["${.1}", 2]})
    assert typed(Outer, composed_values, "data") == Outer(((1.0,),), (2.0, 2.0), Inner(2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"matrix": [[1, "one"]]}, "data.matrix[0][1] must be a number, got one"),
        ({"matrix": [[1, True]]}, "data.matrix[0][1] must be a number, got True"),
        ({"matrix": [[1, [1]]]}, "data.matrix[0][1] must be a number, got [1]"),
        ({"matrix": [[1, None]]}, "data.matrix[0][1] must be a number, got null"),
        ({"matrix": 3}, "data.matrix must be a list, as in [a,b], got 3"),
        ({"pair": [1]}, "data.pair takes 2 values, got [1]"),
        ({"inner": 3}, "data.inner must be a mapping of options, as in {a: 1}, got 3"),
        ({"inner": {"sise": 3}}, "unknown option of data.inner 'sise': did you mean 'size'?"),
        ({"inner": {"size": None}}, "data.inner.size must be a whole number, got null"),
        ({"inner": {"size": 1.5}}, "data.inner.size must be a whole number, got 1.5"),
        ({"flag": "maybe"}, "data.flag must be true or false, got maybe"),
        ({"flat": 1}, "unknown option of data 'flat': did you mean 'flag'?"),
    ],
)
def test_what_no_type_can_be_made_of_is_refused(change, message):
    with pytest.raises(UpliftlensError, match=f"^{re.escape(message)}"):
        typed(Outer, {"matrix": [], **change}, "data")
    with pytest.raises(UpliftlensError, match=r"data\.matrix is missing"):
        typed(Outer, {}, "data")


@dataclass(frozen=True)
class Free:
    choice: Literal["a", "b"] | None
    number: Annotated[float, Above(0)] | None
    strict: Literal["a", "b"]


@pytest.mark.parametrize(
    "change", ["train.schedule=null", "train.layout=null", "train.optimizer=null", "data.exposure=null"]
)
def test_null_is_no_choice_unless_the_type_says_so(change):
    with pytest.raises(UpliftlensError, match=f"{change.partition('=')[0]} 'null'"):
        configured(["data=uplift-synthetic", "split=draws", "objective=dlce", "loss=bpr", change])
    check_ranges(Free, {"choice": None, "number": None})
    with pytest.raises(UpliftlensError, match="unknown strict 'null'"):
        check_ranges(Free, {"strict": None})


@pytest.mark.parametrize("name", ["store", "cache"])
def test_an_empty_folder_is_refused_wherever_it_comes_from(name):
    with pytest.raises(UpliftlensError, match=f"{name}= is empty: name a folder"):
        configuration_of({**composed([]), name: " "})

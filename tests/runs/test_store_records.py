"""Keys and the JSON of records."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored import record

from upliftlens.benchmarks.runs.records import SCHEMA, Failure, Summary, dumps, from_json, plain, to_json
from upliftlens.benchmarks.system.keys import canonical_key

numbers = st.integers() | st.floats(allow_nan=False)
plain_data = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(st.text(), plain_data, max_size=4)


def identity(value: Any) -> Any:
    """An independent notion of sameness: Python's ==, but True is not 1, and lists and mappings are told apart."""
    if isinstance(value, dict):
        return ("mapping", frozenset((name, identity(entry)) for name, entry in value.items()))
    if isinstance(value, list):
        return ("list", tuple(map(identity, value)))
    if isinstance(value, bool):
        return ("bool", value)
    return ("number", value) if isinstance(value, int | float) else (type(value).__name__, value)


@given(mappings, mappings)
def test_a_key_is_shared_by_equal_mappings_and_only_by_them(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (canonical_key(one) == canonical_key(other)) == (identity(one) == identity(other))


@given(mappings)
def test_a_key_does_not_depend_on_the_order_of_entries(mapping: dict[str, Any]) -> None:
    assert canonical_key(dict(reversed(mapping.items()))) == canonical_key(mapping)
    wrapped = {"a": mapping, "b": 1}
    assert canonical_key({"b": 1, "a": mapping}) == canonical_key(wrapped)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (1e-3, 0.001, True),
        (0.0, -0.0, True),
        (10**22, 1e22, True),
        (0.1, 0.1 + 2**-56, False),
        (1, True, False),
        (0, None, False),
        (1, "1", False),
        (float("inf"), "Infinity", False),
        ([1, 2], (1, 2), True),
        ([1, 2], [[1], 2], False),
        ({"a": None}, {}, False),
    ],
)
def test_which_values_are_the_same(one: Any, other: Any, same: bool) -> None:
    assert (canonical_key({"x": one}) == canonical_key({"x": other})) == same


def test_a_key_is_stable_across_processes_and_versions() -> None:
    """sha256 of {"a":[1,0.5,null,true],"b":{"c":"ü"}}, taken with the system's sha256sum."""
    assert canonical_key({"b": {"c": "ü"}, "a": (1.0, 0.5, None, True)}) == "bf25f24c575e40bf"


@pytest.mark.parametrize("value", [np.float32(1), {1, 2}, {1: 2}, object()])
def test_what_is_not_plain_data_has_no_key(value: Any) -> None:
    with pytest.raises(TypeError, match="a key is made of"):
        canonical_key({"x": value})


def test_json_round_trip() -> None:
    item = record(
        error=Failure("ValueError", "no", "x/traceback.txt"), diagnostics={"ess": 3.5}, sweep="s", peak_memory=5
    )
    assert from_json(json.loads(dumps(to_json(item)))) == item


def test_json_is_strict_and_keeps_what_is_undefined_or_infinite() -> None:
    item = record(
        config={"clip": math.inf, "low": -math.inf, "x": math.nan},
        metrics={"rmse": Summary(math.nan, math.nan, 1.0, 3)},
        epochs=({"epoch": 1, "loss": math.inf, "n": np.int64(3), "w": np.array([1.5])},),
    )
    text = dumps(to_json(item))
    content = json.loads(text, parse_constant=lambda name: pytest.fail(f"not strict JSON: {name}"))
    assert content["config"] == {"clip": "inf", "low": "-inf", "x": None}
    assert content["metrics"] == {"rmse": {"value": None, "lo": None, "hi": 1.0, "n": 3}}
    assert content["epochs"] == [{"epoch": 1, "loss": None, "n": 3, "w": [1.5]}]
    back = from_json(content)
    assert math.isnan(back.metrics["rmse"].value) and back.metrics["rmse"].hi == 1.0
    with pytest.raises(TypeError, match="plain data"):
        plain({"x": object()})


def test_json_has_the_promised_fields() -> None:
    content = to_json(record())
    promised = (
        "key",
        "status",
        "config",
        "data",
        "split",
        "model",
        "loss",
        "objective",
        "seed",
        "timing",
        "environment",
    )
    assert content.keys() >= {*promised, "metrics"}
    assert content["metrics"]["rmse"] == {"value": 0.9, "lo": 0.85, "hi": 0.95, "n": 7}


def test_what_is_no_record_is_refused() -> None:
    good = to_json(record())
    for bad in (
        {},
        [],
        {"schema": 1},
        {**good, "strange": 1},
        {**good, "metrics": {"rmse": 3}},
        {**good, "epochs": None},
    ):
        with pytest.raises(ValueError, match="not a record"):
            from_json(bad)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="newer than this Upliftlens"):
        from_json({**good, "schema": SCHEMA + 1})
    assert from_json(good) == record()

"""Filters and features against plain definitions."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from upliftlens.benchmarks.data.build import k_core, merged, repeated
from upliftlens.benchmarks.data.features import Column, encode, year_of
from upliftlens.causal.inequality import gini

logs = st.integers(0, 40).flatmap(
    lambda n: st.tuples(
        arrays.arrays(np.int64, n, elements=st.integers(0, 5)), arrays.arrays(np.int64, n, elements=st.integers(0, 5))
    )
)


def brute_core(user: np.ndarray, item: np.ndarray, user_core: int, item_core: int) -> set[int]:
    """One offending row at a time, in file order."""
    rows = list(range(len(user)))
    while True:
        short = [
            row
            for row in rows
            if sum(user[r] == user[row] for r in rows) < user_core
            or sum(item[r] == item[row] for r in rows) < item_core
        ]
        if not short:
            return set(rows)
        rows.remove(short[0])


@given(logs, st.integers(0, 4), st.integers(0, 4))
def test_core_is_the_one_that_removing_single_rows_ends_in(log: tuple, user_core: int, item_core: int) -> None:
    user, item = log
    keep = k_core(user, item, user_core, item_core)
    assert set(np.flatnonzero(keep)) == brute_core(user, item, user_core, item_core)
    for column, core in ((user[keep], user_core), (item[keep], item_core)):
        assert all(count >= core for count in np.unique(column, return_counts=True)[1])
    assert k_core(user[keep], item[keep], user_core, item_core).all()


@given(logs)
def test_repeated_marks_all_but_the_first(log: tuple) -> None:
    pairs = list(zip(*(column.tolist() for column in log)))
    assert repeated(*log).tolist() == [pair in pairs[:i] for i, pair in enumerate(pairs)]


@given(logs, st.booleans(), st.sampled_from(["first", "last", "mean"]), st.randoms(use_true_random=False))
def test_merged_keeps_one_row_per_pair(log: tuple, timed: bool, policy: str, random) -> None:
    user, item = log
    value = np.array([random.randint(1, 5) for _ in user], np.float32)
    time = np.array([random.randint(0, 3) for _ in user], np.int64) if timed else None
    groups: dict[tuple[int, int], list[int]] = {}
    for row, pair in enumerate(zip(user.tolist(), item.tolist())):
        groups.setdefault(pair, []).append(row)
    expected = {}
    for rows in groups.values():
        rows.sort(key=lambda row: (time[row] if time is not None else 0, row))
        kept = rows[0] if policy == "first" else rows[-1]
        expected[kept] = (
            float(np.float32(np.mean([value[r] for r in rows]))) if policy == "mean" else float(value[kept])
        )
    result = merged(user, item, value, time, policy)
    assert result.kept.tolist() == sorted(expected)
    assert result.value.tolist() == pytest.approx([expected[row] for row in sorted(expected)])


def test_encode() -> None:
    table = pd.DataFrame(
        {
            "id": ["1", "2", "3"],
            "sex": ["M", "", "F"],
            "age": ["20", "", "40"],
            "tags": ["b|a", "", "a"],
            "x=y": ["0", "1", "1"],
        }
    )
    features = encode(
        table, (Column("age", "number"), Column("sex", "category"), Column("tags", "tags"), Column("x=y", "flag"))
    )
    assert features.names == ("age", "sex=F", "sex=M", "tags=a", "tags=b", "x=y")
    assert features.matrix.dtype == np.float32
    # ages 20 and 40: mean 30, standard deviation 10
    np.testing.assert_array_equal(features.matrix, [[-1, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 1], [1, 1, 0, 1, 0, 1]])
    assert encode(table, ()).matrix.shape == (3, 0)


@given(st.lists(st.integers(1, 99), min_size=2, max_size=30).filter(lambda ages: len(set(ages)) > 1))
def test_numbers_are_standardised_whatever_their_order(ages: list[int]) -> None:
    def column(values: list[int]) -> np.ndarray:
        return encode(pd.DataFrame({"age": [str(v) for v in values]}), [Column("age", "number")]).matrix[:, 0]

    forward, backward = column(ages), column(ages[::-1])[::-1]
    np.testing.assert_array_equal(forward, backward)
    np.testing.assert_allclose(forward, (np.array(ages) - np.mean(ages)) / np.std(ages), rtol=1e-5, atol=1e-6)


def test_a_constant_number_says_nothing() -> None:
    assert encode(pd.DataFrame({"age": ["3", "3"]}), [Column("age", "number")]).matrix.tolist() == [[0], [0]]


@pytest.mark.parametrize(
    ("title", "year"),
    [
        ("Toy Story (1995)", "1995"),
        ("Land Before Time III (1995) (V)", "1995"),
        ("2001: A Space Odyssey (1968)", "1968"),
        ("Death Note (2006-2007)", "2006"),
        ("unknown", ""),
    ],
)
def test_year_of(title: str, year: str) -> None:
    assert year_of(title) == year


@given(arrays.arrays(np.int64, st.integers(1, 20), elements=st.integers(0, 50)))
def test_gini_is_half_the_relative_mean_difference(counts: np.ndarray) -> None:
    if not counts.sum():
        assert math.isnan(gini(counts)), "nothing was shared out"
        return
    differences = np.abs(counts[:, None] - counts[None]).mean()
    assert math.isclose(gini(counts), differences / (2 * counts.mean()), abs_tol=1e-12)

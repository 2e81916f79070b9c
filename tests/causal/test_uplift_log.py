"""Bad input to an uplift log is refused with a sentence that says what is wrong."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from uplift_logs import dense

from upliftlens.benchmarks.splits.uplift_parts import recommendations
from upliftlens.causal.effects.treatment import action_propensity, checked_log, overlap, treatment_propensity
from upliftlens.causal.effects.uplift import inverse_propensity
from upliftlens.causal.interactions import Interactions, interactions, take

GOOD: dict[str, Any] = {
    "user": [0, 0, 1, 1],
    "item": [0, 2, 1, 2],
    "treated": [1, 0, 0, 1],
    "outcome": [1.0, 0.0, 0.5, 0.0],
    "propensity": [0.5, 0.25, 0.0, 1.0],
    "n_users": 2,
    "n_items": 3,
}


def make(**changes: Any) -> Interactions:
    return checked_log(**{**GOOD, **changes})


def test_a_good_log_keeps_its_columns() -> None:
    log = make()
    assert log.treated.tolist() == [True, False, False, True]
    assert len(log) == 4
    logged, treated, outcome = dense(log)
    assert logged.tolist() == [[1, 0, 1], [0, 1, 1]]
    assert treated.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert outcome.tolist() == [[1, 0, 0], [0, 0.5, 0]]
    assert log.propensity.tolist() == [0.5, 0.75, 1.0, 1.0]
    assert treatment_propensity(log).tolist() == GOOD["propensity"]


@given(st.lists(st.tuples(st.booleans(), st.floats(2**-29, 1, width=32)), min_size=1))
def test_the_propensity_of_recommending_comes_back_exactly(rows: list[tuple[bool, float]]) -> None:
    treated, e = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], np.float32)
    log = interactions(e * 0, e * 0, e, 1, 1, None, treated, action_propensity(treated, e))
    assert (treatment_propensity(log) == e).all()


@given(st.booleans(), st.floats(0, 1, width=32))
def test_a_propensity_between_0_and_1_stays_there_in_both_precisions(treated: bool, e: float) -> None:
    z = np.array([treated])
    done = action_propensity(z, np.array([e], np.float32))
    log = interactions([0], [0], [1], 1, 1, None, z, done)
    for p in (log.propensity[0], recommendations(log, 4).propensity[0]):
        assert (0 < p < 1) == (0 < e < 1) and (p == 1) == (e == float(treated))


@pytest.mark.parametrize("rows", [np.array([2, 0]), np.array([True, False, True, False]), slice(2)])
def test_rows_are_taken_in_every_column(rows: np.ndarray | slice) -> None:
    log, taken = make(), take(make(), rows)
    for column in ("user", "item", "treated", "value", "propensity"):
        assert getattr(taken, column).tolist() == getattr(log, column)[rows].tolist()
    assert (len(taken), taken.n_users, taken.n_items) == (2, log.n_users, log.n_items)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outcome": [1, 0, 2, 0]}, r"outcome must lie in \[0, 1\]: row 2 has 2.0"),
        ({"outcome": [1, 0, np.nan, 0]}, "outcome must lie"),
        ({"propensity": [0.5, -0.1, 0, 1]}, r"propensity must lie in \[0, 1\]: row 1 has -0.1"),
        ({"propensity": [0.5, 1.1, 0, 1]}, "propensity must lie"),
        ({"treated": [0, 0, 0, 0], "propensity": [0.5] * 4}, "no treated row"),
        ({"treated": [1, 1, 1, 1], "propensity": [0.5] * 4}, "no untreated row"),
        ({"treated": [1, 0, 2, 1]}, "treated must be 0 or 1"),
        ({"propensity": [0, 0.25, 0, 1]}, "1 rows are treated with propensity 0"),
        ({"propensity": [0.5, 1, 0, 1]}, "untreated with propensity 1"),
        ({"item": [0, 0, 1, 2]}, "more than one row"),
        ({"item": [0, 3, 1, 2]}, "outside of the universe of 2 users and 3 items"),
        ({"user": [0, 0, 1]}, "equally long"),
    ],
)
def test_bad_logs_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_pairs_without_overlap_are_counted() -> None:
    result = overlap(make())
    assert result.usable.tolist() == [True, True, False, False]
    assert (result.always, result.never) == (1, 1)
    assert inverse_propensity(make(), 0.0) == pytest.approx([2, 4 / 3, 0, 0])


def test_a_log_without_any_overlap_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no overlap: all 4 rows .*2 always recommended, 2 never"):
        overlap(make(propensity=[1.0, 0.0, 0.0, 1.0]))


@pytest.mark.parametrize("chi", [-0.1, 1.0])
def test_a_clipping_constant_outside_of_its_range_is_refused(chi: float) -> None:
    with pytest.raises(ValueError, match="chi"):
        inverse_propensity(make(), chi)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"treated": [True, False]}, "treated and propensity go together"),
        ({"treated": [True], "propensity": [0.5, 0.5]}, r"treated must be as long as user, 2 rows, got shape \(1,\)"),
        ({"time": [1, 2, 3]}, "time must be as long as user"),
    ],
)
def test_columns_of_another_length_are_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        interactions([0, 1], [0, 1], [1, 1], 2, 2, **columns)

"""The split new_users, on logs that hypothesis makes up."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from split_toys import config, dataset, key, random_log

from upliftlens.benchmarks.splits.kinds import assemble, split
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions, concatenate, interactions


def counts(log: Interactions) -> np.ndarray:
    return np.bincount(log.user, minlength=log.n_users)


@given(seed=st.integers(0, 1000), share=st.sampled_from([0.2, 0.5]), shown=st.sampled_from([0.1, 0.5, 0.9]))
@settings(max_examples=40, deadline=None)
def test_users_are_held_out_whole_and_are_shown_their_share(seed: int, share: float, shown: float) -> None:
    log = random_log(seed, share=0.3)
    parts = split(dataset(log), config("new_users", share=share, shown=shown, validation=0.3, seed=seed))
    assert parts.shown is not None and parts.test_rows is not None
    rows = [
        parts.train_rows,
        parts.validation_rows,
        parts.test_rows,
        parts.shown.validation_rows,
        parts.shown.test_rows,
    ]
    assert np.array_equal(np.sort(np.concatenate(rows)), np.arange(len(log))) and parts.leak.left_out == 0
    for rest, told in ((parts.validation, parts.shown.validation), (parts.test, parts.shown.test)):
        held = np.unique(rest.user)
        assert np.array_equal(held, np.unique(told.user)) and not np.isin(parts.train.user, held).any()
        m = counts(log)[held]
        expected = np.clip(np.round(shown * m), 1, m - 1)
        assert np.array_equal(counts(told)[held], expected) and np.array_equal(counts(rest)[held], m - expected)
    able = int((counts(log) > 1).sum())
    assert len(np.unique(parts.test.user)) == round(share * able)
    assert not np.intersect1d(parts.test.user, parts.validation.user).size
    learned = np.sort(key(concatenate(concatenate(parts.train, parts.validation), parts.shown.validation)))
    assert np.array_equal(np.sort(key(parts.fit)), learned)
    assert parts.leak.problems() == () and parts.leak.shown == len(parts.shown.validation) + len(parts.shown.test)
    assert parts.leak.cold_users == 0 and parts.leak.randomness is None
    assert isinstance(parts.shares["test"], str) and isinstance(parts.shares["validation"], str)


def test_the_seed_draws_users_and_the_share_of_shown_rows_does_not() -> None:
    log = random_log(3)
    first, other, more = (
        split(dataset(log), config("new_users", **changes))
        for changes in ({"share": 0.3}, {"share": 0.3, "seed": 1}, {"share": 0.3, "shown": 0.5})
    )
    assert len({first.fingerprint, other.fingerprint, more.fingerprint}) == 3
    assert not np.array_equal(np.unique(first.test.user), np.unique(other.test.user))
    assert np.array_equal(np.unique(first.test.user), np.unique(more.test.user))


def test_what_is_shown_of_whom_is_part_of_the_fingerprint() -> None:
    rows = np.arange(10)
    cut = rows[:2], rows[2:4], rows[4:6]
    first, other = (
        assemble(dataset(random_log(1)), "new_users", *cut, False, shown)
        for shown in ((rows[6:8], rows[8:]), (rows[8:], rows[6:8]))
    )
    assert first.fingerprint != other.fingerprint


def test_users_with_a_single_row_train_and_without_others_there_is_no_test() -> None:
    with pytest.raises(UpliftlensError, match="split 'new_users' leaves no test row of toy's 5: change split"):
        split(dataset(interactions(range(5), range(5), [5] * 5, 5, 5)), config("new_users", share=0.5))


def test_a_pair_that_is_shown_and_tested_is_a_leak() -> None:
    twice = interactions([0, 0, 1, 1], [2, 2, 3, 3], [5] * 4, 2, 4)
    with pytest.raises(UpliftlensError, match=r"1 of 1 test rows have their .* pair in train too.*duplicates=last"):
        split(dataset(twice), config("new_users", share=0.5, shown=0.5, validation=0.0))


def test_a_log_of_recommendations_is_refused() -> None:
    log = random_log(0)
    log = replace(log, treated=np.zeros(len(log), bool), propensity=np.full(len(log), 0.5))
    with pytest.raises(UpliftlensError, match=r"split=new_users is for logs of ratings .* use split=kfold"):
        split(dataset(log), config("new_users"))

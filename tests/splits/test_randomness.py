"""Do test rows look random? Against all samples of a small log, SciPy, and splits that are random or are not."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats
from split_toys import config, dataset, random_log

from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.splits.kinds import SplitOptions, split
from upliftlens.benchmarks.splits.randomness import EqualShares, Randomness, TimeShift, equal_shares, time_shift

GROUP = np.array([0, 0, 0, 0, 2, 2, 2, 5, 5])  # groups 1, 3 and 4 have no rows
TIME = np.array([3, 1, 1, 7, 2, 9, 9, 9, 4])
SAMPLES = [np.isin(np.arange(9), chosen) for chosen in combinations(range(9), 3)]


def doubts(data: Dataset, options: SplitOptions) -> str:
    return " ".join(split(data, options).leak.doubts())


def test_over_all_samples_chi2_and_z_have_the_moments_of_their_docstring() -> None:
    results = [equal_shares(GROUP, tested, least=1e-3) for tested in SAMPLES]
    chi2 = [result.chi2_per_df * result.df for result in results if result is not None]
    assert len(chi2) == 84 and np.mean(chi2) == pytest.approx((3 - 1) * 9 / (9 - 1))
    shifts = [time_shift(TIME, tested) for tested in SAMPLES]
    z = np.array([shift.z for shift in shifts if shift is not None])
    assert len(z) == 84 and z.mean() == pytest.approx(0, abs=1e-12) and (z**2).mean() == pytest.approx(1)


def test_chi2_is_that_of_a_table_in_which_small_groups_count_together() -> None:
    rng = np.random.default_rng(0)
    group, tested = np.repeat(np.arange(40), np.r_[[50] * 10, [4] * 30]), rng.random(620) < 0.3
    together = np.minimum(group, 10)  # 50 rows are enough, 4 are not
    counts = np.stack([np.bincount(together, tested), np.bincount(together, ~tested)])
    expected = stats.chi2_contingency(counts, correction=False)
    result = equal_shares(group, tested)
    assert result is not None and result.df == expected.dof == 10
    assert (result.chi2_per_df * 10, result.p) == pytest.approx((expected.statistic, expected.pvalue))


def test_z_is_that_of_wilcoxon_without_ties() -> None:
    rng = np.random.default_rng(1)
    time, tested = rng.permutation(200) ** 3, rng.random(200) < 0.4
    expected = stats.mannwhitneyu(time[tested], time[~tested], use_continuity=False, method="asymptotic")
    result = time_shift(time, tested)
    assert result is not None and result.p == pytest.approx(expected.pvalue)
    later = time_shift(np.arange(200), np.arange(200) >= 100)
    assert later is not None and later.z == pytest.approx(50 / np.sqrt((200**2 - 1) / 12 / 199))


def test_where_nothing_can_be_compared_there_is_no_test() -> None:
    tested = np.arange(20) < 10
    assert equal_shares(np.zeros(20, int), tested) is None  # a single group
    assert equal_shares(np.arange(20), tested) is None  # small ones, which are a single one together
    assert time_shift(np.full(20, 7), tested) is None
    small = split(dataset(random_log(0)), config("kfold")).leak
    assert small.randomness is not None and small.randomness.user is None  # 12 users of 9 rows, a fifth tested


def test_words_name_only_what_is_surely_not_random() -> None:
    unsure, sure = EqualShares(1.9, 9, 0.05), EqualShares(33.71, 821, 0.0)
    assert Randomness(unsure, unsure, TimeShift(-4.8, 1.6e-6)).doubts() == ()
    assert Randomness(None, None, None).doubts() == ()
    assert Randomness(sure, unsure, TimeShift(-9.14, 0.0)).doubts() == (
        "users differ in their share of tested rows (χ²/df = 33.7)",
        "test rows are earlier than the others (z = -9.14)",
    )


def test_random_folds_pass_and_splits_by_time_do_not() -> None:
    data = dataset(random_log(4, n_users=80, n_items=60))
    for seed in range(40):
        assert doubts(data, config("kfold", seed=seed)) == ""
    assert "later" in doubts(data, config("leave_last", n=3)) and "later" in doubts(data, config("temporal"))
    assert "later" in str(split(data, config("temporal")).shares["test"])
    (note,) = [note for note in split(data, config("temporal")).leak.notes() if "random" in note]
    assert note.startswith("the test rows are no random sample of the log: test rows are later than the others (z = ")


def test_the_official_folds_are_no_random_samples(ml_100k: Dataset) -> None:
    """Numbers of users with test rows and the largest share of a user's rows: those of ``official.py``."""
    rows = np.bincount(ml_100k.log.user)
    users, largest, spread = [], [], []
    for name in ("u1", "u2", "u3", "u4", "u5"):
        parts = split(ml_100k, config(name))
        tested = np.bincount(parts.test.user, minlength=len(rows))
        users.append(int((tested > 0).sum()))
        largest.append((tested / rows).max())
        assert parts.leak.randomness is not None and parts.leak.randomness.user is not None
        spread.append(parts.leak.randomness.user.chi2_per_df)
        assert "users differ" in str(parts.shares["test"]) and "items differ" not in str(parts.shares["test"])
        assert parts.shares["validation"] == pytest.approx(0.1)
    assert users == [459, 653, 869, 923, 927] and max(largest) == pytest.approx(0.81, abs=0.005)
    assert round(min(spread)) == 11 and round(max(spread)) == 34
    for name in ("ua", "ub", "leave_last", "temporal"):
        assert doubts(ml_100k, config(name))
    assert doubts(ml_100k, config("leave_last", n=1)) and not doubts(ml_100k, config("kfold"))

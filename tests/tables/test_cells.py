"""The cells of runs: their fields, what they say of MAR data, and which run an error is about."""

from types import SimpleNamespace

import numpy as np
import pytest
from test_tables import where

from upliftlens.benchmarks.evaluation.evaluation import Evaluation
from upliftlens.benchmarks.reports.comparison import Replicated
from upliftlens.benchmarks.tables.run import Measured, Runs, behind, configured, measured, paired_cells
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.intervals import Resampling

RESAMPLING = Resampling(0.95, 100, 0)


def record(key, uses_mar_data):
    return SimpleNamespace(key=key, diagnostics={"uses_mar_data": uses_mar_data})


def side(mean, *records):
    users = np.arange(5)
    return Measured(Replicated(np.array([mean]), np.full((1, 100), mean), (users,), users), records)


@pytest.mark.parametrize(("marks", "expected"), [((True, False), True), ((False, True), True), ((False, False), False)])
def test_a_cell_is_marked_if_any_of_its_runs_used_mar_data(marks, expected):
    assert behind([record(key, mark) for key, mark in zip("ab", marks)]) == (("a", "b"), expected)


def test_a_paired_difference_has_no_published_number_and_the_keys_of_both_sides():
    sides = side(0.7, record("a", False)), side(0.5, record("b", True))
    (cell,) = paired_cells({("mf/ips", "auc vs mf/naive"): sides}, "auc", RESAMPLING)
    assert cell[:2] == ("mf/ips", "auc vs mf/naive") and cell[2:5] == pytest.approx((0.2, 0.2, 0.2))
    assert cell.published is None and cell.verdict.startswith("better (p ")
    assert cell.keys == ("a", "b") and cell.uses_mar_data is True


def test_an_error_of_a_run_of_a_table_names_the_run():
    with pytest.raises(UpliftlensError, match=r"^run abc: .*rmse"):
        measured(Runs([record("abc", False)], [Evaluation(np.arange(3), {}, {}, {}, {})]), "rmse", RESAMPLING)


def test_runs_of_tables_are_a_group_and_show_no_bar(tmp_path):
    config = configured(["data=synthetic", "model=popularity"], ["seed=3"], where(tmp_path)).content
    assert (config["group"], config["progress"], config["seed"]) == ("table", False, 3)

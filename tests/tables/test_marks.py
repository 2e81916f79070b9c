"""Marks are found in the runs behind cells: their trials, what these read, their metric, data, split and options."""

import pytest
from test_tables import WORLD, where

from upliftlens.benchmarks.runs.many import record_of, run_many
from upliftlens.benchmarks.sweeps.search import Trial
from upliftlens.benchmarks.tables.cells import Cell, Ran, following
from upliftlens.benchmarks.tables.marks import MARKS, marked
from upliftlens.benchmarks.tables.run import measured, planned, runs_of
from upliftlens.causal.intervals import Resampling, Summary

VALUES = {"mse": Summary(2.0, 1, 3, 9)}
USUAL = Ran("a", {}, {"fingerprint": "d"}, {"fingerprint": "s"}, False, VALUES, 5, False, 1.0, {})


def cell(row, *runs, column="mse", metric="mse", against=0, rule="mean"):
    keys = tuple(run.key for run in runs)
    return Cell(row, column, 2.0, 1.0, 3.0, None, "", keys, rule=rule, metric=metric, against=against, runs=runs)


def marks(*cells):
    return [item.marks for item in marked(cells)]


def test_rows_alike_have_none_and_a_cell_without_runs_has_none():
    assert marks(cell("a", USUAL), cell("b", USUAL, USUAL), cell("c")) == [(), (), ()]


def test_fewer_trials_than_the_most_of_the_table():
    assert marks(cell("a", USUAL), cell("b", USUAL._replace(trials=1))) == [(), ("budget",)]


def test_settings_chosen_on_the_test_set():
    assert marks(cell("a", USUAL), cell("b", USUAL._replace(on_test=True))) == [(), ("test",)]


def test_metrics_that_rank_a_sample_of_the_items():
    assert marks(cell("a", USUAL, metric="ndcg@5/test-items")) == [("sampled",)]


@pytest.mark.parametrize(
    "other",
    [
        {"data": {"fingerprint": "other"}},
        {"split": {"fingerprint": "other"}},
        {"config": {"metrics": {"uplift": {"candidates": "all"}}}},
    ],
)
def test_other_data_split_or_measuring_than_the_first_row_of_the_column(other):
    differs = USUAL._replace(**other)
    assert marks(cell("a", USUAL), cell("b", differs)) == [(), ("protocol",)]
    assert marks(cell("a", USUAL), cell("b", USUAL, differs)) == [(), ("protocol",)], "one of its runs"
    assert marks(cell("a", USUAL, differs), cell("b", differs, USUAL)) == [(), ()], "folds or worlds, in any order"
    assert marks(cell("a", USUAL, differs, against=1)) == [("protocol",)], "two sides that differ"
    assert marks(cell("a", USUAL), cell("b", differs, column="other")) == [(), ()], "columns are not compared"


def test_every_mark_has_a_sign_of_its_own():
    assert len({sign for sign, _ in MARKS.values()}) == len(MARKS) == 4


def test_a_value_follows_from_its_runs():
    four = USUAL._replace(metrics={"mse": Summary(4.0, 0, 9, 9)})
    assert following(cell("a", USUAL, four)) == 3.0
    assert following(cell("a", USUAL, four, four, against=2, rule="difference")) == -2.0
    assert following(cell("a", USUAL, four, against=1, rule="ratio")) == 0.5
    assert following(cell("a", USUAL, rule="")) is None


def test_a_run_knows_its_trials_and_whether_one_was_scored_on_its_test_set(tmp_path):
    """A trial that is a run of its own on the same split has read the test set; on another fold, or as a trial, not."""
    common = [*WORLD, "model=popularity", "metrics.interval.resamples=40"]

    def record(*words):
        (outcome,) = run_many([this_plan := planned(common, words, where(tmp_path))])
        return record_of(this_plan, outcome)

    final = runs_of([planned(common, ["seed=1", "metrics.names=[recall@5]"], where(tmp_path))])
    trials = {
        "test": record("seed=0", "metrics.names=[recall@5]"),
        "fold": record("split.fold=1", "metrics.names=[recall@5]"),
        "trial": record("trial=true"),
    }
    for name, of_trial in trials.items():
        several = [Trial((), (of_trial,), 0.0)] * 3
        (run,) = measured(final._replace(trials=several), "recall@5", Resampling(0.95, 40, 0)).runs
        assert (run.trials, run.on_test) == (3, name == "test"), name
    (run,) = measured(final, "recall@5", Resampling(0.95, 40, 0)).runs
    assert (run.trials, run.on_test) == (1, False), "as configured"

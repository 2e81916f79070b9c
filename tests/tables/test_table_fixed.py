"""Tables of fixed settings: which runs there are, that a cell is a mean of divisions, and what its interval covers."""

import numpy as np
import pytest
from test_tables import WORLD, options, where

from upliftlens.benchmarks.runs.store import existing_store, readable_records
from upliftlens.benchmarks.tables import table as tables
from upliftlens.benchmarks.tables.cells import following
from upliftlens.benchmarks.tables.kinds import fixed
from upliftlens.benchmarks.tables.kinds.fixed import fixed_cells
from upliftlens.benchmarks.tables.run import Runs
from upliftlens.causal.errors import UpliftlensError

SMALL = {
    **tables.definition("surprise-ml-100k"),
    "common": [*WORLD, "split.validation=0"],
    "rows": {"plain": ["model=baseline"], "drawn": ["model=normal"]},
    "folds": 2,
    "divisions": [4, 5, 6],
    "published": {
        "plain": {"rmse": {"value": 1.0, "tolerance": 2}},
        "drawn": {"rmse": {"value": 99.0, "tolerance": 1}},
    },
}


def test_a_cell_is_the_mean_over_divisions_of_the_means_over_folds(tmp_path):
    cells = fixed_cells(options(SMALL), where(tmp_path))
    places = [(cell.row, cell.column) for cell in cells]
    assert places == [(row, metric) for row in ("plain", "drawn") for metric in ("rmse", "mae")]
    records = {record.key: record for record in readable_records(existing_store(tmp_path))}
    assert len(records) == 12
    for cell in cells:
        runs = [records[key] for key in cell.keys]
        folds = [(run.config["split"]["seed"], run.seed, run.config["split"]["fold"]) for run in runs]
        assert folds == [(seed, 2 * seed + fold, fold) for seed in (4, 5, 6) for fold in (0, 1)]
        assert all(set(run.metrics) == {"rmse", "mae"} and run.config["split"]["folds"] == 2 for run in runs)
        means = [np.mean([run.metrics[cell.column].value for run in runs[k : k + 2]]) for k in (0, 2, 4)]
        half = 4.302653 * np.std(means, ddof=1) / np.sqrt(3)  # Student's t of 2 degrees of freedom
        assert (cell.value, cell.hi - cell.value) == pytest.approx((np.mean(means), half), rel=1e-5)
        assert cell.value - cell.lo == pytest.approx(half, rel=1e-5) and half > 0
        assert following(cell) == pytest.approx(cell.value) and [run.key for run in cell.runs] == list(cell.keys)
    assert [cell.verdict for cell in cells] == ["reproduced", "", "differs", ""]


def test_the_interval_holds_the_mean_over_all_divisions_in_95_of_100_tables(monkeypatch, tmp_path):
    """Folds of a division lie apart by more than divisions do, as in reality: what one fold lacks another has."""
    rng, content = np.random.default_rng(0), options({**SMALL, "rows": {"plain": []}, "metrics": ["rmse"]})

    def drawn(plans):
        between, within = rng.normal(0, 0.1, 3), rng.normal(0, 1, (3, 1)) * [1, -1]
        values = (between[:, None] + within).ravel()
        return Runs([Run(value) for value in values], [])

    class Run:
        key, diagnostics = "k", {"uses_mar_data": False}

        def __init__(self, value):
            self.metrics = {"rmse": Value(value)}

    class Value:
        def __init__(self, value):
            self.value = value

    monkeypatch.setattr(fixed, "planned", lambda *words: None)
    monkeypatch.setattr(fixed, "runs_of", drawn)
    monkeypatch.setattr(fixed, "measured", lambda *words: None)
    monkeypatch.setattr(fixed, "of_runs", lambda cell, *words: cell)  # the intervals alone are looked at
    cells = [fixed_cells(content, where(tmp_path))[0] for _ in range(1000)]
    # 1,000 tables: the standard error of the share is 0.7 %.
    assert np.mean([cell.lo <= 0 <= cell.hi for cell in cells]) == pytest.approx(0.95, abs=0.02)
    assert np.median([cell.hi - cell.lo for cell in cells]) < 0.6


def test_the_estimate_counts_the_runs_that_there_will_be(tmp_path):
    for job in fixed.jobs(options(SMALL), where(tmp_path)):
        (plans,) = job.plans(job.choose(None))
        assert (job.n_trials, job.n_plans) == (0, len(plans)) == (0, 6)


def test_every_row_of_surprise_has_both_published_numbers():
    content = tables.checked("surprise-ml-100k", tables.definition("surprise-ml-100k"))[1]
    assert content.published.keys() == content.rows.keys()
    assert all(row.keys() == set(content.metrics) for row in content.published.values())


@pytest.mark.parametrize(
    ("override", "answer"),
    [
        ("fold=5", "did you mean 'folds'"),
        ("divisions=[0]", r"divisions=\[0\]: an interval over divisions needs two or more: add another seed"),
        ("divisions=[0, 0]", "divisions lists 0 more than once"),
        ("level=1", r"level must lie in \(0, 1\)"),
    ],
)
def test_bad_options_are_answered(override, answer):
    with pytest.raises(UpliftlensError, match=answer):
        options(SMALL, override)

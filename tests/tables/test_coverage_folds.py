"""Intervals over folds, simulated: how often they hold the expected value of real, cross-validated estimators."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from test_tables import options, where

from upliftlens.benchmarks.tables import table as tables
from upliftlens.benchmarks.tables.kinds.coverage_folds import Options, World, coverage_folds_cells, cross_validated
from upliftlens.benchmarks.tables.table import within

DEFINITION = tables.definition("coverage-folds")


def simulated(tmp_path, **changes):
    definition = options({**DEFINITION, **changes})
    assert isinstance(definition, Options)
    return {(cell.row, cell.column): cell for cell in coverage_folds_cells(definition, where(tmp_path))}


def judged(at, trials):
    """At least 93 % coverage, and at most 5 % false differences, beyond what the number of trials leaves to chance."""
    least, most = (float(stats.binom.ppf(chance, trials, p)) / trials for chance, p in ((1e-3, 0.93), (0.999, 0.05)))
    for (row, column), cell in at.items():
        assert cell.lo <= cell.value <= cell.hi
        if column in ("value", "difference"):
            assert cell.value >= least, cell
        if column == "false":
            assert cell.value <= most, (row, cell)


def test_intervals_over_folds_hold_the_expected_value(tmp_path):
    worlds = {"few users": DEFINITION["worlds"]["few users"]}
    at = simulated(tmp_path, folds=[5], seeds=[3], worlds=worlds, trials=150)
    judged(at, 150)
    row = "5 folds, 3 seeds, few users"
    assert at[row, "value, independent"].value < at[row, "value"].value, "folds and seeds of one log err together"
    assert 1 < at[row, "value, width"].value < 3
    assert at[row, "model alone, independent"].value < 0.5 < at[row, "model alone"].value


@pytest.mark.slow
def test_intervals_over_folds_hold_the_expected_value_in_every_world(tmp_path):
    judged(simulated(tmp_path, trials=250), 250)


def test_every_row_is_tested_once_and_the_first_three_methods_are_equal():
    world, rng = World(users=6, rows=8, features=9, noise=1.0, penalty=1.0), np.random.default_rng(0)
    runs = [cross_validated(world, 4, 2, 1.0, rng) for _ in range(400)]
    assert all((run.tested.sum(axis=0) == 8).all() for run in runs)
    errors = np.array([run.squared.sum(axis=(1, 2, 3)) for run in runs])
    apart = errors[:, :3] - errors[:, 1:4]
    z = apart.mean(axis=0) / (apart.std(axis=0) / 20)
    assert (abs(z[:2]) < 4).all(), z
    alone = np.array([run.alone for run in runs])
    assert alone.shape == (400, 4, 4, 2) and (abs(alone[:, 3]).mean() < abs(alone[:, 0]).mean()), "the firmer shrinks"


def test_the_errors_are_those_of_ridge_regression_and_shrunk_means():
    """Against least squares on rows that stand for the penalty, towards a start of 0 (one seed)."""
    world, folds = World(users=4, rows=5, features=6, noise=1.0, penalty=3.0), 5
    run = cross_validated(world, folds, 1, 1.0, np.random.default_rng(1))
    rng = np.random.default_rng(1)  # the same draws, in the same order
    x, slopes = rng.normal(size=(20, 6)), (1 + 0.5 * rng.normal(size=(4, 6))) / np.sqrt(6)
    user = np.repeat(np.arange(4), 5)
    y = 0.5 * rng.normal(size=4)[user] + (x * slopes[user]).sum(axis=1) + rng.normal(size=20)
    rng.normal(size=(3, 2, 1)), rng.normal(size=(50, 2))
    train = rng.permutation(20) % folds != 0
    stacked = np.vstack([x[train, 2:4], np.sqrt(3.0) * np.eye(2)])
    beta, *_ = np.linalg.lstsq(stacked, np.concatenate([y[train], np.zeros(2)]), rcond=None)
    left = y - x[:, 2:4] @ beta
    mean = np.array([left[train & (user == each)].sum() / ((train & (user == each)).sum() + 1) for each in range(4)])
    expected = np.bincount(user[~train], ((left - mean[user]) ** 2)[~train], 4)
    np.testing.assert_allclose(run.squared[1, 0, 0], expected, rtol=1e-10)


def test_committed_verdicts_follow_from_the_committed_shares():
    for cell in json.loads((Path(__file__).parents[2] / "results" / "coverage-folds.json").read_text()):
        least, most = (0.0, DEFINITION["most"]) if cell["column"].startswith("false") else (DEFINITION["least"], 1.0)
        share = not cell["column"].endswith("width")
        assert cell["verdict"] == (within(cell["lo"], cell["hi"], least, most) if share else ""), cell

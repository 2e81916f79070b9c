"""Tables of fixed settings: which runs there are, and that a cell is their mean."""

import numpy as np
import pytest
from test_tables import WORLD, options, where

from upliftlens.benchmarks.runs.store import existing_store, readable_records
from upliftlens.benchmarks.tables import table as tables
from upliftlens.benchmarks.tables.fixed import fixed_cells
from upliftlens.causal.errors import UpliftlensError

SMALL = {
    **tables.definition("surprise-ml-100k"),
    "common": [*WORLD, "split=kfold", "split.validation=0"],
    "rows": {"plain": ["model=baseline"], "drawn": ["model=normal"]},
    "folds": [0, 3],
    "seeds": [4, 5],
    "interval": {"level": 0.95, "resamples": 200, "seed": 0},
    "published": {"plain": {"rmse": 1.0}, "drawn": {"rmse": 99.0}},
    "tolerance": {"rmse": 0.6},
}


def test_a_cell_is_the_mean_over_folds_and_seeds_and_no_seed_is_repeated_where_it_changes_nothing(tmp_path):
    cells = fixed_cells(options(SMALL), where(tmp_path))
    assert [(cell.row, cell.column) for cell in cells] == [
        (row, metric) for row in ("plain", "drawn") for metric in ("rmse", "mae")
    ]
    records = {record.key: record for record in readable_records(existing_store(tmp_path))}
    expected = {"plain": [(4, 0), (4, 3)], "drawn": [(4, 0), (4, 3), (5, 0), (5, 3)]}
    for cell in cells:
        runs = [records[key] for key in cell.keys]
        assert [(run.seed, run.config["split"]["fold"]) for run in runs] == expected[cell.row]
        assert cell.value == pytest.approx(np.mean([run.metrics[cell.column].value for run in runs]))
        assert cell.lo < cell.value < cell.hi
        assert all(set(run.metrics) == {"rmse", "mae"} for run in runs)
    assert [cell.verdict for cell in cells] == ["reproduced", "", "differs", ""]
    assert len(records) == 6


def test_every_row_of_surprise_has_both_published_numbers_and_misspelt_options_are_answered():
    content = options(tables.definition("surprise-ml-100k"))
    assert content.published.keys() == content.rows.keys()
    assert all(row.keys() == set(content.metrics) for row in content.published.values())
    with pytest.raises(UpliftlensError, match="did you mean 'folds'"):
        options(SMALL, "fold=[0]")
    with pytest.raises(UpliftlensError, match="folds lists 0 more than once"):
        options(SMALL, "folds=[0, 0]")

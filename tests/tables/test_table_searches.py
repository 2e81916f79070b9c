"""Tuned tables with several search seeds: the search is a source of spread, and verdicts say how far it moves them."""

import numpy as np
import pytest
from scipy import stats
from test_table_tuned import SMALL
from test_tables import options, where

from upliftlens.benchmarks.reports.comparison import Replicated, bounds, replicated
from upliftlens.benchmarks.reports.methods import evaluations
from upliftlens.benchmarks.runs.store import Store, load_record
from upliftlens.benchmarks.tables.tuned import remarks, tuned_cells
from upliftlens.causal.intervals import Resampling
from upliftlens.causal.over_runs import Source


def test_several_searches_are_a_source_of_spread(tmp_path):
    """Two searches of two trials each: the winners differ, so the interval counts them, and a verdict names both."""
    changes = {"search_seeds": [0, 1], "blocks": {"": []}, "validation_seeds": [0]}
    definition, said = options({**SMALL, **changes}), []
    cells = tuned_cells(definition, where(tmp_path, said))
    at = {(cell.row, cell.column): cell for cell in cells}
    brier, apart = at["mf/naive", "brier"], at["mf/cvib", "brier vs own naive"]
    assert len(brier.keys) == 4 and set(brier.keys) < set(apart.keys), "search seeds × seeds, and of both sides"
    assert sum("search seed 1" in line for line in said) == 3

    runs = [load_record(Store(tmp_path), key) for key in brier.keys]
    assert [run.seed for run in runs] == [0, 1, 0, 1]
    rate = [run.config["train"]["l2"] for run in runs]
    assert rate[0] == rate[1] != rate[2] == rate[3]
    side = replicated(evaluations(Store(tmp_path), runs), "brier", definition.interval)
    sources = (Source(np.array([0, 0, 1, 1])), Source(np.array([0, 1, 0, 1])))
    assert (brier.lo, brier.hi) == pytest.approx(bounds(side._replace(sources=sources), definition.interval))
    alone = {
        seed: {
            (cell.row, cell.column): cell
            for cell in tuned_cells(options({**SMALL, **changes, "search_seeds": [seed]}), where(tmp_path))
        }
        for seed in (0, 1)
    }
    of_search = [alone[seed]["mf/naive", "brier"] for seed in (0, 1)]
    assert brier.value == pytest.approx(np.mean([cell.value for cell in of_search]), rel=1e-12)
    assert [cell.keys for cell in of_search] == [brier.keys[:2], brier.keys[2:]]
    words = [alone[seed]["mf/cvib", "brier vs own naive"].verdict.split(":")[0].split(" ")[0] for seed in (0, 1)]
    assert apart.verdict.endswith(f"; with each search alone: {', '.join(words)}")

    sentences = remarks(definition, cells)
    assert "over users, seeds and searches" in sentences[0] and "as given" not in sentences[0]
    same = [cell._replace(verdict="better (p = 0.01); with each search alone: better, better") for cell in cells]
    turns = [cell._replace(verdict="better (p = 0.01); with each search alone: better, worse") for cell in cells]
    said_of = {name: " ".join(remarks(definition, changed)) for name, changed in (("same", same), ("turns", turns))}
    assert "with search seeds 0, 1 alone, of 1 verdicts, it is the same with each" in said_of["same"]
    assert "it turns for mf/cvib: better, worse" in said_of["turns"]


def test_the_spread_of_searches_widens_an_interval():
    rng, users = np.random.default_rng(0), np.arange(50)
    values = np.repeat([0.0, 3.0], 5) + 0.01 * rng.normal(size=10)  # two winners, five seeds of each
    drawn = values[:, None] + 0.01 * rng.normal(size=(10, 400))
    side = Replicated(values, drawn, (users,) * 10, users)
    resampling = Resampling(0.95, 400, 0)
    low, high = bounds(
        side._replace(sources=(Source(np.repeat([0, 1], 5)), Source(np.tile(np.arange(5), 2)))), resampling
    )
    t, error = stats.t.isf(0.025, 1), 1.5  # s/√2 of two searches that lie 3 apart
    assert (high - low) / 2 == pytest.approx(t * error, rel=0.02)
    low, high = bounds(side, resampling)
    assert (high - low) / 2 < 1.3, "ten runs that count as independent"

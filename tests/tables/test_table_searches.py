"""Tuned tables with several search seeds: the search is a source of spread, and verdicts say how far it moves them."""

import numpy as np
import pytest
from scipy import stats
from stored import record
from test_table_tuned import SMALL
from test_tables import options, where

from upliftlens.benchmarks.evaluation.evaluation import Evaluation
from upliftlens.benchmarks.metrics.registry import registry
from upliftlens.benchmarks.reports.comparison import bounds
from upliftlens.benchmarks.runs.store import Store, load_record
from upliftlens.benchmarks.tables.kinds.tuned import remarks, tuned_cells
from upliftlens.benchmarks.tables.run import Runs, over_searches
from upliftlens.causal.intervals import Resampling, Statistic, Summary


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
    """Two winners that lie .3 apart, five seeds of each; users and seeds hardly matter."""
    rng, metric = np.random.default_rng(0), registry()["recall"].value

    def run(search, seed):
        values = 0.3 * search + 0.001 * seed + 0.001 * rng.normal(size=50)
        statistic = Statistic(np.arange(50), np.stack([values, np.ones(50)], axis=1), metric.reduce)
        return Evaluation(np.arange(50), {"recall@5": statistic}, {"recall@5": Summary(0.0, 0.0, 0.0, 50)}, {}, {})

    resampling = Resampling(0.95, 400, 0)
    by_search = [
        Runs([record(f"{search}{seed}", seed=seed) for seed in range(5)], [run(search, seed) for seed in range(5)])
        for search in range(2)
    ]
    both = over_searches(by_search, "recall@5", resampling)
    assert [each.key for each in both.records] == [f"{search}{seed}" for search in range(2) for seed in range(5)]
    low, high = bounds(both.value, resampling)
    assert (high - low) / 2 == pytest.approx(stats.t.isf(0.025, 1) * 0.15, rel=0.02)
    low, high = bounds(both.value._replace(sources=()), resampling)
    assert (high - low) / 2 < 0.13, "ten runs that count as independent"
    twice = over_searches([by_search[0]] * 2, "recall@5", resampling)
    assert len(twice.records) == 5 and len(twice.value.values) == 10, "two searches found the same settings"
    alone = over_searches(by_search[:1], "recall@5", resampling)
    assert bounds(twice.value, resampling) == pytest.approx(bounds(alone.value, resampling), abs=1e-9)

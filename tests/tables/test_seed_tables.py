"""The tables about seeds: coverage with few runs, and a method against itself."""

import json
from pathlib import Path

import numpy as np
import pytest
from test_tables import options

from upliftlens.benchmarks.reports.comparison import Replicated
from upliftlens.benchmarks.tables import table as tables
from upliftlens.benchmarks.tables.kinds.coverage import coverage_cells
from upliftlens.benchmarks.tables.kinds.coverage_items import coverage_items_cells, covers
from upliftlens.benchmarks.tables.kinds.same_method import _called_different, _independent, same_method_cells
from upliftlens.benchmarks.tables.table import Where, within
from upliftlens.causal.errors import UpliftlensError

SYNTHETIC = ["data=synthetic", "data.n_users=40", "data.n_items=30", "data.ratings_per_user=5", "train.epochs=1"]


def small(name, tmp_path, **changes):
    definition = options({**tables.definition(name), **changes})
    return definition, Where(tmp_path, tmp_path, lambda line: None)


def test_intervals_know_how_few_the_runs_are(tmp_path):
    changes = {"runs": [2, 10, 1], "seed_sd": [0.0, 3.0], "noise": [0.0], "users": 60, "trials": 100}
    at = {(cell.row, cell.column): cell for cell in coverage_cells(*small("coverage", tmp_path, **changes))}
    assert len(at) == 18
    for (row, column), cell in at.items():
        assert cell.lo <= cell.value <= cell.hi
        if column.startswith("coverage") and row != "1 run, seed sd 3, noise 0":
            assert cell.value > 0.87, cell
    for column in ("coverage", "coverage of a value"):
        assert at["1 run, seed sd 3, noise 0", column].value < 0.7, "a single run says nothing about others"
    seeds_few, seeds_many = (at[f"{runs} runs, seed sd 3, noise 0", "width"].value for runs in (2, 10))
    assert seeds_few > 2 > 1.2 > seeds_many, "two runs say little about their spread, ten say a lot"
    assert at["10 runs, seed sd 0, noise 0", "width"].value == pytest.approx(1, abs=0.1)


def test_a_method_is_seldom_called_different_from_itself(tmp_path):
    changes = {
        "common": SYNTHETIC, "rows": {"mf": ["model=mf"], "popularity": ["model=popularity"]}, "metrics": ["recall@10"],
        "seeds": list(range(8)), "sides": [1, 2], "divisions": 20,
    }  # fmt: skip
    at = {(cell.row, cell.column): cell for cell in same_method_cells(*small("same-method", tmp_path, **changes))}
    alone, paired = (at["mf recall@10", column] for column in ("1 v 1", "2 v 2"))
    assert paired.verdict == within(paired.lo, paired.hi, 0, 0.06)
    assert len(alone.keys) == 8 and 0 <= paired.lo <= paired.value <= paired.hi <= 1
    assert at["popularity recall@10", "1 v 1"].value == 0, "no seed changes it"


def test_one_run_against_one_is_called_different_where_seeds_matter(tmp_path):
    definition, _ = small("same-method", tmp_path, divisions=5)
    rng, users = np.random.default_rng(0), np.arange(50)
    values = 5 * rng.normal(size=60)
    side = Replicated(values, values[:, None] + rng.normal(size=(60, 1000)), (users,) * 60, users)
    (alone, pairs), (paired, _) = (_called_different(side, size, definition) for size in (1, 3))
    assert pairs == 30 and alone > 0.6 and paired < 0.12


def test_a_share_over_no_pairs_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(UpliftlensError, match=r"sides=\[2, 3\] of 5 seeds: two groups of 3 runs need 6 seeds"):
        small("same-method", tmp_path, seeds=[0, 1, 2, 3, 4], sides=[2, 3])


def test_the_interval_of_a_share_is_clopper_and_pearsons():
    from scipy import stats

    for events, pairs in ((0, 6), (3, 30), (12, 12)):
        expected = stats.binomtest(events, pairs).proportion_ci(method="exact")
        np.testing.assert_allclose(_independent(events / pairs, pairs), tuple(expected))


def test_intervals_of_new_items_need_resampled_items(tmp_path):
    """Users resampled alone hold the truth too seldom where errors vary by item; users and items do not."""
    changes = {"user_share": [0.0], "item_share": [0.3], "users": 100, "items": 60, "per_user": 8, "trials": 60}
    cells = coverage_items_cells(*small("coverage-items", tmp_path, **changes))
    at = {cell.column: cell for cell in cells}
    assert len(at) == len(cells) == 9
    for name in ("rmse", "mae", "auc"):
        assert at[f"{name}, users"].value < 0.92 and at[f"{name}, users × items"].value >= 0.93, at
        assert at[f"{name}, wider"].value > 1.2
    assert at["rmse, users"].verdict == "misses"


@pytest.mark.parametrize(
    ("held", "verdict"), [(365, "misses"), (371, "holds"), (380, "holds"), (388, "holds"), (390, "too wide")]
)
def test_a_share_misses_or_is_too_wide_only_beyond_what_chance_makes_of_it(held, verdict):
    from scipy import stats

    assert covers(*stats.binomtest(held, 400).proportion_ci(), 0.95) == verdict


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.94, 0.99, "within 94–99 %"), (0.9, 0.93, "outside 94–99 %"), (0.992, 1.0, "outside 94–99 %"),
        (0.93, 0.96, "undecided: the interval reaches beyond 94–99 %"),
        (0.96, 0.995, "undecided: the interval reaches beyond 94–99 %"),
    ],
)  # fmt: skip
def test_a_share_is_within_or_outside_only_with_its_whole_interval(low, high, words):
    assert within(low, high, 0.94, 0.99) == words


def test_committed_verdicts_follow_from_the_committed_shares():
    by_items, by_runs = (tables.definition(name) for name in ("coverage-items", "coverage"))
    expected = {
        "coverage-items": lambda cell: covers(cell["lo"], cell["hi"], by_items["interval"]["level"]),
        "coverage": lambda cell: within(
            cell["lo"], cell["hi"], by_runs["least"], by_runs["most"].get(cell["row"].split()[0], 1.0)
        ),
        "same-method": lambda cell: within(cell["lo"], cell["hi"], 0, tables.definition("same-method")["most"]),
        "uplift-estimators": lambda cell: within(cell["lo"] / 100, cell["hi"] / 100, 0.93, 0.97),
    }
    for name, verdict in expected.items():
        for cell in json.loads((Path(__file__).parents[2] / "results" / f"{name}.json").read_text()):
            judged = not cell["column"].endswith(("wider", "width", "pp"))
            assert cell["verdict"] == (verdict(cell) if judged else ""), cell

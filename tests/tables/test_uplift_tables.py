"""The tables of uplift: estimators against the truth over simulated logs, learners tuned by estimates and tested."""

import json

import numpy as np
import pytest
from scipy import stats
from shell import records
from test_tables import options, where

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.config.sections import configuration_of
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.benchmarks.runs.prepare import prepare
from upliftlens.benchmarks.system.talk import quiet
from upliftlens.benchmarks.tables import table as tables
from upliftlens.benchmarks.tables.kinds.uplift_estimators import uplift_estimator_cells
from upliftlens.benchmarks.tables.kinds.uplift_learners import remarks, uplift_cells
from upliftlens.causal.errors import UpliftlensError

ESTIMATORS = tables.definition("uplift-estimators")
LEARNERS = tables.definition("uplift-ml-100k")
SMALL = ["data=uplift-synthetic", "data.n_users=60", "data.n_items=40", "data.per_user=8", "split=draws"]


def test_estimators_are_as_good_as_theory_says(tmp_path):
    """With a policy that follows taste: IPS and DR unbiased, intervals of 95 % cover, naive is biased and says so."""
    content = {
        **ESTIMATORS, "data": ["data=uplift-synthetic", "data.exponent=2.0", "data.per_user=40"],
        "logs": 300, "resamples": 150, "users": 150, "k": 5,
    }  # fmt: skip
    said: list[str] = []
    cells = {(cell.row, cell.column): cell for cell in uplift_estimator_cells(options(content), where(tmp_path, said))}
    assert {row for row, _ in cells} == {
        f"{name}{end}" for name in ("naive", "ips", "snips", "dr") for end in ("", "/user-mean")
    }
    for name in ("ips", "dr"):
        bias, sd, rmse = (cells[name, column] for column in ("bias, pp", "sd, pp", "rmse, pp"))
        assert bias.lo - 0.2 * sd.value / 17 < 0 < bias.hi + 0.2 * sd.value / 17
        assert rmse.value**2 == pytest.approx(bias.value**2 + sd.value**2 * 299 / 300)
        assert sd.lo < sd.value < sd.hi and rmse.lo < rmse.value < rmse.hi
    low, high = stats.binom(300, 0.95).interval(0.999)
    for name in ("ips", "snips", "dr"):
        coverage = cells[name, "coverage, %"]  # of intervals whose true coverage is 95 %: all but 1 in 1,000 times
        assert low <= round(3 * coverage.value) <= high and coverage.lo < coverage.value < coverage.hi < 100
    naive = cells["naive", "bias, pp"]
    assert naive.lo > 3 and cells["naive", "coverage, %"].verdict == "outside 93–97 %"
    assert cells["dr", "sd, pp"].value < cells["ips", "sd, pp"].value, "an outcome model takes noise away"
    assert cells["snips/user-mean", "bias, pp"].lo > cells["snips", "bias, pp"].hi, "users without both arms drop out"
    assert any("true uplift@5" in line for line in said)


def test_a_table_of_estimators_needs_a_truth_and_possible_numbers(tmp_path):
    small = {**ESTIMATORS, "data": SMALL[:-1], "logs": 2, "resamples": 40}
    with pytest.raises(UpliftlensError, match="the truth is not known"):
        uplift_estimator_cells(options(small, "data=[data=synthetic]"), where(tmp_path))
    with pytest.raises(UpliftlensError, match="k must be at most 40, the number of items, got 41"):
        uplift_estimator_cells(options(small, "k=41"), where(tmp_path))


@pytest.fixture(scope="module")
def learners(tmp_path_factory):
    """A small table, its cells, the store, and what was told."""
    folder = tmp_path_factory.mktemp("learners")
    content = {
        **LEARNERS,
        "common": [*SMALL, "metrics=uplift", "metrics.interval.resamples=60", "train.epochs=2"],
        "rows": {**LEARNERS["rows"], "bpr": ["model=mf", "loss=bpr"]},
        "interval": {"level": 0.95, "resamples": 60, "seed": 0},
        "trials": 2,
        "seeds": [0, 1],
        "worlds": [["data.draw=0"], ["data.draw=1"]],
        "columns": ["cp@10", "recall@10"],
        "only": ["random", "cubn-o", "bpr", "ials-by-ndcg"],
        "reach": {"random": 0.99, "cubn-o": -1.0},
        "order": [["oracle", "random"], ["random", "popularity"], ["random", "oracle"]],
    }
    said: list[str] = []
    return content, uplift_cells(options(content), where(folder, said)), folder, said


def test_cells_are_means_over_worlds_and_seeds_of_the_runs_behind_them(learners):
    content, cells, folder, this_said = learners
    stored = {record["key"]: record for record in records(folder)}
    at = {(cell.row, cell.column): cell for cell in cells}
    chosen = {"oracle", "random", "cubn-o", "bpr", "ials-by-ndcg"}
    assert {row for row, column in at if column == "cp@10"} == {*chosen, *(f"all-items/{row}" for row in chosen)}
    for row, runs in (("oracle", 2), ("cubn-o", 2), ("random", 4), ("bpr", 4), ("ials-by-ndcg", 4)):
        cell = at[row, "cp@10"]
        behind = [stored[key] for key in cell.keys]
        assert len(behind) == runs and {item["config"]["data"]["draw"] for item in behind} == {0, 1}
        assert cell.value == pytest.approx(np.mean([item["metrics"]["cp@10"]["value"] for item in behind]))
        assert cell.lo < cell.value < cell.hi
        selected_by = {item["config"]["train"]["monitor"] for item in behind}
        assert selected_by == {"ndcg@10" if row == "ials-by-ndcg" else "uplift@10/snips"}
    share = at["random", "cp@10, share of oracle"]
    assert share.value == pytest.approx(at["random", "cp@10"].value / at["oracle", "cp@10"].value)
    assert share.lo < share.value < share.hi < 1
    for row, asked in content["reach"].items():
        cell = at[row, "cp@10, share of oracle"]
        assert cell.verdict == f"{'reaches' if cell.value >= asked else 'misses'} {asked:g}"
    said = [*remarks(options(content), cells), *tables.paired_remarks(cells)]
    assert "2 trials, each judged on the validation log of the first world by uplift@10/snips (" in said[0]
    assert "ials-by-ndcg by ndcg@10" in said[0] and "bpr by" not in said[0]
    assert "are over users and 2 worlds: " in said[1] and "t of 2 values" in said[1]
    assert said[2] == "The p of cdcg, row vs row, is corrected for the pairs of its block."
    undecided = "cdcg, row vs row: undecided after correction: oracle > random, random > oracle"
    assert any(line.startswith(undecided) for line in said), "of two worlds"
    assert sum("of oracle's cp@10: " in line for line in said) == 4
    best = at["oracle > random", "cdcg, row vs row"]
    assert best.value > 0 and at["random > oracle", "cdcg, row vs row"].value == -best.value
    assert "random > popularity" not in {row for row, _ in at}, "a pair whose row was not chosen"
    assert any("in all, of which tuning" in line for line in this_said), "it states its time"


def test_blocks_measure_the_same_fits(learners):
    _, cells, folder, _ = learners
    stored = {record["key"]: record for record in records(folder)}
    at = {(cell.row, cell.column): cell for cell in cells}
    for row in ("oracle", "random", "cubn-o", "bpr", "ials-by-ndcg"):
        left_out, everything = (
            [stored[key] for key in at[f"{block}{row}", "cp@10"].keys] for block in ("", "all-items/")
        )
        assert [run["fit_key"] for run in left_out] == [run["fit_key"] for run in everything]
        assert not {run["key"] for run in left_out} & {run["key"] for run in everything}
    best = at["all-items/oracle", "cp@10"]
    worlds = [prepare(plan(configuration_of(stored[key]["config"])), quiet).dataset.world for key in best.keys]
    assert best.value == pytest.approx(np.mean([-np.sort(-world.tau)[:, :10] for world in worlds]), rel=1e-6)
    assert at["oracle", "cp@10"].value < best.value, "some of the best were taken"


def test_the_standard_error_of_the_criterion_is_that_of_a_log_and_decides_which_rows_are_close(learners):
    content, cells, folder, _ = learners
    stored = {record["key"]: record for record in records(folder)}
    column = "standard error of uplift@10/snips"
    errors = {cell.row: cell for cell in cells if cell.column == column}
    assert set(errors) == {"oracle", "random", "cubn-o", "bpr", "ials-by-ndcg"}, "of the first block"
    for cell in errors.values():
        widths = [stored[key]["metrics"]["uplift@10/snips"] for key in cell.keys]
        assert cell.value == pytest.approx(np.mean([width["hi"] - width["lo"] for width in widths]) / 3.92, rel=0.2)
        assert cell.lo <= cell.value <= cell.hi

    def said(**values):
        changed = [
            cell._replace(value=values[cell.row]) if cell.column == "cp@10" and cell.row in values else cell
            for cell in cells
        ]
        return next(line for line in remarks(options(content), changed) if "has the highest cp@10" in line)

    apart = {
        "oracle": 9.0,
        "random": 0.0,
        "cubn-o": 1.0,
        "bpr": 1.0 - 0.9 * errors["cubn-o"].value,
        "ials-by-ndcg": 0.0,
    }
    near = said(**apart)
    assert near.startswith(
        "cubn-o has the highest cp@10 after the oracle's, 1.000. Closer to it than the error of such a"
    )
    assert f"selection, {errors['cubn-o'].value:.3f} (" in near
    assert f"on one test log): bpr ({1 - apart['bpr']:.3f}); " in near
    far = said(**{**apart, "bpr": 1.0 - 1.1 * errors["cubn-o"].value})
    assert "bpr" not in far and "No other row is closer to it than the error of such a selection" in far


def test_tuning_has_the_same_budget_and_meets_neither_test_nor_truth(learners):
    _, _, folder, said = learners
    trials = [record for record in records(folder) if record["config"]["trial"]]
    by_model = {
        name: [trial for trial in trials if trial["model"] == name] for name in ("mf", "cubn", "oracle", "random")
    }
    assert [len(item) for item in by_model.values()] == [2, 2, 0, 0]
    for trial in trials:
        assert set(trial["metrics"]) == {f"validation/{'ndcg@10' if trial['model'] == 'ials' else 'uplift@10/snips'}"}
        assert trial["config"]["data"]["draw"] == 0 and trial["seed"] == 0
    best = max(by_model["mf"], key=lambda item: item["metrics"]["validation/uplift@10/snips"]["value"])
    finals = [record for record in records(folder) if record["model"] == "mf" and not record["config"]["trial"]]
    assert len(finals) == 8, "two worlds, two seeds, two blocks"
    for trial in finals:
        assert trial["config"]["train"]["lr"] == best["config"]["train"]["lr"]
        assert trial["config"]["model"]["dim"] == best["config"]["model"]["dim"]
    assert sum("2 trials" in line for line in said) == 3


def test_a_table_of_learners_resumes(learners):
    content, cells, folder, _ = learners
    before = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/record.json")}
    assert uplift_cells(options(content), where(folder)) == cells
    assert {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/record.json")} == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"only": ["dlec"]}, "did you mean 'dlce'"),
        ({"order": [["oracle", "rnd"]]}, "did you mean 'random'"),
        ({"columns": ["cp10"]}, "unknown metric 'cp10': did you mean 'cp'"),
        ({"criterion": "uplift@10/snps"}, "unknown metric .uplift/snps.: did you mean .uplift/snips."),
        ({"columns": ["recall@3"]}, "unknown column of the table .* .recall@3."),
    ],
)
def test_wrong_definitions_are_answered(change, sentence, learners):
    content, _, folder, _ = learners
    with pytest.raises(UpliftlensError, match=sentence):
        uplift_cells(options({**content, **change}), where(folder))


@pytest.mark.parametrize("row", LEARNERS["rows"])
def test_every_row_of_the_table_is_a_run(row):
    this_plan = plan(configured([*LEARNERS["common"], *LEARNERS["rows"][row], *LEARNERS["worlds"][1], "seed=2"]))
    assert {*LEARNERS["columns"], LEARNERS["ordered_by"], LEARNERS["criterion"]} == set(this_plan.metrics.names)


def test_the_verb_prints_the_small_version(learners, capsys):
    content, _, folder, _ = learners
    changes = {"only": ["random"], "worlds": [["data.draw=0"]], "seeds": [0], "order": [["oracle", "random"]]}
    content = {**content, **changes, "blocks": {"": []}}
    keys = ("trials", "seeds", "worlds", "blocks", "interval", "columns", "only", "order", "common", "reach")
    words = [f"{key}={json.dumps(content[key])}" for key in keys]
    assert main(["table", "uplift-ml-100k", "--store", str(folder), "--cache", str(folder / "cache"), *words]) == 0
    text = capsys.readouterr().out
    assert "Runs are taken with their items, training rows and splits: " in text, "a single world"
    assert options({**content, **LEARNERS}).fixed == "items and the ratings that the worlds are fitted to"
    assert "| oracle > random |" in text and "; holds (p" in text and "trials=2" in text
    assert "\n- Tuning is not equal: " in text and "\n- cdcg, row vs row: holds: oracle > random." in text

"""Tuned tables: equal budgets, selection without the test set, paired differences, resuming, what the remarks say."""

import json
from dataclasses import replace

import numpy as np
import pytest
from shell import records
from test_tables import options, where

from upliftlens.benchmarks.evaluation.evaluation import from_arrays
from upliftlens.benchmarks.reports.comparison import Replicated, compare, differences, in_a_cell, replicated
from upliftlens.benchmarks.runs.fit import restore
from upliftlens.benchmarks.runs.prepare import prepare
from upliftlens.benchmarks.runs.store import Store, load_per_user, load_record
from upliftlens.benchmarks.system.talk import quiet
from upliftlens.benchmarks.tables import table as tables
from upliftlens.benchmarks.tables.kinds.tuned import remarks, tuned_cells, winner_of
from upliftlens.benchmarks.tables.kinds.tuned_rows import rows
from upliftlens.benchmarks.tables.run import planned, runs_of
from upliftlens.benchmarks.tables.table import Cell
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.intervals import Resampling
from upliftlens.models.query import of_users

WORLD = [
    "data=synthetic", "data.n_users=40", "data.n_items=30", "data.ratings_per_user=12", "data.test_per_user=4",
    "split=given", "propensity=oracle", "train.schedule=constant", "train.epochs=6", "train.batch_size=128",
    "train.optimizer=adam", "metrics.interval.resamples=40",
]  # fmt: skip
FULL = tables.definition("coat")
SMALL = {
    **FULL, "common": WORLD, "budgets": {"": 2}, "refining": 0, "validation_seeds": [0, 1], "seeds": [0, 1],
    "interval": {"level": 0.95, "resamples": 100, "seed": 0}, "backbones": ["mf"],
    "objectives": ["naive", "cvib"],
    "backbone": {
        **FULL["backbone"],
        "mf": {"options": ["model=additive"], "space": {"train.l2": {"low": 0.3, "high": 3.0, "log": True}}},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder, said = tmp_path_factory.mktemp("tuned"), []
    return folder, said, tuned_cells(options(SMALL), where(folder, said))


def test_every_row_has_the_same_trials_and_none_of_them_met_the_test_set(made):
    folder, said, _ = made
    spent = {}
    for record in records(folder):
        if record["config"]["trial"]:
            spent.setdefault((record["objective"], record["loss"]), []).append(record)
            assert all(name.startswith("validation/") for name in record["metrics"])
            assert record["config"]["split"]["overlap"] == "drop"
    assert set(spent) == {("naive", "squared"), ("naive", "logistic"), ("cvib", "logistic")}
    assert {len(some) for some in spent.values()} == {2 * 2}, "trials × validation parts"
    drawn = {way: sorted({item["config"]["train"]["l2"] for item in some}) for way, some in spent.items()}
    assert drawn["cvib", "logistic"] == drawn["naive", "logistic"] and len(drawn["naive", "squared"]) == 2
    assert len([line for line in said if "criterion" in line]) == 3


def test_cells_have_values_intervals_keys_and_both_blocks(made):
    folder, _, cells = made
    at = {(cell.row, cell.column): cell for cell in cells}
    done = {record["key"]: record for record in records(folder)}
    for block in ("", "overlap-dropped/"):
        columns = {column for name, column in at if name == block + "mf/naive"}
        assert {"auc", "ndcg@5", "f1@5", "recall@5", "mse", "labels/auc", "brier"} <= columns
        assert (block + "mf/cvib", "mse") not in at
        assert "trained on labels" in at[block + "mf/cvib", "auc"].verdict
        assert at[block + "mf/cvib", "auc"].value == at[block + "mf/cvib", "labels/auc"].value
    mse = at["mf/naive", "mse"]
    assert mse.published == 1.202 and at["overlap-dropped/mf/naive", "mse"].published is None
    assert mse.value == pytest.approx(np.mean([done[key]["metrics"]["mse"]["value"] for key in mse.keys]))
    assert len(mse.keys) == 2 and mse.lo < mse.value < mse.hi and mse.uses_mar_data is False
    assert {done[key]["seed"] for key in mse.keys} == {0, 1}
    assert "not comparable" in at["mf/naive", "auc"].verdict


def test_differences_are_those_of_compare(made):
    folder, _, cells = made
    cell = next(
        this_cell for this_cell in cells if (this_cell.row, this_cell.column) == ("mf/cvib", "brier vs own naive")
    )

    def run(key):
        arrays = load_per_user(Store(folder), load_record(Store(folder), key))
        return from_arrays(arrays, {})

    resampling = Resampling(**SMALL["interval"])
    sides = [run(key) for key in cell.keys[:2]], [run(key) for key in cell.keys[2:]]
    expected = compare({"a": sides}, "brier", resampling)["a"]
    assert (cell.value, cell.lo, cell.hi) == pytest.approx((expected.difference, expected.lo, expected.hi))
    result = [replicated(side, "brier", resampling) for side in sides]
    # Twice the same comparison: Holm doubles the smaller p.
    both = differences({"a": (result[0], result[1]), "b": (result[0], result[1])}, False, resampling)
    assert both["a"].p == expected.p and both["a"].p_holm == pytest.approx(min(1.0, 2 * expected.p))


def test_it_resumes_without_repeating_anything(made):
    folder, _, cells = made
    stamps = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/record.json")}
    gone = next(path for path in stamps if json.loads(path.read_text())["config"]["trial"])
    gone.unlink()
    assert tuned_cells(options(SMALL), where(folder)) == cells
    after = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/record.json")}
    assert {path for path in stamps if after[path] != stamps[path]} == {gone}, "only the missing record is made again"


def test_a_failing_trial_counts_and_a_row_without_any_is_refused(tmp_path):
    squared = [*WORLD, "model=additive", "loss=squared"]
    said = []
    content = options({**SMALL, "validation_seeds": [0]})
    space = {"train.l2": {"choices": [-1.0]}}
    _, winner = winner_of(content, squared, space, 2, 0, where(tmp_path, said))
    assert len(winner.changes) == 2, "epochs and validation: the options as they stand"
    assert len(said) == 1 and said[0].startswith("trial 2 (train.l2=-1.0) failed: train.l2 must be at least 0")
    with pytest.raises(UpliftlensError, match="did you mean 'imputation_l2'"):
        doubly = [*WORLD, "model=additive", "objective=dr_jl"]
        winner_of(content, doubly, {"objective.imputaton_l2": {"choices": [1.0]}}, 2, 0, where(tmp_path))
    with pytest.raises(UpliftlensError, match="every trial"):
        winner_of(content, [*squared, "objective=ips", "propensity=given"], space, 2, 0, where(tmp_path))


@pytest.mark.parametrize(("stated", "drawn", "chosen"), [(1.0, 1e6, ()), (1e6, 1.0, ("train.l2=1.0",))])
def test_the_trial_with_the_least_criterion_wins(stated, drawn, chosen, tmp_path):
    row = [*WORLD, "model=additive", "loss=squared", "train.monitor=rmse/snips", f"train.l2={stated}"]
    content = options({**SMALL, "validation_seeds": [0]})
    _, winner = winner_of(content, row, {"train.l2": {"choices": [drawn]}}, 2, 0, where(tmp_path))
    assert winner.changes[:-2] == chosen and winner.changes[-1] == "split.validation=0"


def test_the_last_trials_lie_around_the_best_of_those_before(tmp_path):
    row = [*WORLD, "model=additive", "loss=squared", "train.monitor=rmse/snips", "train.l2=40.0"]
    space = {"train.l2": {"low": 0.01, "high": 1e6, "log": True}}
    content = options({**SMALL, "budgets": {"": 9}, "refining": 4, "narrow": 0.1, "validation_seeds": [0]})
    _, first = winner_of(replace(content, refining=0), row, space, 5, 0, where(tmp_path))
    known = {record["key"] for record in records(tmp_path)}
    _, winner = winner_of(content, row, space, 9, 0, where(tmp_path))
    closer = [record for record in records(tmp_path) if record["key"] not in known]
    best = float(next(iter(first.changes)).partition("=")[2]) if len(first.changes) == 3 else 40.0
    values = sorted(item["config"]["train"]["l2"] for item in closer)
    assert len(values) == 4 and len(known) == 5
    assert best / 10**0.4 * 0.99 < values[0] < best < values[-1] < best * 10**0.4 * 1.01, "a tenth of eight decades"
    assert winner.criterion <= first.criterion
    assert len(winner_of(content, row, {}, 9, 0, where(tmp_path))[1].changes) == 2, "nothing to search"
    assert len(records(tmp_path)) == 9
    with pytest.raises(UpliftlensError, match=r"train\.layout a range"):
        winner_of(content, row, {"train.layout": {"low": 2, "high": 16}}, 9, 0, where(tmp_path))
    with pytest.raises(UpliftlensError, match="both finite"):
        winner_of(content, row, {"train.l2": {"low": 1.0, "high": float("inf"), "log": True}}, 9, 0, where(tmp_path))
    with pytest.raises(UpliftlensError, match="refining=9 of 9 trials: set refining"):
        replace(content, refining=9)


def test_an_earlier_trial_still_wins_when_those_around_it_are_worse(tmp_path):
    row = [*WORLD, "model=additive", "loss=squared", "train.monitor=rmse/snips", "train.l2=1.0"]
    space = {"train.l2": {"low": 1e5, "high": 1e7, "log": True}}  # which the best, as it stands, lies outside of
    content = options({**SMALL, "budgets": {"": 4}, "refining": 2, "narrow": 0.5, "validation_seeds": [0]})
    assert len(winner_of(content, row, space, 4, 0, where(tmp_path))[1].changes) == 2, "epochs and validation only"
    l2 = sorted(record["config"]["train"]["l2"] for record in records(tmp_path))
    assert l2[0] == 1.0 and len(l2) == 4 and l2[1] < l2[2] <= 1e6, "the nearest half of the range"


def test_a_space_of_choices_is_not_refined(tmp_path):
    row = [*WORLD, "model=additive", "loss=squared"]
    choices = [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5]
    content = options({**SMALL, "budgets": {"": 9}, "refining": 4, "validation_seeds": [0]})
    winner_of(content, row, {"train.l2": {"choices": choices}}, 9, 0, where(tmp_path))
    assert set(choices) <= {record["config"]["train"]["l2"] for record in records(tmp_path)}, "eight spread trials"


def test_rows_are_every_backbone_with_every_objective_that_it_offers(tmp_path):
    result = list(rows(options(FULL, "objectives=[naive, cvib, escm2_dr]"), (), where(tmp_path)))
    ratings, labels = ([row.name for row in result if row.remark == f"trained on {way}"] for way in FULL["training"])
    assert ratings == ["mf/naive", "mf-features/naive", "mlp/naive"], "the others predict labels only"
    both = [f"{backbone}/{name}" for backbone in FULL["backbones"] for name in ("naive", "cvib")]
    assert labels == [*both, "mlp/escm2_dr"]
    with pytest.raises(UpliftlensError, match="did you mean 'mlp'"):
        list(rows(options(FULL, "backbones=[mlpp]"), (), where(tmp_path)))


def test_remarks_say_what_cannot_be_claimed_and_whose_order_turns():
    content = options({**SMALL, "objectives": ["naive", "ips", "snips"], "budgets": {"": 2, "twice/": 4}})

    def cell(row, value, verdict):
        return Cell(row, "auc vs own naive", value, value - 0.1, value + 0.1, None, verdict, ())

    cells = [
        cell("mf/ips", 0.02, "better (p 0.01)"), cell("mf/snips", 0.01, "undecided: the interval holds 0 (p 0.4)"),
        cell("overlap-dropped/mf/ips", -0.01, "undecided: the interval holds 0 (p 0.6)"),
        cell("overlap-dropped/mf/snips", 0.01, "undecided after correction (p 0.09)"),
        cell("twice/mf/ips", 0.02, "undecided: the interval holds 0 (p 0.2)"),
        cell("twice/mf/snips", -0.01, "undecided after correction (p 0.1)"),
    ]  # fmt: skip
    said = "\n".join([*remarks(content, cells), *tables.paired_remarks(cells)])
    assert "2 trials, 4 trials in rows twice/…, each judged on 2 parts of 25%" in said
    assert "auc vs own naive: better: mf/ips." in said
    assert "auc vs own naive: undecided: the interval holds 0: mf/snips, overlap-dropped/mf/ips, twice/mf/ips." in said
    assert "auc vs own naive: undecided after correction: overlap-dropped/mf/snips, twice/mf/snips." in said
    assert "the order turns between the blocks for mf/ips." in said
    assert "the verdict turns with the number of trials for mf/ips." in said
    assert "no trial read a test rating" in said


@pytest.mark.slow
@pytest.mark.parametrize("backbone", FULL["backbones"])
def test_a_small_version_of_every_row_runs(backbone, tmp_path, quick_compilation):
    """Every row of the coat table, one of each kind on labels, too, each with a trial of all that it searches."""
    on_labels = ["naive", "ips", "dr_jl", "cvib", "escm2_dr", "escm2_dr_given"]
    content = {
        **FULL, "common": [*WORLD, "train.epochs=2"], "backbones": [backbone], "objectives": list(FULL["objective"]),
        "budgets": {"": 2}, "refining": 1,
        "seeds": [0], "validation_seeds": [0], "blocks": {"": []}, "baseline": f"{backbone}/naive",
        "compared": ["auc"], "interval": {"level": 0.95, "resamples": 200, "seed": 0},
        "training": {**FULL["training"], "labels": {**FULL["training"]["labels"], "objectives": on_labels}},
    }  # fmt: skip
    cells = tuned_cells(options(content), where(tmp_path))
    offered = {name for name, mine in FULL["objective"].items() if backbone in mine.get("backbones", FULL["backbone"])}
    result = {column: {cell.row for cell in cells if cell.column == column} for column in ("auc", "mse", "labels/auc")}
    everyone = {f"{backbone}/{name}" for name in offered}
    of_labels = {f"{backbone}/{name}" for name in ("cvib", "escm2_dr", "escm2_dr_given")} & everyone
    labelled = {f"{backbone}/{name}" for name in on_labels} & everyone
    assert result == {"auc": everyone, "mse": everyone - of_labels, "labels/auc": labelled}
    searched = {}
    for record in records(tmp_path):
        if record["config"]["trial"]:
            searched.setdefault((record["objective"], record["loss"]), []).append(record["config"])
    for (objective, loss), trials in searched.items():
        space = {**FULL["backbone"][backbone]["space"], **FULL["objective"][objective].get("space", {})}
        assert len(trials) == 2, (objective, loss)
        for name, entry in space.items():
            section, _, option = name.partition(".")
            values = {trial[section][option] for trial in trials}
            assert len(values) == 2 or "choices" in entry, name


def test_too_few_resamples_for_so_many_comparisons_are_refused_and_no_number_is_no_evidence():
    few = Resampling(0.95, 100, 0)
    drawn = np.random.default_rng(0).normal(size=(2, 100))
    users = np.arange(3)
    side = Replicated(np.zeros(2), drawn, (users, users), users)
    with pytest.raises(UpliftlensError, match=r"raise interval\.resamples"):
        differences({str(i): (side, side) for i in range(6)}, True, few)
    unknown = side._replace(values=np.ones(2), drawn=np.where(np.arange(100) < 90, np.nan, drawn))
    assert in_a_cell(differences({"a": (unknown, side)}, True, few)["a"], 0.95).startswith("undecided: the interval")
    with pytest.raises(UpliftlensError, match="1 runs against 2"):
        differences({"a": (side._replace(users=(users,)), side)}, True, few)


def test_differences_are_between_rows_trained_the_same_way(tmp_path):
    content = options({**SMALL, "budgets": {"": 1}, "validation_seeds": [0], "compared": ["auc", "labels/auc"]})
    compared = {(cell.row, cell.column) for cell in tuned_cells(content, where(tmp_path)) if " vs " in cell.column}
    assert {column.split()[0] for row, column in compared if row.endswith("cvib")} == {"labels/auc"}


def test_everywhere_means_over_all_pairs_of_the_world(tmp_path):
    grid = ["data=grid", "data.n_users=50", "data.n_items=40", "data.density=0.1", "split=given", "train.epochs=2"]
    row = [*grid, "model=additive", "train.optimizer=adam", "loss=squared"]
    plan = planned(row, ["metrics.names=[mse]"], where(tmp_path))
    (evaluation,) = runs_of([plan], everywhere=True).evaluations
    prepared = prepare(plan, quiet)
    trained = restore(plan, prepared, quiet.say)
    ratings = prepared.dataset.world.ratings
    users, items = np.divmod(np.arange(ratings.size, dtype=np.int32), ratings.shape[1])
    predicted = np.clip(
        trained.method.predict(trained.state, trained.data, of_users(users), items), *prepared.dataset.scale
    )
    assert evaluation.summaries["mse"].value == pytest.approx(np.mean((predicted - ratings.ravel()) ** 2), rel=1e-5)
    with pytest.raises(UpliftlensError, match="data=synthetic: not every rating is known: use everywhere: false"):
        runs_of([planned([*WORLD, "model=popularity"], [], where(tmp_path))], everywhere=True)

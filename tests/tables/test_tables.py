"""Tables: verdicts, formats, resuming, and small versions of every kind."""

import json
from dataclasses import replace
from importlib.resources import files
from types import SimpleNamespace

import numpy as np
import pytest

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.config.choices import packaged
from upliftlens.benchmarks.config.compose import prepare_overrides
from upliftlens.benchmarks.config.plugins import names as kinds
from upliftlens.benchmarks.data import configure
from upliftlens.benchmarks.tables import table as tables
from upliftlens.benchmarks.tables.kinds.cross_validated import cross_validated_cells
from upliftlens.benchmarks.tables.kinds.estimators import estimator_cells, remarks
from upliftlens.benchmarks.tables.run import planned
from upliftlens.benchmarks.tables.table import Cell, TableOptions, Where, judged
from upliftlens.benchmarks.tables.written import rendered
from upliftlens.benchmarks.worlds.completion import complete
from upliftlens.benchmarks.worlds.config import CompletionConfig
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import interactions
from upliftlens.causal.worlds.schnabel import dcg, exposure, predictions, rebucket

WORLD = ["data=synthetic", "data.n_users=60", "data.n_items=50", "data.ratings_per_user=15", "data.test_per_user=4"]
COMPLETION = "{dim: x, init: 0, l2: 1, bias_penalty: 1, lr: 1, epochs: 1, seed: 0}"
CELLS = [
    Cell("mf/ips", "mse", 1.09, 1.0, 1.2, 1.093, "reproduced", ("abc",)),
    Cell("mf/naive", "mse", 1.5, 1.4, 1.6, 1.202, "differs", ()),
    Cell("mf/naive", "mae_x", 0.9, 0.8, 1.0, None, "", ()),
]


def where(folder, told=None):
    prepare_overrides([])
    return Where(folder, folder / "cache", (told if told is not None else []).append)


def options(content, *overrides):
    """The options of a definition, checked."""
    return tables.checked("t", content, overrides)[1]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("trainn.lr=0.1", "did you mean 'train'"),
        ("train.lr.x=1", "did you mean 'train.lr'"),
        ("train.l=1", "of train 'l'"),
    ],
)
def test_a_change_of_no_option_is_answered(change, told, tmp_path):
    with pytest.raises(UpliftlensError, match=told):
        planned(["data=synthetic", "model=mf"], [change], where(tmp_path))


def test_every_definition_states_its_kind_and_title():
    assert {"schnabel-1", "schnabel-2"} <= set(tables.names())
    for name in tables.names():
        content = tables.definition(name)
        assert content["title"] and content["kind"] in kinds("tables")
        if name in packaged("table"):
            stated = (files("upliftlens.configs.table") / f"{name}.yaml").read_text()
            assert "published:" not in stated, "published numbers stand in paper/published.yaml"


def test_the_verdict_compares_our_interval_with_the_published_number_and_its_tolerance():
    stated = {"a": {"x": {"value": 1.0, "tolerance": 0.02}}, "b": {"x": {"value": 1.0, "not_comparable": "recalled"}}}
    content = options({**tables.definition("schnabel-1"), "published": stated})
    assert judged(content, "a", "x", 0.981, 1.019) == (1.0, "reproduced")
    assert judged(content, "a", "x", 0.96, 0.97) == (1.0, "differs")
    assert judged(content, "a", "y", 0.96, 0.97) == judged(content, "c", "x", 0.96, 0.97) == (None, "")
    assert judged(content, "b", "x", 1.0, 1.0) == (1.0, "not comparable")


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("robustness", "interval={level: 0.8, resamples: 100, seed: 0}", "[80 % interval]"),
        ("schnabel-2", "interval={level: 0.975, resamples: 100, seed: 0}", "[97.5 % interval]"),
        ("uplift-estimators", "level=0.8", "[80 % interval]"),
        ("schnabel-1", "title=T", "[95 % interval]"),
        ("tiny", "title=T", "[interval]"),
    ],
)
def test_the_legend_states_the_level_of_the_definition(name, change, words, tmp_path, monkeypatch):
    """Of any kind; its cells are not computed here."""
    kind, content = tables.TableKind("tiny", TableOptions, None), {"kind": "tiny", "title": "Tiny"}
    if name != "tiny":
        content = tables.definition(name)
        kind = tables.entry("tables", content["kind"]).value
    stub = kind._replace(cells=lambda definition, where: CELLS, remarks=lambda definition, cells: [])
    monkeypatch.setattr(tables, "definition", lambda name: content)
    monkeypatch.setattr(tables, "entry", lambda group, name: SimpleNamespace(value=stub, file=None))
    assert f"Each cell: ours {words}; published" in rendered(tables.table(name, where(tmp_path), [change]), "md")


def test_an_unknown_table_gets_the_nearest_name(capsys):
    assert main(["table", "schnabel1"]) == 1
    assert "did you mean 'schnabel-1'" in capsys.readouterr().err


def test_options_replace_what_a_definition_states_type_by_type():
    content = {**tables.definition("schnabel-1"), "title": "T"}
    stated, changed = options(content), options(content, "draws=5", "alpha=1e-3", "marginal=[1, 0.5]")
    title = "T (draws=5 alpha=1e-3 marginal=[1, 0.5])"
    assert changed == replace(stated, draws=5, alpha=0.001, marginal=(1.0, 0.5), title=title)
    assert options(content, "draws=5", "title=Mine").title == "Mine"
    content = tables.definition("schnabel-2")
    assert options(content, "seeds=[2]").seeds == (2,)
    assert options(content, "grid={model.dim: [1, 2]}").grid == {"model.dim": (1, 2)}


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("schnabel-1", "darws=5", "the table t: unknown option 'darws': did you mean 'draws'"),
        ("schnabel-1", "kind=x", "unknown option 'kind'"),
        ("schnabel-1", "published={}", "unknown option 'published'"),
        ("schnabel-1", "draws", "'draws' is no option of a table: write KEY=VALUE"),
        ("schnabel-1", "draws=1.5", "draws must be a whole number, got 1.5"),
        ("schnabel-1", "draws=many", "draws must be a whole number, got many"),
        ("schnabel-1", "alpha=true", "alpha must be a number, got True"),
        ("schnabel-1", "completion={dmi: 1}", "unknown option of completion 'dmi': did you mean 'dim'"),
        ("schnabel-2", "seeds=3", "seeds must be a list, as in"),
        ("schnabel-2", "grid=[1]", "grid must be a mapping"),
        ("schnabel-2", "seeds=[", "not a value in YAML"),
        ("coat", "everywhere=maybe", "everywhere must be true or false"),
        (
            "coat",
            "backbone={mf: {options: [], sapce: {}}}",
            "unknown option of backbone.mf 'sapce': did you mean 'space'",
        ),
    ],
)
def test_options_of_a_wrong_name_or_type_are_refused(name, change, message):
    with pytest.raises(UpliftlensError, match=message):
        options(tables.definition(name), change)


def test_the_command_line_takes_a_tables_options(capsys):
    assert main(["table", "schnabel-1", "darws=3"]) == 1
    assert "did you mean 'draws'" in capsys.readouterr().err


def test_completion_fits_a_low_rank_truth():
    rng = np.random.default_rng(0)
    true = 3 + rng.normal(size=(60, 2)) @ rng.normal(size=(2, 40)) + rng.normal(size=(60, 1))
    user, item = np.nonzero(rng.random(true.shape) < 0.6)
    log = interactions(user, item, true[user, item], 60, 40)
    result = complete(log, CompletionConfig(dim=4, init=0.05, l2=0.5, bias_penalty=0.3, lr=0.05, epochs=150, seed=0))
    still = complete(log, CompletionConfig(dim=4, init=0.0, l2=0.5, bias_penalty=0.3, lr=0.05, epochs=150, seed=0))
    both = still.mean(axis=1, keepdims=True) + still.mean(axis=0) - still.mean()
    np.testing.assert_allclose(still, both, atol=1e-4, err_msg="factors that start at 0 stay there: biases alone")
    flat = complete(log, CompletionConfig(dim=4, init=0.0, l2=0.5, bias_penalty=1e4, lr=0.05, epochs=150, seed=0))
    assert flat.std() < 0.05 * still.std(), "biases have their own share of λ"
    unseen = np.ones(true.shape, bool)
    unseen[user, item] = False
    assert np.sqrt(((result - true)[unseen] ** 2).mean()) < 0.35 * true[unseen].std()


def test_estimators_on_a_small_world(tmp_path):
    """The truth lies where IPS and SNIPS are, not where naive is; spreads have closed forms."""
    content = {
        **tables.definition("schnabel-1"), "published": {
            "ROTATED": {"true": {"value": 2.579, "tolerance": 0.005}, "naive": {"value": 9.0, "tolerance": 0.005},
            "ips": {"value": 2.581}}}, "data": WORLD, "draws": 20, "density": 0.1, "cutoff": 5,
        "completion": {"dim": 2, "init": 0.05, "l2": 5.0, "bias_penalty": 0.3, "lr": 0.03, "epochs": 5, "seed": 0},
    }  # fmt: skip
    cells = {(cell.row, cell.column): cell for cell in estimator_cells(options(content), where(tmp_path))}
    assert len(cells) == 5 * 2 * (1 + 3 + 3)
    counted, rule, _ = remarks(options(content), list(cells.values()))
    assert counted == "Of 2 published cells with a target 1 reproduced, 1 differs; published, but no target: 1."
    assert rule == "Tolerances by column: true 0.005, naive 0.005."
    ones = cells["ROTATED", "dcg5/true"]
    assert ones.value == pytest.approx(sum(1 / np.log2(1 + rank) for rank in range(1, 6)), rel=1e-6)
    with pytest.raises(UpliftlensError, match="can't be reached"):
        estimator_cells(options(content, "density=0.2"), where(tmp_path))
    true, naive = cells["ROTATED", "true"], cells["ROTATED", "naive"]
    assert true.value == pytest.approx(2.579, abs=0.01), "it depends on the marginal alone"
    for estimator in ("ips", "snips"):
        item = cells["ROTATED", estimator]
        sd = cells["ROTATED", f"sd/{estimator}"]
        assert abs(item.value - true.value) < 4 * sd.value / np.sqrt(20)
        assert (item.hi - item.lo) / 2 == pytest.approx(2.093 * sd.value / np.sqrt(20), rel=1e-3), (
            "Student's t, 19 free"
        )
        assert sd.lo / sd.value == pytest.approx(np.sqrt(19 / 32.852), rel=1e-4), "χ², 19 free"
        assert sd.hi / sd.value == pytest.approx(np.sqrt(19 / 8.907), rel=1e-4)
        assert sd.verdict.startswith("within 3 SE of the closed form 0.")
    assert naive.hi < true.value


def test_every_user_of_the_published_world_has_enough_ones_for_its_dcg(ml_100k):
    """Else ROTATED, which ranks them first, would fill the first 50 places up with fives, and its DCG be another."""
    content = options(tables.definition("schnabel-1"))
    same = configure("schnabel-ml-100k").completion
    assert content.completion == same, "the table and the data set are of one world"
    ratings = rebucket(complete(ml_100k.log, content.completion), np.asarray(content.marginal))
    assert (ratings == 1).sum(axis=1).min() > content.cutoff
    p = exposure(ratings, content.alpha, content.density)
    rng = np.random.default_rng(0)
    gain = dcg(ratings, predictions(ratings, rng)["ROTATED"], content.cutoff, rng)
    assert gain.mean() == pytest.approx(content.published["ROTATED"]["dcg50/true"].value, abs=0.005)
    assert (gain * p).sum() / p.sum() == pytest.approx(content.published["ROTATED"]["dcg50/naive"].value, abs=0.02)


def test_runs_are_chosen_by_cross_validation_and_resumed(tmp_path):
    content = {
        **tables.definition("schnabel-2"),
        "common": [*WORLD, "propensity=oracle", "model=additive", "train.optimizer=adam"],
        "folds": 2,
        "grid": {"train.l2": [1.0, 1e6]},
        "columns": {"mae": {"metric": "mae", "criterion": "mae/ips", "options": ["loss=absolute", "train.epochs=15"]}},
        "rows": {"mf/ips": ["objective=ips"]},
        "seeds": [0],
        "published": {"mf/ips": {"mae": {"value": 0.86, "tolerance": 0.02}}},
    }
    said = []
    (cell,) = cross_validated_cells(options(content), where(tmp_path, said))
    assert cell.row == "mf/ips" and cell.lo < cell.value < cell.hi and cell.published == 0.86 and cell.keys
    assert any("train.l2=1.0 " in line for line in said), "10⁶ shrinks everything to the mean"
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/record.json")}
    assert len(before) == 2 * 2 + 1
    assert cross_validated_cells(options(content), where(tmp_path)) == [cell]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/record.json")} == before
    records = [json.loads(path.read_text()) for path in before]
    tested = [record for record in records if record["split"]["name"] == "given"]
    assert [item["key"] for item in tested] == list(cell.keys), "the test set at random is met by the winner only"
    assert tested[0]["metrics"]["mae"]["value"] == cell.value


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("schnabel-1", "cutoff=-5", "cutoff must be at least 1"),
        ("schnabel-1", "draws=1", "draws must be at least 2"),
        ("schnabel-1", "seed=-1", r"the table t: seed must lie in \[0, 4294967295\], got -1"),
        ("schnabel-1", "density=1.5", r"density must lie in \(0, 1\]"),
        ("schnabel-1", f"completion={COMPLETION}", "completion.dim must be a whole number"),
        ("schnabel-1", "marginal=[a]", r"marginal\[0\] must be a number"),
        ("schnabel-2", "seeds=[]", "seeds is empty"),
        ("schnabel-2", "seeds=[1,1]", "seeds lists 1 more than once"),
        ("schnabel-2", "seeds=[-1]", r"seeds\[0\] must lie in \[0, 4294967295\], got -1"),
        ("schnabel-2", "seeds=[0.5]", r"seeds\[0\] must be a whole number"),
        ("schnabel-2", "grid={model.dim: 4}", "grid.model.dim must be a list"),
        ("schnabel-2", "grid={model.dim: []}", "grid.model.dim is empty"),
        ("schnabel-2", "grid={}", "grid is empty, so there would be nothing to compute"),
        ("schnabel-2", "rows={}", "rows is empty"),
        ("coat", "interval={level: 0.95, resamples: 10, seed: 0}", "resamples must be at least 40"),
        ("coat", "validation=1.0", r"validation must lie in \(0, 1\)"),
        ("uplift-estimators", "chi=0.5", r"chi must lie in \[0, 0.5\)"),
    ],
)
def test_a_tables_options_have_ranges(name, change, message):
    with pytest.raises(UpliftlensError, match=message):
        options(tables.definition(name), change)


def test_every_definition_lies_within_the_ranges():
    for name in tables.names():
        content = tables.definition(name)
        kind, checked = tables.checked(name, content)
        assert kind.name == content["kind"] and checked.title == content["title"]

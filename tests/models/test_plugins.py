"""A model of one's own: from a file, typed, part of the key; and the contract that every model is held to."""

import importlib
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from asking import asked
from plugin_sources import BACKBONE, SOLVER
from shell import TINY, call, programs, records
from uplift_logs import random_log
from worlds import ITEMS, USERS, training_data

from upliftlens import models
from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.config.plugins import entry, names
from upliftlens.benchmarks.runs.method import hyper as planned_hyper
from upliftlens.benchmarks.runs.method import method_of
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.benchmarks.splits.uplift_parts import recommendations
from upliftlens.benchmarks.training.feed import feed
from upliftlens.benchmarks.training.loop import fit
from upliftlens.models.contract import Backbone, Solver


@pytest.fixture
def backbone(tmp_path):
    path = tmp_path / "my_model.py"
    path.write_text(BACKBONE)
    return path


def test_a_backbone_from_a_file_runs_under_any_loss(backbone, tmp_path):
    store = tmp_path / "runs"
    assert call("run", store, f"model.file={backbone}", "model.dim=5", "loss=bpr") == 0
    assert call("sweep", store, f"model.file={backbone}", "model.dim=3", "loss=squared,logistic") == 0
    stored = records(store)
    assert {item["model"] for item in stored} == {"mine"}
    assert {(item["loss"], item["config"]["model"]["dim"]) for item in stored} == {
        ("bpr", 5),
        ("squared", 3),
        ("logistic", 3),
    }


def test_an_edited_plugin_is_another_run(backbone, tmp_path):
    store = tmp_path / "runs"
    for text in (BACKBONE, BACKBONE + "\n# edited\n"):
        backbone.write_text(text)
        assert call("run", store, f"model.file={backbone}") == 0
    assert len({record["key"] for record in records(store)}) == 2
    assert call("run", store, f"model.file={backbone}") == 0
    assert len(records(store)) == 2


def test_what_a_plugin_imports_from_its_folder_is_part_of_the_key(tmp_path):
    store, path = tmp_path / "runs", tmp_path / "my_model.py"
    path.write_text(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport my_layers\n" + BACKBONE)
    for text in ("SCALE = 1\n", "SCALE = 2\n"):
        (tmp_path / "my_layers.py").write_text(text)
        assert call("run", store, f"model.file={path}") == 0
    assert len({record["key"] for record in records(store)}) == 2


def test_a_solver_from_a_file_runs_and_its_traced_float_compiles_nothing(tmp_path):
    path = tmp_path / "mean.py"
    path.write_text(SOLVER)
    assert call("sweep", tmp_path / "runs", f"model.file={path}", "model.shrink=1,5,9") == 0
    result = sorted(records(tmp_path / "runs"), key=lambda record: record["config"]["model"]["shrink"])
    assert len({item["metrics"]["rmse"]["value"] for item in result}) == 3
    assert [programs(item["diagnostics"]) for item in result[1:]] == [0, 0]


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        (BACKBONE, ["model.dmi=3"], "did you mean 'dim'"),
        (BACKBONE, ["model.dim=many"], "model.dim must be a whole number, got many"),
        (
            BACKBONE.replace("scale: float", "scale: Traced[float]").replace(
                "import Backbone", "import Backbone, Traced"
            ),
            [],
            "only a Solver's",
        ),
        (BACKBONE.replace('"mine"', '"mf"'), [], "give this one a name of its own"),
        ("x = 1\n", [], "must define `model = Backbone"),
        ("import nowhere_at_all\n", [], "No module named 'nowhere_at_all'"),
        ("def broken(:\n", [], "SyntaxError"),
        (BACKBONE.replace("dim: int = 4", "dim: int").replace("scale: float = 0.1", "scale: float"), [], "defaults"),
    ],
)
def test_what_is_wrong_with_a_plugin_is_said(text, words, expected, tmp_path, capsys):
    path = tmp_path / "bad.py"
    path.write_text(text)
    assert main(["run", *TINY, f"store={tmp_path}/runs", f"model.file={path}", *words]) == 1
    shown = capsys.readouterr().err
    assert expected in shown and len(shown.strip().splitlines()) <= 2


def padding_that_looks_real(data):
    """The data with rows of weight 0 that hold a pair, its value and outcome, in place of zeros."""
    log, shown = data.log, data.recommendations
    pad, blank = log.weight == 0, shown.weight == 0
    assert pad.any() and blank.any()
    log = replace(log, item=jnp.where(pad, 3, log.item), value=jnp.where(pad, 5.0, log.value))
    like = {"user": USERS - 1, "item": 3, "treated": True, "value": 1.0, "propensity": 0.5}
    shown = replace(shown, **{name: jnp.where(blank, item, getattr(shown, name)) for name, item in like.items()})
    return replace(data, log=log, recommendations=shown)


@pytest.mark.parametrize("name", names("models"))
def test_every_model_keeps_the_contract(name):
    """Shapes, finiteness, block invariance, seeds as arguments, the same bits for the same key, padding ignored."""
    planned = plan(configured([f"model={name}", *TINY]))
    treated, _ = random_log(USERS, ITEMS, 0)
    data = replace(training_data(), recommendations=recommendations(treated, 512))
    method = method_of(planned, data)
    source = feed(data, method.layout, method.link, 64, 8)
    hp = planned_hyper(planned, source.n_steps)
    done = [fit(method, data, source, hp, seed, 2, None, lambda n, line: None) for seed in (0, 0, 1)]
    score = jax.jit(method.score)
    scores = [np.asarray(score(item.state, data, asked(method, data, range(USERS)))) for item in done]
    assert scores[0].shape == (USERS, ITEMS) and np.isfinite(scores[0]).all()
    np.testing.assert_array_equal(scores[0], scores[1])
    blocks = [score(done[0].state, data, asked(method, data, [u])) for u in range(USERS)]
    np.testing.assert_allclose(np.concatenate(blocks), scores[0], rtol=1e-5, atol=1e-5)
    users, items = np.divmod(np.arange(USERS * ITEMS, dtype=np.int32), ITEMS)
    predicted = np.asarray(jax.jit(method.predict)(done[0].state, data, asked(method, data, users), jnp.asarray(items)))
    assert predicted.shape == (USERS * ITEMS,) and np.isfinite(predicted).all()
    order = np.argsort(predicted.reshape(USERS, ITEMS), axis=1)
    top = np.take_along_axis(scores[0], order, axis=1)
    assert (np.diff(top, axis=1) >= -1e-4).all(), "score and predict must order alike"
    lanes = jax.eval_shape(jax.vmap(lambda key: method.init(key, data, hp)), jax.random.split(jax.random.key(0), 2))
    assert jax.tree.structure(lanes) == jax.tree.structure(done[0].state)
    filled = padding_that_looks_real(data)
    again = fit(method, filled, feed(filled, method.layout, method.link, 64, 8), hp, 0, 2, None, lambda n, line: None)
    result = score(again.state, filled, asked(method, filled, range(USERS)))
    np.testing.assert_allclose(result, scores[0], rtol=1e-5, atol=1e-6, err_msg="rows of weight 0 were read")


def test_a_plugin_is_tuned_over_ranges_from_the_command_line(backbone, tmp_path):
    store = tmp_path / "runs"
    assert call("tune", store, f"model.file={backbone}", "+model.space={dim:{choices:[2,3]}}", "budget=3") == 0
    trials = [record for record in records(store) if record["config"]["trial"]]
    assert {trial["config"]["model"]["dim"] for trial in trials} <= {2, 3, 4} and len(trials) >= 2


def test_no_model_is_left_out():
    """Every model that a file of models/ defines has an entry point, and with it the contract test above."""
    folder = Path(models.__file__).parent
    files = (path.relative_to(folder).with_suffix("").parts for path in folder.rglob("[!_]*.py"))
    modules = (importlib.import_module(".".join(("upliftlens.models", *parts))) for parts in files)
    defined = {var.name for module in modules for var in vars(module).values() if isinstance(var, Backbone | Solver)}
    assert defined == {name for name in names("models") if not entry("models", name).source}

"""What is wrong with a plugin is said in a line or two, with its fix, before anything is trained."""

import sys
from dataclasses import dataclass, make_dataclass
from pathlib import Path

import jax.numpy as jnp
import pytest
from flax import nnx
from plugin_sources import BACKBONE, SOLVER
from shell import TINY, call, programs, records
from worlds import ITEMS, training_data

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.config.chosen import from_file
from upliftlens.causal.objectives.objective import naive
from upliftlens.causal.options import NoOptions
from upliftlens.models.backbones import additive, mf, two_tower
from upliftlens.models.backbones.dense import DenseOptions
from upliftlens.models.checks import (
    check_agreement,
    check_method,
    check_module,
    checked_model,
    checked_objective,
    shapes_of,
)
from upliftlens.models.contract import Backbone, Hyper, Method, Solver
from upliftlens.models.record_checks import BrokenContract

DATA = training_data()
NONE = Hyper({}, {}, {})


def net(options, data, rngs):
    return nnx.Module()


@dataclass
class Loose:
    x: int = 1


def options_with(field, kind):
    return make_dataclass("Odd", [(field, kind, 1)], frozen=True)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (mf.MF, "is a ModuleMeta: it must be a Backbone or a Solver"),
        (Backbone(None, NoOptions, net), "name must be text of letters.*got None"),
        (Backbone("", NoOptions, net), "got ''"),
        (Backbone("my model", NoOptions, net), "got 'my model'"),
        (Backbone("a/b", NoOptions, net), "got 'a/b'"),
        (Backbone("x", None, net), "options must be a class marked .*NoOptions"),
        (Backbone("x", NoOptions(), net), "options must be a class marked"),
        (Backbone("x", dict, net), "options must be a class marked"),
        (Backbone("x", Loose, net), r"write @dataclass\(frozen=True\) above Loose"),
        (Backbone("x", options_with("file", int), net), "an option can't be called file"),
        (Backbone("x", options_with("a", "Nowhere"), net), "types of Odd can't be read"),
        (Backbone("x", NoOptions, None), r"build must be callable as build\(options, data, rngs\), got None"),
        (Backbone("x", NoOptions, lambda options: None), r"build is called with \(options, data, rngs\), but"),
        (Backbone("x", NoOptions, net, version="2"), "version must be a whole number, got '2'"),
        (Solver("x", NoOptions, 3), r"method must be callable as method\(options\), got 3"),
        (Solver("x", NoOptions, lambda: None), "method is called with"),
        (Solver("x", NoOptions, lambda options: None, memory=lambda n: 0), "memory is called with"),
        (Solver("x", NoOptions, lambda options: None, needs="truths"), "needs must be one of log, ratings, rec"),
    ],
)
def test_a_record_that_is_no_model(wrong, expected):
    with pytest.raises(BrokenContract, match=f"mine.*{expected}"):
        checked_model(wrong, "mine.py: model")


PHASE = naive.phases[0]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (mf.model, "is a Backbone: it must be an Objective"),
        (naive._replace(name="a b"), "got 'a b'"),
        (naive._replace(phases=()), "phases must be"),
        (naive._replace(phases=(PHASE._replace(moves=("imputation",)),)), "moves must be a tuple of names in modules"),
        (naive._replace(phases=(PHASE._replace(moves="prediction"),)), "moves must be a tuple of names in modules"),
        (naive._replace(phases=(PHASE._replace(loss=lambda view: 0),)), "a phase's loss is called with"),
    ],
)
def test_a_record_that_is_no_objective(wrong, expected):
    with pytest.raises(BrokenContract, match=expected):
        checked_objective(wrong, "mine.py")
    checked_objective(naive, "mine.py")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import sys\nsys.exit()\n", "ends the program (exit code None) when it is imported"),
        ("raise SystemExit(0)\n", "ends the program (exit code 0)"),
        (BACKBONE.replace("\nmodel =", "\nmine ="), "is it 'mine', to be called model?"),
        ("modle = 1\n", "is it 'modle', to be called model?"),
        ("model = 1\n", "model is a int: it must be a Backbone or a Solver"),
        (BACKBONE.replace("(self, options, data, rngs)", "(self, options)"), "build is called with (options, data"),
        (BACKBONE.replace("(frozen=True)", ""), "write @dataclass(frozen=True) above Options"),
        (BACKBONE.replace(", Net)", ", None)"), "build must be callable"),
        (BACKBONE.replace("dim: int = 4", "dim: object = jnp"), "mine"),
        (BACKBONE.replace("axis=-1)", "axis=-1, keepdims=True)"), "must give float32[3], got float32[3, 1]"),
        ("a = 1\nb = missing\n", "bad.py, line 2)"),
        (BACKBONE.replace("        normal =", "        1 / 0\n        normal ="), "bad.py, line "),
        (
            BACKBONE.replace("        normal =", "        self.a = jnp.ones(3)\n        normal ="),
            "self.a is a plain array: make",
        ),
        (
            BACKBONE.replace("        normal =", "        self.b = [jnp.ones(3)]\n        normal ="),
            "self.b is a plain array",
        ),
        (SOLVER.replace("return state[items]", "return state"), "must give float32[3], got float32[30]"),
    ],
)
def test_a_file_with_something_wrong_ends_with_a_clear_error(text, expected, tmp_path, capsys):
    path = tmp_path / "bad.py"
    path.write_text(text)
    assert main(["run", *TINY, f"store={tmp_path}/runs", f"cache={tmp_path}", f"model.file={path}"]) == 1
    shown = capsys.readouterr().err
    assert expected in shown and len(shown.strip().splitlines()) <= 2
    assert "bad.py" in shown or "model mine" in shown or "model shrunken_mean" in shown


def test_an_interrupt_during_import_is_no_error_of_the_plugin(tmp_path):
    path = tmp_path / "slow.py"
    path.write_text("raise KeyboardInterrupt\n")
    before = set(sys.modules)
    with pytest.raises(KeyboardInterrupt):
        from_file(path)
    assert set(sys.modules) == before


def test_a_plugin_that_leaves_while_it_is_built_fails_its_run_only(tmp_path, capsys):
    path = tmp_path / "leaves.py"
    path.write_text(BACKBONE.replace("        normal =", "        raise SystemExit(0)\n        normal ="))
    assert call("run", tmp_path, f"model.file={path}") == 1
    assert [record["status"] for record in records(tmp_path)] == ["failed"]


def test_a_plugin_that_changes_the_folder_moves_nothing(tmp_path, monkeypatch):
    (tmp_path / "away").mkdir()
    away = f"__import__('os').chdir({str(tmp_path / 'away')!r})\n"
    (tmp_path / "moves.py").write_text(away + BACKBONE.replace("        normal =", f"        {away}        normal ="))
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", *TINY, "store=runs", "cache=cache", "model.file=moves.py", "seed=0,1"]) == 0
    assert len(records(tmp_path / "runs")) == 2 and not list((tmp_path / "away").iterdir())
    assert Path.cwd() == tmp_path


def dense_scores(change):
    """MF whose ``score_all`` is ``change(module, users)``."""

    class Changed(mf.MF):
        def score_all(self, users):
            return change(super(), users)

    def build(options, data, rngs):
        return Changed(mf.MFOptions(4, 0.1, 0.3), data, rngs)

    return Backbone("changed", NoOptions, build)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda net, users: net.score_all(users).T, rf"must give float32\[3, {ITEMS}\], got float32\[{ITEMS}, 3\]"),
        (lambda net, users: net.score_all(users)[0], rf"must give float32\[3, {ITEMS}\], got float32\[{ITEMS}\]"),
        (lambda net, users: net.score_all(users) > 0, "got bool"),
        (lambda net, users: None, "got a NoneType"),
    ],
)
def test_dense_scores_of_another_shape(change, expected):
    with pytest.raises(BrokenContract, match=rf"model changed: score_all\(users i32\[3\]\) {expected}|{expected}"):
        check_module(dense_scores(change), NoOptions(), shapes_of(DATA))


@pytest.mark.parametrize(
    "change",
    [
        lambda net, users: net.score_all(users) - net.__self__.item_bias[...],  # which starts at 0
        lambda net, users: net.score_all(users)[:, ::-1],
        lambda net, users: net.score_all(users) * jnp.nan,
    ],
)
def test_dense_scores_that_are_not_those_of_the_pairs(change):
    model = dense_scores(change)
    check_module(model, NoOptions(), shapes_of(DATA))
    with pytest.raises(BrokenContract, match=r"differ by up to .* where scores reach"):
        check_agreement(model, NoOptions(), DATA)


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (additive.model, NoOptions()),
        (mf.model, mf.MFOptions(64, 0.1, 0.3)),
        (two_tower.model, DenseOptions(32, (16,), 0.5, 0.1)),  # with dropout, which must be off
    ],
    ids=lambda part: getattr(part, "name", ""),
)
def test_what_is_right_passes(model, options):
    check_module(model, options, shapes_of(DATA))
    check_agreement(model, options, DATA)


def test_a_run_with_other_dense_scores_is_refused_and_a_right_one_compiles_once(tmp_path, capsys):
    path = tmp_path / "dense.py"
    dense = "\nNet.score_all = lambda self, users: self.user[users] @ self.item[...].T"
    path.write_text(BACKBONE + dense + " + 0.01\n")
    assert call("run", tmp_path / "a", f"model.file={path}") == 1
    assert "model mine: score_all(users) and __call__(users, items) differ by up to 0.01" in capsys.readouterr().err
    path.write_text(BACKBONE + dense + "\n")
    assert call("sweep", tmp_path / "b", f"model.file={path}", "seed=0,1") == 0
    first, second = records(tmp_path / "b")
    assert programs(second["diagnostics"]) == 0 < programs(first["diagnostics"])
    assert first["diagnostics"]["layout"] == "tiles"


def solver(**changes):
    parts = {
        "init": lambda key, data, hp: jnp.zeros(data.n_items),
        "step": lambda state, data, batch, key, hp: (state, jnp.zeros(())),
        "score": lambda state, data, at: jnp.broadcast_to(state, (at.user.shape[0], data.n_items)),
        "predict": lambda state, data, at, items: state[items],
        "layout": "full",
        "link": "rank",
    }
    return Method(**parts | changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"layout": "dense"}, "layout must be one of"),
        ({"link": "ratings"}, "link must be one of"),
        ({"score": lambda state, data, at: state}, r"score\(.*must give float32\[3, 17\], got float32\[17\]"),
        ({"predict": lambda state, data, at, items: at.user}, r"must give float32\[3\], got int32\[3\]"),
        ({"step": lambda state, data, batch, key, hp: (state, state)}, "the loss of step"),
        ({"step": lambda state, data, batch, key, hp: (state[:2], state.sum())}, "step must give a state like"),
    ],
)
def test_a_solver_with_other_shapes(changes, expected):
    check_method("good", solver(), shapes_of(DATA), NONE)
    with pytest.raises(BrokenContract, match=expected):
        check_method("bad", solver(**changes), shapes_of(DATA), NONE)


def test_what_makes_no_method():
    with pytest.raises(BrokenContract, match="must return a Method, got NoneType"):
        check_method("bad", None, shapes_of(DATA), NONE)
    with pytest.raises(BrokenContract, match=r"build must return a flax\.nnx\.Module, and does not"):
        check_module(Backbone("bad", NoOptions, lambda o, d, r: 3), NoOptions(), shapes_of(DATA))
    with pytest.raises(BrokenContract, match=r"needs __call__\(users, items\)"):
        check_module(Backbone("bad", NoOptions, net), NoOptions(), shapes_of(DATA))

"""What is installed by other packages: a choice like the built-in ones, or a clear error that names it."""

import re
from importlib.metadata import EntryPoint, entry_points

import pytest
from plugin_sources import BACKBONE, PROPENSITY, SPLIT
from shell import TINY, call, records

from upliftlens.benchmarks.cli.doctor import _plugins
from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.config import plugins as registry

OBJECTIVE = """
from dataclasses import dataclass

from upliftlens.causal.objectives.objective import Objective, Phase
from upliftlens.causal.options import Traced


@dataclass(frozen=True)
class Options:
    factor: Traced[float] = 1.0


def loss(view, batch, hp):
    rows = batch.observed
    return hp["factor"] * (rows.weight * view.error(view.score("prediction", rows), rows.target)).sum()


objective = Objective("scaled", Options, (Phase(loss, ("prediction",)),))
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs ``text`` as a module of its own whose ``attribute`` an entry point of ``group`` names."""

    def installed(group, name, attribute, text):
        module = f"installed_{group}_{name}_{abs(hash(text))}"
        (tmp_path / f"{module}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        point = EntryPoint(name, f"{module}:{attribute}", f"upliftlens.{group}")

        def points(group):
            return [*entry_points(group=group), *([point] if group == point.group else [])]

        monkeypatch.setattr(registry, "entry_points", points)
        registry.entry.cache_clear()

    yield installed
    registry.entry.cache_clear()


def test_an_installed_objective_is_a_choice_with_its_options(install, tmp_path, capsys):
    install("objectives", "scaled", "objective", OBJECTIVE)
    assert call("sweep", tmp_path, "model=mf", "objective=naive,scaled", "train.l2=0") == 0
    assert call("run", tmp_path, "model=mf", "objective=scaled", "objective.factor=3", "train.l2=0") == 0
    naive, plain, scaled = records(tmp_path)
    assert [one["objective"] for one in (naive, plain, scaled)] == ["naive", "scaled", "scaled"]
    assert plain["config"]["objective"] == {"name": "scaled", "factor": 1.0}
    assert plain["epochs"][0]["loss"] == pytest.approx(naive["epochs"][0]["loss"])
    assert scaled["epochs"][0]["loss"] == pytest.approx(3 * naive["epochs"][0]["loss"], rel=0.05)
    capsys.readouterr()
    assert call("run", tmp_path, "model=mf", "objective=scaled", "objective.facto=3") == 1
    assert "did you mean 'factor'" in capsys.readouterr().err


DEFAULTS = SPLIT[SPLIT.index("name: str") : SPLIT.index(" = 4") + 4]
WEIGHED = ("model=additive", "objective=ips", "propensity=popularity")


def test_an_installed_split_is_a_choice_and_says_which_parts_have_a_propensity(install, tmp_path, capsys):
    install("splits", "every_nth", "kind", SPLIT)
    assert call("run", tmp_path, *WEIGHED, "split=every_nth") == 0
    assert call("run", tmp_path, *WEIGHED, "split=every_nth", "split.n=6") == 0
    install("splits", "every_nth", "kind", SPLIT.replace("fit=True, validation=True, test=True", ""))
    assert call("run", tmp_path, *WEIGHED, "split=every_nth") == 0
    fourth, sixth, unsaid = records(tmp_path)
    rows = sum(fourth["split"]["leak"][part] for part in ("train", "validation", "test"))
    assert (fourth["split"]["leak"]["test"], sixth["split"]["leak"]["test"]) == (-(-rows // 4), -(-rows // 6))
    assert fourth["config"]["split"] == {"name": "every_nth", "validation": 0.1, "seed": 0, "n": 4}
    assert "rmse/snips" in fourth["metrics"] and fourth["diagnostics"]["monitor"] == "rmse/snips"
    assert "test rows of split=every_nth are no random share" in unsaid["diagnostics"]["absent"]["rmse/snips"]
    assert unsaid["diagnostics"]["monitor"] == "rmse"
    assert unsaid["split"]["leak"] == fourth["split"]["leak"]
    assert unsaid["split"]["fingerprint"] != fourth["split"]["fingerprint"], "other code is another split"
    capsys.readouterr()
    assert call("run", tmp_path, *WEIGHED, "split=every_nth", "propensity=oracle") == 1
    assert "split=every_nth doesn't draw the training rows from it at random" in capsys.readouterr().err
    assert call("run", tmp_path, "split=every_nth", "split.m=6") == 1
    assert "split has no 'm': there is: n, name" in capsys.readouterr().err
    assert main(["list", "splits"]) == 0 and "every_nth" in capsys.readouterr().out.split()


def test_an_installed_propensity_is_a_choice_whose_code_is_in_the_key(install, tmp_path, capsys):
    words = ("model=additive", "objective=ips", "propensity=by_user")
    install("propensities", "by_user", "kind", PROPENSITY)
    assert call("run", tmp_path, *words) == 0
    assert "propensity by_user: " in (said := capsys.readouterr().err) and "depends on the user only" in said
    assert call("run", tmp_path, *words, "propensity.power=0.5") == 0
    install("propensities", "by_user", "kind", PROPENSITY.replace("0.001", "0.001  # edited"))
    assert call("run", tmp_path, *words) == 0
    plain, root, edited = records(tmp_path)
    assert plain["config"]["propensity"] == {"name": "by_user", "floor": 0.001, "normalise": False, "power": 1.0}
    assert len({one["fit_key"] for one in (plain, root, edited)}) == 3
    assert plain["metrics"] == edited["metrics"] != root["metrics"]
    assert plain["diagnostics"]["propensity"]["inverse_ratio"] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("group", "name", "old", "new", "expected"),
    [
        ("splits", "every_nth", "% options.n == 0", "% options.n", r"held_out must give bool\[\d+\], got int64"),
        ("splits", "every_nth", "Options(SplitOptions)", "Options", "'every_nth': derive Options from SplitOptions"),
        ("splits", "every_nth", DEFAULTS, "n: int", r"give its options defaults \(name, validation, seed, n\)"),
        ("propensities", "by_user", "(PropensityOptions)", "", "'by_user': derive Options from PropensityOptions"),
    ],
)
def test_a_broken_split_or_propensity_is_refused_in_a_sentence(
    group, name, old, new, expected, install, tmp_path, capsys
):
    text = SPLIT if group == "splits" else PROPENSITY
    install(group, name, "kind", text.replace(old, new))
    assert call("run", tmp_path, "model=additive", f"{group.replace('ies', 'y').rstrip('s')}={name}") == 1
    shown = " ".join(capsys.readouterr().err.split())
    assert re.search(expected, shown) and "Traceback" not in shown, shown


@pytest.mark.parametrize(
    ("group", "name", "text", "expected"),
    [
        ("models", "gone", "raise SystemExit(0)", "ends the program (exit code 0) when it is imported"),
        ("models", "gone", "import nowhere_at_all", "No module named 'nowhere_at_all'"),
        ("models", "gone", BACKBONE, "is called 'mine': the entry point and the object need one name"),
        (
            "models",
            "mine",
            BACKBONE.replace("dim: int = 4", "dim: object = jnp"),
            "defaults of its options can't be used",
        ),
        ("objectives", "gone", "model = 1", "is a int: it must be an Objective"),
    ],
)
def test_what_is_wrong_with_an_installed_plugin_is_said(group, name, text, expected, install, tmp_path, capsys):
    assert _plugins().state == "good"
    install(group, name, "model", text)
    assert _plugins().state == "broken" and expected in _plugins().finding
    assert main(["run", *TINY, f"store={tmp_path}/runs"]) == 1
    shown = capsys.readouterr().err
    assert expected in shown and f"'{name}'" in shown and len(shown.strip().splitlines()) <= 2

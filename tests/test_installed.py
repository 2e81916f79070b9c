"""What is installed by other packages: a choice like the built-in ones, or a clear error that names it."""

from importlib.metadata import EntryPoint, entry_points

import pytest
from plugin_sources import BACKBONE
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

"""The house: which way imports go, how long files are, that every default is in a YAML and every choice is packaged."""

import ast
import dataclasses
import tomllib
from pathlib import Path

import pytest
from worlds import LOSSES

from upliftlens.benchmarks.config.compose import composed
from upliftlens.benchmarks.config.plugins import entry, names
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.models.contract import Backbone, Solver

ROOT = Path(__file__).parent.parent
FOLDERS = {"causal": {"causal"}, "models": {"causal", "models"}, "benchmarks": {"causal", "models", "benchmarks"}}
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
GROUPS = sorted(  # a table's definition is no choice of a run
    path.name for path in (ROOT / "configs").iterdir() if path.is_dir() and path.name not in ("__pycache__", "table")
)


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_from_causal_to_models_to_benchmarks(path):
    allowed = FOLDERS[path.relative_to(ROOT).parts[0]]
    for name in imported(path):
        top, *rest = name.split(".")
        assert top not in (*FOLDERS, "configs"), f"{path} imports {name}: that would be a second copy of every class"
        if top == "upliftlens":
            assert rest[0] in allowed, f"{path} imports {name}, which is above it"


def test_files_are_short_and_named_for_what_they_hold():
    for path in [*SOURCES, *(ROOT / "tests").glob("*.py")]:
        assert len(path.read_text().splitlines()) <= 300, f"{path} is over 300 lines: split it along a real seam"
        assert path.stem not in ("utils", "helpers", "common", "misc")


def test_every_folder_of_code_and_choices_is_packaged():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packaged = set(setuptools["package-dir"].values())
    folders = {str(path.parent.relative_to(ROOT)) for path in [*SOURCES, *(ROOT / "configs").rglob("*.yaml")]}
    assert folders <= packaged
    assert set(setuptools["packages"]) == set(setuptools["package-dir"])


def test_every_option_of_a_model_has_its_default_in_its_yaml():
    for name in names("models"):
        model = entry("models", name).value
        assert isinstance(model, (Backbone, Solver)) and model.name == name
        section = composed([f"model={name}"])["model"]
        fields = {field.name for field in dataclasses.fields(model.options)}
        assert set(section) - {"name", "space"} == fields
        for field in dataclasses.fields(model.options):
            assert field.default is dataclasses.MISSING, f"{name}.{field.name}: a default hides in code"


@pytest.mark.parametrize("group", GROUPS)
def test_every_choice_composes_into_a_plan(group):
    for path in sorted((ROOT / "configs" / group).glob("[!_]*.yaml")):
        # Implicit data want a model that needs no negatives; an objective a propensity, a fitting loss, and towers.
        beside = {"data": ["model=popularity"], "sweep": ["model=popularity"]}.get(group, [])
        if group == "objective":
            links = entry("objectives", path.stem).value.links
            loss = next(name for name, one in LOSSES.items() if one.link in links)
            beside = ["propensity=constant", "model=mlp", f"loss={loss}"]
        content = composed([f"{group}={path.stem}", *beside])
        assert plan(content).config == content


def test_the_namespace_is_importable_by_one_name_only():
    import upliftlens.models.backbones.mf as there

    assert there.__name__ == "upliftlens.models.backbones.mf"
    assert Path(there.__file__).resolve() == (ROOT / "models" / "backbones" / "mf.py").resolve()

"""The house: which way imports go, how long files are, that every default is in a YAML and every choice is packaged."""

import ast
import dataclasses
import re
import tomllib
from pathlib import Path

import pytest
from rooms import ROOMS, TOPS
from worlds import LOSSES

from upliftlens.benchmarks.config.compose import composed, configured
from upliftlens.benchmarks.config.plugins import entry, names
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.models.contract import Backbone, Solver

ROOT = Path(__file__).parent.parent
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
FOLDERS = SETUPTOOLS["package-dir"]  # of every package, hydra_plugins.upliftlens included

BESIDE = ("list", "doctor", "quickstart")
"""Verbs that need not call the Lab: what only a terminal asks."""

MOST_FILES = 20  # of Python in a folder: more ask for another room
SOURCES = [path for top in TOPS for path in sorted((ROOT / top).rglob("*.py"))]
GROUPS = sorted(  # a table's definition is no choice of a run
    path.name for path in (ROOT / "configs").iterdir() if path.is_dir() and path.name not in ("__pycache__", "table")
)


def imported(path):
    """Dotted names of all modules that a file imports, also inside of functions; a package's modules by their own."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            inside = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if module_path(name) else node.module for name in inside)


def module_path(name):
    """The file of one of our modules, or None."""
    package, _, last = name.rpartition(".")
    inside = {package: f"{last}.py", name: "__init__.py"}
    files = (ROOT / FOLDERS[folder] / file for folder, file in inside.items() if folder in FOLDERS)
    return next((path for path in files if path.is_file()), None)


def room_of(path):
    """(package, room) of a source file; a file that lies beside the rooms is one itself."""
    top, *parts = path.relative_to(ROOT).with_suffix("").parts
    return top, parts[0]


def level(path):
    """Where a file stands, bottom up."""
    top, room = room_of(path)
    rooms = ROOMS[top].split()
    assert room in (*rooms, "__init__"), f"{path} lies in no room of {top}: there is {', '.join(rooms)}"
    return TOPS.index(top), len(rooms) if room == "__init__" else rooms.index(room)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_from_room_to_room(path):
    for name in imported(path):
        top = name.split(".")[0]
        assert top not in (*TOPS, "configs"), f"{path} imports {name}: that would be a second copy of every class"
        if (other := module_path(name)) is not None and other.is_relative_to(ROOT) and room_of(other)[0] in TOPS:
            assert level(other) <= level(path), f"{path} imports {name}, which lies above it"


VERBS = [
    path for path in SOURCES if path.parent == ROOT / "benchmarks/cli/verbs" and path.stem not in ("__init__", *BESIDE)
]


@pytest.mark.parametrize("path", VERBS, ids=lambda path: path.stem)
def test_a_verb_parses_calls_the_lab_and_renders(path):
    """So that a notebook can do what a command does: no verb imports what the Lab calls."""
    ours = {room_of(other) for name in imported(path) if (other := module_path(name)) is not None}
    lab, others = ("benchmarks", "lab"), {("benchmarks", "cli"), ("benchmarks", "system"), ("causal", "errors")}
    assert lab in ours and ours <= {lab, *others}


def test_the_documents_draw_the_rooms_of_benchmarks_in_this_order():
    picture = re.search(
        r"^benchmarks/ .*?^models/ ", (ROOT / "docs/architecture.md").read_text(), re.DOTALL | re.MULTILINE
    )[0]
    *drawn, _beside, _models = (line[13:].split()[:1] for line in picture.splitlines())
    there = [[room] for room in ROOMS["benchmarks"].split() if (ROOT / "benchmarks" / room).is_dir()]
    assert drawn == [room for room in reversed(there) if room != ["speed"]]


def test_there_is_no_circle_of_imports():
    """Of files, also inside of a room and for imports inside of functions. A package's face is no file of its own."""
    edges = {path: {other for name in imported(path) if (other := module_path(name)) in SOURCES} for path in SOURCES}
    edges = {path: {other for other in others if other.name != "__init__.py"} for path, others in edges.items()}
    while leaves := [path for path, others in edges.items() if not others & edges.keys()]:
        for path in leaves:
            del edges[path]
    assert not edges, f"a circle among {sorted(str(path.relative_to(ROOT)) for path in edges)}"


def test_rooms_are_there_and_no_folder_is_crowded():
    for top in TOPS:
        folders = {path.parent for path in SOURCES if path.is_relative_to(ROOT / top)}
        for folder in folders:
            files = list(folder.glob("*.py"))
            assert len(files) <= MOST_FILES, f"{folder} holds {len(files)} files: it asks for another room"
            if folder != ROOT / top:
                face = folder / "__init__.py"
                assert len(files) > 1 and face.is_file() and ast.get_docstring(ast.parse(face.read_text())), (
                    f"{folder} says nothing"
                )


def test_files_are_short_and_named_for_what_they_hold():
    for path in [*SOURCES, *(ROOT / "tests").rglob("*.py")]:
        assert len(path.read_text().splitlines()) <= 300, f"{path} is over 300 lines: split it along a real seam"
        assert path.stem not in ("utils", "helpers", "common", "misc")


def test_every_folder_of_code_and_choices_is_packaged():
    folders = {str(path.parent.relative_to(ROOT)) for path in [*SOURCES, *(ROOT / "configs").rglob("*.yaml")]}
    assert folders <= set(FOLDERS.values())
    assert set(SETUPTOOLS["packages"]) == set(FOLDERS)


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
        # The split new_users wants a model that needs no row for a user.
        beside = ["model=popularity"] if group in ("data", "sweep", "split") else []
        if group == "objective":
            links = entry("objectives", path.stem).value.links
            loss = next(name for name, this_loss in LOSSES.items() if this_loss.link in links)
            beside = ["propensity=constant", "model=mlp", f"loss={loss}"]
        configuration = configured([f"{group}={path.stem}", *beside])
        assert plan(configuration).config == configuration.content


def test_the_namespace_is_importable_by_one_name_only():
    import upliftlens.models.backbones.mf as there

    assert there.__name__ == "upliftlens.models.backbones.mf"
    assert Path(there.__file__).resolve() == (ROOT / "models" / "backbones" / "mf.py").resolve()

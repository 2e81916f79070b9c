"""Every page as a reader follows it: its commands and its Python from top to bottom, in a folder without runs.

Small data stand in for the real ones (``stand_ins``), so a command says other numbers here than on the page.
"""

import re
import shlex
import shutil
import subprocess

import pytest
from pages import DOCS, ROOT, steps
from shell import records
from stand_ins import fill_cache, fill_folder

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.data import obtain

# docs/python.md has no command, and its blocks run in tests/lab/test_python_page.py.
PAGES = [
    page
    for page in ("README.md", "CONTRIBUTING.md", "results/README.md", *DOCS)
    if page != "docs/python.md" and steps(page)
]

ADDED = (  # verbs, and a word of theirs; options that such a command gets unless it states them; instead of what
    ("run sweep tune", "data=synthetic", "data.n_users=60 data.n_items=50 data.ratings_per_user=12", "800,000 pairs"),
    ("run sweep effects", "data=uplift-ml-100k", "data.world.per_user=10", "100 recommendations of 50 items"),
    ("run sweep effects", "data=uplift-ml-100k", "data.world.ratings.steps=20000", "2 million steps"),
    ("run sweep effects", "data=uplift-ml-100k", "data.world.watched.steps=20000", "43 million steps"),
    ("tune benchmark", "", "budget=2", "20 trials"),
    ("benchmark", "", "seeds=2", "5 seeds"),
    ("table", "robustness", "draws=20", "500 draws"),
)
REPLACED = {"model=distance": "model.file=my_model.py"}  # installed on the page, and in tests/cli/test_readme.py
KEYS = {"cc4c6f60": "mf", "db410a48": "ials", "26c46c4b": "mf_features", "RUN": "ease"}  # its last run with seed 0
NAMES = {"FILE": "log.csv", "FOLDER": "ml-latest-small", "NAME": "ml-100k", "VERB": "compare"}
BEFORE = {"docs/records.md": "run model=popularity"}  # the page describes what a run left
NOT_RUN = {  # how long they take; tests/tables runs small versions
    "table schnabel-2": "6 minutes",
    "table coat": "75 minutes",
    "table ml-100k-debias": "70 minutes",
    "table uplift-ml-100k": "65 minutes",
    "table uplift-estimators": "minutes",
    "table coverage": "20 minutes",
    "table coverage-items": "2 minutes",
    "table same-method": "20 minutes",
    "table coverage-folds": "5 minutes",
    "table surprise-ml-100k": "15 minutes",
}


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """The folder of a reader, whose cache holds what is taken for ML-100K and Coat."""
    monkeypatch.setattr(obtain, "fault", lambda path, source: None)  # their hashes are not those of the real archives
    monkeypatch.setenv("HOME", str(tmp_path))
    fill_cache(tmp_path / ".cache" / "upliftlens")
    folder = tmp_path / "reader"
    folder.mkdir()
    fill_folder(folder)
    shutil.copy(ROOT / "tests" / "plugins" / "my_model.py", folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_from_top_to_bottom(page, reader, capsys, quick_compilation):
    if page in BEFORE:
        assert main(BEFORE[page].split()) == 0
    names = {}
    for step in steps(page):
        where = f"{page}, line {step.line}"
        if step.python:
            exec(compile(step.text, where, "exec"), names)
        elif left_out(step) is None:
            capsys.readouterr()
            code = exit_code(step, reader)
            said = "".join(capsys.readouterr()).replace(str(reader), "/home/ann")  # whom the pages show
            about = f"{where}: {step.text}\nends with {code} and says:\n{said[-3000:]}"
            if re.search(r"^error: ", step.shown, re.MULTILINE):  # shown because it fails
                missing = set(step.shown.splitlines()) - set(said.splitlines())
                assert code == 1 and not missing, f"{about}\nThe page shows, and it doesn't say: {missing}"
            else:
                assert code == 0, about


def left_out(step):
    """The entry of NOT_RUN for a command, or None."""
    entry = " ".join(step.text.split()[1:3])
    return entry if entry in NOT_RUN else None


def exit_code(step, folder):
    """Runs a command in this process, one of the system's in a shell; its exit code."""
    words = shlex.split(filled(step.text, folder / "runs"), comments=True)
    if words[0] == "upliftlens":
        words = [REPLACED.get(word, word) for word in words[1:]]
        place = next((number for number, word in enumerate(words) if word.startswith("-")), len(words))
        words[place:place] = [option for entry in ADDED for option in added(words, *entry)]  # before the flags
        try:
            return main(words)
        except SystemExit as end:  # of --help and of a wrong flag
            return end.code
    if words[0] == "cat" and not (folder / words[1]).exists():  # the page shows a file that the reader writes
        (folder / words[1]).write_text(step.shown)
    done = subprocess.run(step.text, shell=True, cwd=folder, capture_output=True, text=True)
    print(done.stdout, done.stderr)
    return done.returncode


def filled(command, store):
    """A command with a run's key, or a name, for what the page shows in its place."""
    for shown, model in KEYS.items():
        if shown in command.split():
            runs = [item for item in records(store) if (item["model"], item["seed"]) == (model, 0)]
            assert runs, f"{command}: no run of {model}"
            command = command.replace(shown, runs[-1]["key"])
    return re.sub("|".join(rf"\b{name}\b" for name in NAMES), lambda match: NAMES[match[0]], command)


def added(words, verbs, condition, options, _instead):
    """The options of an entry of ADDED that the words of a command get."""
    stated = {word.partition("=")[0] for word in words}
    given = [*words, *([] if "data" in stated else ["data=synthetic"])]
    if words[0] not in verbs.split() or (condition and condition not in given):
        return []
    return [option for option in options.split() if option.partition("=")[0] not in stated]


def test_no_exception_is_stale():
    commands = [step for page in PAGES for step in steps(page) if not step.python]
    words = [re.split(r"[\s=]", step.text) for step in commands]
    assert {left_out(step) for step in commands} >= NOT_RUN.keys()
    assert set().union(*words) >= {*KEYS, *NAMES} and set(PAGES) >= BEFORE.keys()
    assert set().union(*(step.text.split() for step in commands)) >= REPLACED.keys()
    for entry in ADDED:
        assert any(added(step.text.split()[1:], *entry) for step in commands), f"no command gets {entry[2]}"

"""What the README and CONTRIBUTING promise: paths exist, commands parse, the example model runs by both its doors."""

import ast
import os
import re
import shlex
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from pages import DOCS, ROOT
from shell import TINY, call, records
from worlds import ITEMS, USERS, training_data

from upliftlens.benchmarks.cli.main import VERBS, parser_of
from upliftlens.benchmarks.cli.verbs import list as list_verb
from upliftlens.benchmarks.config.chosen import from_file
from upliftlens.benchmarks.config.compose import configured, prepare_overrides
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.benchmarks.sweeps.tune import searched
from upliftlens.benchmarks.tables.benchmark import Options

PLUGIN = ROOT / "tests" / "plugins" / "my_model.py"
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "results/README.md", "paper/README.md", *DOCS)
FOLDERS = (
    "docs/",
    "causal/",
    "models/",
    "benchmarks/",
    "configs/",
    "tests/",
    "paper/",
    "results/",
    ".ci/",
    ".typings/",
)
MADE_LATER = ("NAME", "KEY", "runs/", "dist/", ".typings/", ".venv/")  # placeholders, and what commands produce
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
DELIBERATE = {  # shown because they fail
    "upliftlens run model.dmi=3": "did you mean 'dim'",
    "upliftlens run model.file=my_model.py data=ml-100k model.dim=eight": "model.dim must be a whole number, got eight",
}


def text(page):
    return (ROOT / page).read_text()


def fenced(page):
    """(language, content) of each fenced block."""
    return FENCE.findall(text(page))


def commands(page):
    """The command lines that begin with ``upliftlens``, in fenced blocks and in code within sentences."""
    lines = [line for _, block in fenced(page) for line in block.splitlines()]
    lines += re.findall(r"`(upliftlens [^`]+)`", FENCE.sub("", text(page)))
    result = (line.strip().removeprefix("$ ") for line in lines)
    return [line for line in result if line.startswith("upliftlens ") and "VERB" not in line]


ALL = [line for page in PAGES for line in commands(page)]


@pytest.mark.parametrize("page", PAGES)
def test_every_path_named_exists(page):
    words = re.findall(r"[\w.*/-]+", " ".join(re.findall(r"`([^`\n]+)`", FENCE.sub("", text(page)))))
    plain = ("LICENSE", "Makefile", "pyproject.toml", "constraints.txt", "CONTRIBUTING.md", "CHANGELOG.md")
    named = {word for word in words if word.startswith(FOLDERS) or word in plain}
    for name in sorted(named):
        if not any(part in name for part in MADE_LATER):
            assert list(ROOT.glob(name)), f"{page} names {name}, which does not exist"


@pytest.mark.parametrize("page", PAGES)
def test_every_link_has_a_target(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text(page))):
        if not target.startswith("https://"):
            path, _, anchor = target.partition("#")
            there = (ROOT / page).parent / path if path else ROOT / page
            assert there.exists(), target
            assert not anchor or anchor in anchors(there.read_text()), target


def anchors(content):
    headings = re.findall(r"^#+ (.+)$", content, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_exists(page):
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    code = [block for _, block in fenced(page)] + re.findall(r"`(make [^`]+)`", FENCE.sub("", text(page)))
    for line in "\n".join(code).splitlines():
        if line.startswith("make "):
            assert line.split()[-1] in targets, line


def test_there_are_commands_of_every_verb_but_the_trivial():
    assert {line.split()[1] for line in ALL} >= VERBS.keys() - {"quickstart", "doctor"}


@pytest.mark.parametrize("line", dict.fromkeys(ALL))
def test_every_command_parses(line, monkeypatch, tmp_path):
    monkeypatch.chdir(PLUGIN.parent)  # where my_model.py lies
    verb, *rest = shlex.split(re.sub(r"<.*?>|…", "", line), comments=True)[1:]
    assert verb in VERBS
    if set(rest) & {"--help", "--cfg"}:
        return
    if verb == "benchmark":
        rest = [part for part in rest if part.partition("=")[0] not in Options.__dataclass_fields__]
    if verb in ("run", "sweep", "tune", "benchmark"):
        if "model=distance" in rest:  # installed, in the text
            rest = ["model.file=my_model.py" if part == "model=distance" else part for part in rest]
        rest = ["data=csv" if part == "data=mine" else part for part in rest]  # saved, in the text
        rest = [value_of(override) for override in prepare_overrides(rest)]
        if line in DELIBERATE:
            with pytest.raises(Exception, match=re.escape(DELIBERATE[line])):
                plan(configured(rest))
        else:
            plan(configured([part for part in rest if not part.startswith("sweep=")]))
    elif verb not in ("quickstart",):
        flags = parser_of(verb).parse_args(rest)
        if verb == "list":
            assert list_verb.run(flags) == 0
    else:
        assert not rest


def value_of(override):
    """The first value of a sweep over several."""
    name, _, value = override.partition("=")
    if value.startswith("range("):
        return f"{name}={value[6:].split(',')[0]}"
    return override if value.startswith(("[", "'")) else f"{name}={value.split(',')[0]}"


@pytest.mark.parametrize("page", ["README.md", "docs/plugins.md"])
def test_the_model_that_is_shown_is_the_one_tested_here(page):
    shown = next(block for language, block in fenced(page) if language == "python" and "class Distance" in block)
    assert ast.dump(ast.parse(shown)) == ast.dump(undocumented(ast.parse(PLUGIN.read_text())))


def test_the_space_that_is_shown_is_searched(tmp_path):
    plugin, space = (block for language, block in fenced("docs/plugins.md") if language == "python")
    (tmp_path / "my_model.py").write_text(plugin.replace("\nclass Distance(", f"\n{space}\n\nclass Distance("))
    with_space = [f"model.file={tmp_path}/my_model.py"]
    assert set(searched(configured(prepare_overrides(with_space)))) == {"model.dim", "train.lr", "train.l2"}
    assert "model.dim" not in searched(configured(prepare_overrides([*with_space, "model.dim=8"])))


def undocumented(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return tree


def test_the_model_runs_from_its_file_and_an_edit_is_another_run(tmp_path, capsys):
    mine, store = tmp_path / "my_model.py", tmp_path / "runs"
    mine.write_text(PLUGIN.read_text())
    words = (f"model.file={mine}", "model.dim=3", "train.lr=0.03")
    assert call("run", store, *words) == 0
    assert call("run", store, *words) == 0  # a lookup
    (first,) = records(store)
    assert (first["status"], first["model"]) == ("done", "distance")
    assert first["config"]["model"]["dim"] == 3 and first["config"]["model"]["init"] == 0.1
    assert first["diagnostics"]["layout"] == "tiles" and first["metrics"]["rmse"]["value"] < 1.5
    mine.write_text(PLUGIN.read_text() + "\n# edited\n")
    assert call("run", store, *words) == 0
    assert len({record["key"] for record in records(store)}) == 2


def test_the_model_is_a_choice_where_its_package_is_installed(tmp_path):
    site, store = tmp_path / "site", tmp_path / "runs"
    info = site / "my_models-0.1.dist-info"
    info.mkdir(parents=True)
    (site / "my_model.py").write_text(PLUGIN.read_text())
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-models\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[upliftlens.models]\ndistance = my_model:model\n")
    words = ["run", *TINY, f"store={store}", f"cache={tmp_path}", "model=distance", "model.dim=3"]
    done = subprocess.run(
        [sys.executable, "-m", "upliftlens.benchmarks.cli", *words],
        env={**os.environ, "PYTHONPATH": str(site)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (record,) = records(store)
    assert record["model"] == "distance" and record["config"]["model"]["dim"] == 3


def test_both_ways_of_scoring_agree():
    model = from_file(PLUGIN).value
    module = model.build(model.options(), training_data(), nnx.Rngs(params=0))
    users = jnp.arange(USERS)
    pairs = np.stack([module(users, jnp.full(USERS, item)) for item in range(ITEMS)], axis=1)
    np.testing.assert_allclose(module.score_all(users), pairs, atol=1e-6)


def test_choices_are_those_of_the_yaml_files():
    """A row for each group, which names every file of its folder and nothing else."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", text("docs/choices.md"), re.MULTILINE))
    for group, row in rows.items():
        files = {path.stem for path in (ROOT / "configs" / group).glob("[!_]*.yaml")}
        if group == "split":
            files -= {"u2", "u3", "u4"}  # named as u1 … u5
        words = {word for word in re.findall(r"`([^`]+)`", row) if "=" not in word and "." not in word}
        assert words - {"train"} == files - {"train"} or words == files, (group, words ^ files)
    folders = {path.name for path in (ROOT / "configs").iterdir() if path.is_dir() and list(path.glob("[!_]*.yaml"))}
    assert folders - rows.keys() <= {"table"}

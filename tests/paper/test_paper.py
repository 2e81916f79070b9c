"""The paper: no number of a result is typed in it, each is read; the same tables give the same bytes."""

import json
import re
import shutil
from pathlib import Path

import pytest

from upliftlens.causal.errors import UpliftlensError
from upliftlens.paper import build

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "paper/main.typ").read_text()
ALLOWED = ("1/p", "ML-100K", "95 %", ".05", "@5", "@10")  # the level of intervals and tests, names of data and metrics


def prose():
    """The text without what is computed, set or shown as code."""
    text = re.sub(r"^#(import|set|show|let).*$", "", TEXT, flags=re.MULTILINE)
    text = re.sub(r"#figure\(.*?^\)$|#figure\(image.*?\)\]?\)$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`[^`]*`", "", text.partition("= References")[0])
    return re.sub(r"#[a-z.-]+\([^()]*(\([^()]*\))*[^()]*\)|#[a-z.]+\.[a-z]+", "", text)


def test_no_number_of_a_result_is_typed():
    text = prose().replace("\\@", "@")
    for word in ALLOWED:
        text = text.replace(word, "")
    typed = [hit for hit in re.findall(r"\d[\d.,]*|\.\d+", text) if not re.fullmatch(r"20\d\d,?|0", hit)]
    assert not typed, f"{typed}: read it from results/ (paper/numbers.typ)"


def test_every_number_that_is_read_is_in_a_table():
    text = TEXT.replace('" + family', 'own naive"')
    asked = re.findall(r'#(?:value|with-interval|difference)\("([^"]+)", "([^"]+)", "([^"]+)"', text)
    assert len(asked) > 10
    for name, row, column in asked:
        assert (row, column) in build.cells(name), (name, row, column)


def test_figures_are_of_the_tables_and_the_same_twice(tmp_path, monkeypatch):
    folder = tmp_path / "results"
    shutil.copytree(ROOT / "results", folder)
    monkeypatch.setattr(build, "ROOT", tmp_path)

    def drawn(place):
        build.save(build.uplift(), path := tmp_path / place / "uplift.svg")
        return path.read_bytes()

    before = drawn("a")
    assert before == drawn("b") == (ROOT / "paper/figures/uplift.svg").read_bytes()
    cells = json.loads((folder / "uplift-ml-100k.json").read_text())
    next(cell for cell in cells if (cell["row"], cell["column"]) == ("dlce", "cp@10"))["value"] += 0.01
    (folder / "uplift-ml-100k.json").write_text(json.dumps(cells))
    assert drawn("c") != before


def test_the_paper_is_that_of_the_tables(tmp_path, monkeypatch):
    pytest.importorskip("typst", reason="the extra paper is not installed: `make paper-check` checks it")
    assert build._compiled(tmp_path / "main.pdf").read_bytes() == (ROOT / "paper/main.pdf").read_bytes()


def test_any_file_that_was_changed_removed_or_added_is_named(tmp_path, monkeypatch):
    for name in ("paper", "results", "configs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.setattr(build, "FOLDER", tmp_path / "paper")
    monkeypatch.setattr(build, "ROOT", tmp_path)
    written = (ROOT / "paper/checksums.txt").read_text()
    assert build._changed(written) == []
    coat = tmp_path / "results/same-method.json"
    coat.write_text(coat.read_text().replace("1", "2", 1))
    (tmp_path / "results/schnabel-2.records.jsonl").unlink()
    (tmp_path / "results/more.json").write_text("[]")
    said = build._changed(written)
    assert [line.split(" since")[0] for line in said] == [
        "results/more.json is new",
        "results/same-method.json is changed",
        "results/schnabel-2.records.jsonl is missing",
    ]


def test_a_missing_cell_is_named(tmp_path, monkeypatch):
    pytest.importorskip("typst", reason="the extra paper is not installed")
    for name in ("paper", "results", "configs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.setattr(build, "FOLDER", tmp_path / "paper")
    monkeypatch.setattr(build, "ROOT", tmp_path)
    text = TEXT.replace('"mf/ips", "auc vs "', '"mf/ipz", "auc vs "')
    assert text != TEXT
    (tmp_path / "paper/main.typ").write_text(text)
    with pytest.raises(UpliftlensError, match=r"results/coat\.json has 0 cells mf/ipz, auc vs own naive"):
        build._compiled(tmp_path / "main.pdf")

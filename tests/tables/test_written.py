"""A table in every format: cells, signs of marks, legend; LaTeX compiles where there is an engine."""

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.reports.render import FORMATS
from upliftlens.benchmarks.tables.cells import Cell
from upliftlens.benchmarks.tables.table import Table
from upliftlens.benchmarks.tables.written import rendered
from upliftlens.causal.errors import UpliftlensError

CELLS = [
    Cell("mf/ips", "mse", 1.09, 1.0, 1.2, 1.093, "reproduced", ("abc",), marks=("budget",)),
    Cell("mf/naive", "mse", 1.5, 1.4, 1.6, 1.202, "differs", ()),
    Cell("mf/ips", "mae_x", 0.8, 0.7, 0.9, None, "", (), marks=("budget", "sampled")),
    Cell("mf/naive", "mae_x", 0.9, 0.8, 1.0, None, "", (), marks=("test", "sampled")),
]
PAIRED = Cell("mf/ips", "mse vs mf/naive", -0.1, -0.2, -0.05, None, "better (p ≤ 0.01)", ("abc",), True)
TABLE = Table("T & <t>", [*CELLS, PAIRED], ["Said."], 0.8)
ENGINE = next(filter(shutil.which, ("pdflatex", "lualatex", "xelatex", "tectonic")), None)


def on_a_terminal(table):
    out = Console(width=200, file=io.StringIO())
    out.print(rendered(table, "table"))
    return out.file.getvalue()


def test_cells_as_plain_data():
    kept = json.loads(rendered(TABLE, "json"))
    first = {"row": "mf/ips", "column": "mse", "value": 1.09, "lo": 1.0, "hi": 1.2, "published": 1.093}
    assert {**kept[0], **first} == kept[0] and kept[0]["keys"] == ["abc"] and kept[0]["marks"] == ["budget"]
    assert len(kept) == 5 and all("runs" not in load for load in kept)
    lines = list(csv.DictReader(io.StringIO(rendered(TABLE, "csv"))))
    assert [(line["row"], line["column"], float(line["hi"])) for line in lines] == [
        (cell.row, cell.column, cell.hi) for cell in TABLE.cells
    ]
    assert lines[3]["marks"] == "test sampled" and lines[2]["published"] == ""
    unknown = Table("T", [CELLS[0]._replace(lo=float("nan"))], [], None)
    assert json.loads(rendered(unknown, "json"))[0]["lo"] is None, "strict JSON"


def test_markdown_has_paired_differences_in_a_part_of_their_own():
    text = rendered(TABLE, "md")
    words = "-0.100 [-0.200, -0.050]; better (p ≤ 0.01); uses MAR data"
    assert f"|  | mse vs mf/naive |\n|---|---|\n| mf/ips | {words} |" in text
    assert text.endswith("- Said.") and "[80 % interval]" in text


def test_a_sign_of_a_whole_column_or_row_stands_at_its_name_any_other_in_its_cell():
    text = rendered(TABLE, "md")
    assert "|  | mse | mae_x § |" in text, "all cells of the column"
    assert "| mf/ips † | 1.090 [1.000, 1.200]; 1.093; reproduced | 0.800 [0.700, 0.900] |" in text, "of the row"
    assert "| mf/naive | 1.500 [1.400, 1.600]; 1.202; differs | 0.900 [0.800, 1.000] ‡ |" in text, "a cell alone"


@pytest.mark.parametrize("form", ["md", "html", "table", "latex"])
def test_every_form_for_people_has_the_signs_and_their_sentences(form):
    text = on_a_terminal(TABLE) if form == "table" else rendered(TABLE, form)
    for sign, sentence in (("†", "fewer trials"), ("‡", "on the test set"), ("§", "ranks the test items")):
        assert f"{sign} " in text and sentence in text, "in the legend"
    assert "¶" not in text, "no cell has it"
    assert "Said." in text and "1.090 [1.000, 1.200]" in text and "paired differences" in text


def test_html_is_escaped_and_stands_alone():
    text = rendered(TABLE, "html")
    assert "<caption>T &amp; &lt;t&gt;</caption>" in text and text.count("<table>") == text.count("</table>") == 2
    assert '<td style="text-align:left">mf/ips †</td>' in text and "http" not in text


def test_another_format_is_refused():
    assert FORMATS == ("table", "md", "latex", "csv", "json", "html")
    with pytest.raises(UpliftlensError, match="md, latex, csv, json, html or table, not as pdf"):
        rendered(TABLE, "pdf")


def test_latex_has_the_rules_of_booktabs():
    text = rendered(TABLE, "latex")
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 2
    assert r"mae\_x \S{}" in text and r"mf/ips \dag{} & 1.090" in text and r"p $\leq$ 0.01" in text
    assert all(line.startswith("%") or line.isascii() for line in text.splitlines()), "any engine's fonts have it"


@pytest.mark.skipif(ENGINE is None, reason="no TeX engine is installed")
def test_latex_compiles(tmp_path):
    page = "\n".join([r"\documentclass{article}", r"\usepackage{booktabs}", r"\begin{document}"])
    (tmp_path / "t.tex").write_text(f"{page}\n{rendered(TABLE, 'latex')}\n\\end{{document}}\n")
    options = [] if ENGINE == "tectonic" else ["-interaction=nonstopmode", "-halt-on-error"]
    subprocess.run([ENGINE, *options, "t.tex"], cwd=tmp_path, check=True, capture_output=True, timeout=300)
    assert (tmp_path / "t.pdf").stat().st_size > 0


@pytest.mark.parametrize("change", [lambda lines: lines.pop(2), lambda lines: lines.insert(1, lines.pop(2))])
def test_a_line_of_cells_that_is_gone_or_elsewhere_is_named(change, tmp_path, capsys):
    for path in (Path(__file__).parents[2] / "results").glob("schnabel-2.*"):
        shutil.copy(path, tmp_path)
    lines = (tmp_path / "schnabel-2.json").read_text().splitlines()
    change(lines)
    (tmp_path / "schnabel-2.json").write_text("\n".join(lines))
    assert main(["table", "schnabel-2", "--check", str(tmp_path)]) == 1
    assert "of schnabel-2.md, row " in capsys.readouterr().out

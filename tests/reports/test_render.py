"""One table in several formats: what is special in a format is escaped, columns of numbers stand to the right."""

import csv
import io

import pytest
from rich.console import Console

from upliftlens.benchmarks.reports.render import as_csv, latex, markdown, terminal

HEAD = ["model", "ndcg@10", "rmse"]
LINES = [["mf|bpr_x", "0.1 [0.0, 0.2]", "50 %"], ["[b]", "", "1"]]


def test_markdown():
    shown = "| model | ndcg@10 | rmse |\n{}\n| mf\\|bpr_x | 0.1 [0.0, 0.2] | 50 % |\n| [b] |  | 1 |"
    assert markdown(HEAD, LINES) == shown.format("| --- | --- | --- |")
    assert markdown(HEAD, LINES, "---") == shown.format("|---|---|---|")


def test_latex():
    lines = latex(HEAD, LINES, 2).splitlines()
    assert lines[:2] == [r"\begin{tabular}{lrr}", r"\hline"] and lines[-2:] == [r"\hline", r"\end{tabular}"]
    assert lines[2:4] == [r"model & ndcg@10 & rmse \\", r"mf|bpr\_x & 0.1 [0.0, 0.2] & 50 \% \\"]
    assert latex(["a"], [["x & y\\z#1"]], 0).splitlines()[3] == r"x \& y\textbackslash{}z\#1 \\"


def test_csv_reads_back():
    assert list(csv.reader(io.StringIO(as_csv(HEAD, LINES)))) == [HEAD, *LINES]


@pytest.mark.parametrize("numbers", [0, 2])
def test_a_terminal_shows_brackets_as_they_are(numbers):
    out = Console(width=60, file=io.StringIO())
    table = terminal(HEAD, LINES, numbers)
    out.print(table)
    assert "[b]" in out.file.getvalue() and "mf|bpr_x" in out.file.getvalue()
    assert [column.justify for column in table.columns] == ["left"] * (3 - numbers) + ["right"] * numbers

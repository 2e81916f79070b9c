"""One table in several formats: what is special in a format is escaped, columns of numbers stand to the right."""

import csv
import io
from html.parser import HTMLParser

import pytest
from rich.console import Console

from upliftlens.benchmarks.reports.render import as_csv, escaped, html, latex, markdown, terminal


class Cells(HTMLParser):
    """The texts of a page's elements."""

    def __init__(self):
        super().__init__()
        self.texts = []

    def handle_data(self, data):
        if data.strip():
            self.texts.append(data)


HEAD = ["model", "ndcg@10", "rmse"]
LINES = [["mf|bpr_x", "0.1 [0.0, 0.2]", "50 %"], ["[b]", "", "1"]]


def test_markdown():
    shown = "| model | ndcg@10 | rmse |\n{}\n| mf\\|bpr_x | 0.1 [0.0, 0.2] | 50 % |\n| [b] |  | 1 |"
    assert markdown(HEAD, LINES) == shown.format("| --- | --- | --- |")
    assert markdown(HEAD, LINES, "---") == shown.format("|---|---|---|")


def test_latex():
    first, *lines, last = latex(HEAD, LINES, 2).splitlines()
    assert (first, last) == (r"\begin{tabular}{lrr}", r"\end{tabular}")
    assert lines[:3] == [r"\toprule", r"model & ndcg@10 & rmse \\", r"\midrule"] and lines[-1] == r"\bottomrule"
    assert lines[3:5] == [r"mf|bpr\_x & 0.1 [0.0, 0.2] & 50 \% \\", r"{}[b] &  & 1 \\"]
    assert latex(["a"], [["x & y\\z#1"]], 0).splitlines()[4] == r"x \& y\textbackslash{}z\#1 \\"
    assert escaped("p ≤ .01 −2 †") == r"p $\leq$ .01 $-$2 \dag{}", "what no font of LaTeX's has is written as a command"


def test_html_is_escaped_and_read_back():
    page = html(["a<b", "n"], [["x & y", "1"], ["</td>", "2"]], 1, "Cap & tion")
    assert "<caption>Cap &amp; tion</caption>" in page and "&lt;/td&gt;" in page and "a&lt;b" in page
    cells = Cells()
    cells.feed(page)
    assert cells.texts == ["Cap & tion", "a<b", "n", "x & y", "1", "</td>", "2"]
    assert page.startswith("<table>") and page.endswith("</table>") and page.count("text-align:right") == 3


def test_csv_reads_back():
    assert list(csv.reader(io.StringIO(as_csv(HEAD, LINES)))) == [HEAD, *LINES]


@pytest.mark.parametrize("numbers", [0, 2])
def test_a_terminal_shows_brackets_as_they_are(numbers):
    out = Console(width=60, file=io.StringIO())
    table = terminal(HEAD, LINES, numbers)
    out.print(table)
    assert "[b]" in out.file.getvalue() and "mf|bpr_x" in out.file.getvalue()
    assert [column.justify for column in table.columns] == ["left"] * (3 - numbers) + ["right"] * numbers

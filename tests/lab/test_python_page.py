"""docs/python.md as a user runs it: its blocks one after another, here and in the kernel of a notebook."""

import re
from pathlib import Path

import pytest

BLOCKS = re.findall(r"^```python\n(.*?)^```", (Path(__file__).parents[2] / "docs/python.md").read_text(), re.M | re.S)


@pytest.mark.slow
def test_the_examples_run_in_a_kernel(tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    cells = [block.replace('ul.Lab("runs")', f'ul.Lab("runs", {str(tmp_path / "cache")!r})') for block in BLOCKS]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(block) for block in cells])
    nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert len(book.cells) == len(BLOCKS) >= 6
    shown = [output for cell in book.cells for output in cell.outputs if output.output_type == "execute_result"]
    assert any("text/html" in output.data for output in shown)
    assert len(list((tmp_path / "runs" / "runs").iterdir())) > 10

"""The committed rows of results/ are those of the tables' definitions as they stand."""

import json
from pathlib import Path

import pytest

from upliftlens.benchmarks.tables import table as tables
from upliftlens.benchmarks.tables.table import Cell, Where, judged
from upliftlens.benchmarks.tables.tuned import rows

FOLDER = Path(__file__).parent.parent / "results"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json") if path.stem in tables.names())


def cells(name):
    return [Cell(**one) for one in json.loads((FOLDER / f"{name}.json").read_text())]


def test_every_table_has_its_rows():
    assert sorted(tables.names()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_cells_lie_in_their_intervals_and_are_judged_as_the_definition_says(name):
    content, found = tables.definition(name), cells(name)
    assert len({(one.row, one.column) for one in found}) == len(found)
    for one in found:
        assert one.lo <= one.value <= one.hi or one.lo is None, one
        if " vs " not in one.column:
            published, verdict = judged(content, one.row, one.column)(one.value)
            assert one.published == published and (published is None or one.verdict.startswith(verdict)), one
    there = {(one.row, one.column) for one in found}
    assert {(row, column) for row, own in content.get("published", {}).items() for column in own} <= there


@pytest.mark.parametrize("name", [name for name in NAMES if tables.definition(name)["kind"] == "tuned"])
def test_rows_and_columns_are_those_of_the_definition(name, tmp_path):
    content = tables.definition(name)
    expected = {
        (block + row.name, column)
        for row in rows(content, Where(tmp_path, tmp_path, print))
        for block in content["blocks"]
        for column in row.columns
    }
    assert {(one.row, one.column) for one in cells(name) if " vs " not in one.column} == expected

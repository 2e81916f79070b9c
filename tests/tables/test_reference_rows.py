"""The committed rows of results/ are those of the tables' definitions as they stand."""

import math
import shutil
from itertools import product
from pathlib import Path

import pytest
from test_tables import options

from upliftlens.benchmarks.lab.lab import Lab
from upliftlens.benchmarks.tables import table as tables
from upliftlens.benchmarks.tables.committed.files import read
from upliftlens.benchmarks.tables.kinds.tuned_rows import rows
from upliftlens.benchmarks.tables.table import Where, judged

FOLDER = Path(__file__).parents[2] / "results"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json") if path.stem in tables.names())


def cells(name):
    return read(FOLDER, name).cells


def test_every_table_has_its_rows():
    assert sorted(tables.names()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_cells_lie_in_their_intervals_and_are_judged_as_the_definition_says(name):
    content, result = tables.checked(name, tables.definition(name))[1], cells(name)
    assert len({(item.row, item.column) for item in result}) == len(result)
    for item in result:
        assert item.lo <= item.value <= item.hi or math.isnan(item.lo), item
        if " vs " not in item.column:
            published, verdict = judged(content, item.row, item.column, item.lo, item.hi)
            assert item.published == published and (published is None or item.verdict.startswith(verdict)), item
    there = {(item.row, item.column) for item in result}
    assert {(row, column) for row, mine in content.published.items() for column in mine} <= there


def test_all_forty_published_cells_of_schnabel_1_are_listed_and_the_sixteen_of_the_completion_are_no_target():
    published = [item for item in cells("schnabel-1") if item.published is not None]
    assert len(published) == 40
    loose = {(item.row, item.column) for item in published if item.verdict == "not comparable"}
    rows, columns = ("REC_ONES", "REC_FOURS", "SKEWED", "COARSENED"), ("true", "ips", "snips", "naive")
    assert loose == {(row, f"dcg50/{column}") for row in rows for column in columns}
    assert (
        "Of 24 published cells with a target 22 reproduced, 2 compatible; published, but no target: 16."
        in (FOLDER / "schnabel-1.md").read_text()
    )


@pytest.mark.parametrize("name", [name for name in NAMES if tables.definition(name)["kind"] == "tuned"])
def test_rows_and_columns_are_those_of_the_definition(name, tmp_path):
    content = options(tables.definition(name))
    expected = {
        (budget + variant + block + row.name, column)
        for variant, options_of in content.variants.items()
        for row in rows(content, options_of, Where(tmp_path, tmp_path, print))
        for budget, block in product(content.budgets, content.blocks)
        for column in row.columns
    }
    assert {(cell.row, cell.column) for cell in cells(name) if " vs " not in cell.column} == expected


def test_committed_tables_are_what_their_records_definitions_and_code_say():
    checks = Lab().tables.check(folder=FOLDER).content
    assert [each.table for each in checks] == NAMES and not [fault for each in checks for fault in each.faults]


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("json", '"value": 1.20337', '"value": 1.20338', "schnabel-2, row mf/naive, column mse: the cell in"),
        ("md", "1.203 [1.137", "1.203 [1.138", "row mf/naive, column mse: it says '1.203 [1.138"),
        ("records.jsonl", '"mae": [0.92217288', '"mae": [0.92217289', "schnabel-2, key f69cb43f6beb1a94: line 5 of"),
    ],
)
def test_one_changed_digit_of_a_committed_table_is_said(file, old, new, says, tmp_path):
    for path in FOLDER.glob("schnabel-2.*"):
        shutil.copy(path, tmp_path)
    path = tmp_path / f"schnabel-2.{file}"
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))
    (fault,) = Lab().tables.check("schnabel-2", folder=tmp_path).content[0].faults
    assert says in fault

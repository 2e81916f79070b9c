"""The ledger: every published number once, its verdict by interval and tolerance, faulty entries refused by name."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.tables import table as tables
from upliftlens.benchmarks.tables.ledger import faults, ledger
from upliftlens.benchmarks.tables.published import MEANINGS, Published, published, published_of, read, verdict
from upliftlens.causal.errors import UpliftlensError

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "paper/published.yaml").read_text()
PART = {
    "source": "s", "part": "Table 1", "read": "in the paper", "protocol": "p", "table": "schnabel-2", "better": "lower",
    "tolerance": {"mse": 0.1}, "tolerance_why": "w", "numbers": {"mf": {"mse": 1.0}},
}  # fmt: skip


def numbers(**changes):
    part = {name: value for name, value in {**PART, **changes}.items() if value is not None}
    return read(yaml.safe_dump({"sources": {"s": "Someone 2020"}, "parts": [part]}))


def test_it_holds_enough_numbers_of_enough_sources_and_enough_are_run():
    lines = ledger(published())
    run = [line for line in lines if line.ours is not None]
    assert len(lines) >= 100 and len({line.part.source for line in lines}) >= 8
    assert len(run) >= 70 and len([line for line in run if line.part.table != "schnabel-1"]) >= 30
    assert {line.part.table for line in run} <= set(tables.names())


def test_it_prints_each_number_on_a_line_and_counts_what_an_independent_reading_counts(capsys):
    assert main(["ledger"]) == 0
    printed = capsys.readouterr().out.splitlines()
    content, counts, total = yaml.safe_load(TEXT), {"reproduced": 0, "compatible": 0}, 0
    for part in content["parts"]:
        table = part.get("table")
        cells = json.loads((ROOT / f"results/{table}.json").read_text()) if table else []
        at = {(cell["row"], cell["column"]): cell for cell in cells}
        for row, columns in part["numbers"].items():
            for column, value in columns.items():
                total += 1
                words = ["", row, column]
                assert any(" ".join(line.split()).startswith(f"{row} {column} ") for line in printed), words
                if "tolerance" in part:
                    cell, half = at[row, column], part["tolerance"][column] * (1 + 1e-9) + 1e-6 * abs(value)
                    if value - half <= cell["lo"] and cell["hi"] <= value + half:
                        counts["reproduced"] += 1
                    elif cell["lo"] <= value <= cell["hi"]:
                        counts["compatible"] += 1
    summed = next(line for line in printed if " published numbers of " in line)
    assert summed.startswith(f"{counts['reproduced']} of ") and f"{total} published numbers of" in summed
    assert f"{counts['compatible']} compatible" in summed


@pytest.mark.parametrize("text", ["a:\tb: [", "", "- 1", "sources: {}"])
def test_a_file_that_is_not_of_this_form_is_refused(text):
    with pytest.raises(UpliftlensError, match=r"^paper/published\.yaml"):
        read(text)


@pytest.mark.parametrize(
    ("lo", "hi", "better", "word"),
    [
        (0.95, 1.05, "lower", "reproduced"),
        (0.90, 1.10, "lower", "reproduced"),
        (0.80, 1.05, "lower", "compatible"),
        (1.05, 1.20, "lower", "undecided"),
        (1.11, 1.20, "lower", "worse"),
        (1.11, 1.20, "higher", "better"),
        (0.70, 0.89, "lower", "better"),
        (0.70, 0.89, "higher", "worse"),
        (0.70, 0.89, "neither", "differs"),
        (1.00, 1.00, "neither", "reproduced"),
    ],
)
def test_verdicts(lo, hi, better, word):
    assert verdict(Published(value=1.0, tolerance=0.1, better=better), lo, hi) == word
    assert verdict(Published(value=1.0, better=better, not_comparable="x"), lo, hi) == "not comparable"


@given(st.floats(-9, 9), st.floats(0.01, 2), st.floats(-9, 9), st.floats(0, 5))
def test_a_verdict_is_the_mirror_of_the_negated_metric(value, tolerance, lo, width):
    hi = lo + width
    first = verdict(Published(value=value, tolerance=tolerance, better="lower"), lo, hi)
    assert first in MEANINGS
    assert verdict(Published(value=-value, tolerance=tolerance, better="higher"), -hi, -lo) == first


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"source": None}, r"part 1 \(no source, Table 1\): source is missing"),
        ({"source": "z"}, "unknown source 'z'"),
        ({"protocol": None}, "protocol is missing"),
        ({"toleranse": 1}, "did you mean 'tolerance'"),
        ({"table": None}, "state table, or not_run"),
        ({"tolerance": None, "tolerance_why": None}, "state tolerance, or not_comparable"),
        ({"tolerance_why": None}, "state tolerance and tolerance_why together"),
        ({"read": "recalled"}, "a recalled number is no target"),
        ({"numbers": {"mf": {"mse": 1.0, "mae": 2.0}}}, "tolerance lacks the column mae"),
        ({"numbers": {"mf": {"mse": "high"}}}, "numbers.mf.mse must be a number"),
        ({"better": "more"}, "better"),
        ({"table": "schnabel-3"}, "unknown table 'schnabel-3'"),
        ({"beside": [{"table": "coat", "columns": {"mse": "mze"}}]}, "unknown column of its numbers 'mze'"),
        (
            {"beside": [{"table": "schnabel-2", "columns": {"mse": "mse"}}]},
            "mf, mse of the table schnabel-2 stands twice",
        ),
    ],
)
def test_a_faulty_entry_is_refused_by_name(changes, told):
    with pytest.raises(UpliftlensError, match=told) as error:
        numbers(**changes)
    assert str(error.value).startswith("paper/published.yaml")


@pytest.mark.parametrize("words", [["--source", "surprise"], ["--format", "md"]])
def test_a_check_is_of_the_whole_ledger(words, capsys):
    assert main(["ledger", "--check", *words]) == 1
    assert "it takes no --source and no --format" in capsys.readouterr().err


def test_a_row_that_is_written_twice_is_refused():
    twice = TEXT.replace("      mf/ips: {mse: 1.093", "      mf/ips: {mse: 9}\n      mf/ips: {mse: 1.093", 1)
    assert twice != TEXT
    with pytest.raises(UpliftlensError, match=r"paper/published.yaml: mf/ips stands twice in a mapping: line \d+ and"):
        read(twice)


def test_a_number_without_its_cell_is_refused():
    with pytest.raises(UpliftlensError, match=r"\(s, Table 1\): results/schnabel-2.json lacks the cell mf, mse"):
        ledger(numbers(), ours=lambda table: {})


def test_a_number_stands_beside_other_columns_too():
    stated = numbers(beside=[{"table": "coat", "columns": {"labels/mse": "mse"}}])
    (shown,) = published_of("coat", stated)["mf"].items()
    assert (
        shown[0] == "labels/mse"
        and shown[1]["value"] == 1.0
        and published_of("schnabel-2", stated)["mf"]["mse"] == shown[1]
    )
    (line,) = ledger(stated, ours=lambda table: {("mf", "mse"): (1.0, 0.9, 1.1)})
    assert line.verdict == "reproduced", "one number, one line"


def test_the_committed_ledger_is_up_to_date_and_a_changed_digit_is_named(capsys):
    assert main(["ledger", "--check"]) == 0
    changed = read(TEXT.replace("mf/ips: {mse: 1.093", "mf/ips: {mse: 1.083", 1))
    (fault,) = faults(ledger(changed), (ROOT / "results/ledger.md").read_text())
    assert "schnabel-2016, Table 2, Coat, mf/ips, mse: it says" in fault and "1.083" in fault
    more = read(TEXT.replace("      HL-MNAR: {mse: 1.214", "      HL-MORE: {mse: 9.0}\n      HL-MNAR: {mse: 1.214", 1))
    (fault,) = faults(ledger(more), (ROOT / "results/ledger.md").read_text())
    assert "HL-MORE, mse: it says 'nothing'" in fault, "one number more is one fault"
    not_run = read(TEXT.replace("HL-MNAR: {mse: 1.214", "HL-MNAR: {mse: 1.215", 1))
    (fault,) = faults(ledger(not_run), (ROOT / "results/ledger.md").read_text())
    assert "HL-MNAR, mse" in fault


def test_formats(capsys):
    for form in ("md", "csv", "json", "latex"):
        assert main(["ledger", "--source", "surprise", "--format", form]) == 0
        out = capsys.readouterr().out
        assert "0.873" in out
    assert main(["ledger", "--source", "suprise"]) == 1
    assert "did you mean 'surprise'" in capsys.readouterr().err

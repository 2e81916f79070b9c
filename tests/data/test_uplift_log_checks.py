"""A log from which nothing can be said of effects is refused, whichever rows of it are kept."""

import re

import pytest
from uplift_logs import file_of, loaded, rows

from upliftlens.benchmarks.cli.main import main
from upliftlens.causal.errors import UpliftlensError

POLICIES = ("error", "first", "last")
REFUSED = {
    "treated": (lambda t: [(*row[:2], 0, *row[3:]) for row in t], r"log\.csv: the log has no treated row"),
    "untreated": (lambda t: [(*row[:2], 1, *row[3:]) for row in t], r"log\.csv: the log has no untreated row"),
    "overlap": (lambda t: [(*row[:4], float(row[2])) for row in t], r"log\.csv: no overlap: all 300 rows"),
    "sure": (lambda t: [(*t[0][:4], 1.0 - t[0][2]), *t[1:]], r"log\.csv: 1 rows are treated with propensity 0 or untr"),
    "outcomes": (lambda t: [(*row[:3], 0.0, row[4]) for row in t], r"log\.csv: all 300 outcomes are 0"),
}


@pytest.mark.parametrize("duplicates", POLICIES)
@pytest.mark.parametrize("case", REFUSED)
def test_every_policy_of_duplicates_has_the_same_checks(case, duplicates, tmp_path, capsys):
    change, message = REFUSED[case]
    path = file_of(tmp_path / "log.csv", change(rows()), True)
    with pytest.raises(UpliftlensError, match=message):
        loaded(path, f"data.filter.duplicates={duplicates}")
    words = ["data", "check", str(path), "data=uplift-log", f"data.filter.duplicates={duplicates}"]
    assert main(words) == 1
    assert message.split(": ")[1] in capsys.readouterr().err


@pytest.mark.parametrize("duplicates", POLICIES)
@pytest.mark.parametrize("case", ["treated", "untreated", "outcomes"])
def test_estimated_propensities_change_no_check(case, duplicates, tmp_path):
    change, message = REFUSED[case]
    with pytest.raises(UpliftlensError, match=message):
        loaded(file_of(tmp_path / "log.csv", change(rows()), False), f"data.filter.duplicates={duplicates}")


@pytest.mark.parametrize("propensity", [True, False])
def test_what_counts_is_the_rows_that_are_kept(propensity, tmp_path):
    """Each pair stands there twice, untreated first: its first rows make no log, its last ones are one."""
    table = rows()
    twice = [(*row[:2], 0, *row[3:]) for row in table] + table
    path = file_of(tmp_path / "log.csv", twice, propensity)
    with pytest.raises(UpliftlensError, match="no treated row"):
        loaded(path, "data.filter.duplicates=first")
    result, alone = loaded(path, "data.filter.duplicates=last"), loaded(file_of(path, table, propensity))
    assert result.fingerprint == alone.fingerprint  # estimates, too, come from the rows that are kept


@pytest.mark.parametrize("propensity", [True, False])
def test_rows_that_a_filter_leaves_are_checked_again(propensity, tmp_path):
    untreated = [(*row[:2], 0, *row[3:]) for row in rows()]
    table = [*untreated, ("v", "i0", 0, 1.0, 0.5), ("v", "i1", 1, 1.0, 0.5)]
    path = file_of(tmp_path / "log.csv", table, propensity)
    assert len(loaded(path).log) == 302
    with pytest.raises(UpliftlensError, match=r"data\.filter leaves 300 rows: the log has no treated row.*user_core"):
        loaded(path, "data.filter.user_core=3")


def test_estimates_come_from_the_rows_that_a_filter_leaves(tmp_path):
    table = rows()
    more = [*table, *((f"v{item}", "i0", 1, 1.0, 0.5) for item in range(6))]
    dataset = loaded(file_of(tmp_path / "log.csv", more, False), "data.filter.user_core=2")
    alone = loaded(file_of(tmp_path / "log.csv", table, False))
    assert dataset.log.propensity == pytest.approx(alone.log.propensity, abs=1e-5)


WRONG_CELL = [
    (3, "1.5", "column outcome: outcome 1.5 lies outside of the scale 0 to 1"),
    (3, "nan", "column outcome: the outcome is 'nan'"),
    (3, "", "column outcome: the outcome is empty"),
    (2, "0.5", "column treated: treated 0.5 is not 0 or 1"),
    (2, "yes", "column treated: 'yes' is not a number"),
    (2, "nan", "column treated: the treated is 'nan'"),
    (4, "-0.1", "column propensity: propensity -0.1 lies outside of the scale 0 to 1"),
    (4, "nan", "column propensity: the propensity is 'nan'"),
]


@pytest.mark.parametrize("duplicates", POLICIES)
@pytest.mark.parametrize(("column", "cell", "message"), WRONG_CELL)
def test_a_wrong_cell_is_named_with_its_line(column, cell, message, duplicates, tmp_path, capsys):
    table = rows()
    table[2] = (*table[2][:column], cell, *table[2][column + 1 :])
    for options in ([], ["data.absent=zero", "data.columns.propensity=null"])[: 1 if column == 4 else 2]:
        path = file_of(tmp_path / "log.csv", table, column == 4)
        if duplicates != "error":  # the command line tells whatever the library raises
            with pytest.raises(UpliftlensError, match=re.escape(f"log.csv, line 4, {message}")):
                loaded(path, f"data.filter.duplicates={duplicates}", *options)
            continue
        words = [f"data.path={path}", f"data.filter.duplicates={duplicates}", *options]
        assert main(["data", "card", "uplift-log", *words, "--cache", str(tmp_path)]) == 1
        assert f"log.csv, line 4, {message}" in capsys.readouterr().err


def test_a_wrong_cell_behind_a_note_of_several_lines_is_named_with_its_line(tmp_path):
    note = '"a\nb\nc"'
    lines = ["user,item,treated,outcome,note", f"u0,i0,1,1,{note}", f"u0,i1,0,1,{note}", "u1,i0,0.5,1,"]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(UpliftlensError, match=r"log\.csv, line 8, column treated: treated 0\.5 is not 0 or 1"):
        loaded(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["data.filter.duplicates=mean"], "a treatment has no mean, use error, first or last"),
        (["data.filter.min_value=0.5"], "rows chosen by their outcome"),
    ],
)
def test_a_filter_that_makes_no_sense_of_a_log_is_refused(options, message, tmp_path):
    with pytest.raises(UpliftlensError, match=message):
        loaded(file_of(tmp_path / "log.csv", rows(), True), *options)


def test_a_repeated_pair_is_answered_by_policies_that_a_log_can_have(tmp_path):
    path = file_of(tmp_path / "log.csv", [*rows(), rows()[0]], True)
    with pytest.raises(UpliftlensError, match=r"duplicates=last \(or first\)"):
        loaded(path)
    for policy in ("first", "last"):
        assert len(loaded(path, f"data.filter.duplicates={policy}").log) == 300


@pytest.mark.parametrize("propensity", [True, False])
@pytest.mark.parametrize("absent", ["drop", "zero"])
def test_one_user_or_one_item_is_said(absent, propensity, tmp_path):
    options = [f"data.absent={absent}", *(["data.columns.propensity=null"] if absent == "zero" else [])]
    for size, line in (((1, 40), "has one user: nothing gets an interval"), ((40, 2), "has one item: every model")):
        table = [row for row in rows(*size) if size[0] == 1 or row[1] == rows(*size)[0][1]]
        said: list[str] = []
        assert len(loaded(file_of(tmp_path / "log.csv", table, propensity), *options, say=said.append).log)
        assert any(line in item for item in said)


@pytest.mark.parametrize("duplicates", POLICIES)
def test_pairs_without_overlap_are_left_out_with_their_count(duplicates, tmp_path):
    said: list[str] = []
    table = [(*row[:4], float(row[2])) if place < 7 else row for place, row in enumerate(rows())]
    loaded(file_of(tmp_path / "log.csv", table, True), f"data.filter.duplicates={duplicates}", say=said.append)
    assert said == ["uplift-log: 7 of 300 rows have propensity 0 or 1 and are left out of estimates"]

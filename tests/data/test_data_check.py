"""What is wrong with a file is said with file, line, column and fix; what only looks odd is read."""

import zipfile
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from upliftlens.benchmarks import data
from upliftlens.benchmarks.data import BadData
from upliftlens.benchmarks.data.config import DataConfig
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.splits.by_time import LeaveLastOptions
from upliftlens.benchmarks.splits.kinds import split
from upliftlens.causal.errors import UpliftlensError

HEAD = "user,item,rating\n"
TIMED = "data.columns.time=t"
POSITIONS = ["data.header=false", "data.columns.user=0", "data.columns.item=1", "data.columns.value=2"]


@lru_cache
def options_of(name: str, *options: str) -> DataConfig:
    return data.configure(name, options)


def at(path: Path, name: str, *options: str) -> DataConfig:
    return replace(options_of(name, *options), path=str(path))


def findings(
    tmp_path: Path, content: str | bytes, *options: str, name: str = "csv", file: str = "f.csv"
) -> list[data.Problem]:
    path = tmp_path / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    config = at(path, name, *options)
    result = data.check(path, config)
    problems = [] if result is None else result.problems
    if problems:
        with pytest.raises(BadData) as raised:
            data.load(config, tmp_path / "cache")
        assert raised.value.problems == problems and str(raised.value).startswith(str(problems[0]))
    else:
        data.load(config, tmp_path / "cache")
    return problems


@pytest.mark.parametrize(
    ("content", "options", "line", "column", "what", "fix"),
    [
        (
            "user,item,rating,t\n1,2,3,1e18\n",
            ["data.columns.time=t"],
            2,
            "t",
            "its order could be lost",
            "time=null",
        ),
        ("user;item;rating\n1;2;3\n", ["data.separator=comma"], 1, None, "wrong separator", "data.separator=semicolon"),
        ("1\t2\t3\n1\t3\t4\n", [*POSITIONS, "data.separator=comma"], 1, None, "wrong separator", "data.separator=tab"),
        ("user,item,ratings\n1,2,3\n", [], 1, "rating", "no such column", "data.columns.value=ratings or"),
        ("user,item,n,stars\n1,2,x,3\n", [], 1, "rating", "no such column", "data.columns.value=stars or"),
        ("user,thing,rating\n1,2,3\n", [], 1, "item", "no such column", "data.columns.item="),
        ("1,2,3\n1,3,4\n", [], 1, None, "header is missing", "data.header=false"),
        (HEAD + "1,2,3\n", POSITIONS, 1, None, "looks like a header", "data.header=true"),
        (HEAD + "1,2,3\n1,3,\n", [], 3, "rating", "rating is empty", "fill it in"),
        (HEAD + "1,2,3\n1,3,NaN\n", [], 3, "rating", "'NaN'", "fill it in"),
        (HEAD + "1,2,3\n1,3,inf\n", [], 3, "rating", "'inf' is not a number", "write a number"),
        (HEAD + "1,2,3\n1,3,good\n", [], 3, "rating", "'good' is not a number", "write a number"),
        (HEAD + '1,2,3\n1,3,"3,5"\n', [], 3, "rating", "'3,5' is not a number", "with a point"),
        (HEAD + "1,2,3\n1,3,3,5\n", [], 3, None, "4 fields", "decimals with a point"),
        (HEAD + "1,2,3\n1,3\n", [], 3, None, "2 fields", "Complete or delete"),
        (HEAD + "1,2,3\n\n1,4,3\n", [], 3, None, "blank line", "delete"),
        (HEAD + "1,2,3\n1,3,10\n", [], 3, "rating", "outside of the scale 1 to 5", "data.scale=[1,10]"),
        (HEAD + "1,2,3\n1,3,0\n", [], 3, "rating", "outside of the scale 1 to 5", "data.scale=[0,5]"),
        (HEAD + "1,2,3\n7,3,4\n1,2,5\n", [], 4, None, "already on line 2", "data.filter.duplicates=last"),
        (HEAD + "1,2,3\n,3,4\n", [], 3, "user", "user is empty", "delete"),
        (
            "user,item,rating,t\n1,2,3,monday\n",
            ["data.columns.time=t"],
            2,
            "t",
            "not a number",
            "data.columns.time=null",
        ),
        ("", [], None, None, "empty", "give the file"),
        (HEAD, [], None, None, "no row", "give the file"),
        ((HEAD + "José,2,3\n").encode("latin-1"), [], 2, None, "byte 0xe9 is not utf-8", "data.encoding=latin-1"),
        ((HEAD + "1,2,3\n").encode("utf-16"), [], None, None, "not a text file", "UTF-8"),
    ],
)
def test_finding(
    tmp_path: Path, content: str | bytes, options: list[str], line: int | None, column: str | None, what: str, fix: str
) -> None:
    (problem,) = findings(tmp_path, content, *options)
    assert (problem.file, problem.line, problem.column) == (str(tmp_path / "f.csv"), line, column)
    assert what in problem.what and fix in problem.fix


@pytest.mark.parametrize(
    ("content", "fix"),
    [
        ("1,2,3\n1,3,4\n", " data.columns.value=2"),
        ("1,2,3\n1,3,4\n1,4\n", " data.columns.value=2"),
        ("1,2\n1,3\n", " data.columns.value=null data.feedback=implicit"),
        ("1,2,3,a\n1,3,4,b\n", " data.columns.value=2"),
        ("1,2,a,3\n1,3,b,4\n", " data.columns.value=null data.feedback=implicit"),
    ],
)
def test_the_advice_for_a_missing_header_reads_the_file(tmp_path: Path, content: str, fix: str) -> None:
    (problem,) = findings(tmp_path, content)
    assert problem.fix == f"data.header=false data.columns.user=0 data.columns.item=1{fix}"
    further = findings(tmp_path, content, *problem.fix.split())
    assert [problem.line for problem in further] == ([3] if content.endswith("1,4\n") else [])


def test_lines_of_a_user_and_their_items_get_no_advice_of_columns(tmp_path: Path) -> None:
    """Before: data.columns.value=2, with which each line was a problem."""
    commas = "1, 250, 160, 2\n2, 250\n3, 160, 2\n"
    (problem,) = findings(tmp_path, commas)
    assert problem.what.endswith("'1,250,160,2', and the lines differ in their number of fields")
    assert problem.fix == (
        "write a line for each pair of a user and an item; data=files data.layout=adjacency reads lines of a user and "
        "the user's items, separated by blanks"
    )
    (problem,) = findings(tmp_path, commas.replace(",", ""))
    assert problem.fix.endswith("data=files data.layout=adjacency reads lines of a user and the user's items")
    (problem,) = findings(tmp_path, "1 2 3 4 5\n2 3 4 5 6\n", "data.separator=space")
    assert problem.fix.startswith("data=files data.layout=adjacency"), "equally long lines, more than a rating has"
    (problem,) = findings(tmp_path, "1,2,1,0\n1,3,0,1\n", name="uplift-log")
    assert "data.columns.value" not in problem.fix and problem.fix.startswith("data.header=false data.columns.user=0")


@pytest.mark.parametrize("kind", ["gzip", "lzma", "bz2", "zipfile"])
def test_a_compressed_file_is_recognised_by_its_content(tmp_path: Path, kind: str) -> None:
    text = HEAD.encode() + b"1,2,3\n"
    if kind == "zipfile":
        with zipfile.ZipFile(tmp_path / "zipped", "w") as archive:
            archive.writestr("f.csv", text)
        content = (tmp_path / "zipped").read_bytes()
    else:
        content = import_module(kind).compress(text)
    (problem,) = findings(tmp_path, content, file="f.txt")
    name, command = {
        "gzip": ("gzip", "gunzip"),
        "lzma": ("xz", "unxz"),
        "bz2": ("bzip2", "bunzip2"),
        "zipfile": ("zip", "unzip; save a spreadsheet as CSV"),
    }[kind]
    assert problem.what == f"this is a compressed file ({name})" and problem.fix == f"unpack it first, with {command}"


def test_every_finding_of_a_file_comes_in_order(tmp_path: Path) -> None:
    content = HEAD + "1,2,3\n1,3,\n1,4,x\n\n1,5,9\n1,2,4\n1,6,4\n"
    assert [problem.line for problem in findings(tmp_path, content)] == [3, 4, 5, 6, 7]


def test_many_findings_are_bounded_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text(HEAD + "".join(f"{i},1,x\n" for i in range(1000)))
    with pytest.raises(BadData, match="1000 problems in all") as raised:
        data.load(at(path, "csv"), tmp_path)
    assert len(raised.value.problems) == 3 and raised.value.count == 1000
    assert len(str(raised.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("row", "line", "column", "what"),
    [
        ("1\t3\t3\tx", 2, "time", "not a number"),
        ("1\t3\t6\t7", 2, "rating", "outside"),
        ("one\t3\t3\t7", 2, "user", "not a whole number"),
        ("9999999999999999999\t3\t3\t7", 2, "user", "not a whole number"),
        ("1\t3\t3", 2, None, "3 fields"),
    ],
)
def test_finding_in_movielens(tmp_path: Path, row: str, line: int, column: str | None, what: str) -> None:
    (problem,) = findings(tmp_path, f"1\t2\t3\t5\n{row}\n", name="ml-100k", file="u.data")
    assert (problem.line, problem.column) == (line, column) and what in problem.what


def test_wrong_separator_in_movielens_points_to_the_csv_reader(tmp_path: Path) -> None:
    (problem,) = findings(tmp_path, "1,2,3,5\n", name="ml-100k", file="u.data")
    assert "separated by tab" in problem.what and "data=csv data.separator=comma" in problem.fix


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "::", " "])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_what_is_only_odd_is_read(tmp_path: Path, separator: str, end: str, mark: bytes) -> None:
    rows = [("user", "item", "rating"), ("b", "007", "3"), ("a", "7", "4.5"), ("é", "7", "1")]
    text = end.join(separator.join(row) for row in rows) + end + end
    path = tmp_path / "f.txt"
    path.write_bytes(mark + text.encode())
    loaded = data.load(at(path, "csv"), tmp_path)
    assert loaded.users["id"].tolist() == ["a", "b", "é"] and loaded.items["id"].tolist() == ["007", "7"]
    np.testing.assert_array_equal(loaded.log.user, [1, 0, 2])
    np.testing.assert_array_equal(loaded.log.item, [0, 1, 1])
    np.testing.assert_array_equal(loaded.log.value, np.float32([3, 4.5, 1]))


def test_times_with_fractions_keep_their_order(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"

    def read(times: str) -> Dataset:
        path.write_text("user,item,rating,t\n" + "\n".join(f"u,{i},3,{t}" for i, t in enumerate(times.split())))
        return data.load(at(path, "csv", "data.columns.time=t"), tmp_path)

    fine, whole = read("1112486027.75 1112486027.5 1112486027.25"), read("30 20 10.0")
    np.testing.assert_array_equal(fine.log.time, [1112486027.75, 1112486027.5, 1112486027.25])
    assert fine.fingerprint != read("1112486027.75 1112486027.5 1112486027.251").fingerprint
    assert whole.log.time is not None and whole.log.time.dtype == np.int64
    config = LeaveLastOptions("leave_last", validation=0.0, seed=0, n=1)
    assert [split(item, config).test.item.tolist() for item in (fine, whole)] == [[0], [0]]


def test_blanks_around_an_id_are_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text(HEAD + "u,a,3\nu ,b,4\n u,\tc,5\n")
    loaded = data.load(at(path, "csv"), tmp_path)
    assert loaded.users["id"].tolist() == ["u"] and loaded.items["id"].tolist() == ["a", "b", "c"]
    assert "already on line 2" in findings(tmp_path, HEAD + "u,a,3\nu ,a ,4\n")[0].what


def test_quoted_fields_and_huge_ids(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text(HEAD + '"Doe, Jane",98765432109876543210,3\n"Doe, Jane",5,4\n')
    loaded = data.load(at(path, "csv"), tmp_path)
    assert loaded.users["id"].tolist() == ["Doe, Jane"]
    assert loaded.items["id"].tolist() == ["5", "98765432109876543210"]
    np.testing.assert_array_equal(loaded.log.item, [1, 0])


def test_counts_of_an_implicit_log_need_no_scale_and_no_value(tmp_path: Path) -> None:
    assert findings(tmp_path, HEAD + "1,2,300\n1,3,0\n", "data.feedback=implicit") == []
    assert findings(tmp_path, "user,item\n1,2\n1,3\n", "data.feedback=implicit", "data.columns.value=null") == []


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for call in (lambda: data.check(tmp_path / "no.csv", options_of("csv")), lambda: data.guess(tmp_path / "no.csv")):
        with pytest.raises(UpliftlensError, match=r"no\.csv does not exist"):
            call()


def test_guess(tmp_path: Path) -> None:
    for file, name in {"u.data": "ml-100k", "x.inter": "recbole", "x.csv": "csv", "ratings.txt": "csv"}.items():
        (tmp_path / file).write_text("x")
        assert data.guess(tmp_path / file) == name


def test_a_row_that_runs_over_lines_is_said_where_its_quote_opens(tmp_path: Path) -> None:
    (problem,) = findings(tmp_path, HEAD + '1,2,3\n2,"3,4\n3,4,5\n4,5,1\n')
    assert problem.line == 3 and "a quote opens here and the row runs on to line 5" in problem.what
    swallowed, problem = findings(tmp_path, HEAD + '1,"a\nb",3\n2,3,x\n')
    assert swallowed.line == 2 and "closes on line 3: 2 lines would be one item" in swallowed.what
    assert problem.line == 4, "lines inside of a quoted field count"


def test_rows_between_two_stray_quotes_are_not_lost(tmp_path: Path) -> None:
    """Before: 32 users instead of 50 without a word."""
    rows = [f"{k % 50},{k // 50},{1 + k % 5}" for k in range(400)]
    whole = HEAD + "\n".join(rows)
    assert findings(tmp_path, whole + "\n") == []
    rows[100], rows[300] = rows[100].replace("0,", '0,"', 1), rows[300].replace("0,", '0,"', 1)
    (problem,) = findings(tmp_path, HEAD + "\n".join(rows) + "\n")
    assert problem.line == 102 and "closes on line 302: 201 lines would be one item" in problem.what
    words = "user,item,rating,note\n"
    (problem,) = findings(tmp_path, words + '1,2,3,"good\n2,2,4,"bad\n3,2,4,fine\n')
    assert "closes on line 3: 2 of its lines look like rows" in problem.what, "adjacent lines"
    assert findings(tmp_path, words + '1,2,3,"good\n\nreally"\n2,2,4,bad\n') == [], "a note may hold several lines"
    (problem,) = findings(tmp_path, words + '1,2,3,"good\n1,3,4,fine\n2,2,4,"\n3,2,4,bad\n')
    assert "closes on line 4: 3 of its lines look like rows" in problem.what


@pytest.mark.parametrize(
    ("content", "place", "what"),
    [
        ("user,item,rating,user\n1,2,3,4\n", (1, "user"), "names this column 2 times"),
        ("user,item\n1,2\n", (1, "rating"), "no such column"),
    ],
)
def test_odd_headers(content: str, place: tuple[int, str | None], what: str, tmp_path: Path) -> None:
    (problem,) = findings(tmp_path, content)
    assert (problem.line, problem.column) == place and what in problem.what
    if what == "no such column":
        assert problem.fix == "data.columns.value=null data.feedback=implicit"
    columns_that_nobody_reads = "user,item,rating,x,x\n1,2,3,4,4\n"
    assert findings(tmp_path, columns_that_nobody_reads) == []

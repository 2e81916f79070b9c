"""Two or three files that are a split already: their layouts, what is told of them, and what is refused."""

import re
from pathlib import Path

import numpy as np
import pytest

from upliftlens.benchmarks import data
from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.data import BadData
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions

TRAIN = [("ann", "alien", 5), ("ann", "heat", 2), ("ann", "up", 4), ("ben", "alien", 3), ("cem", "heat", 1)]
VALIDATION = [("ben", "heat", 4)]
TEST = [("ann", "jaws", 3), ("ben", "up", 5), ("cem", "alien", 2)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def delimited(rows: list, header: str = "user,item,rating", separator: str = ",") -> str:
    return "\n".join([header, *(separator.join(map(str, row)) for row in rows)]) + "\n"


def adjacency(rows: list) -> str:
    users = dict.fromkeys(row[0] for row in rows)
    return "".join(" ".join([user, *(row[1] for row in rows if row[0] == user)]) + "\n" for user in users)


def recbole(rows: list) -> str:
    return delimited(rows, "user_id:token\titem_id:token\trating:float", "\t")


WRITERS = {"delimited": delimited, "recbole": recbole, "adjacency": adjacency}


def write(writer=delimited, **parts: list) -> list[str]:
    """The options that name the files of the parts, which are written."""
    for part, rows in parts.items():
        Path(f"{part}.txt").write_text(writer(rows))
    return [f"data.{part}={part}.txt" for part in parts]


def loaded(*options: str, told: list | None = None) -> Dataset:
    return data.load(data.configure("files", options), Path("cache"), (told if told is not None else []).append)


def rows_of(of: Dataset, log: Interactions | None) -> list[tuple[str, str, float]]:
    assert log is not None
    users, items = of.users["id"].to_numpy(), of.items["id"].to_numpy()
    return list(zip(users[log.user], items[log.item], log.value.tolist(), strict=True))


@pytest.mark.parametrize("layout", WRITERS)
@pytest.mark.parametrize("stated", ["auto", "stated"])
def test_each_layout_reads_as_the_same_rows(layout: str, stated: str) -> None:
    options = write(WRITERS[layout], train=TRAIN, validation=VALIDATION, test=TEST)
    told: list[str] = []
    known = loaded(*options, *([f"data.layout={layout}"] if stated == "stated" else []), told=told)
    assert rows_of(known, known.log) == [(user, item, 1.0) for user, item, _ in TRAIN + VALIDATION]
    assert rows_of(known, known.test) == [(user, item, 1.0) for user, item, _ in TEST]
    assert known.validates is not None and np.flatnonzero(known.validates).tolist() == [5]
    assert known.feedback == "implicit" and known.source == "train.txt, validation.txt, test.txt"
    guess = [] if stated == "stated" or layout != "adjacency" else ["train.txt is read as lines of a user and their"]
    expected = [*guess, "test.txt: 1 of 3 rows are of 1 items that have no row to learn from, e.g. jaws"]
    assert len(told) == len(expected) and all(line.startswith(words) for line, words in zip(told, expected))


@pytest.mark.parametrize("layout", ["delimited", "recbole"])
def test_ratings_are_read_where_their_column_is_named(layout: str) -> None:
    options = write(WRITERS[layout], train=TRAIN, test=TEST)
    known = loaded(*options, "data.feedback=explicit", "data.columns.value=rating")
    assert rows_of(known, known.log) == TRAIN and rows_of(known, known.test) == TEST and known.validates is None
    with pytest.raises(UpliftlensError, match=r"name their column, e\.g\. data\.columns\.value=rating"):
        loaded(*options, "data.feedback=explicit")


def test_columns_separator_and_header_are_mapped_as_those_of_a_csv_file() -> None:
    Path("a").write_text("9|alien|ann|5\n9|heat|ben|6\n")
    Path("b").write_text("9|heat|ann|7\n")
    places = ("data.header=false", "data.columns.user=2", "data.columns.item=1", "data.columns.time=3")
    known = loaded("data.train=a", "data.test=b", "data.separator=pipe", *places)
    assert rows_of(known, known.log) == [("ann", "alien", 1.0), ("ben", "heat", 1.0)]
    assert known.log.time is not None and known.log.time.tolist() == [5, 6]
    Path("c").write_text("ann alien\nben heat\n")
    Path("d").write_text("ann heat\n")
    assert rows_of(known := loaded("data.train=c", "data.test=d", "data.header=false"), known.test) == [
        ("ann", "heat", 1.0)
    ]


def test_a_folder_may_hold_the_files() -> None:
    Path("inside").mkdir()
    Path("inside/x.train.inter").write_text(recbole(TRAIN))
    Path("inside/x.test.inter").write_text(recbole(TEST))
    known = loaded("data.path=inside", "data.train=x.train.inter", "data.test=x.test.inter")
    assert len(known.log) == 5 and known.source == "inside, x.train.inter, x.test.inter"
    with pytest.raises(UpliftlensError, match=r"inside holds no file 'y' \(there is: x\.test\.inter"):
        loaded("data.path=inside", "data.train=y", "data.test=x.test.inter")


def test_tables_of_items_and_users_are_read_as_beside_a_csv_file() -> None:
    Path("items.csv").write_text("id,title,year\nalien,Alien,1979\nheat,Heat,1995\njaws,Jaws,1975\n")
    known = loaded(*write(adjacency, train=TRAIN, test=TEST), "data.items=items.csv")
    assert known.items["title"].tolist() == ["Alien", "Heat", "Jaws", "up"] and known.item_features.names == ("year",)


def test_given_validation_rows_are_part_of_the_fingerprint() -> None:
    options = write(train=[*TRAIN, *VALIDATION], test=TEST)
    whole = loaded(*options)
    cut = loaded(*write(train=TRAIN, validation=VALIDATION, test=TEST))
    assert rows_of(whole, whole.log) == rows_of(cut, cut.log)
    assert whole.fingerprint != cut.fingerprint


def test_lines_of_a_user_without_items_are_told_and_test_rows_without_another_row_counted() -> None:
    Path("a").write_text("1 5 6\n2\n3 5\n4 \n")
    Path("b").write_text("1 7\n9 5 6\n")
    told: list[str] = []
    known = loaded("data.train=a", "data.test=b", "data.layout=adjacency", told=told)
    assert told == [
        "a: 2 lines name a user and no item, the first is line 2",
        "b: 2 of 3 rows are of 1 users that have no row to learn from, e.g. 9",
        "b: 1 of 3 rows are of 1 items that have no row to learn from, e.g. 7",
    ]
    assert known.users["id"].tolist() == ["1", "3", "9"]
    Path("c").write_text("0\n1 word 6\n3 5\n")  # ids are text
    assert "word" in set(loaded("data.train=c", "data.test=b").items["id"])


BAD = {
    "blank": ("1 5 6\n\n2 5\n", r"a, line 2: a blank line\. Fix: delete the line"),
    "twice": ("1 5 6\n2 5 6 5\n", r"a, line 2: user 2 has item 5 a second time\. Fix: delete one, or data\.filter"),
    "twice on two lines": ("1 5 6\n2 5\n1 6\n", r"a, line 3: user 1 has item 6 a second time"),
    "empty": ("", r"a: the file is empty"),
    "only ends of lines": ("\n\n", r"a: the file is empty"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("part", ["train", "test"])
def test_broken_lines_are_refused_with_their_place(name: str, part: str) -> None:
    text, message = BAD[name]
    Path("a").write_text(text)
    Path("b").write_text("1 7\n")
    other = "test" if part == "train" else "train"
    with pytest.raises(BadData, match=message):
        loaded(f"data.{part}=a", f"data.{other}=b", "data.layout=adjacency")


def test_the_same_pair_twice_is_refused_or_merged_in_every_file() -> None:
    for part in ("train", "validation", "test"):
        parts = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
        options = write(**parts | {part: [*parts[part], (*parts[part][0][:2], 1)]})
        with pytest.raises(BadData, match=rf"{part}\.txt, line .* are already on line 2\. Fix: .*duplicates=last"):
            loaded(*options)
        merged = loaded(*options, "data.filter.duplicates=last")
        assert len(merged.log) == 6 and merged.test is not None and len(merged.test) == 3


USERS = "1 5 6 7\n2 5\n3 6 7\n"  # and their items
OTHER_LAYOUTS = {  # training file, test file: the file, its first line and the layout that the message names
    "commas": (USERS, "1,8\n2,6\n", "b, line 1: the first line is '1,8', and a has another layout: adjacency"),
    "a comma and a blank": (USERS, "1, 8, 5\n2, 6\n", "b, line 1: the first line is '1, 8, 5', and a has another"),
    "commas between items": (USERS, "1 8,5\n2 6\n", "b, line 1: the first line is '1 8,5', and a has another"),
    "a header": (USERS, "user item\n1 8\n2 6\n", "b, line 1: the first line is 'user item', and a has another"),
    "recbole": (USERS, recbole(TEST), "b, line 1: the first line is 'user_id:token\t.*', and a has another"),
    "no delimited file": ("user,item\n1,5\n", USERS, "b, line 1: .* '1 5 6 7', and a has another layout: delimited"),
    "not of recbole": (recbole(TRAIN), delimited(TEST), "b, line 1: .* 'user,item,rating', and a has .*: recbole"),
}


@pytest.mark.parametrize("name", OTHER_LAYOUTS)
@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_file_of_another_layout_than_the_training_file_is_refused(name: str, part: str) -> None:
    """Before: all its rows were left out, and a note was all that said so."""
    train, other, message = OTHER_LAYOUTS[name]
    Path("a").write_text(train)
    Path("b").write_text(other)
    Path("test").write_text(train)
    options = ["data.train=a", f"data.{part}=b", *(["data.test=test"] if part == "validation" else [])]
    with pytest.raises(BadData, match=f"{message}.*Fix: write all files in the same layout, or state it"):
        loaded(*options)
    if train == USERS:
        with pytest.raises(BadData, match=f"{message}.*Fix: write all files in the same layout$"):
            loaded(*options, "data.layout=adjacency")


def test_signs_that_a_separator_is_may_be_a_part_of_ids() -> None:
    Path("a").write_text("1 c\n2 d x,y\n")
    Path("b").write_text("1 x,y\n2 c\n")
    known = loaded("data.train=a", "data.test=b")
    assert rows_of(known, known.test) == [("1", "x,y", 1.0), ("2", "c", 1.0)]


NO_LISTS = {
    "commas": ("1,5,6\n2,5\n", "2 of 2 lines name a user and no item (the first line is '1,5,6')"),
    "commas and blanks": ("1, 5, 6\n2, 5\n", "',' stands between ids (the first line is '1, 5, 6')"),
    "most lines without an item": ("1\n2 5\n3\n", "2 of 3 lines name a user and no item (the first line is '1')"),
    "a long line": ("0" * 70 + "\n", f"1 of 1 lines name a user and no item (the first line is '{'0' * 60}…')"),
}


@pytest.mark.parametrize("name", NO_LISTS)
def test_a_file_whose_lines_are_no_lists_is_refused_with_its_first_line(
    name: str, capsys: pytest.CaptureFixture
) -> None:
    """Before: "no row is left after data.filter" if both files were so, and nothing if the test file alone was."""
    text, what = NO_LISTS[name]
    for parts in (("train", "test"), ("test",), ("validation",)):
        paths = {part: f"{part}.txt" for part in ("train", "validation", "test")}
        for part, path in paths.items():
            Path(path).write_text(text if part in parts else "1 5 6\n2 5 9,9 1,1\n")
        words = [f"data.{part}={path}" for part, path in paths.items()]
        assert main(["data", "check", "files", *words, "data.layout=adjacency"]) == 1
        shown = capsys.readouterr()
        assert f"{paths[parts[0]]}, line 1: {what}. Fix: separate a user and the user's items by blanks" in shown.out
        assert "files: 1 problem" in shown.err


FILES = ["data.train=train.txt", "data.test=test.txt"]
REFUSED = {
    "no test file": (["data.train=train.txt"], "give data.test=FILE"),
    "no file": ([], r"give data\.train=FILE and data\.test=FILE"),
    "missing": (["data.train=train.txt", "data.test=nowhere"], r"data\.test=nowhere does not exist"),
    "a folder": (["data.train=.", "data.test=test.txt"], r"data\.train=\. is no file"),
    "the same": (["data.train=train.txt", "data.test=./train.txt"], r"data\.train and data\.test name the same file"),
    "no ratings": (
        [*FILES, "data.layout=adjacency", "data.feedback=explicit", "data.columns.value=rating"],
        r"hold no ratings: leave out data\.feedback=explicit",
    ),
    "no such column": (
        [*FILES, "data.columns.user=usr"],
        r"train\.txt, line 1, column usr: no such column; there is: user, item, rating\. Fix: data\.columns\.user=user",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_options_are_refused_with_the_fix(name: str) -> None:
    write(train=TRAIN, test=TEST)
    options, message = REFUSED[name]
    with pytest.raises(UpliftlensError, match=message):
        loaded(*options)


def test_check_lists_the_problems_of_a_file(capsys: pytest.CaptureFixture) -> None:
    Path("a").write_text("1 5 6\n\n2 5 5\n\n")
    Path("b").write_text("1 7\n")
    options = ["data.train=a", "data.test=b", "data.layout=adjacency"]
    assert main(["data", "check", "files", *options]) == 1
    out, error = capsys.readouterr()
    assert out == "a, line 2: a blank line. Fix: delete the line\n" and "files: 1 problem" in error
    Path("a").write_text("1 5 6\n2 5\n")
    Path("b").write_text("1 7\n\n\n2 7\n")
    with pytest.raises(
        BadData, match="2 problems in all; list them with: upliftlens data check files, and the same options"
    ):
        loaded(*options)
    assert main(["data", "check", "b", "data=files"]) == 1
    assert capsys.readouterr().out.count("a blank line") == 2
    Path("b").write_text("1 7\n")
    assert loaded("data.path=a").test is None
    assert main(["data", "check", "files", *options]) == 0
    assert re.match("files no problems found: 3 rows from a, b", capsys.readouterr().out)

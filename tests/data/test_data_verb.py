"""What ``upliftlens data check`` and ``card`` say of a file: every fault, but not every time that it occurs."""

import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from upliftlens.benchmarks import data
from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.config.overrides import quoted
from upliftlens.benchmarks.data import BadData
from upliftlens.benchmarks.data.card import remark_on_times
from upliftlens.benchmarks.data.problems import refuse
from upliftlens.benchmarks.lab.frames import dataset

HEAD = "user,item,rating\n"


def test_a_fault_is_shown_three_times_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{n},{n},x\n" for n in range(150)] + ["a,,4\n", "b,,4\n", "c,1,9\n", "d,1,7\n", "e,1,-3\n", "f,1,8\n"]
    (tmp_path / "f.csv").write_text(HEAD + "".join(rows))
    assert main(["data", "check", str(tmp_path / "f.csv")]) == 1
    shown = capsys.readouterr()
    kinds = [line.partition(": ")[2].partition(". Fix")[0] or line for line in shown.out.splitlines()]
    assert kinds == [
        *["'x' is not a number"] * 3,
        "… and 147 more lines with this fault",
        *["the item is empty"] * 2,
        *(f"rating {n} lies outside of the scale 1 to 5" for n in (9, 7, -3)),
        "… and 1 more line with this fault",
    ]
    assert "f.csv: 156 problems\n" in shown.err


def test_more_than_a_hundred_faults_are_only_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wide = "user,item,rating," + ",".join(f"c{n}" for n in range(150))
    (tmp_path / "t.csv").write_text(
        "item," + ",".join(f"c{n}" for n in range(150)) + "\nb" + ",1" * 150 + "\ny" + ",-" * 150
    )
    (tmp_path / "f.csv").write_text(wide + "\n" + "a,b,3" + ",1" * 150 + "\n")
    words = ["data", "check", str(tmp_path / "f.csv"), f"data.items={tmp_path}/t.csv"]
    assert main(words) == 1
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 100 and "150 problems, the first 100 of them above" in shown.err


def test_a_fault_that_comes_after_many_others_is_counted() -> None:
    others = [data.Problem("f", None, f"c{n}", "what", "fix") for n in range(99)]
    same = [data.Problem("f", line, "d", "what", "fix") for line in range(5)]
    with pytest.raises(BadData) as raised:
        refuse([*others, *same])
    assert raised.value.problems == [*others, same[0]]
    assert (raised.value.more, raised.value.count) == ({same[0]: 4}, 104)


def test_all_missing_columns_are_named_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "f.csv").write_text("who;what;stars\n1;2;3\n")
    assert main(["data", "check", str(tmp_path / "f.csv"), "data.columns.time=when"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("column ")[2].partition(":")[0] for line in lines] == ["user", "item", "rating", "when"]
    (tmp_path / "g.csv").write_text("user,thing,shown,bought\n1,2,1,1\n")
    words = ["uplift-log", f"data.path={tmp_path}/g.csv", "data.columns.propensity=p"]
    assert main(["data", "check", *words]) == 1
    lines = capsys.readouterr().out.splitlines()
    named = ["item", "outcome", "treated", "p"]
    assert [line.partition("column ")[2].partition(":")[0] for line in lines] == named
    assert "data.columns.treated=" in lines[2] and "data.columns.propensity=null" in lines[3]


def test_another_edition_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,2,3,4\n1,3,4,5\n")
    assert main(["data", "check", "ml-latest-small", f"data.path={tmp_path}"]) == 0
    shown = capsys.readouterr()
    expected = "another edition of ml-latest-small: it holds 1 users, 2 items, 2 rows; known are 610 users, 9,724 items"
    assert expected in shown.out and "no problems found" in shown.out


BAD = HEAD + "a,b,x\na,c,x\n"


@pytest.mark.parametrize(
    ("name", "options", "command"),
    [
        ("csv", ["data.path=bad.csv"], "csv data.path={}/bad.csv, and your other options"),
        ("csv", ["data.path=a b.csv"], "csv 'data.path={}/a b.csv', and your other options"),
        ("csv", ["data.path=bad.csv", "data.name=mine"], "csv data.path={}/bad.csv, and your other options"),
        ("files", ["data.train=twice.txt", "data.test=twice.txt2"], "files, and the same options"),
        (
            "files",
            ["data.path=.", "data.train=twice.txt", "data.test=twice.txt2"],
            "files data.path={}, and your other options",
        ),
    ],
)
def test_the_command_that_lists_the_problems_is_one_that_works(
    name: str, options: list[str], command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("bad.csv", "a b.csv"):
        Path(file).write_text(BAD)
    for file in ("twice.txt", "twice.txt2"):
        Path(file).write_text("user,item\n1,2\n1,2\n1,2\n")
    config = data.configure(name, [quoted(option) for option in options])
    with pytest.raises(BadData) as raised:
        data.load(config, tmp_path / "cache")
    advice = str(raised.value).partition("list them with: upliftlens ")[2].removesuffix(")")
    assert advice == f"data check {command.format(tmp_path)}"
    words, _, others = advice.partition(", and ")
    left = options if others == "the same options" else [option for option in options if "data.path" not in option]
    assert main([*shlex.split(words), *left]) == 1
    assert "2 problems" in capsys.readouterr().err


def test_the_problems_of_a_python_frame_name_no_command(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user": ["a", "a"], "item": ["b", "c"], "rating": [7, 8]})
    for name in ("frame", "csv"):
        words = dataset(frame, name=name).words(tmp_path)
        config = data.configure("csv", [word for word in words if word != "data=csv"])
        with pytest.raises(BadData, match=r"\(2 problems in all\)$"):
            data.load(config, tmp_path)


def test_times_that_are_no_seconds_are_a_remark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seconds = 874724727
    units = {1: "", 10**3: "milliseconds: divide by 1,000", 10**6: "microseconds: divide by 1,000,000"}
    for count, unit in units.items():
        rows = "".join(f"1,{item},3,{(seconds + item) * count}\n" for item in range(3))
        (tmp_path / "f.csv").write_text("user,item,rating,when\n" + rows)
        words = [str(tmp_path / "f.csv"), "data.columns.time=when", "--cache", str(tmp_path)]
        remark = f"read as seconds, the times lie beyond the year 2200; they look like {unit}"
        assert main(["data", "check", *words]) == 0
        shown = capsys.readouterr().out
        assert (f"f.csv: {remark}\n" in shown) == bool(unit) and "no problems found" in shown
        assert main(["data", "card", *words]) == 0
        shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
        days = f"{seconds * count} to {(seconds + 2) * count}" if unit else "1997-09-20 to 1997-09-20"
        assert f"time span {days} ({remark if unit else 'UTC'})" in shown
    assert remark_on_times(np.array([seconds * 10**9])).endswith("nanoseconds: divide by 1,000,000,000")
    assert remark_on_times(np.array([2.0**90])).endswith("they are no seconds")
    assert remark_on_times(np.array([seconds, seconds, seconds * 10**3])) == "", "a few wrong ones say nothing of all"


def test_a_file_has_a_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "f.csv").write_text(HEAD + "1,2,3\n1,3,4\n")
    assert main(["data", "card", str(tmp_path / "f.csv"), "--cache", str(tmp_path)]) == 0
    assert "2 explicit" in capsys.readouterr().out

"""What a user is told arrives to the letter: brackets are no markup of rich."""

import pytest
from rich import box
from rich.table import Table
from shell import call

from upliftlens.benchmarks.system.talk import say, say_styled, show

TEXTS = ("metrics.names=[rmse] was given", "kept in /tmp/[/x]/worlds", "[bold]title[/bold] [REC]")


@pytest.mark.parametrize("text", TEXTS)
def test_a_line_is_told_to_the_letter(text, capsys):
    say(text)
    say_styled(("failed", "red"), f"  {text}")
    assert capsys.readouterr().err == f"{text}\nfailed  {text}\n"


def test_a_folder_with_brackets_is_told_and_used(tmp_path, capsys):
    folder = tmp_path / "[/x]"
    world = ("metrics.world.ratings.steps=300", "metrics.world.watched.steps=300", "metrics.world.per_user=5")
    assert call("run", folder, "model=popularity", "metrics=uplift_semi", *world) == 0
    assert f"(kept in {folder}/cache/worlds/" in capsys.readouterr().err


@pytest.mark.parametrize("names", [("a1", "b2", "c3"), ("a1", "a1", "c3")])
@pytest.mark.parametrize("columns", [4, 40])
def test_a_table_that_is_too_wide_is_shown_in_parts_that_can_be_read(capsys, columns, names):
    table = Table("run", *(f"a_column_{number}" for number in range(columns)), box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        table.add_row(name, *(f"{name}:{number}" for number in range(columns)))
    show(table)
    shown = capsys.readouterr()
    assert ("here in 5 parts" in shown.err) == (columns == 40)
    words = shown.out.split()
    for column in range(columns):
        assert words.count(f"a_column_{column}") == 1  # no head is broken into pieces, and none is left out
        assert [word for word in words if word.endswith(f":{column}")] == [f"{name}:{column}" for name in names]
    told_apart = names if len(set(names)) == 3 else ("1", "2", "3")
    if columns == 40:
        firsts = [line.split()[0] for line in shown.out.splitlines() if ":" in line]
        assert firsts == [*told_apart] * 5
    assert max(map(len, shown.out.splitlines())) <= 140

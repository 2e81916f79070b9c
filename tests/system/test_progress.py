"""What a user is told arrives to the letter: brackets are no markup of rich."""

import pytest
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


def test_a_table_that_is_too_wide_to_be_read_says_so(capsys):
    for columns, expected in ((4, False), (40, True)):
        show(Table(*(f"a_column_{number}" for number in range(columns))))
        assert ("too wide for its columns to be read" in capsys.readouterr().err) == expected

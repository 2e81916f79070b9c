"""The lists of all users: the same as one by one, in a file."""

import csv
import json

import pytest
from shell import call, records

from upliftlens.benchmarks.cli.main import main


@pytest.mark.parametrize(
    "words", [("model=mf",), ("model=ease", "split=new_users", "split.share=0.3")], ids=["mf", "ease"]
)
def test_the_lists_of_all_users_are_those_of_each(words, tmp_path, capsys):
    assert call("run", tmp_path, *words, "metrics.block=7") == 0
    (record,) = records(tmp_path)

    def recommend(*flags):
        capsys.readouterr()
        places = ("--store", str(tmp_path), "--cache", str(tmp_path / "cache"))
        code = main(["recommend", record["key"], "-k", "4", *places, *flags])
        return code, capsys.readouterr()

    code, shown = recommend("--user", "all", "--out", str(tmp_path / "lists.tsv"))
    assert code == 0 and "lines written to" in shown.err
    with (tmp_path / "lists.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    users = list(dict.fromkeys(row["user"] for row in rows))
    assert len(users) == 40 and [row["rank"] for row in rows[:5]] == ["1", "2", "3", "4", "1"]
    for user in users[::3]:
        alone = json.loads(recommend("--user", user, "--format", "json")[1].out)
        mine = [row for row in rows if row["user"] == user]
        assert [line["item"] for line in alone] == [row["item"] for row in mine]
        assert [line["score"] for line in alone] == pytest.approx([float(row["score"]) for row in mine], rel=1e-5)
    assert recommend("--user", "all")[0] == 1
    assert "need a file: --out lists.csv" in recommend("--user", "all")[1].err
    assert "must end in .csv or .tsv" in recommend("--user", "1", "--out", "lists.txt")[1].err

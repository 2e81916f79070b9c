"""The lists of all users: the same as one by one, in a file. What is left of runs that this version would refuse."""

import csv
import json
from dataclasses import replace

import pytest
from shell import call, records

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.runs.store import Store, list_records, load_per_user, save_run


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


def test_runs_selected_by_what_is_refused_since_are_read_but_recommend_nothing(tmp_path, capsys):
    assert call("sweep", tmp_path, "model=mlp,additive", "loss=logistic", "train.monitor=ece") == 0
    store = Store(tmp_path)
    for record in list_records(store).records:  # as ``train.monitor=ece/squared`` left them
        config = {**record.config, "train": {**record.config["train"], "monitor": "ece/squared"}}
        save_run(store, replace(record, config=config), load_per_user(store, record))
    places, key = ("--store", str(tmp_path)), list_records(store).records[0].key
    capsys.readouterr()
    assert main(["results", "--where", "train.monitor=ece/squared", "--format", "csv", *places]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert main(["compare", "mlp", "additive", "--metric", "recall@10", *places]) == 0
    assert "difference" in capsys.readouterr().out
    assert main(["recommend", key, "--user", "1", *places, "--cache", str(tmp_path / "cache")]) == 1
    assert f"run {key} can't be planned again: monitor=ece/squared can't select" in capsys.readouterr().err

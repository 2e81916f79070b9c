"""A verb parses, calls the Lab, renders: it prints an answer of the Lab, and what it refuses the Lab refuses."""

import json
from pathlib import Path

import pandas as pd
import pytest
from shell import TINY

import upliftlens as ul
from upliftlens.benchmarks.cli.main import main


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verbs")
    lab = ul.Lab(folder / "runs", folder / "cache")
    lab.sweep(*TINY, model=["mf", "item_knn"], seed=range(2))
    return lab


@pytest.fixture
def said(lab, capsys):
    """What a command prints with the folders of the lab."""

    def of(*words):
        capsys.readouterr()
        assert main([*words, f"--store={lab.store}", f"--cache={lab.cache}"]) == 0
        return capsys.readouterr().out.rstrip("\n")

    return of


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"who": [1, 1, 2, 3], "what": [5, 6, 5, 6], "stars": [1, 4, 5, 3]})
    frame.rename(columns={"who": "user", "what": "item", "stars": "rating"}).to_csv("log.csv", index=False)
    return ul.dataset(frame, user="who", item="what", value="stars", name="mine")


@pytest.mark.parametrize("form", ["md", "latex", "csv", "json"])
def test_a_table_is_written_as_the_command_writes_it(lab, said, form):
    answer = lab.results(over="seed", metrics="rmse", sort="model")
    words = ["results", "--over", "seed", "--metrics", "rmse", "--sort", "model"]
    assert said(*words, "--format", form) == answer.render(form)
    assert answer.legend[0].startswith("[lo, hi]: interval") and answer.legend[0] in repr(answer)
    with pytest.raises(ul.UpliftlensError, match=r"unknown format 'jsonn': did you mean 'json'"):
        answer.render("jsonn")


def test_records_and_comparisons_are_those_of_the_command_in_json(lab, said):
    answer = lab.records("model=mf")
    assert said("results", "--where", "model=mf", "--format", "json") == answer.text
    assert answer.to_pandas()["config.train.epochs"].tolist() == [4, 4]
    assert said("compare", "mf", "item_knn", "--format", "json") == lab.compare("mf", "item_knn").render("json")


def test_a_figure_goes_to_a_file_whose_name_is_checked_first(lab, capsys, tmp_path):
    capsys.readouterr()
    lab.plot("learning", "mf", out=tmp_path / "x.png")
    assert capsys.readouterr().err == f"{tmp_path}/x.png: 2 runs\n" and (tmp_path / "x.png").read_bytes()[1:4] == b"PNG"
    nowhere = ul.Lab(tmp_path / "nowhere", lab.cache)
    for call_it in (lambda: nowhere.plot("learning", out="x.txt"), lambda: nowhere.effects("data=none", plot="x.txt")):
        with pytest.raises(ul.UpliftlensError, match=r"x\.txt: a figure is written as \.png"):
            call_it()
    with pytest.raises(ul.UpliftlensError, match="nowhere does not exist: start a run"):
        nowhere.results()
    assert nowhere.runs() == []


def test_a_lab_tells_of_data_what_the_command_tells(lab, said, log):
    card = lab.data.card(log).to_pandas().set_index("fact")["value"]
    assert card["users"] == "3" and card["interactions"] == "4 explicit" and lab.data.prepare(log).items.shape[0] == 2
    (shown,) = said("data", "prepare", "csv", "data.path=log.csv").splitlines()
    assert lab.data.prepare("csv", path="log.csv").fingerprint[:16] == shown[-16:] == card["fingerprint"][:16]
    assert lab.data.prepare(Path("log.csv"), filter={"user_core": 2}).users["id"].tolist() == ["1"]
    with pytest.raises(ul.UpliftlensError, match="data is a DataFrame: say what its columns are"):
        lab.data.card(log.table)
    listed = lab.data.listing()
    rows = listed.to_pandas().set_index("data")["rows"]
    assert rows["ml-100k"] == 100_000 and rows.dtype == "Int64" and "| 100,000 |" in repr(listed)
    good = lab.data.check("log.csv")
    assert good.content is None and repr(good) == said("data", "check", "log.csv") and good.to_pandas().empty
    assert lab.data.save("kept", "csv", path="log.csv").name == "kept.yaml"
    with pytest.raises(ul.UpliftlensError, match="save keeps the options of a file: give a kind of data"):
        lab.data.save("mine", ul.dataset(pd.DataFrame({"user": [1], "item": [2], "rating": [3]})))
    assert lab.data.card("kept").to_pandas()["value"].iloc[-1] == card["fingerprint"]


def test_what_is_wrong_with_a_file_is_a_table(lab, capsys, log, tmp_path):
    (tmp_path / "bad.csv").write_text("user,item,rating\n" + "".join(f"{n},1,x\n" for n in range(5)) + "7,8,9\n")
    answer = lab.data.check("bad.csv")
    assert answer.to_pandas()[["line", "more"]].values.tolist() == [[2, 0], [3, 0], [4, 2], [7, 0]]
    capsys.readouterr()
    assert main(["data", "check", "bad.csv"]) == 1
    streams = capsys.readouterr()
    assert repr(answer) == f"{streams.out}{streams.err.removeprefix('error: ')}".rstrip("\n")
    assert answer.remarks[0].endswith("bad.csv: 6 problems")


def test_words_are_read_and_refused_as_on_the_command_line(lab):
    again = lab.run(*TINY, "model=mf", "seed=3", "seed=1")
    assert again.record.seed == 1, "the last word counts"
    assert lab.command("run", ["--cfg=job", *TINY, "model=mf"]) == []
    for call_it, refused in (
        (lambda: lab.run("--cfg=job", model="mf"), "--cfg=job is no option: write option=value, without the dashes"),
        (lambda: lab.benchmark("-k", model=["mf", "ease"]), "-k is no option"),
        (lambda: lab.run(sweep="quickstart"), "sweep=quickstart is several runs: start it with `upliftlens sweep"),
        (lambda: lab.tune(sweep="quickstart"), "is several runs"),
        (lambda: lab.benchmark(sweep="quickstart"), "is several runs"),
        (lambda: lab.effects("data=uplift-ml-100k", "store=elsewhere"), "unknown option 'store'"),
    ):
        with pytest.raises(ul.UpliftlensError, match=refused):
            call_it()


def test_a_benchmark_is_written_in_the_format_that_its_words_ask_for(lab, capsys):
    words = [*TINY, "model=popularity,random", "seeds=2", "format=json"]
    answer = lab.benchmark(*words)
    assert {cell["row"] for cell in json.loads(answer.text)} == {"popularity", "random"}
    capsys.readouterr()
    assert main(["benchmark", *words, f"store={lab.store}", f"cache={lab.cache}"]) == 0
    assert capsys.readouterr().out.rstrip("\n") == answer.text

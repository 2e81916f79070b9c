"""A data set saved under a name: chosen like any other from its directory, unless its file is broken."""

import re
from pathlib import Path

import pytest
import yaml
from plugin_sources import DATA
from shell import records

from upliftlens.benchmarks import data
from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.config.overrides import choices_of
from upliftlens.causal.errors import UpliftlensError

WORDS = ("data.path=log.csv", "data.columns.user=who", "data.filter.user_core=2", "data.scale=[0,9]")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"u{u},i{(u + 3 * k) % 11},{(u * k) % 10}" for u in range(20) for k in range(6)]
    Path("log.csv").write_text("\n".join(["who,item,rating", *rows]))
    return tmp_path


def save(*words):
    return main(["data", "save", *words])


def test_what_differs_is_saved_and_chosen_by_its_name(folder, capsys):
    assert save("mine", "data=csv", *WORDS, "data.items=null") == 0
    content = yaml.safe_load(Path("configs/data/mine.yaml").read_text())
    assert content == {
        "defaults": ["csv", "_self_"],
        "name": "mine",
        "path": str(folder / "log.csv"),
        "columns": {"user": "who"},
        "filter": {"user_core": 2},
        "scale": [0, 9],
    }
    mine, plain = data.configure("mine"), data.configure("csv", (f"data.path={folder}/log.csv", *WORDS[1:]))
    assert vars(mine) == {**vars(plain), "name": "mine"}
    places = ("store=runs", "cache=cache", "progress=false", "model=popularity")
    assert main(["run", "data=mine", *places]) == 0
    assert main(["run", "data=csv", *WORDS, *places]) == 0
    (record,) = records(folder / "runs")  # two configurations of the same numbers
    assert record["data"]["name"] == "mine"
    assert main(["sweep", "data=mine", "data.filter.user_core=0,2", *places[:3], "model=random"]) == 0
    assert len(records(folder / "runs")) == 2, "no core is smaller than 2 here"
    for words in (["check", "mine"], ["card", "mine", "--cache", "cache"], ["list", "--cache", "cache"]):
        capsys.readouterr()
        assert main(["data", *words]) == 0
        assert "mine" in capsys.readouterr().out
    assert main(["list", "data"]) == 0
    assert re.search(r"^mine +saved in configs/data/mine.yaml *$", capsys.readouterr().out, re.MULTILINE)


def test_files_of_a_split_are_saved_with_where_they_are(folder):
    for name, row in (("tr.csv", "a,x"), ("te.csv", "a,y")):
        Path(name).write_text(f"user,item\n{row}\n")
    assert save("mine", "data=files", "data.train=tr.csv", "data.test=te.csv") == 0
    content = yaml.safe_load(Path("configs/data/mine.yaml").read_text())
    assert (content["train"], content["test"]) == (str(folder / "tr.csv"), str(folder / "te.csv"))
    assert save("within", "data=files", f"data.path={folder}", "data.train=tr.csv", "data.test=te.csv") == 0
    content = yaml.safe_load(Path("configs/data/within.yaml").read_text())
    assert (content["path"], content["train"]) == (str(folder), "tr.csv"), "names within the folder"


def test_it_is_a_choice_in_its_directory_only(folder, monkeypatch):
    assert save("mine", "data=csv", *WORDS) == 0
    assert configured(["data=mine"]).sections["data"].columns.user == "who" and "mine" in choices_of("data")
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    with pytest.raises(UpliftlensError, match="unknown data choice 'mine'"):
        configured(["data=mine"])
    assert "mine" not in data.names()


def test_a_saved_log_of_recommendations_keeps_its_metrics(folder):
    rows = [f"u{u},i{i},{(u + i) % 2},{int(u * i % 3 == 0)}" for u in range(6) for i in range(5)]
    Path("up.csv").write_text("\n".join(["user,item,treated,outcome", *rows]))
    assert save("up", "data=uplift-log", "data.path=up.csv") == 0
    assert save("again", "data=up", "data.absent=zero") == 0
    again, plain = configured(["data=again"]), configured(["data=uplift-log", "data.path=up.csv", "data.absent=zero"])
    assert again.sections["metrics"] == plain.sections["metrics"] != configured(["data=csv"]).sections["metrics"]
    assert vars(again.sections["data"]) == {**vars(plain.sections["data"]), "name": "again"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("csv", "data=csv", *WORDS), "there is a data set 'csv' already: choose another name"),
        (("there", "data=csv", *WORDS), "configs/data/there.yaml exists: delete it first, or choose another name"),
        (("_mine", "data=csv", *WORDS), "'_mine' can't be a name"),
        (("7", "data=csv", *WORDS), "'7' can't be a name: begin with a letter"),
        (("true", "data=csv", *WORDS), "'true' can't be a name"),
        (("1e5", "data=csv", *WORDS), "'1e5' can't be a name"),
        (("mine", *WORDS), "say what kind of file it is: upliftlens data save mine data=csv"),
        (("mine", "data=csv"), "data=csv without a file: give data.path=FILE"),
        (("mine", "data=files"), "data=files without a file: give data.train=FILE data.test=FILE"),
        (("mine", "data=files", "data.train=gone.csv", "data.test=gone.csv"), "gone.csv does not exist"),
        (("mine", "data=csv", "data.path=gone.csv"), "gone.csv does not exist"),
        (("mine", "data=ml-100k"), "data=ml-100k is known already"),
        (("mine", "data=synthetic"), "data=synthetic is known already"),
        (("mine", "data=cvs", *WORDS), "unknown data set 'cvs': did you mean 'csv'"),
        (("mine", "data=csv", *WORDS, "data.colums.item=x"), "unknown option 'data.colums"),
        (("mine", "data=csv", *WORDS, "model=mf"), "unknown option 'model'"),
    ],
)
def test_what_can_not_be_saved(words, message, capsys):
    Path("configs/data").mkdir(parents=True)
    Path("configs/data/there.yaml").write_text("defaults: [csv, _self_]\npath: log.csv\n")
    assert save(*words) == 1
    assert message in capsys.readouterr().err
    assert [path.name for path in Path("configs/data").iterdir()] == ["there.yaml"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("mine", b"defaults: [csv\npath: x\n", "configs/data/mine.yaml, line 2: this is no YAML"),
        ("mine", b"- csv\n", "configs/data/mine.yaml holds no options: mend it or delete it"),
        ("mine", b"", "configs/data/mine.yaml holds no options"),
        ("mine", b"name: \xff\n", "configs/data/mine.yaml can't be read"),
        ("mine", b"name: yours\n", "configs/data/mine.yaml: it states the name 'yours': make it 'mine', as the file's"),
        (
            "mine",
            b"path: x\n",
            "configs/data/mine.yaml: state what kind of data it is, as in `defaults: [csv, _self_]`",
        ),
        ("mine", b"defaults: [cvs]\n", "configs/data/mine.yaml: unknown data choice 'cvs': did you mean 'csv'"),
        ("mine", b"defaults: [csv]\npth: x\n", "data=mine (configs/data/mine.yaml): unknown option of data 'pth': did"),
        ("7", b"defaults: [csv]\n", "configs/data/7.yaml: '7' can't be a name"),
        ("ml-1m", b"defaults: [csv]\n", "configs/data/ml-1m.yaml: a data set of Upliftlens is called 'ml-1m', too"),
    ],
)
def test_a_broken_file_is_named(name, content, message, capsys):
    Path("configs/data").mkdir(parents=True)
    Path(f"configs/data/{name}.yaml").write_bytes(content)
    for words in (["run", "data=mine", "model=popularity"], ["data", "check", "mine"], ["data", "list"]):
        assert main(words) == 1
        assert message in capsys.readouterr().err


def test_an_installed_data_set_has_its_name_for_itself(install, capsys):
    install("data", "borrowed", "source", DATA)
    Path("configs/data").mkdir(parents=True)
    Path("configs/data/borrowed.yaml").write_text("defaults: [csv]\n")
    assert main(["data", "check", "borrowed"]) == 1
    assert "configs/data/borrowed.yaml: an installed data set is called 'borrowed', too" in capsys.readouterr().err


def test_the_directory_of_a_checkout_is_no_conflict(folder):
    source = Path(data.__file__).parents[2] / "configs" / "data"
    (folder / "configs").mkdir()
    (folder / "configs" / "data").symlink_to(source)
    assert "csv" in data.names() and data.configure("csv").name == "csv"

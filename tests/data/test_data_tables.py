"""Tables of users and items beside a log: what they become, and what is refused with its line."""

import json
from pathlib import Path

import numpy as np
import pytest
from shell import records

from upliftlens.benchmarks import data
from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.causal.errors import UpliftlensError

LOG = "user,item,rating\nann,a,5\nann,b,4\nben,a,3\nben,c,2\ncid,b,1\n"
ITEMS = (
    "item,title,year,kind,genres,blurb\n"
    "b,The B,1990,film,drama|war,one\n"
    'a,"A, the first",2000,film,war,two\n'
    "z,Unseen,1901,show,comedy,three\n"
)
USERS = "who;age;city\nann;30;Rome\nben;;Oslo\ncid;20;Rome\n"


def read(folder: Path, *options: str, said: list[str] | None = None, log: str = LOG, **tables: str) -> Dataset:
    (folder / "log.csv").write_text(log)
    words = [f"data.path={folder}/log.csv", *options]
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text)
        words.append(f"data.{name}={folder}/{name}.csv")
    return data.load(data.configure("csv", words), folder, None if said is None else said.append)


def test_the_columns_of_tables_become_titles_and_features(tmp_path: Path) -> None:
    said: list[str] = []
    d = read(tmp_path, items=ITEMS, users=USERS, said=said)
    assert d.items["id"].tolist() == ["a", "b", "c"]
    assert d.items["title"].tolist() == ["A, the first", "The B", "c"]
    assert d.item_features.names == ("year", "kind=film", "genres=drama", "genres=war")
    expected = [[1, 1, 0, 1], [-1, 1, 1, 1], [0, 0, 0, 0]]  # years 2000 and 1990: a standard deviation of 5 around 1995
    np.testing.assert_array_equal(d.item_features.matrix, expected)
    assert d.user_features.names == ("age", "city=Oslo", "city=Rome")
    np.testing.assert_array_equal(d.user_features.matrix, [[1, 0, 1], [0, 1, 0], [-1, 0, 1]])
    items = f"{tmp_path}/items.csv"
    assert said == [
        f"{items}: no features from blurb: more than data.max_categories=100 words, or none that occurs twice",
        f"{items}: 1 of the log's 3 items have no row: their features are 0",
        f"{items}: 1 of its 3 items are not in the log and are left out",
    ]


def test_every_role_of_a_column_can_be_stated(tmp_path: Path) -> None:
    text = "id,code,label,title,when,words\n1,a,First,x,7,p;q\n2,b,Second,x,8,q\n3,c,Third,y,7,p\n"
    stated = ("id=code", "title=label", "categories=[when]", "tags=[words]", "numbers=[]")
    options = [*(f"data.item_columns.{role}" for role in stated), "data.tag_separator=semicolon"]
    d = read(tmp_path, *options, items=text)
    assert d.items.columns.tolist() == ["id", "id_", "title", "title_", "when", "words"]
    assert d.items["title"].tolist() == ["First", "Second", "Third"]
    assert d.item_features.names == ("when=7", "when=8", "words=p", "words=q")
    np.testing.assert_array_equal(d.item_features.matrix, [[1, 0, 1, 1], [0, 1, 0, 1], [1, 0, 1, 0]])
    both = read(tmp_path, *options, "data.item_columns.categories=[auto,when]", items=text)
    assert both.item_features.names == ("title_=x", "title_=y", "when=7", "when=8", "words=p", "words=q")
    few = read(tmp_path, *options, "data.item_columns.categories=[auto,when]", "data.max_categories=1", items=text)
    assert few.item_features.names == ("when=7", "when=8", "words=p", "words=q"), "what is named stays"


def test_the_index_that_pandas_writes_is_no_feature(tmp_path: Path) -> None:
    for text in (",item,year\n0,a,1\n1,b,2\n", ",item,year,\n0,a,1,\n1,b,2,\n"):
        assert read(tmp_path, items=text).item_features.names == ("year",)


def test_tables_are_read_with_any_separator_and_cells_of_several_lines(tmp_path: Path) -> None:
    text = 'item\tname\tblurb\na\tA\t"of two\nlines"\nb\tB\tplain\n'
    d = read(tmp_path, "data.separator=comma", items=text)
    assert d.items["title"].tolist() == ["A", "B", "c"] and d.items["blurb"].tolist() == ["of two\nlines", "plain", ""]
    swallowed = 'item,name\na,"A\nb,B\nc,C"\n'
    with pytest.raises(data.BadData, match="line 2: a quote opens here and closes on line 4: 3 of its lines look like"):
        read(tmp_path, items=swallowed)


@pytest.mark.parametrize(
    ("text", "options", "what"),
    [
        ("item,year\na,1\nb,2\na,3\n", (), "line 4, column item: 'a' is already on line 2"),
        ("item,year\na,1\n ,2\n", (), "line 3, column item: the id is empty"),
        ("item,year\na,1\nb,NaN\n", (), "line 3, column year: 'NaN' is not a number. Fix: write a number, or nothing"),
        ("item,year\na,1\nb,-inf\n", (), "line 3, column year: '-inf' is not a number"),
        ("item,year\na,1\nb,1e99\n", (), "line 3, column year: '1e99' is not a number"),
        ("item,year\na,1\nb,x\n", ("data.item_columns.numbers=[year]",), "line 3, column year: 'x' is not a number"),
        ("item,year\na,1\nb,2,3\n", (), "line 3: 3 fields where the first line has 2"),
        ("item,year,year\na,1,2\n", (), "line 1, column year: the header names this column 2 times"),
        ("a,1990\nb,1991\n", (), "line 1: the header is missing: the first line is 'a, 1990'"),
        ("", (), "there is no row below a header that names columns"),
        ("item,year\n", (), "there is no row below a header that names columns"),
        (",,\n1,2,3\n", (), "there is no row below a header that names columns"),
        ("code,year\n1,1990\n2,1991\n", (), "column code: none of its 2 ids is in the log"),
        (
            "item,year\na,1\n",
            ("data.item_columns.categories=[yaer]", "data.item_columns.title=label"),
            "line 1, column yaer: no such column; there is: item, year. "
            r"Fix: data.item_columns.categories=\[year\]\n\(2 problems",
        ),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_line(
    text: str, options: tuple[str, ...], what: str, tmp_path: Path
) -> None:
    with pytest.raises(data.BadData, match=f"items.csv[,:] {what}"):
        read(tmp_path, *options, items=text)


def test_vectors_are_features_as_they_are(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.array([[1, 2], [3, 4], [5, 6]]))
    d = read(tmp_path, f"data.item_vectors={tmp_path}/v.npy", items=ITEMS)
    assert d.item_features.names[-2:] == ("vector 0", "vector 1") and d.item_features.matrix.dtype == np.float32
    np.testing.assert_array_equal(d.item_features.matrix[:, -2:], [[3, 4], [1, 2], [0, 0]])
    assert d.fingerprint != read(tmp_path, items=ITEMS).fingerprint


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.zeros((2, 4)), "has 2 rows and .*items.csv has 3 below its header"),
        (np.zeros(3), r"holds float64\[3\]: it must be numbers of shape \[rows, d\]"),
        (np.array([[0, 0], [0, np.nan], [0, 1e300]]), "2 rows hold NaN or infinity, the first is row 1 .*line 3"),
        (np.array([["a"], ["b"], ["c"]]), r"holds <U1\[3, 1\]"),
        (np.array([[None], [1], [2]]), "is no array of numbers .Object arrays cannot be loaded"),
        (b"PK\x03\x04 a zip of arrays", "is no array of numbers"),
        (b"", "is no array of numbers"),
        (None, "can't be read: No such file"),
    ],
)
def test_vectors_that_belong_to_no_table_are_refused(
    array: np.ndarray | bytes | None, what: str, tmp_path: Path
) -> None:
    if isinstance(array, bytes):
        (tmp_path / "v.npy").write_bytes(array)
    elif array is not None:
        np.save(tmp_path / "v.npy", array)
    with pytest.raises(UpliftlensError, match=f"data.item_vectors={tmp_path}/v.npy:? {what}"):
        read(tmp_path, f"data.item_vectors={tmp_path}/v.npy", items=ITEMS)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("data.items=nowhere.csv",), "data.items=.*nowhere.csv does not exist"),
        (("data.users=.",), "data.users=.* is a folder or an archive: name the file itself"),
        (("data.user_vectors=v.npy",), "data.user_vectors has a row for each row of a table: .* data.users=FILE"),
        (
            ("data.item_columns.tags=[x]", "data.item_columns.numbers=[x]"),
            "data.item_columns.numbers and data.item_columns.tags are both x",
        ),
        (("data.item_columns.tags=x",), r"data.item_columns.tags must be a list, as in \[a,b\], got x"),
    ],
)
def test_options_of_tables_that_make_no_sense(options: tuple[str, ...], what: str, tmp_path: Path) -> None:
    with pytest.raises(UpliftlensError, match=what):
        read(tmp_path, *options)


def test_a_log_of_recommendations_takes_tables_too(tmp_path: Path) -> None:
    rows = [f"u{u},i{i},{(u + i) % 2},{int(u * i % 3 == 0)}" for u in range(6) for i in range(5)]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,treated,outcome", *rows]))
    (tmp_path / "items.csv").write_text("id,title,kind\ni0,Zero,x\ni1,One,y\ni2,Two,x\ni3,Three,x\n")
    said: list[str] = []
    words = [f"data.path={tmp_path}/log.csv", f"data.items={tmp_path}/items.csv"]
    d = data.load(data.configure("uplift-log", words), tmp_path, said.append)
    assert d.item_features.names == ("kind=x", "kind=y") and d.items["title"].tolist()[-2:] == ["Three", "i4"]
    assert any("1 of the log's 5 items have no row" in line for line in said)


@pytest.mark.parametrize("model", ["mf_features", "two_tower"])
def test_models_learn_from_the_columns_of_tables(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user gives 5 to items of the kind that they like and 1 to others: nothing of that is in two ids alone."""
    monkeypatch.chdir(tmp_path)
    rng, kinds = np.random.default_rng(0), "abcd"
    pairs = [(u, i) for u in range(80) for i in rng.choice(120, 8, replace=False)]
    lines = ["user,item,rating", *(f"u{u},i{i},{5 if u % 4 == i % 4 else 1}" for u, i in pairs)]
    Path("log.csv").write_text("\n".join(lines))
    Path("items.csv").write_text(
        "\n".join(["item,title,kind", *(f"i{i},Title {i},{kinds[i % 4]}" for i in range(120))])
    )
    Path("users.csv").write_text("\n".join(["user,likes", *(f"u{u},{kinds[u % 4]}" for u in range(80))]))
    words = ["data=csv", "data.path=log.csv", "data.items=items.csv", "data.users=users.csv", f"model={model}"]
    assert main(["run", *words, "progress=false", "store=runs", "cache=cache"]) == 0
    (record,) = records(tmp_path / "runs")
    assert record["metrics"]["rmse"]["value"] < 0.5, "1.7 without the tables"
    assert record["config"]["data"]["items"] == str(tmp_path / "items.csv")
    capsys.readouterr()
    assert main(["recommend", record["key"], "--user", "u1", "--format", "json", "--cache", "cache"]) == 0
    first = json.loads(capsys.readouterr().out)[0]
    assert first["title"] == f"Title {first['item'][1:]}" and int(first["item"][1:]) % 4 == 1

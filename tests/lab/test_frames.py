"""A DataFrame is a data set like a file of the same rows; what is wrong with it is said with its row."""

import numpy as np
import pandas as pd
import pytest
from shell import TINY, records

import upliftlens as ul
from upliftlens.benchmarks.cli.main import main

FAST = [word for word in TINY if not word.startswith("data")]


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    pairs = pd.DataFrame({"who": rng.integers(0, 30, 600), "what": rng.integers(0, 20, 600)}).drop_duplicates()
    return pairs.assign(stars=rng.integers(1, 6, len(pairs)), when=pd.Timestamp("2020-01-01"))


def test_it_is_the_same_data_as_a_file_of_the_same_rows(frame, tmp_path):
    lab = ul.Lab(tmp_path / "runs", tmp_path / "cache")
    mine = ul.dataset(frame, user="who", item="what", value="stars", name="mine")
    run = lab.run(*FAST, data=mine, model="mf")
    frame.to_csv(tmp_path / "mine.csv", index=False)
    columns = [f"data.columns.{role}={name}" for role, name in (("user", "who"), ("item", "what"), ("value", "stars"))]
    words = [*FAST, "data=csv", f"data.path={tmp_path}/mine.csv", *columns, "model=mf"]
    assert main(["run", *words, f"store={lab.store}", f"cache={lab.cache}"]) == 0
    (record,) = records(lab.store)
    assert record["key"] == run.key and record["data"]["name"] == "mine" and run.recommend(user=7, k=2).shape == (2, 5)


def test_without_ratings_with_times_and_ids_that_pandas_made_floats(frame, tmp_path):
    lab = ul.Lab(tmp_path / "runs", tmp_path / "cache")
    times = pd.date_range("2020-01-01", periods=len(frame), freq="24h", tz="Europe/Berlin")
    log = ul.dataset(frame.assign(when=times, who=frame["who"].astype(float)), "who", "what", None, "when")
    run = lab.run(*FAST, data=log, model="item_knn", split="leave_last")
    assert run.record.config["data"]["feedback"] == "implicit" and len(run.recommend(user=7, k=2)) == 2
    seconds = log.table["time"]
    assert (seconds.iloc[-1] - seconds.iloc[0]) == 86400 * (len(frame) - 1) and seconds.iloc[0] == 1577833200


def test_tables_of_items_and_users_are_those_of_files(frame, tmp_path, capsys):
    lab = ul.Lab(tmp_path / "runs", tmp_path / "cache")
    films = pd.DataFrame({"what": range(20), "title": [f"Film {n}" for n in range(20)], "genre": ["a", "b"] * 10})
    people = pd.DataFrame({"id": np.arange(30.0), "age": range(30)})
    mine = ul.dataset(frame, "who", "what", "stars", items=films, users=people)
    first = ul.dataset(frame, "who", "what", "stars", items=films.rename(columns={"what": "film"}), users=people)
    assert first.tables["items"].equals(mine.tables["items"]), "the first column, where none has the name"
    run = lab.run(*FAST, data=mine, model="mf_features")
    assert run.recommend(user=7, k=1)["title"].str.startswith("Film ").all()
    for name, table in (("log", frame.rename(columns={"stars": "rating"})), ("films", films), ("people", people)):
        table.astype({"id": int} if name == "people" else {}).to_csv(tmp_path / f"{name}.csv", index=False)
    files = [f"data.path={tmp_path}/log.csv", f"data.items={tmp_path}/films.csv", f"data.users={tmp_path}/people.csv"]
    words = [*FAST, "data=csv", *files, "data.columns.user=who", "data.columns.item=what", "model=mf_features"]
    assert lab.run(*words).key == run.key and lab.run(*words[:-1], "model=mf").key != run.key
    capsys.readouterr()
    for wrong, said in (
        ({"items": pd.DataFrame(index=range(3))}, "items= has no column"),
        ({"users": [1]}, "users= takes a pandas DataFrame, not a list"),
        ({"users": people.assign(id=np.where(people["id"] == 3, np.nan, 1.0))}, "column id, row 3: empty"),
    ):
        with pytest.raises(ul.UpliftlensError, match=said):
            ul.dataset(frame, "who", "what", "stars", **wrong)


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (
            lambda frame: frame,
            {"user": "whom"},
            r"unknown column of the DataFrame \(user=\) 'whom': did you mean 'who'",
        ),
        (lambda frame: frame, {"time": "whn"}, "did you mean 'when'"),
        (lambda frame: frame.drop(columns="stars"), {}, r"\(value=\) 'stars'"),
        (
            lambda frame: frame.assign(stars=frame["stars"].astype(str)),
            {},
            r"is no number.*pd.to_numeric\(frame\['stars'\]",
        ),
        (
            lambda frame: frame.assign(stars=frame["stars"].astype(object).where(frame.index != 3, "x")),
            {},
            "row 3: 'x' is no number",
        ),
        (lambda frame: frame.assign(stars=np.where(frame.index == 3, np.nan, 1.0)), {}, "column stars, row 3: empty"),
        (lambda frame: frame.assign(who=frame["who"].where(frame.index != 3)), {}, "column who, row 3: empty"),
        (lambda frame: frame, {"item": "who"}, "must be different columns"),
        (lambda frame: frame.assign(who=" a"), {}, "row 0: blanks around an id"),
        (lambda frame: frame.assign(who=pd.Series([7, "7"] * 400)), {}, "two ids, such as 7 and '7', are one as text"),
        (lambda frame: pd.concat([frame, frame["who"]], axis=1), {}, "columns must have different names"),
        (lambda frame: frame.to_dict(), {}, "made from a pandas DataFrame, not from a dict"),
    ],
)
def test_what_is_wrong_with_a_frame(frame, change, options, said):
    with pytest.raises(ul.UpliftlensError, match=said):
        ul.dataset(change(frame), **{"user": "who", "item": "what", "value": "stars", **options})


def test_what_only_the_reader_of_files_sees(frame, tmp_path):
    lab = ul.Lab(tmp_path / "runs", tmp_path / "cache")
    for table, said in (
        (pd.concat([frame, frame.iloc[:1]]), "are already on line"),
        (frame.assign(stars=frame["stars"] + 4), "lies outside of the scale 1 to 5"),
    ):
        with pytest.raises(ul.UpliftlensError, match=said):
            lab.run(*FAST, data=ul.dataset(table, "who", "what", "stars"), model="mf")
    wide = ul.dataset(frame.assign(stars=frame["stars"] + 4), "who", "what", "stars", scale=(5, 9), relevance=8)
    assert lab.run(*FAST, data=wide, model="mf").metrics["rmse"].value < 4


def test_a_file_that_is_edited_in_a_session_is_read_again(frame, tmp_path):
    lab = ul.Lab(tmp_path / "runs", tmp_path / "cache")
    words = [*FAST, "data=csv", f"data.path={tmp_path}/log.csv", "model=popularity", "data.columns.user=who"]
    words += ["data.columns.item=what", "data.columns.value=stars"]
    keys = []
    for table in (frame, frame.iloc[:-40], frame):
        table.to_csv(tmp_path / "log.csv", index=False)
        keys.append(lab.run(*words).key)
    assert keys[0] == keys[2] != keys[1]

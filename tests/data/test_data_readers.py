"""Each layout, written small by hand here, and read back; filters and indices through the whole loader."""

import io
import tarfile
import zipfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from upliftlens.benchmarks import data
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.worlds.synthetic import SyntheticOptions, synthetic_world

HUNDRED = {
    "u.data": "10\t3\t4\t100\n2\t3\t5\t50\n2\t1\t1\t60\n",
    "u.user": "2|30|F|writer|00001\n10|50|M|other|00002\n11|99|M|doctor|00003\n",
    "u.item": "1|unknown|||" + "|1" + "|0" * 18 + "\n2|Never rated (1990)|01-Jan-1990||x" + "|1" * 19 + "\n"
    "3|Été (1995)|01-Jan-1995||x" + "|0|1|0|1" + "|0" * 15 + "\n",
}
MILLION = {
    "ratings.dat": "2::3::5::50\n1::3::4::60\n",
    "users.dat": "1::F::1::10::48067\n2::M::56::16::70072\n",
    "movies.dat": "3::Été (1995)::Comedy|Drama\n",
}
LATEST = {
    "ratings.csv": "userId,movieId,rating,timestamp\n1,30,4.5,10\n2,4,0.5,20\n",
    "movies.csv": 'movieId,title,genres\n4,"American, The (2010)",Drama|War\n30,No date,(no genres listed)\n',
}
COAT = {
    "train.ascii": "0 5 0\n1 0 2\n",
    "test.ascii": "3 0 0\n0 4 0\n",
    "user_item_features/user_features.ascii": "1 0\n0 1\n",
    "user_item_features/user_features_map.txt": "gender:men\ngender:women",
    "user_item_features/item_features.ascii": "1\n0\n1\n",
    "user_item_features/item_features_map.txt": "color:red\n",
    "propensities.ascii": ".1 .2 .3\n.4 .5 .6\n",
}
YAHOO = {"train": "1\t5\t3\n2\t5\t1\n", "test": "1\t7\t5\n3\t5\t2\n"}
RECBOLE = {
    "x.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\na\tq\t3\t10\nb\tq\t4\t20.0\nb\tp\t5\t30\n",
    "x.user": "user_id:token\tage:float\tcity:token\tv:float_seq\nb\t30\tRome\t1 2\na\t20\tOslo\t3 4\n",
    "x.item": "item_id:token\tname:token_seq\tclass:token_seq\nq\tThe Q\tx y\np\tThe P\ty\n",
}


@lru_cache
def options_of(name: str, *options: str):
    return data.configure(name, options)


def written(folder: Path, texts: dict[str, str], encoding: str = "utf-8") -> Path:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode(encoding))
    return folder


def loaded(path: Path, name: str, *options: str) -> Dataset:
    return data.load(replace(options_of(name, *options), path=str(path)), path.parent / "cache")


def rows(log) -> list[tuple[int, int, float]]:
    return list(zip(log.user.tolist(), log.item.tolist(), log.value.tolist()))


def test_100k(tmp_path: Path) -> None:
    d = loaded(written(tmp_path / "ml", HUNDRED, "latin-1"), "ml-100k")
    assert rows(d.log) == [(1, 1, 4), (0, 1, 5), (0, 0, 1)] and d.log.time.tolist() == [100, 50, 60]
    assert d.users["id"].tolist() == ["2", "10"] and d.users["zip_code"].tolist() == ["00001", "00002"]
    assert d.items["title"].tolist() == ["unknown", "Été (1995)"] and d.items["genres"].tolist() == [
        "unknown",
        "Action|Animation",
    ]
    assert d.user_features.names == ("age", "gender=F", "gender=M", "occupation=other", "occupation=writer")
    np.testing.assert_array_equal(d.user_features.matrix, [[-1, 1, 0, 0, 1], [1, 0, 1, 1, 0]])
    assert d.item_features.names == ("year", "genres=Action", "genres=Animation", "genres=unknown")
    np.testing.assert_array_equal(d.item_features.matrix, [[0, 0, 0, 1], [0, 1, 1, 0]])
    assert (d.scale, d.relevance, d.feedback, d.test) == ((1, 5), 4, "explicit", None)


def test_one_file_brings_its_neighbours_or_stands_alone(tmp_path: Path) -> None:
    folder = written(tmp_path / "ml", HUNDRED, "latin-1")
    whole = loaded(folder, "ml-100k")
    assert loaded(folder / "u.data", "ml-100k").fingerprint == whole.fingerprint
    (folder / "u.user").unlink()
    alone = loaded(folder / "u.data", "ml-100k")
    assert alone.user_features.matrix.shape == (2, 0) and alone.users.columns.tolist() == ["id"]
    assert alone.fingerprint != whole.fingerprint


def test_folder_zip_and_tar_hold_the_same(tmp_path: Path) -> None:
    folder = written(tmp_path / "ml-100k", HUNDRED, "latin-1")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in HUNDRED:
            archive.write(folder / name, f"ml-100k/{name}")
        archive.writestr("__MACOSX/ml-100k/._u.data", b"\0\1")
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as tar:
        tar.add(folder, "deep/ml-100k")
    prints = {
        loaded(tmp_path / name, "ml-100k").fingerprint for name in ("ml-100k", "a.zip", "a.tgz", "ml-100k/u.data")
    }
    assert len(prints) == 1


def test_1m(tmp_path: Path) -> None:
    d = loaded(written(tmp_path / "ml", MILLION, "latin-1"), "ml-1m")
    assert rows(d.log) == [(1, 0, 5), (0, 0, 4)]
    assert d.users.iloc[0].tolist() == ["1", "F", "under 18", "K-12 student", "48067"]
    assert d.user_features.names[:2] == ("age=56+", "age=under 18")
    assert d.items["title"].tolist() == ["Été (1995)"] and d.item_features.names == (
        "year",
        "genres=Comedy",
        "genres=Drama",
    )


def test_10m_knows_nothing_of_users(tmp_path: Path) -> None:
    d = loaded(written(tmp_path / "ml", {k: v for k, v in MILLION.items() if k != "users.dat"}), "ml-10m")
    assert d.user_features.matrix.shape == (2, 0) and d.items["title"].tolist() == ["Été (1995)"]


@pytest.mark.parametrize("name", ["ml-20m", "ml-25m", "ml-32m", "ml-latest-small"])
def test_20m_and_later(tmp_path: Path, name: str) -> None:
    d = loaded(written(tmp_path / "ml", LATEST), name)
    assert rows(d.log) == [(0, 1, 4.5), (1, 0, 0.5)] and d.scale == (0.5, 5)
    assert d.items["title"].tolist() == ["American, The (2010)", "No date"]
    assert d.items["year"].tolist() == ["2010", ""] and d.item_features.names == ("year", "genres=Drama", "genres=War")


def test_coat_layout(tmp_path: Path) -> None:
    d = loaded(written(tmp_path / "coat", COAT), "coat")
    assert rows(d.log) == [(0, 1, 5), (1, 0, 1), (1, 2, 2)]
    assert d.test is not None and rows(d.test) == [(0, 0, 3), (1, 1, 4)] and d.test_kind == "mar"
    assert d.user_features.names == ("gender=men", "gender=women") and d.item_features.names == ("color=red",)
    np.testing.assert_array_equal(d.item_features.matrix[:, 0], [1, 0, 1])
    np.testing.assert_allclose(d.propensity, [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    assert d.relevance == 3


@pytest.mark.parametrize(
    ("train", "line", "column", "what"),
    [
        ("0 6 0\n1 0 2\n", 1, "2", "outside of 1 to 5"),
        ("0 5 0\n1 0\n", 2, None, "2 fields"),
        ("0 5 x\n1 0 2\n", 1, "3", "'x'"),
    ],
)
def test_coat_findings(tmp_path: Path, train: str, line: int, column: str | None, what: str) -> None:
    folder = written(tmp_path / "coat", COAT | {"train.ascii": train})
    result = data.check(folder, options_of("coat"))
    assert result is not None
    (problem,) = result.problems
    assert (problem.line, problem.column) == (line, column) and what in problem.what


def test_yahoo(tmp_path: Path) -> None:
    texts = {f"ydata-ymusic-rating-study-v1_0-{part}.txt": text for part, text in YAHOO.items()}
    d = loaded(written(tmp_path / "r3", texts), "yahoo-r3")
    assert d.users["id"].tolist() == ["1", "2", "3"] and d.items["id"].tolist() == ["5", "7"]  # 3 and 7: test set only
    assert rows(d.log) == [(0, 0, 3), (1, 0, 1)] and d.test is not None and rows(d.test) == [(0, 1, 5), (2, 0, 2)]
    assert d.test_kind == "mar" and d.log.time is None and d.relevance == 3


def test_recbole(tmp_path: Path) -> None:
    d = loaded(written(tmp_path / "x", RECBOLE) / "x.inter", "recbole", "data.columns.title=name")
    assert rows(d.log) == [(0, 1, 3), (1, 1, 4), (1, 0, 5)] and d.log.time.tolist() == [10, 20, 30]
    assert d.items["title"].tolist() == ["The P", "The Q"]
    assert d.user_features.names == ("age", "city=Oslo", "city=Rome") and d.item_features.names == (
        "class=x",
        "class=y",
    )
    np.testing.assert_array_equal(d.item_features.matrix, [[0, 1], [1, 1]])
    few = loaded(tmp_path / "x", "recbole", "data.max_categories=1")
    assert few.user_features.names == ("age",)


@pytest.mark.parametrize(
    ("file", "text", "what"),
    [
        ("x.user", "user_id:token\tage:float\na\told\n", r"x\.user, line 2, column age: 'old' is not a number"),
        ("x.user", "uid:token\tage:float\na\t1\n", r"x\.user, line 1, column user_id: no such column"),
        ("x.item", "item_id:token\tc:token\nq\n", r"x\.item, line 2: 1 fields"),
    ],
)
def test_recbole_findings(tmp_path: Path, file: str, text: str, what: str) -> None:
    folder = written(tmp_path / "x", RECBOLE | {file: text})
    with pytest.raises(data.BadData, match=what):
        loaded(folder, "recbole")


def test_a_folder_without_the_file(tmp_path: Path) -> None:
    with pytest.raises(UpliftlensError, match=r"holds no file 'ratings\.csv' \(there is: u\.data"):
        loaded(written(tmp_path / "ml", {"u.data": "1\t1\t1\t1\n"}), "ml-20m")


def test_filters_in_order_and_what_leaves_with_them(tmp_path: Path) -> None:
    texts = {
        "train": "1\t1\t1\n1\t1\t5\n1\t2\t5\n2\t1\t5\n2\t2\t5\n3\t1\t2\n3\t9\t5\n",
        "test": "1\t2\t4\n3\t1\t4\n4\t1\t4\n1\t9\t4\n",
    }
    folder = written(
        tmp_path / "r3", {f"ydata-ymusic-rating-study-v1_0-{part}.txt": text for part, text in texts.items()}
    )
    options = [
        "data.filter.duplicates=last",
        "data.filter.min_value=3",
        "data.filter.user_core=2",
        "data.filter.item_core=2",
    ]
    d = loaded(folder, "yahoo-r3", *options)
    assert d.users["id"].tolist() == ["1", "2", "4"] and d.items["id"].tolist() == ["1", "2"]
    assert rows(d.log) == [(0, 0, 5), (0, 1, 5), (1, 0, 5), (1, 1, 5)]
    # user 3 and item 9 were filtered out, so their test rows go; user 4 was never in the log and stays
    assert d.test is not None and rows(d.test) == [(0, 1, 4), (2, 0, 4)]
    with pytest.raises(UpliftlensError, match="no row is left"):
        loaded(folder, "yahoo-r3", "data.filter.duplicates=last", "data.filter.user_core=50")


CHANGES = {
    "a value": ("u.data", "10\t3\t4\t100", "10\t3\t5\t100"),
    "a time": ("u.data", "10\t3\t4\t100", "10\t3\t4\t101"),
    "an id": ("u.data", "10\t3\t4\t100", "11\t3\t4\t100"),
    "the order": ("u.data", "2\t3\t5\t50\n2\t1\t1\t60\n", "2\t1\t1\t60\n2\t3\t5\t50\n"),
    "a feature": ("u.user", "50|M", "50|F"),
    "the name of a feature": ("u.user", "writer", "zoologist"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_fingerprint_moves_with_what_a_run_sees(tmp_path: Path, change: str) -> None:
    file, old, new = CHANGES[change]
    before = loaded(written(tmp_path / "a", HUNDRED, "latin-1"), "ml-100k")
    after = loaded(written(tmp_path / "b", HUNDRED | {file: HUNDRED[file].replace(old, new)}, "latin-1"), "ml-100k")
    assert before.fingerprint != after.fingerprint


def test_fingerprint_moves_with_scale_and_relevance_and_not_with_titles(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", HUNDRED, "latin-1")
    prints = {
        loaded(folder, "ml-100k", *options).fingerprint
        for options in ((), ("data.scale=[0,5]",), ("data.relevance=3",))
    }
    assert len(prints) == 3
    other = written(tmp_path / "b", HUNDRED | {"u.item": HUNDRED["u.item"].replace("Été", "Eté")}, "latin-1")
    assert loaded(other, "ml-100k").fingerprint in prints


def test_synthetic_is_the_world_without_its_truth(tmp_path: Path) -> None:
    config = options_of(
        "synthetic", "data.n_users=40", "data.n_items=30", "data.ratings_per_user=8", "data.test_per_user=3"
    )
    d = data.load(config, tmp_path)
    world = synthetic_world(
        SyntheticOptions(**{f: getattr(config, f) for f in SyntheticOptions.__dataclass_fields__}), 0
    )
    assert rows(d.log) == rows(world.log) and d.test is not None and rows(d.test) == rows(world.test)
    assert d.test_kind == "mar" and d.propensity is None
    assert d.world is not None and d.world.ratings is None and not d.world.knows_effects
    np.testing.assert_array_equal(d.world.propensity, world.truth.propensity(np.arange(40)))
    np.testing.assert_array_equal(d.user_features.matrix, world.user_features)
    assert data.load(replace(config, draw=1), tmp_path).fingerprint != d.fingerprint
    assert data.load(config, tmp_path).fingerprint == d.fingerprint
    assert data.load(replace(config, test_per_user=0), tmp_path).test is None


@pytest.mark.parametrize("wrong", [{"noise": 0.0}, {"shares": (0.5, 0.5)}])
def test_synthetic_options_out_of_range(tmp_path: Path, wrong: dict) -> None:
    with pytest.raises(UpliftlensError, match="data"):
        data.load(replace(options_of("synthetic"), **wrong), tmp_path)


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("u.data", "1\t1\t1\t1\n" * 5000)
    for size, name in ((len(stream.getvalue()) // 2, "half.zip"), (0, "empty.zip"), (10, "half.tgz")):
        (tmp_path / name).write_bytes(stream.getvalue()[:size])
        with pytest.raises(UpliftlensError, match="damaged or incomplete"):
            loaded(tmp_path / name, "ml-100k")
    flipped = bytearray(stream.getvalue())
    flipped[60] ^= 0xFF  # inside of the compressed member
    (tmp_path / "flipped.zip").write_bytes(flipped)
    with pytest.raises(UpliftlensError, match="damaged or incomplete"):
        loaded(tmp_path / "flipped.zip", "ml-100k")

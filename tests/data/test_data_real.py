"""The real ML-100K and Coat, where they can be had: known counts, known hashes, one fingerprint from either source."""

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from upliftlens.benchmarks import data
from upliftlens.benchmarks.data.card import rows_of
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.data.movielens import GENRES_100K

COAT = Path(__file__).resolve().parents[3] / "shared" / "data" / "coat.zip"
U_DATA = "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490"


@pytest.fixture(scope="module")
def coat(cache: Path) -> Dataset:
    if not COAT.is_file():
        pytest.skip("no copy of coat.zip in ../shared/data beside the checkout")
    return data.load(replace(data.configure("coat"), path=str(COAT)), cache)


def test_ml_100k_is_u_data_in_its_order(ml_100k: Dataset) -> None:
    users, items = (table["id"].to_numpy(object) for table in (ml_100k.users, ml_100k.items))
    log = ml_100k.log
    columns = zip(users[log.user], items[log.item], log.value.tolist(), log.time.tolist())
    text = "".join(f"{user}\t{item}\t{value:.0f}\t{time}\n" for user, item, value, time in columns)
    assert hashlib.sha256(text.encode()).hexdigest() == U_DATA
    assert users.tolist() == [str(i) for i in range(1, 944)] and items.tolist() == [str(i) for i in range(1, 1683)]


def test_ml_100k_knows_its_users_and_items(ml_100k: Dataset) -> None:
    assert ml_100k.users.iloc[0].tolist() == ["1", "24", "M", "technician", "85711"]
    assert ml_100k.items.iloc[0].tolist() == ["1", "Toy Story (1995)", "1995", "Animation|Children's|Comedy"]
    assert (ml_100k.items["title"] == "Land Before Time III: The Time of the Great Giving (1995) (V)").any()
    assert [name.partition("=")[2] for name in ml_100k.item_features.names[1:]] == sorted(GENRES_100K)
    genders = dict(zip(ml_100k.user_features.names, ml_100k.user_features.matrix.sum(axis=0)))
    assert (genders["gender=F"], genders["gender=M"]) == (273, 670)  # as the data's README counts them
    assert ml_100k.user_features.matrix.shape == (943, 1 + 2 + 21) and ml_100k.item_features.matrix.shape == (1682, 20)


def test_ml_100k_is_the_same_from_the_official_layout(ml_100k: Dataset, tmp_path: Path) -> None:
    """The official archive's files, rebuilt from the tables, give the fingerprint that the other source gave."""
    users, items = (table["id"].tolist() for table in (ml_100k.users, ml_100k.items))
    columns = zip(ml_100k.log.user, ml_100k.log.item, ml_100k.log.value, ml_100k.log.time)
    texts = {
        "u.data": "".join(f"{users[u]}\t{items[i]}\t{v:.0f}\t{t}\n" for u, i, v, t in columns),
        "u.user": "".join("|".join(row) + "\n" for row in ml_100k.users.itertuples(index=False)),
        "u.item": "".join(
            f"{i}|{title}|01-Jan-{year}||url|" + "|".join("01"[g in genres.split("|")] for g in GENRES_100K) + "\n"
            for i, title, year, genres in ml_100k.items.itertuples(index=False)
        ),
    }
    with zipfile.ZipFile(tmp_path / "ml-100k.zip", "w") as archive:
        for name, text in texts.items():
            archive.writestr(f"ml-100k/{name}", text.encode("latin-1", "replace"))
    official = data.load(replace(data.configure("ml-100k"), path=str(tmp_path / "ml-100k.zip")), tmp_path)
    assert official.fingerprint == ml_100k.fingerprint


def test_ml_100k_by_the_general_recbole_reader(ml_100k: Dataset, cache: Path, tmp_path: Path) -> None:
    wheel = cache / "ml-100k" / "recbole-1.2.1-py3-none-any.whl"
    if not wheel.is_file():
        pytest.skip("ML-100K came from the official archive, not from the wheel")
    with zipfile.ZipFile(wheel) as archive:
        for end in ("inter", "user", "item"):
            name = f"recbole/dataset_example/ml-100k/ml-100k.{end}"
            (tmp_path / f"ml-100k.{end}").write_bytes(archive.read(name))
    options = [f"data.path={tmp_path}/ml-100k.inter", "data.columns.title=movie_title"]
    general = data.load(data.configure("recbole", options), tmp_path)
    for column in ("user", "item", "value", "time"):
        np.testing.assert_array_equal(getattr(general.log, column), getattr(ml_100k.log, column))
    assert general.items["title"][0] == "Toy Story"
    assert not any(name.startswith("zip_code") for name in general.user_features.names)


def test_ml_100k_card(ml_100k: Dataset) -> None:
    card = data.card(ml_100k)
    assert (card.log.n_users, card.log.n_items, len(card.log)) == (943, 1682, 100_000)
    assert card.density == pytest.approx(0.063047, abs=1e-6)
    shares = {level: round(share * 100_000) for level, share in card.ratings}
    assert shares == {"1": 6110, "2": 11370, "3": 27145, "4": 34174, "5": 21201}
    assert card.mean == pytest.approx(3.52986) and card.relevant == pytest.approx(0.55375)
    assert card.per_user.quantiles[0] == 20 and card.per_user.quantiles[-1] == 737
    assert card.per_item.quantiles[-1] == 583 and card.span == ("1997-09-20", "1998-04-22")
    text = " ".join(dict(rows_of(card)).values())
    assert all(
        part in text for part in ("943", "1,682", "100,000 explicit", "6.3047%", "research use", ml_100k.fingerprint)
    )


def test_ml_100k_facts_of_the_listing(ml_100k: Dataset, cache: Path, tmp_path: Path) -> None:
    listed = {row.name: row for row in data.listing(cache)}["ml-100k"]
    assert (listed.users, listed.items, listed.rows, listed.ready) == (943, 1682, 100_000, "cached")
    assert {row.name: row for row in data.listing(tmp_path)}["ml-100k"].ready == "to fetch"


def test_coat(coat: Dataset) -> None:
    with zipfile.ZipFile(COAT) as archive:
        train, test, propensity = (
            np.array([line.split() for line in archive.read(f"coat/{name}.ascii").decode().splitlines()], float)
            for name in ("train", "test", "propensities")
        )
    for log, dense in ((coat.log, train), (coat.test, test)):
        assert log is not None
        rebuilt = np.zeros((290, 300))
        rebuilt[log.user, log.item] = log.value
        np.testing.assert_array_equal(rebuilt, dense)
    assert (len(coat.log), len(coat.test or ())) == (6960, 4640) and coat.test_kind == "mar"
    np.testing.assert_array_equal(coat.propensity, propensity.astype(np.float32))
    assert (coat.user_features.matrix.shape, coat.item_features.matrix.shape) == ((290, 14), (300, 33))
    assert coat.user_features.names[:3] == ("gender=men", "gender=women", "age=20-30")
    assert (coat.user_features.matrix.sum(axis=1) == 4).all()  # gender, age, location and interest, one of each
    assert np.sum((train > 0) & (test > 0)) == 366  # the cells that are in both, which a leak report must show

"""Small files where a reader of the documents has large ones: archives of known data sets, and files of a reader."""

import zipfile
from pathlib import Path

import numpy as np

USERS, ITEMS = 60, 50
TITLES = {1: "Toy Story (1995)", 2: "Heat (1995)"}
GENRES = ("comedy", "horror", "drama")


def fill_cache(cache: Path) -> None:
    """ML-100K and Coat as archives in the folder of downloaded data."""
    for name, texts in (("ml-100k", ml_100k()), ("coat", coat())):
        (cache / name).mkdir(parents=True)
        with zipfile.ZipFile(cache / name / f"{name}.zip", "w") as archive:
            for file, text in texts.items():
                archive.writestr(f"{name}/{file}", text)


def fill_folder(folder: Path) -> None:
    """The files that the pages take for a reader's."""
    for file, text in {**tables(), **split(), **latest_small(), "log.csv": log()}.items():
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(text)


def ml_100k() -> dict[str, str]:
    """``u.data``, ``u.user`` and ``u.item``; users with even numbers rate mostly items with odd ones, and like them."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(1, USERS + 1):
        liked = (np.arange(ITEMS) + user) % 2
        items = rng.choice(ITEMS, 16, replace=False, p=(1 + 2 * liked) / (1 + 2 * liked).sum())
        ratings = rng.integers(1, 4, len(items)) + 2 * liked[items]
        rows += [f"{user}\t{i + 1}\t{r}\t{880000000 + t}\n" for t, (i, r) in enumerate(zip(items, ratings))]
    users = (f"{u}|{20 + u % 40}|{'MF'[u % 3 == 0]}|student|0000{u % 10}\n" for u in range(1, USERS + 1))
    flags = ("|".join(str(int(genre % 6 == i % 6)) for genre in range(19)) for i in range(1, ITEMS + 1))
    items = (
        f"{i}|{TITLES.get(i, f'Film {i} (1980)')}|01-Jan-1980||url|{genres}\n" for i, genres in enumerate(flags, 1)
    )
    return {"u.data": "".join(rows), "u.user": "".join(users), "u.item": "".join(items)}


def coat() -> dict[str, str]:
    """Dense ratings, 0 where there is none: chosen ones to learn from, random ones to test on; binary features."""
    rng = np.random.default_rng(1)
    rating = rng.integers(1, 6, (USERS, ITEMS))
    parts = {"train": rng.random(rating.shape) < rating / 12, "test": rng.random(rating.shape) < 0.2}
    dense = {
        f"{part}.ascii": "".join(" ".join(map(str, row)) + "\n" for row in rating * mask)
        for part, mask in parts.items()
    }
    sides = {"user": (USERS, "gender:men\ngender:women"), "item": (ITEMS, "color:red\ncolor:blue")}
    for side, (n, names) in sides.items():
        dense[f"user_item_features/{side}_features.ascii"] = "1 0\n0 1\n" * (n // 2)
        dense[f"user_item_features/{side}_features_map.txt"] = names
    return dense


def tables() -> dict[str, str]:
    """A log with columns of the reader's names, tables of its users and items, and pairs to predict."""
    ratings = (f"u{u};m{(u + 2 * k) % ITEMS};{1 + u * k % 5}\n" for u in range(USERS) for k in range(12))
    films = (f"m{i},Movie {i},{1970 + i},{GENRES[i % 3]},It begins on day {i}.\n" for i in range(ITEMS))
    people = (f"u{u},{29 + u % 30},{GENRES[(u + 1) % 3]}\n" for u in range(USERS))
    return {
        "ratings.csv": "who;what;stars\n" + "".join(ratings),
        "movies.csv": "what,title,year,genres,plot\n" + "".join(films),
        "people.csv": "who,age,likes\n" + "".join(people),
        "pairs.csv": "user,item\n42,1\n42,2\n",
    }


def split() -> dict[str, str]:
    """A split as files, in each line a user and the user's items: some have more than others."""
    rows = [[f"{(u * 7 + 3 * k) % ITEMS}" for k in range(10 + u % 3)] for u in range(USERS)]
    parts = {"test.txt": slice(0, 2), "valid.txt": slice(2, 4), "train.txt": slice(4, None)}
    return {file: "".join(f"{u} {' '.join(row[part])}\n" for u, row in enumerate(rows)) for file, part in parts.items()}


def latest_small() -> dict[str, str]:
    """A folder with another edition of MovieLens latest-small."""
    return {
        "ml-latest-small/ratings.csv": "userId,movieId,rating,timestamp\n1,30,4.5,10\n2,4,0.5,20\n",
        "ml-latest-small/movies.csv": "movieId,title,genres\n4,Heat (1995),Drama|War\n30,Alien (1979),Horror\n",
    }


def log() -> str:
    """Ratings of items of movies.csv, what was recommended, and outcomes, under the usual names of columns."""
    rng = np.random.default_rng(2)
    rows = [(f"u{u}", f"m{i}", *rng.integers((1, 0, 0), (6, 2, 2))) for u in range(30) for i in range(20)]
    return "user,item,rating,treated,outcome\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)

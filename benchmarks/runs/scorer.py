"""Scores and lists of an exported recommender. This file is part of what `upliftlens export` writes.

It needs JAX with flatbuffers (`pip install jax flatbuffers`) and nothing else, Upliftlens least of all:

    python scorer.py --user 42 -k 10
    python scorer.py --history "50;181"

    from scorer import Scorer
    Scorer("folder").scores(["42"])   # f32[1, n_items], in the order of items.csv
"""

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jax import export


class Scorer:
    """The scoring function of a run, with its tables of ids. ``users`` and ``items``: raw ids, by index."""

    def __init__(self, folder: str | Path = ".") -> None:
        folder = Path(folder)
        self.about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        self._users, self._items = (_table(folder / name) for name in ("users.csv", "items.csv"))
        self.users, self.items = ([row["id"] for row in table] for table in (self._users, self._items))
        self._index = {"user": _places(self.users), "item": _places(self.items)}
        with np.load(folder / "arrays.npz") as arrays:
            self._arrays = dict(arrays)
        self._programs: dict[str, Any] = {}
        for kind in self.about["programs"]:
            program = export.deserialize(bytearray((folder / f"{kind}.jaxexport").read_bytes()))
            self._programs[kind] = program, [self._arrays[name] for name in self.about["programs"][kind]["arrays"]]

    def scores(self, users: Sequence[str]) -> np.ndarray:
        """f32[B, n_items]: the score of every item for raw user ids, known items included; higher is better.

        Raises:
            KeyError: for an unknown user.
        """
        asked = np.array([self._find("user", user) for user in users], np.int32)
        out = np.empty((len(asked), len(self.items)), np.float32)
        is_new = self._arrays["is_new"][asked]
        for kind, here in (("known", ~is_new), ("new", is_new)):
            if here.any():
                rows = [self._history(kind, user) for user in asked[here]]
                out[here] = self._call(kind, asked[here] if kind == "known" else np.full(here.sum(), -1), rows)
        return out

    def scores_of(self, history: Sequence[str]) -> np.ndarray:
        """f32[n_items]: the scores for somebody new who liked the items of ``history``, raw ids, the oldest first.

        Raises:
            KeyError: for an unknown item.
            ValueError: if the model has no score for somebody new.
        """
        if "new" not in self._programs:
            raise ValueError(f"{self.about['model']} has no score for users whom it was not trained on")
        items = np.array([self._find("item", item) for item in history], np.int32)
        liked = np.full(len(items), self.about["liked"], np.float32)
        return self._call("new", np.array([-1]), [(items, liked, np.ones(len(items), np.float32))])[0]

    def recommend(
        self, user: str = "", k: int = 10, history: Sequence[str] | None = None
    ) -> list[tuple[str, str, float]]:
        """The ``k`` best (item id, title, score) for a raw user id or a ``history``, without what is known of them.

        Equal scores stand in the order of items.csv.
        """
        if history is not None:
            scores, seen = self.scores_of(history), np.array([self._find("item", item) for item in history])
        else:
            (scores,), index = self.scores([user]), self._find("user", user)
            seen = self._arrays["seen_item"][slice(*self._arrays["seen_begin"][index : index + 2])]
        rest = np.setdiff1d(np.arange(len(scores)), seen)
        best = rest[np.argsort(-scores[rest], kind="stable")[:k]]
        return [(self.items[item], self._items[item].get("title", ""), float(scores[item])) for item in best]

    def _find(self, kind: str, name: str) -> int:
        try:
            return self._index[kind][str(name)]
        except KeyError:
            raise KeyError(f"unknown {kind} {name!r}: {kind}s.csv lists them") from None

    def _history(self, kind: str, user: int) -> tuple[np.ndarray, ...]:
        rows = slice(self._arrays[f"{kind}_begin"][user], self._arrays[f"{kind}_end"][user])
        return tuple(self._arrays[f"{kind}_{part}"][rows] for part in ("item", "value", "positive"))

    def _call(self, kind: str, users: np.ndarray, histories: Sequence[tuple[np.ndarray, ...]]) -> np.ndarray:
        program, arrays = self._programs[kind]
        size, length = self.about["batch"], self.about["programs"][kind]["length"]
        return np.concatenate(
            [
                np.asarray(program.call(arrays, *_filled(users[start : start + size], histories[start:], size, length)))
                for start in range(0, len(users), size)
            ]
        )[: len(users)]


def _filled(
    users: np.ndarray, histories: Sequence[tuple[np.ndarray, ...]], size: int, length: int
) -> tuple[np.ndarray, ...]:
    """A query of ``size`` users: the newest ``length`` interactions of each, −1 on the left where fewer."""
    user = np.full(size, -1, np.int32)
    user[: len(users)] = users
    columns = tuple(np.full((size, length), fill, dtype) for fill, dtype in ((-1, np.int32), (0, "f4"), (0, "f4")))
    for row in range(len(users)):
        for column, values in zip(columns, histories[row], strict=True):
            if taken := min(length, len(values)):
                column[row, -taken:] = values[-taken:]
    return user, *columns


def _table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _places(ids: Sequence[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(ids)}


def main() -> None:
    """Prints the list of a user or a history."""
    parser = argparse.ArgumentParser(description="Lists of an exported recommender")
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--user", help="raw id, as in users.csv")
    who.add_argument("--history", help='ids of what a new user liked, the oldest first: "50;181"')
    parser.add_argument("-k", type=int, default=10)
    flags = parser.parse_args()
    history = None if flags.history is None else flags.history.split(";")
    try:
        lines = Scorer(Path(__file__).parent).recommend(flags.user, flags.k, history)
    except (KeyError, ValueError) as error:
        parser.exit(1, f"error: {error.args[0]}\n")
    for place, (item, title, score) in enumerate(lines, 1):
        print(f"{place:>3}  {item}  {title}  {score:.4f}")


if __name__ == "__main__":
    main()

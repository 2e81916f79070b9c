"""A finished run in Python: its metrics, and what its trained model says."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from upliftlens.benchmarks.runs import predict, recommend
from upliftlens.benchmarks.runs.lookup import item_indices
from upliftlens.benchmarks.runs.opened import Opened, opened
from upliftlens.benchmarks.runs.records import Record, Summary
from upliftlens.benchmarks.sweeps.tell import described
from upliftlens.benchmarks.system.talk import quiet
from upliftlens.causal.errors import UpliftlensError


class Run:
    """A finished run. ``record``: all that it left (see docs/records.md)."""

    def __init__(self, record: Record, store: Path, cache: Path) -> None:
        self.record, self._folders = record, {"store": str(store), "cache": str(cache)}

    @property
    def key(self) -> str:
        """The name of the run in the store."""
        return self.record.key

    @property
    def metrics(self) -> Mapping[str, Summary]:
        """By name, e.g. ``run.metrics["rmse"].value``, ``.lo``, ``.hi``, ``.n`` (users)."""
        return self.record.metrics

    @property
    def summary(self) -> str:
        """Its usual metrics, in a line."""
        return described(self.record)

    def __repr__(self) -> str:
        parts = (self.record.model, self.record.loss, self.record.objective)
        method = "/".join(part for part in parts if part)
        return f"Run {self.key[:8]}: {self.record.data['name']} {method}  {self.summary}"

    def recommend(
        self,
        user: Any = None,
        k: int = 10,
        *,
        history: Sequence[str] | str | None = None,
    ) -> pd.DataFrame:
        """The ``k`` best items for a raw user id, or for several, for somebody new who liked the items of a ``history``
        (ids or titles, oldest first), or for all users; without what the model knows of them.

        Columns: user, rank, item, title, score.

        Raises:
            UpliftlensError: for an unknown user or item, or a model that can't serve new users.
        """
        if isinstance(k, bool) or not isinstance(k, int | np.integer):
            raise UpliftlensError(f"k={k!r} must be a whole number")
        k = int(k)
        if history is not None and user is not None:
            raise UpliftlensError("history is of somebody who is not in the data: give it without user")
        if history is not None:
            lines = recommend.recommend_for(self._opened, list(map(str, _several(history))), k, quiet)
        else:
            raw = None if user is None else list(map(str, _several(user)))
            lines = recommend.recommend(self._opened, raw, k, quiet)
        return pd.DataFrame(lines, columns=list(recommend.Recommended._fields))

    def titles(self, history: Sequence[str]) -> list[str]:
        """The titles of the items that ids, titles or their beginnings name.

        Raises:
            UpliftlensError: for a name of no item, or of several.
        """
        items = self._opened.prepared.dataset.items
        column = items["title"] if "title" in items else items["id"]
        return column.astype(str).iloc[item_indices(self._opened.prepared.dataset, history)].tolist()

    def score(self, users: Sequence[Any] | Any) -> pd.DataFrame:
        """The score of every item for raw user ids, f32[U, n_items], known items included; higher is better.

        Index: the users as they were given; columns: raw item ids.

        Raises:
            UpliftlensError: for an unknown user.
        """
        asked = _several(users)
        values = predict.scores(self._opened, [str(user) for user in asked], quiet)
        return pd.DataFrame(values, index=asked, columns=self._opened.prepared.dataset.items["id"].astype(str))

    def predict(self, users: Sequence[Any] | Any, items: Sequence[Any] | Any) -> np.ndarray:
        """f32[N]: the prediction of each pair of raw ids, a rating or a probability (a score, if the model only ranks).

        Raises:
            UpliftlensError: for unknown users or items.
        """
        asked, things = _several(users), _several(items)
        return predict.predict(self._opened, list(map(str, asked)), list(map(str, things)), quiet)

    def export(self, folder: str | Path, batch: int = 64) -> Path:
        """Writes a folder that scores with JAX alone (docs/python.md), ``batch`` users at once, and returns its path.

        Raises:
            UpliftlensError: for a folder that is not empty or can't be written, or without flatbuffers.
        """
        from upliftlens.benchmarks.runs.export import export

        path = Path(folder).expanduser()
        export(self._opened, path, batch, quiet)
        return path

    @cached_property
    def _opened(self) -> Opened:
        return opened(self.record, self._folders, quiet)


def _several(ids: Any) -> list[Any]:
    """Raw ids, of which a single one may be given."""
    return [ids] if isinstance(ids, str) or not isinstance(ids, Iterable) else list(ids)

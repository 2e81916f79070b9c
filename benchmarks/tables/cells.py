"""A number of a table, and the runs behind it."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from upliftlens.causal.intervals import Summary


class Ran(NamedTuple):
    """A finished run behind a cell: its key, configuration, and the ``metrics`` that the table reads of it.

    ``data`` and ``split``: {name, fingerprint}; ``treated``: whether the log says what was recommended; ``trials``: how
    many chose its settings (1: as configured), ``on_test``: whether one of them read the test set; ``seconds`` that it
    took, in ``environment``.
    """

    key: str
    config: Mapping[str, Any]
    data: Mapping[str, str]
    split: Mapping[str, str]
    treated: bool
    metrics: Mapping[str, Summary]
    trials: int
    on_test: bool
    seconds: float
    environment: Mapping[str, Any]


Rule = Literal["", "mean", "difference", "ratio"]


class Cell(NamedTuple):
    """A number of a table: its interval, the published number, the keys of its runs, and whether they used MAR data.

    MAR data: ratings of random pairs in addition to the log, which some propensities and imputations need. ``rule``:
    how the value follows from ``metric`` of the runs: their mean, or the difference or ratio of the means of two sides,
    the second of which are the last ``against`` runs; "": in no such way. ``marks``: names of ``marks.MARKS``.
    ``runs``: those of ``keys``; a committed cell leaves them to its records.
    """

    row: str
    column: str
    value: float
    lo: float
    hi: float
    published: float | None
    verdict: str
    keys: tuple[str, ...]
    uses_mar_data: bool = False
    rule: Rule = ""
    metric: str = ""
    against: int = 0
    marks: tuple[str, ...] = ()
    runs: tuple[Ran, ...] = ()


def sides(cell: Cell) -> tuple[tuple[Ran, ...], tuple[Ran, ...]]:
    """The runs of a cell, and those that they are compared with."""
    n = len(cell.runs) - cell.against
    return cell.runs[:n], cell.runs[n:]


def following(cell: Cell) -> float | None:
    """The value that follows from the runs of a cell by its rule, None: by none."""
    if not cell.rule:
        return None
    first, second = (_mean(side, cell.metric) for side in sides(cell))
    return {"mean": first, "difference": first - second, "ratio": first / second if second else float("nan")}[cell.rule]


def _mean(runs: Sequence[Ran], metric: str) -> float:
    return float(np.mean([run.metrics[metric].value for run in runs])) if runs else 0.0

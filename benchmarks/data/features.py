"""Tables of text to feature matrices. Exact in the same way on every platform, since fingerprints cover them."""

import math
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from upliftlens.benchmarks.data.dataset import Features

Kind = Literal["category", "number", "tags", "flag"]


class Column(NamedTuple):
    """How a column of text becomes features.

    ``category``  one 0/1 column ``name=value`` per value, sorted; an empty cell is all zeros
    ``tags``      as category, with several values to a cell, divided by ``|``
    ``number``    one column, standardised over the rows; an empty cell is 0, the mean
    ``flag``      one column that is 0/1 already
    """

    name: str
    kind: Kind


def encode(table: pd.DataFrame, columns: Sequence[Column], vectors: pd.DataFrame | None = None) -> Features:
    """One feature block per column, in order, and then the ``vectors``; f32[len(table), F].

    ``vectors`` f32[*, d], its index the raw ids: as they are; 0 for an id without a row.
    """
    blocks = [Features((), np.zeros((len(table), 0), np.float32))]
    blocks += [_block(column, table[column.name].tolist()) for column in columns]
    if vectors is not None:
        names = tuple(f"vector {i}" for i in range(vectors.shape[1]))
        blocks.append(Features(names, vectors.reindex(table["id"], fill_value=0).to_numpy(np.float32)))
    names = tuple(name for block in blocks for name in block.names)
    return Features(names, np.concatenate([block.matrix for block in blocks], axis=1))


def year_of(title: str) -> str:
    """The last year in parentheses of a MovieLens title, or ''."""
    years = re.findall(r"\((\d{4})(?:[-–]\d{0,4})?\)", title)
    return years[-1] if years else ""


def _block(column: Column, cells: list[str]) -> Features:
    if column.kind == "number":
        return Features((column.name,), _standardised(cells))
    if column.kind == "flag":
        return Features((column.name,), np.array([float(cell or 0) for cell in cells], np.float32).reshape(-1, 1))
    tags = [cell.split("|") if column.kind == "tags" else [cell] for cell in cells]
    values = sorted({tag for row in tags for tag in row} - {""})
    return Features(tuple(f"{column.name}={value}" for value in values), _one_hot(tags, values))


def _one_hot(tags: list[list[str]], values: list[str]) -> np.ndarray:
    position = {value: i for i, value in enumerate(values)}
    block = np.zeros((len(tags), len(values)), np.float32)
    for row, present in enumerate(tags):
        for tag in present:
            if tag:
                block[row, position[tag]] = 1
    return block


def _standardised(cells: list[str]) -> np.ndarray:
    # fsum is correctly rounded, so the result does not depend on the order or width of vector instructions
    numbers = [float(cell) if cell else math.nan for cell in cells]
    known = [x for x in numbers if math.isfinite(x)]
    mean = math.fsum(known) / len(known) if known else 0.0
    spread = math.sqrt(math.fsum((x - mean) ** 2 for x in known) / len(known)) if known else 0.0
    scaled = [(x - mean) / spread if spread and math.isfinite(x) else 0.0 for x in numbers]
    return np.array(scaled, np.float32).reshape(-1, 1)

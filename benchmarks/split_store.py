"""Splits on disk: ``FINGERPRINT.npz`` (row numbers) and ``FINGERPRINT.json`` (what it is, its leak report)."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import IO
from uuid import uuid4

import numpy as np

from upliftlens.benchmarks.dataset import Dataset
from upliftlens.benchmarks.errors import UpliftlensError
from upliftlens.benchmarks.split import KINDS, Split, assemble


def save_split(split: Split, folder: Path) -> Path:
    """Store a split and return the path of its JSON file, which is written last.

    Each file appears whole or not at all, so two processes may store the same split at once.

    Raises:
        UpliftlensError: if the folder can't be written to.
    """
    rows = {"train": split.train_rows, "validation": split.validation_rows}
    if split.test_rows is not None:
        rows["test"] = split.test_rows
    about = {
        "name": split.name,
        "fingerprint": split.fingerprint,
        "leak": asdict(split.leak),
        "problems": split.leak.problems(),
        "notes": split.leak.notes(),
    }
    text = (json.dumps(about, indent=2, ensure_ascii=False) + "\n").encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / f"{split.fingerprint}.npz", lambda file: np.savez(file, allow_pickle=False, **rows))
        return _write(folder / f"{split.fingerprint}.json", lambda file: file.write(text))
    except OSError as error:
        raise UpliftlensError(
            f"the split can't be stored in {folder} ({error.strerror}): free space there, or choose another folder"
        ) from error


def load_split(folder: Path, fingerprint: str, dataset: Dataset) -> Split:
    """The stored split of this data set, checked against its fingerprint.

    Raises:
        UpliftlensError: if it isn't there, can't be read, or its rows of this data set have another fingerprint.
    """
    path = folder / f"{fingerprint}.npz"
    try:
        about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        with np.load(path, allow_pickle=False) as file:
            rows = dict(file)
        if about["name"] not in KINDS:
            raise ValueError(f"unknown split '{about['name']}'")
        test_rows = rows.get("test")
        parts = (rows["train"], rows["validation"], test_rows)
        split = assemble(dataset, about["name"], *parts, published=about["leak"]["published"])
    except FileNotFoundError as error:
        raise UpliftlensError(f"there is no stored split {error.filename}: run the split again") from None
    except Exception as error:  # whatever a damaged file may raise in zip, JSON or indexing
        raise UpliftlensError(f"the stored split {path} can't be read ({error}): delete it and run again") from error
    if split.fingerprint != fingerprint:
        raise UpliftlensError(
            f"the stored split {path} doesn't match its fingerprint on {dataset.name}: "
            "the data set is another one, or the file was changed; delete it and run again"
        )
    return split


def _write(path: Path, write: Callable[[IO[bytes]], object]) -> Path:
    part = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with part.open("wb") as file:
            write(file)
        return part.replace(path)
    finally:
        part.unlink(missing_ok=True)

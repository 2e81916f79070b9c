"""Splits on disk: ``FINGERPRINT.npz`` (row numbers) and ``FINGERPRINT.json`` (name, fingerprint, leak report)."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from upliftlens.benchmarks.splits.kinds import Split
from upliftlens.benchmarks.system.atomic import whole
from upliftlens.causal.errors import UpliftlensError


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
        with whole(folder / f"{split.fingerprint}.npz") as part, part.open("wb") as file:
            np.savez(file, allow_pickle=False, **rows)
        path = folder / f"{split.fingerprint}.json"
        with whole(path) as part:
            part.write_bytes(text)
    except OSError as error:
        raise UpliftlensError(
            f"the split can't be stored in {folder} ({error.strerror}): free space there, or choose another folder"
        ) from error
    return path

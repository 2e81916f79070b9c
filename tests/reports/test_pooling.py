"""What is averaged are repetitions of one experiment: never several data sets, nor several ways to split."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from stored import record

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.reports.selection import require_one_experiment
from upliftlens.benchmarks.reports.sheet import summarise
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.runs.store import open_store, save_run
from upliftlens.causal.errors import UpliftlensError

RUN = record("a0")
ARRAYS = {"users": np.arange(5, dtype=np.int32), "rmse": np.ones((5, 2))}


def of_split(one: Record, name: str, **options: Any) -> Record:
    config = {**one.config, "split": {"name": name, "fold": 0, "seed": 0, **options}}
    return replace(
        one, key=f"{one.key}{name}{options}", config=config, split={"name": name, "fingerprint": f"{name}{options}"}
    )


def test_folds_of_one_split_are_averaged_and_two_splits_never_are() -> None:
    folds = [of_split(RUN, "kfold", fold=fold) for fold in (0, 1)]
    mixed = [*folds, of_split(RUN, "u1"), of_split(RUN, "kfold", validation=0.2)]
    sheet = summarise(mixed, ["split.fold"], ["rmse"], lambda this_name: ARRAYS)
    assert sorted((row.cells["split"], row.cells["runs"]) for row in sheet.rows) == [
        ("kfold", "1"),
        ("kfold", "2"),
        ("u1", "1"),
    ]
    for name in ("split", "split.name", "split.validation"):
        with pytest.raises(UpliftlensError, match=f"--over {name} would average .* --over split.fold split.seed"):
            summarise(mixed, ["seed", name], ["rmse"], lambda this_name: ARRAYS)


@pytest.mark.parametrize(
    ("change", "fix"),
    [
        ({"data": {"name": "other", "fingerprint": "e" * 8}}, "2 data sets and 1 ways .* --where data=toy$"),
        (
            {
                "config": {**RUN.config, "data": {"name": "toy", "size": 4}},
                "data": {"name": "toy", "fingerprint": "e"},
            },
            "--where data.size=3$",
        ),
        ({"data": {"name": "toy", "fingerprint": "e" * 8}}, "--where data.fingerprint=dddddddd$"),
        ({"split": {"name": "u1", "fingerprint": "u"}}, "1 data sets and 2 ways to split.* --where split=kfold$"),
    ],
)
def test_two_worlds_or_two_protocols_are_not_compared_as_one(change, fix, tmp_path, capsys) -> None:
    store = open_store(tmp_path / "runs")
    for model in ("mf", "ease"):
        save_run(store, record(f"{model}0", model=model), {})
        save_run(store, record(f"{model}1", model=model, **change), {})
    assert main(["compare", "mf", "ease", "--metric", "rmse", f"--store={store.root}"]) == 1
    assert re.search(fix, capsys.readouterr().err, re.MULTILINE)
    require_one_experiment([of_split(RUN, "kfold", fold=fold, seed=seed) for fold in (0, 1) for seed in (0, 1)])

"""Records for tests of the store and its readers."""

from dataclasses import replace
from typing import Any

from upliftlens.benchmarks.runs.records import Record, Summary

METRICS = {"names": ["rmse", "recall@10"], "interval": {"level": 0.9, "resamples": 200, "seed": 0}}


def record(key: str = "k0", **changes: Any) -> Record:
    """A finished record; ``model``, ``seed`` and config entries by keyword ("train.lr" as train_lr)."""
    model, seed = changes.get("model", "mf"), changes.get("seed", 0)
    config: dict[str, Any] = {
        "data": {"name": "toy", "size": 3},
        "split": {"name": "kfold", "fold": 0, "seed": 0},
        "model": {"name": model, "dim": 8},
        "train": {"lr": changes.pop("train_lr", 0.01)},
        "metrics": METRICS,
        "seed": seed,
        "store": "runs",
    }
    base = Record(
        key=key,
        fit_key=f"fit-{key}",
        status="done",
        config=config,
        data={"name": "toy", "fingerprint": "d" * 8},
        split={"name": "kfold", "fingerprint": "s" * 8, "leak": {"train": 70, "validation": 10, "test": 20}},
        model=model,
        loss="squared",
        objective="naive",
        seed=seed,
        environment={"python": "3.11", "git": None},
        created="2024-01-01T00:00:00+00:00",
        metrics={"rmse": Summary(0.9, 0.85, 0.95, 7), "recall@10": Summary(0.25, 0.2, 0.3, 6)},
        timing={"total": 1.5},
        epochs=({"epoch": 1, "loss": 2.0},),
    )
    return replace(base, **changes)

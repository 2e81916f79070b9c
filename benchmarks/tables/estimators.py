"""Tables of estimators against a known truth, from arrays alone; the only model trained completes the matrix."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from upliftlens.benchmarks.completion import complete
from upliftlens.benchmarks.data import config_type, load
from upliftlens.benchmarks.data.config import CompletionConfig
from upliftlens.benchmarks.errors import UpliftlensError
from upliftlens.benchmarks.tables.table import Cell, Where, judged
from upliftlens.benchmarks.typed import typed
from upliftlens.causal.schnabel import (
    absolute_error,
    dcg,
    estimates,
    exposure,
    predictions,
    rebucket,
)

ESTIMATORS = ("ips", "snips", "naive")


def estimator_cells(content: Mapping[str, Any], where: Where) -> list[Cell]:
    """Mean of each estimator over the draws, and the middle 95 % of the draws, for MAE and DCG.

    Raises:
        UpliftlensError: if the data can't be had.
    """
    from upliftlens.benchmarks.compute import composed

    data = composed(content["data"])["data"]
    dataset = load(typed(config_type(data), data, "data"), where.cache, where.say)
    completion = typed(CompletionConfig, content["completion"], "completion")
    try:
        ratings = rebucket(complete(dataset.log, completion), np.asarray(content["marginal"]))
        p = exposure(ratings, content["alpha"], content["density"])
    except ValueError as error:
        raise UpliftlensError(f"the table's world: {error}") from error
    makes, ranks, draws = (np.random.default_rng([content["seed"], stream]) for stream in range(3))
    made = predictions(ratings, makes)
    blocks = {"": {name: absolute_error(ratings, one) for name, one in made.items()}}
    k = int(content["cutoff"])
    blocks[f"dcg{k}/"] = {name: dcg(ratings, one, k, ranks) for name, one in made.items()}
    cells = []
    for prefix, losses in blocks.items():
        for row, found in estimates(losses, p, content["draws"], draws).items():
            for estimator, values in {"true": None, **{name: getattr(found, name) for name in ESTIMATORS}}.items():
                column = prefix + estimator
                value = found.true if values is None else float(values.mean())
                low, high = (value, value) if values is None else map(float, np.quantile(values, [0.025, 0.975]))
                published, verdict = judged(content, row, column)(value)
                cells.append(Cell(row, column, value, low, high, published, verdict, ()))
    return cells

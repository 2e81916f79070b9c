"""Tables of estimators against a known truth, over draws; the only trained model completes the rating matrix."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from scipy import stats

from upliftlens.benchmarks.tables.published import NOT_COMPARABLE
from upliftlens.benchmarks.tables.run import Names, dataset_of
from upliftlens.benchmarks.tables.table import Cell, TableKind, TableOptions, Where, judged
from upliftlens.benchmarks.worlds.completion import complete
from upliftlens.benchmarks.worlds.config import CompletedOptions
from upliftlens.causal.errors import located
from upliftlens.causal.options import SEEDS, AtLeast
from upliftlens.causal.worlds.schnabel import absolute_error, dcg, estimates, exposure, predictions, rebucket, spreads

ESTIMATORS = ("ips", "snips", "naive")


@dataclass(frozen=True, kw_only=True)
class Options(TableOptions, CompletedOptions):
    """The log of ``data`` is completed; ``draws`` of what is observed, seeded by ``seed``; ``cutoff`` of the DCG;
    ``level`` of the intervals over the draws."""

    data: Names
    cutoff: Annotated[int, AtLeast(1)]
    draws: Annotated[int, AtLeast(2)]
    seed: Annotated[int, SEEDS]
    level: ClassVar[float] = 0.95


def estimator_cells(definition: Options, where: Where) -> list[Cell]:
    """Mean and standard deviation of each estimator over the draws, for MAE and DCG@k.

    Columns ``ips``, ``dcg50/ips`` …: the mean over draws with Student's interval of it. Columns ``sd/ips``,
    ``dcg50/sd/ips`` …: the standard deviation of the draws with its χ² interval, and as verdict whether the closed form
    (``causal.worlds.schnabel.spreads``) is within three of its standard errors, sd/√(2(draws − 1)).

    ROTATED ranks the lowest rating first, so its DCG is the same in every completion with at least k such pairs per
    user.

    Raises:
        UpliftlensError: if the data can't be loaded.
    """
    dataset = dataset_of(definition.data, where)
    with located("the table's world"):
        ratings = rebucket(complete(dataset.log, definition.completion), np.asarray(definition.marginal))
        p = exposure(ratings, definition.alpha, definition.density)
    for_predictions, for_ties, for_draws = (np.random.default_rng([definition.seed, stream]) for stream in range(3))
    predicted, k = predictions(ratings, for_predictions), definition.cutoff
    errors = {name: absolute_error(ratings, prediction) for name, prediction in predicted.items()}
    gains = {name: dcg(ratings, prediction, k, for_ties) for name, prediction in predicted.items()}
    cells = []
    for prefix, losses in (("", errors), (f"dcg{k}/", gains)):
        for row, estimate in estimates(losses, p, definition.draws, for_draws).items():
            closed = spreads(losses[row], p)
            cells.append(_cell(definition, row, f"{prefix}true", estimate.true, estimate.true, estimate.true))
            for name in ESTIMATORS:
                values = getattr(estimate, name)
                mean, sd = float(values.mean()), float(values.std(ddof=1))
                half = float(stats.t.ppf((1 + definition.level) / 2, len(values) - 1)) * sd / np.sqrt(len(values))
                cells.append(_cell(definition, row, f"{prefix}{name}", mean, mean - half, mean + half))
                expected = closed[name].sd
                near = abs(sd - expected) <= 3 * expected / np.sqrt(2 * (len(values) - 1))
                verdict = f"{'within' if near else 'beyond'} 3 SE of the closed form {expected:.3f}"
                spread = spread_bounds(sd, len(values), definition.level)
                cells.append(Cell(row, f"{prefix}sd/{name}", sd, *spread, None, verdict, ()))
    return cells


def _cell(definition: Options, row: str, column: str, value: float, low: float, high: float) -> Cell:
    return Cell(row, column, value, low, high, *judged(definition, row, column, low, high), ())


def remarks(definition: Options, cells: Sequence[Cell]) -> list[str]:
    """How many of the published cells are reproduced, by which tolerance, and how many are no target."""
    published = [cell for cell in cells if cell.published is not None]
    targets = [cell for cell in published if cell.verdict != NOT_COMPARABLE]
    counts = Counter(cell.verdict for cell in targets)
    tolerances = {cell.column: definition.published[cell.row][cell.column].tolerance for cell in targets}
    stated = ", ".join(f"{column} {tolerance:g}" for column, tolerance in tolerances.items())
    return [
        f"Of {len(targets)} published cells with a target {', '.join(f'{n} {word}' for word, n in counts.items())}; "
        f"published, but no target: {len(published) - len(targets)}.",
        f"Tolerances by column: {stated}.",
        f"Intervals are over {definition.draws} draws of what is observed, in one completed world; for true a point.",
    ]


def spread_bounds(sd: float, draws: int, level: float) -> tuple[float, float]:
    """The χ² interval of a standard deviation over normal draws."""
    tails = np.array([(1 + level) / 2, (1 - level) / 2])
    low, high = sd * np.sqrt((draws - 1) / stats.chi2.ppf(tails, draws - 1))
    return float(low), float(high)


kind = TableKind("estimators", Options, estimator_cells, remarks, size=lambda definition: definition.draws)

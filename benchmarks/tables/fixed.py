"""Tables of fixed settings: each row is trained as its options stand, on every fold and with every seed. No tuning.

A cell is the mean over folds and seeds, as ``results --over seed split.fold`` pools them, beside the published number.
A method that does not depend on the seed is trained once per fold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from upliftlens.benchmarks.tables.run import (
    NamedChanges,
    Names,
    Runs,
    RunsOptions,
    measured,
    measured_cell,
    planned,
    runs_of,
)
from upliftlens.benchmarks.tables.table import Cell, TableKind, Where
from upliftlens.causal.options import AtLeast, Distinct


@dataclass(frozen=True, kw_only=True)
class Options(RunsOptions):
    """The options of each of the ``rows``; ``metrics``, a column each; which ``folds`` of split=kfold are tested."""

    rows: NamedChanges
    metrics: Names
    folds: Annotated[tuple[Annotated[int, AtLeast(0)], ...], Distinct()]

    @property
    def fixed(self) -> str:
        """What the runs of the table share, so that its intervals say nothing about other ones."""
        return "items and their division into folds"


def fixed_cells(definition: Options, where: Where) -> list[Cell]:
    """Cells of every row and metric: mean over folds and seeds, interval over users and runs.

    Raises:
        UpliftlensError: if a run fails.
    """
    names = f"metrics.names=[{','.join(definition.metrics)}]"
    cells = []
    for row, options in definition.rows.items():

        def repeated(seeds: Sequence[int], options: Sequence[str] = options) -> Runs:
            changes = [[f"seed={seed}", f"split.fold={fold}", names] for seed in seeds for fold in definition.folds]
            return runs_of([planned([*definition.common, *options], change, where) for change in changes])

        runs = repeated(definition.seeds[:1])
        if runs.evaluations[0].random and len(definition.seeds) > 1:
            more = repeated(definition.seeds[1:])
            runs = Runs([*runs.records, *more.records], [*runs.evaluations, *more.evaluations])
        for metric in definition.metrics:
            cells.append(measured_cell(definition, row, metric, measured(runs, metric, definition.interval)))
            where.say(f"{row} {metric}: {cells[-1].value:.4f} over {len(runs.records)} runs")
    return cells


kind = TableKind("fixed", Options, fixed_cells)

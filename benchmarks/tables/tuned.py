"""Tables of tuned methods: backbones × objectives and a baseline, all tuned with the same number of trials.

A row is ``backbone/objective``. It is trained in each of the definition's ``training`` ways that its objective allows,
tuned for each, and run once per seed and block. Columns ``X vs ROW`` are paired differences of column X between rows
that were trained the same way, with Holm's correction over all differences of X in a block.

Trials are spread over the row's space, the last ``refining`` ones around the best of the earlier trials (not if the
space has choices only, which have no neighbours). Each is fitted to ``1 − validation`` of the log, once for each of the
``validation_seeds`` that draw the validation part, and scored (with patience, stopped early) by the criterion on that
part, whose rows weigh 1/p. The winner has the best mean criterion; it is then fitted to the whole log for its mean best
number of epochs. Only the winner is evaluated on the test set.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Annotated, Any, NamedTuple

import numpy as np

from upliftlens.benchmarks.sweeps.search import Trial, search
from upliftlens.benchmarks.sweeps.space import spread
from upliftlens.benchmarks.tables.run import (
    Measured,
    NamedChanges,
    Names,
    RunsOptions,
    Seeds,
    configured,
    fits,
    measured,
    measured_cell,
    paired_cells,
    planned,
    runs_of,
)
from upliftlens.benchmarks.tables.table import Cell, TableKind, Where
from upliftlens.causal.errors import UpliftlensError, located, unknown
from upliftlens.causal.options import SEEDS, AtLeast, Distinct, Within


@dataclass(frozen=True)
class Component:
    """A backbone or an objective: its options and search space; ``backbones``: those of an objective, None: all."""

    options: tuple[str, ...]
    space: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    backbones: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Training:
    """A way of training: its ``options``, the metric of each of its ``columns``, and its ``objectives``, None: all.

    ``alone``: more columns, for objectives that can't be trained in the first way.
    """

    options: tuple[str, ...]
    columns: Mapping[str, str]
    objectives: tuple[str, ...] | None = None
    alone: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Options(RunsOptions):
    """How the rows are searched (see above), ``searched_on`` more options; which rows there are; what is ``compared``.

    ``blocks``: the options of variants of the final runs (with and without the training rows whose pair is tested, for
    instance), named by a prefix of the row. ``everywhere``: the columns are over all pairs of a world with known
    ratings, not over the test set.
    """

    trials: Annotated[int, AtLeast(1)]
    refining: Annotated[int, AtLeast(0)]
    narrow: Annotated[float, Within(0, 1, "()")]
    search_seed: Annotated[int, SEEDS]
    validation: Annotated[float, Within(0, 1, "()")]
    validation_seeds: Seeds
    searched_on: tuple[str, ...]
    blocks: NamedChanges
    everywhere: bool
    baseline: str
    compared: tuple[str, ...]
    backbones: Names
    objectives: Names
    training: Annotated[Mapping[str, Training], Distinct()]
    backbone: Mapping[str, Component]
    objective: Mapping[str, Component]

    def __post_init__(self) -> None:
        if self.refining >= self.trials:
            raise UpliftlensError(
                f"refining={self.refining} of trials={self.trials}: set refining below trials, or raise trials"
            )


class Row(NamedTuple):
    """A row trained in one way: its options, its search space, the metric of each column, and the way as a remark."""

    name: str
    options: tuple[str, ...]
    space: Mapping[str, Any]
    columns: Mapping[str, str]
    remark: str


_Side = tuple[Row, str, Measured]
"""A row, one of its columns, and what was measured there."""


def tuned_cells(definition: Options, where: Where) -> list[Cell]:
    """Cells of all rows, block by block, and their paired differences.

    Raises:
        UpliftlensError: for an unknown backbone or objective, or if a run fails.
    """
    sides: dict[str, list[_Side]] = {block: [] for block in definition.blocks}
    for row in rows(definition, where):
        with located(row.name):
            winner = winner_of(definition, [*row.options, *definition.searched_on], row.space, where)
        where.say(f"{row.name} ({row.remark}): {' '.join(winner.changes)}, criterion {winner.criterion:.4f}")
        changes = [*winner.changes, f"metrics.names=[{','.join(dict.fromkeys(row.columns.values()))}]"]
        for block, of_block in definition.blocks.items():
            options = [*row.options, *of_block]
            plans = [planned(options, [*changes, f"seed={seed}"], where) for seed in definition.seeds]
            runs = runs_of(plans, definition.everywhere)
            sides[block] += [
                (row, column, measured(runs, metric, definition.interval)) for column, metric in row.columns.items()
            ]
    return [
        cell
        for block, of_block in sides.items()
        for cells in (_values(definition, block, of_block), _differences(definition, block, of_block))
        for cell in cells
    ]


def rows(definition: Options, where: Where) -> Iterator[Row]:
    """The rows of a definition, each once per way of training that its objective allows."""
    for kind, names, known in (
        ("backbone", definition.backbones, definition.backbone),
        ("objective", definition.objectives, definition.objective),
    ):
        for name in sorted(set(names).difference(known)):
            raise unknown(kind, name, known)
    first = next(iter(definition.training))
    for backbone, objective in product(definition.backbones, definition.objectives):
        parts = definition.backbone[backbone], definition.objective[objective]
        if backbone not in (parts[1].backbones or definition.backbone):
            continue
        options_of = {
            way: (*definition.common, *parts[0].options, *parts[1].options, *training.options)
            for way, training in definition.training.items()
            if objective in (training.objectives or [objective])
        }
        fitting = {way: options for way, options in options_of.items() if fits(options, where)}
        for way, options in fitting.items():
            training = definition.training[way]
            if columns := {**({} if first in fitting else training.alone), **training.columns}:
                space = {**parts[0].space, **parts[1].space}
                yield Row(f"{backbone}/{objective}", options, space, columns, f"trained on {way}")


def winner_of(definition: Options, options: Sequence[str], space: Mapping[str, Any], where: Where) -> Trial:
    """The best trial; its changes are those of the final runs, which are fitted to the whole log.

    Raises:
        UpliftlensError: if the configuration is wrong, the data can't be loaded, or every trial failed.
    """
    trials, best = search(
        lambda changes: planned(options, changes, where),
        configured(options, (), where),
        space,
        spread,
        definition.trials,
        definition.search_seed,
        where.say,
        [
            [f"split.validation={definition.validation}", f"split.seed={seed}", "trial=true"]
            for seed in definition.validation_seeds
        ],
        definition.refining if any("choices" not in entry for entry in space.values()) else 0,
        definition.narrow,
    )
    winner = trials[best]
    epochs = max(1, round(float(np.mean([record.diagnostics["best_epoch"] for record in winner.records]))))
    return winner._replace(changes=(*winner.changes, f"train.epochs={epochs}", "split.validation=0"))


def remarks(definition: Options, cells: Sequence[Cell]) -> list[str]:
    """How the rows were tuned, and those whose differences change their sign between blocks."""
    parts = f"{len(definition.validation_seeds)} parts of {definition.validation:.0%} of the training log"
    near = f", the last {definition.refining} around the best of those before" if definition.refining else ""
    sentences = [
        f"Every row and way of training had {definition.trials} trials{near}, each judged on {parts}, weighed by 1/p; "
        "no trial read a test rating. Intervals and p-values take the settings found as given."
    ]
    at = {(cell.row, cell.column): cell.value for cell in cells if " vs " in cell.column}
    names = [f"{backbone}/{objective}" for backbone, objective in product(definition.backbones, definition.objectives)]
    for column in dict.fromkeys(column for _, column in at):
        values = {
            name: [at[block + name, column] for block in definition.blocks if (block + name, column) in at]
            for name in names
        }
        if turned := [name for name in names if len({value > 0 for value in values[name]}) > 1]:
            sentences.append(f"{column}: the order turns between the blocks for {', '.join(turned)}.")
    return sentences


def _values(definition: Options, block: str, sides: Sequence[_Side]) -> Iterator[Cell]:
    first, training = next(iter(definition.training.items()))
    for row, column, side in sides:
        cell = measured_cell(definition, block + row.name, column, side)
        if column in training.columns and row.remark != f"trained on {first}":
            cell = cell._replace(verdict="; ".join(filter(None, (cell.verdict, row.remark))))
        yield cell


def _differences(definition: Options, block: str, measured: Sequence[_Side]) -> Iterator[Cell]:
    baseline = definition.baseline
    for column in definition.compared:
        sides = {row.name: (row, side) for row, of_column, side in measured if of_column == column}
        pairs = {}
        for name, (row, first) in sides.items():
            naive = f"{name.partition('/')[0]}/naive"
            for label, other in {baseline: baseline, "own naive" if naive != baseline else baseline: naive}.items():
                # Trained on labels against trained on ratings would compare the targets, not the objectives.
                if other != name and other in sides and sides[other][0].remark == row.remark:
                    pairs[block + name, f"{column} vs {label}"] = first, sides[other][1]
        if pairs:
            yield from paired_cells(pairs, row.columns[column], definition.interval)


kind = TableKind("tuned", Options, tuned_cells, remarks)

"""Tables of tuned methods: backbones × objectives and a baseline, all tuned with the same number of trials.

A row is ``backbone/objective``. It is trained in each of the definition's ``training`` ways that its objective allows,
tuned for each, and run once per seed and block. Columns ``X vs ROW`` are paired differences of column X between rows
that were trained the same way. Two families are declared, each with Holm's correction of its own in a block: every row
against the naive row of its backbone ("own naive"), which the question is about; and rows of other backbones against
the ``baseline``. Objectives that are ``alike`` minimise one function, so only the first is compared. All of it is done
for each of the ``variants``, with each of the ``budgets``: a verdict that another budget turns is about the search.

Trials are spread over the row's space, the last ``refining`` ones around the best of the earlier trials (not if the
space has choices only, which have no neighbours). Each is fitted to ``1 − validation`` of the log, once for each of the
``validation_seeds`` that draw the validation part, and scored (with patience, stopped early) by the criterion on that
part, whose rows weigh 1/p. The winner has the best mean criterion; it is then fitted to the whole log for its mean best
number of epochs. Only the winner is evaluated on the test set.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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

    ``alike``: groups of objectives that minimise the same function here.

    ``budgets``: numbers of trials, named by a prefix of the row; with ``refining`` 0 a larger one repeats the trials of
    a smaller one.
    ``variants``: options of all runs, trials too (of what is known of the propensities, for instance), by a prefix.
    ``blocks``: the options of variants of the final runs (with and without the training rows whose pair is tested, for
    instance), named by a prefix of the row. ``everywhere``: the columns are over all pairs of a world with known
    ratings, not over the test set.
    """

    budgets: Annotated[Mapping[str, Annotated[int, AtLeast(1)]], Distinct()]
    variants: NamedChanges
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
    alike: tuple[tuple[str, ...], ...]
    backbones: Names
    objectives: Names
    training: Annotated[Mapping[str, Training], Distinct()]
    backbone: Mapping[str, Component]
    objective: Mapping[str, Component]

    def __post_init__(self) -> None:
        least = min(self.budgets.values(), default=0)
        if self.refining >= least:
            raise UpliftlensError(
                f"refining={self.refining} of {least} trials: set refining below every budget, or raise budgets"
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
    sides: dict[str, list[_Side]] = {prefix: [] for prefix in prefixes(definition)}
    for (variant, of_variant), (budget, trials) in product(definition.variants.items(), definition.budgets.items()):
        for row in rows(definition, of_variant, where):
            with located(budget + variant + row.name):
                winner = winner_of(definition, [*row.options, *definition.searched_on], row.space, trials, where)
            found = f"{' '.join(winner.changes)}, criterion {winner.criterion:.4f}"
            where.say(f"{budget}{variant}{row.name} ({row.remark}): {found}")
            changes = [*winner.changes, f"metrics.names=[{','.join(dict.fromkeys(row.columns.values()))}]"]
            for block, of_block in definition.blocks.items():
                options = [*row.options, *of_block]
                plans = [planned(options, [*changes, f"seed={seed}"], where) for seed in definition.seeds]
                runs = runs_of(plans, definition.everywhere)
                sides[budget + variant + block] += [
                    (row, column, measured(runs, metric, definition.interval)) for column, metric in row.columns.items()
                ]
    return [
        cell
        for prefix, of_prefix in sides.items()
        for cells in (_values(definition, prefix, of_prefix), _differences(definition, prefix, of_prefix))
        for cell in cells
    ]


def prefixes(definition: Options) -> list[str]:
    """The prefixes of rows in the order of the table: budgets, in them variants, in them blocks."""
    return ["".join(parts) for parts in product(definition.budgets, definition.variants, definition.blocks)]


def rows(definition: Options, variant: Sequence[str], where: Where) -> Iterator[Row]:
    """The rows of a definition with a variant's options, each once per way of training that its objective allows."""
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
            way: (*definition.common, *variant, *parts[0].options, *parts[1].options, *training.options)
            for way, training in definition.training.items()
            if objective in (training.objectives or [objective])
        }
        fitting = {way: options for way, options in options_of.items() if fits(options, where)}
        for way, options in fitting.items():
            training = definition.training[way]
            if columns := {**({} if first in fitting else training.alone), **training.columns}:
                space = {**parts[0].space, **parts[1].space}
                yield Row(f"{backbone}/{objective}", options, space, columns, f"trained on {way}")


def winner_of(
    definition: Options, options: Sequence[str], space: Mapping[str, Any], n_trials: int, where: Where
) -> Trial:
    """The best of ``n_trials`` trials; its changes are those of the final runs, which are fitted to the whole log.

    Raises:
        UpliftlensError: if the configuration is wrong, the data can't be loaded, or every trial failed.
    """
    trials, best = search(
        lambda changes: planned(options, changes, where),
        configured(options, (), where).content,
        space,
        spread,
        n_trials,
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
    """How the rows were tuned, and which differences turn between blocks, and which verdicts between budgets."""
    parts = f"{len(definition.validation_seeds)} parts of {definition.validation:.0%} of the training log"
    near = f", the last {definition.refining} around the best of those before" if definition.refining else ""
    named = [
        f"{trials} trials" + (f" in rows {budget}…" if budget else "") for budget, trials in definition.budgets.items()
    ]
    sentences = [
        f"Every row and way of training had {', '.join(named)}{near}, each judged on {parts}, weighed by 1/p; "
        "no trial read a test rating. Intervals and p-values take the settings found as given."
    ]
    budgets, variants, blocks = definition.budgets, definition.variants, definition.blocks
    names = ["/".join(pair) for pair in product(definition.backbones, definition.objectives)]
    searched = [(budget + variant, name) for budget, variant, name in product(budgets, variants, names)]
    tested = [("", variant + block + name) for variant, block, name in product(variants, blocks, names)]
    for column in dict.fromkeys(cell.column for cell in cells if " vs " in cell.column):
        at = {cell.row: cell for cell in cells if cell.column == column}
        if signs := _turned(at, searched, blocks, lambda cell: cell.value > 0):
            sentences.append(f"{column}: the order turns between the blocks for {', '.join(signs)}.")
        if verdicts := _turned(at, tested, budgets, lambda cell: re.split("[ :]", cell.verdict)[0]):
            sentences.append(f"{column}: the verdict turns with the number of trials for {', '.join(verdicts)}.")
    return sentences


def _turned(
    at: Mapping[str, Cell], rows: Sequence[tuple[str, str]], varied: Iterable[str], of: Callable[[Cell], Any]
) -> list[str]:
    """The rows (part before, part after) whose cells differ in ``of`` between the ``varied`` parts in the middle."""
    seen = {
        before + after: {of(at[row]) for x in varied if (row := before + x + after) in at} for before, after in rows
    }
    return [row for row, values in seen.items() if len(values) > 1]


def _values(definition: Options, block: str, sides: Sequence[_Side]) -> Iterator[Cell]:
    first, training = next(iter(definition.training.items()))
    for row, column, side in sides:
        cell = measured_cell(definition, block + row.name, column, side)
        if column in training.columns and row.remark != f"trained on {first}":
            cell = cell._replace(verdict="; ".join(filter(None, (cell.verdict, row.remark))))
        yield cell


def _differences(definition: Options, prefix: str, measured: Sequence[_Side]) -> Iterator[Cell]:
    """Two families per column: rows against the naive row of their backbone, and those of other backbones against the
    baseline."""
    baseline, counted_once = definition.baseline, {name for group in definition.alike for name in group[1:]}
    for column in definition.compared:
        sides = {
            row.name: (row, side)
            for row, of_column, side in measured
            if of_column == column and row.name.partition("/")[2] not in counted_once
        }
        families: dict[str, dict[tuple[str, str], tuple[Measured, Measured]]] = {"own naive": {}, baseline: {}}
        for name, (row, first) in sides.items():
            naive = f"{name.partition('/')[0]}/naive"
            others = {"own naive": naive} if naive == baseline else {"own naive": naive, baseline: baseline}
            for family, other in others.items():
                # Trained on labels against trained on ratings would compare the targets, not the objectives.
                if other != name and other in sides and sides[other][0].remark == row.remark:
                    families[family][prefix + name, f"{column} vs {family}"] = first, sides[other][1]
        for pairs in filter(None, families.values()):
            yield from paired_cells(pairs, row.columns[column], definition.interval)


kind = TableKind("tuned", Options, tuned_cells, remarks)

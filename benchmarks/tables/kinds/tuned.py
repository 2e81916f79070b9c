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

With several ``search_seeds`` a row is searched once with each, and each winner is run with every seed. An interval, and
the p of a difference, is then over users × seeds × searches (``over_searches``), Student's t counting how few of the
latter two there are; and a verdict is followed by those of each search alone, over its seeds and users.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, groupby, product
from typing import Any

import numpy as np

from upliftlens.benchmarks.runs.many import Runner, run_many
from upliftlens.benchmarks.runs.plan import Plan
from upliftlens.benchmarks.sweeps.search import Trial, search
from upliftlens.benchmarks.sweeps.space import spread
from upliftlens.benchmarks.tables.cells import Cell
from upliftlens.benchmarks.tables.kinds.tuned_rows import Options, Row, rows
from upliftlens.benchmarks.tables.run import (
    Measured,
    Runs,
    configured,
    measured_cell,
    over_searches,
    paired_cells,
    part,
    planned,
    runs_of,
)
from upliftlens.benchmarks.tables.table import Job, TableKind, Where
from upliftlens.causal.errors import located

_ALONE = "; with each search alone: "  # stands before the verdicts of single searches

_ALONE = "; with each search alone: "  # stands before the verdicts of single searches

_Side = tuple[Row, str, Measured]  # a row, one of its columns, and what was measured there


def tuned_cells(definition: Options, where: Where) -> list[Cell]:
    """Cells of all rows, block by block, and their paired differences.

    Raises:
        UpliftlensError: for an unknown backbone or objective, or if a run fails.
    """
    parts = product(definition.budgets, definition.variants, definition.blocks)
    sides: dict[str, list[_Side]] = {"".join(names): [] for names in parts}  # in the order of the table
    for (searched, row), searches in groupby(jobs(definition, where), lambda job: job.of[:2]):
        by_search = [_searched(definition, job, where) for job in searches]
        for place, block in enumerate(definition.blocks):
            runs = [by_block[place] for by_block in by_search]
            sides[searched + block] += [
                (row, column, over_searches(runs, metric, definition.interval))
                for column, metric in row.columns.items()
            ]
    cells = ((*_values(definition, *side), *_differences(definition, *side)) for side in sides.items())
    return list(chain.from_iterable(cells))


def _searched(definition: Options, job: Job, where: Where) -> list[Runs]:
    """The final runs of a search's winner, by block."""
    searched, row, search = job.of
    with located(searched + row.name):
        trials, winner = job.choose(run_many)
    best = f"{' '.join(winner.changes)}, criterion {winner.criterion:.4f}"
    where.say(f"{searched}{row.name} ({row.remark}{search}): {best}")
    return [runs_of(plans, definition.everywhere, trials) for plans in job.plans((trials, winner))]


def jobs(definition: Options, where: Where) -> Iterator[Job]:
    """The searches and the final runs of each row, of the rows of all variants and budgets."""
    n_final, budgets = len(definition.blocks) * len(definition.seeds), list(definition.budgets.items())
    for (variant, of_variant), place in product(definition.variants.items(), range(len(budgets))):
        budget, trials = budgets[place]
        # Without refining, the first trials are those of a smaller budget before.
        repeated = 0 if definition.refining else max((number for _, number in budgets[:place]), default=0)
        for row in rows(definition, of_variant, where):
            for search_seed in definition.search_seeds:
                search = f", search seed {search_seed}" * (len(definition.search_seeds) > 1)
                choose = partial(
                    winner_of,
                    definition,
                    [*row.options, *definition.searched_on],
                    row.space,
                    trials,
                    search_seed,
                    where,
                )
                n_trials = max(0, trials - repeated) * len(definition.validation_seeds)
                plans = partial(_final, definition, row, where)
                yield Job((budget + variant, row, search), n_trials, choose, n_final, plans)


def _final(definition: Options, row: Row, where: Where, searched: tuple[Sequence[Trial], Trial]) -> list[list[Plan]]:
    """The plans of the final runs of a row, by block."""
    changes = [*searched[1].changes, f"metrics.names=[{','.join(dict.fromkeys(row.columns.values()))}]"]
    return [
        [planned([*row.options, *of_block], [*changes, f"seed={seed}"], where) for seed in definition.seeds]
        for of_block in definition.blocks.values()
    ]


def winner_of(
    definition: Options,
    options: Sequence[str],
    space: Mapping[str, Any],
    n_trials: int,
    search_seed: int,
    where: Where,
    runs: Runner = run_many,
) -> tuple[Sequence[Trial], Trial]:
    """The trials, drawn by ``search_seed``, and the best of them; its changes are those of the final runs, which are
    fitted to the whole log.

    Raises:
        UpliftlensError: if the configuration is wrong, the data can't be loaded, or every trial failed.
    """
    trials, best = search(
        lambda changes: planned(options, changes, where),
        configured(options, (), where).content,
        space,
        spread,
        n_trials,
        search_seed,
        where.say,
        [
            [f"split.validation={definition.validation}", f"split.seed={seed}", "trial=true"]
            for seed in definition.validation_seeds
        ],
        definition.refining if any("choices" not in entry for entry in space.values()) else 0,
        definition.narrow,
        runs=runs,
    )
    winner = trials[best]
    epochs = max(1, round(float(np.mean([record.diagnostics["best_epoch"] for record in winner.records]))))
    return trials, winner._replace(changes=(*winner.changes, f"train.epochs={epochs}", "split.validation=0"))


def remarks(definition: Options, cells: Sequence[Cell]) -> list[str]:
    """How the rows were tuned, and which differences turn between blocks, and which verdicts between budgets."""
    parts = f"{len(definition.validation_seeds)} parts of {definition.validation:.0%} of the training log"
    seeds = f"search seeds {', '.join(map(str, definition.search_seeds))}"
    near = f", the last {definition.refining} around the best of those before" if definition.refining else ""
    named = [
        f"{trials} trials" + (f" in rows {budget}…" if budget else "") for budget, trials in definition.budgets.items()
    ]
    given = "Intervals and p-values take the settings found as given."
    if len(definition.search_seeds) > 1:
        given = f"Searched with {seeds}: intervals and p-values are over users, seeds and searches."
    sentences = [
        f"Every row and way of training had {', '.join(named)}{near}, each judged on {parts}, weighed by 1/p; "
        f"no trial read a test rating. {given}"
    ]
    budgets, variants, blocks = definition.budgets, definition.variants, definition.blocks
    names = ["/".join(pair) for pair in product(definition.backbones, definition.objectives)]
    searched = [(budget + variant, name) for budget, variant, name in product(budgets, variants, names)]
    tested = [("", variant + block + name) for variant, block, name in product(variants, blocks, names)]
    for column in dict.fromkeys(cell.column for cell in cells if " vs " in cell.column):
        at = {cell.row: cell for cell in cells if cell.column == column}
        if signs := _turned(at, searched, blocks, lambda cell: cell.value > 0):
            sentences.append(f"{column}: the order turns between the blocks for {', '.join(signs)}.")
        if verdicts := _turned(at, tested, budgets, _word):
            sentences.append(f"{column}: the verdict turns with the number of trials for {', '.join(verdicts)}.")
        alone = {row: cell.verdict.partition(_ALONE)[2] for row, cell in at.items() if _ALONE in cell.verdict}
        turned = [f"{row}: {words}" for row, words in alone.items() if len(set(words.split(", "))) > 1]
        if alone:
            how = f"it turns for {'; '.join(turned)}" if turned else "it is the same with each"
            sentences.append(f"{column}: with {seeds} alone, of {len(alone)} verdicts, {how}.")
    return sentences


def _word(cell: Cell) -> str:
    """The first word of a verdict: better, worse, undecided."""
    return re.split("[ :]", cell.verdict)[0]


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
            yield from _paired(definition, pairs, row.columns[column])


def _paired(
    definition: Options, pairs: Mapping[tuple[str, str], tuple[Measured, Measured]], metric: str
) -> Iterator[Cell]:
    """Paired differences; where rows were searched several times, a verdict also says what each search alone gives."""
    n, alone = len(definition.seeds), []
    for first in range(0, n * len(definition.search_seeds), n):
        runs = np.arange(first, first + n)
        of_search = {
            names: (left._replace(value=part(left.value, runs)), right._replace(value=part(right.value, runs)))
            for names, (left, right) in pairs.items()
        }
        alone.append([_word(cell) for cell in paired_cells(of_search, metric, definition.interval)])
    for cell, words in zip(paired_cells(pairs, metric, definition.interval), zip(*alone, strict=True), strict=True):
        yield cell._replace(verdict=f"{cell.verdict}{_ALONE}{', '.join(words)}") if len(alone) > 1 else cell


kind = TableKind("tuned", Options, tuned_cells, remarks, jobs=jobs)

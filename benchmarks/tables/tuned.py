"""Tables of tuned methods: backbones × objectives and a baseline, all tuned with the same number of trials.

A row is ``backbone/objective``. It is trained in each of the definition's ``training`` ways that its objective allows,
tuned for each by ``tables.tuned_search``, and run once per seed and block. ``blocks`` are variants of the final runs
(with and without the training rows whose pair is tested, for instance), named by a prefix of the row. With
``everywhere`` the columns are over all pairs of a world with known ratings, not over the test set. Columns ``X vs ROW``
are paired differences of column X between rows that were trained the same way, with Holm's correction over all
differences of X in a block.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from upliftlens.benchmarks.reports.comparison import Replicated, bounds, differences, in_a_cell, replicated
from upliftlens.benchmarks.reports.methods import evaluations
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.runs.store import Store
from upliftlens.benchmarks.tables.all_pairs import over_all_pairs
from upliftlens.benchmarks.tables.run import behind, fits, planned, record_of
from upliftlens.benchmarks.tables.table import Cell, TableKind, Where, judged
from upliftlens.benchmarks.tables.tuned_search import search
from upliftlens.causal.errors import located, unknown
from upliftlens.causal.intervals import Resampling


class Row(NamedTuple):
    """A row trained in one way: its options, its search space, the metric of each column, and the way as a remark."""

    name: str
    options: tuple[str, ...]
    space: Mapping[str, Any]
    columns: Mapping[str, str]
    remark: str


class Measured(NamedTuple):
    """A column of a row, measured by the runs of ``records``."""

    row: Row
    column: str
    metric: str
    value: Replicated
    records: list[Record]


def tuned_cells(content: Mapping[str, Any], where: Where) -> list[Cell]:
    """Cells of all rows, block by block, and their paired differences.

    Raises:
        UpliftlensError: for an unknown backbone or objective, or if a run fails.
    """
    resampling = Resampling(**content["interval"])
    measured: dict[str, list[Measured]] = {block: [] for block in content["blocks"]}
    for row in rows(content, where):
        with located(row.name):
            winner = search(content, [*row.options, *content["searched_on"]], row.space, where)
        where.say(f"{row.name} ({row.remark}): {' '.join(winner.changes)}, criterion {winner.criterion:.4f}")
        changes = [*winner.changes, f"metrics.names=[{','.join(dict.fromkeys(row.columns.values()))}]"]
        for block, options_of_block in content["blocks"].items():
            options = [*row.options, *options_of_block]
            plans = [planned(options, [*changes, f"seed={seed}"], where) for seed in content["seeds"]]
            records = [record_of(plan) for plan in plans]
            if content["everywhere"]:
                runs = [over_all_pairs(plan) for plan in plans]
            else:
                runs = evaluations(Store(where.store), records)
            measured[block] += [
                Measured(row, column, metric, replicated(runs, metric, resampling), records)
                for column, metric in row.columns.items()
            ]
    cells: list[Cell] = []
    for block, of_block in measured.items():
        cells += _values(content, block, of_block, resampling)
        cells += _differences(content, block, of_block, resampling)
    return cells


def rows(content: Mapping[str, Any], where: Where) -> Iterator[Row]:
    """The rows of a definition, each once per way of training that its objective allows.

    A way of training with a list of ``objectives`` is for those only. Its columns ``alone`` are for objectives that
    can't be trained in the first way.
    """
    for kind in ("backbone", "objective"):
        for name in content[f"{kind}s"]:
            if name not in content[kind]:
                raise unknown(kind, name, content[kind])
    first = next(iter(content["training"]))
    for backbone, objective in product(content["backbones"], content["objectives"]):
        of_backbone, of_objective = content["backbone"][backbone], content["objective"][objective]
        if backbone not in of_objective.get("backbones", content["backbone"]):
            continue
        fitting = {}
        for way, training in content["training"].items():
            options = (*content["common"], *of_backbone["options"], *of_objective["options"], *training["options"])
            if objective in training.get("objectives", [objective]) and fits(options, where):
                fitting[way] = options
        space = {**of_backbone.get("space", {}), **of_objective.get("space", {})}
        for way, options in fitting.items():
            training = content["training"][way]
            alone = {} if first in fitting else training.get("alone", {})
            if columns := {**alone, **training["columns"]}:
                yield Row(f"{backbone}/{objective}", options, space, columns, f"trained on {way}")


def remarks(content: Mapping[str, Any], cells: Sequence[Cell]) -> list[str]:
    """The paired differences in sentences: better, worse or undecided rows; rows whose order turns between blocks."""
    parts = f"{len(content['validation_seeds'])} parts of {content['validation']:.0%} of the training log"
    near = f", the last {content['refining']} around the best of those before" if content["refining"] else ""
    sentences = [
        f"Every row and way of training had {content['trials']} trials{near}, each judged on {parts}, weighed by 1/p; "
        "no trial read a test rating. Intervals and p-values take the settings found as given.",
        *([content["note"]] if "note" in content else []),
    ]
    at = {(cell.row, cell.column): cell for cell in cells}
    names = [f"{backbone}/{objective}" for backbone, objective in product(content["backbones"], content["objectives"])]
    undecided = "no difference can be claimed (the interval holds 0, or p after correction exceeds the level)"
    for column in dict.fromkeys(cell.column for cell in cells if " vs " in cell.column):
        signs: dict[str, set[bool]] = {name: set() for name in names}
        for block in content["blocks"]:
            where = f" ({block.rstrip('/')})" if block else ""
            of_block = {name: at[block + name, column] for name in names if (block + name, column) in at}
            for name, cell in of_block.items():
                signs[name].add(cell.value > 0)
            for verdict, words in (("better", "better"), ("worse", "worse"), ("undecided", undecided)):
                if those := [name for name, cell in of_block.items() if cell.verdict.startswith(verdict)]:
                    sentences.append(f"{column}{where}: {words}: {', '.join(those)}.")
        if turned := [name for name in names if len(signs[name]) > 1]:
            sentences.append(f"{column}: the order turns between the blocks for {', '.join(turned)}.")
    return sentences


def _values(
    content: Mapping[str, Any], block: str, measured: Sequence[Measured], resampling: Resampling
) -> Iterator[Cell]:
    first, training = next(iter(content["training"].items()))
    for row, column, _, value, records in measured:
        low, high = bounds(value, resampling)
        published, verdict = judged(content, block + row.name, column, value.mean)
        if column in training["columns"] and row.remark != f"trained on {first}":
            verdict = "; ".join(filter(None, (verdict, row.remark)))
        yield Cell(block + row.name, column, value.mean, low, high, published, verdict, *behind(records))


def _differences(
    content: Mapping[str, Any], block: str, measured: Sequence[Measured], resampling: Resampling
) -> Iterator[Cell]:
    baseline = content["baseline"]
    for column in content["compared"]:
        by_name = {entry.row.name: entry for entry in measured if entry.column == column}
        pairs: dict[tuple[str, str], tuple[Measured, Measured]] = {}
        for name, first in by_name.items():
            naive = f"{name.partition('/')[0]}/naive"
            others = {baseline: baseline} if naive == baseline else {baseline: baseline, "own naive": naive}
            for label, other in others.items():
                second = by_name.get(other)
                # Trained on labels against trained on ratings would compare the targets, not the objectives.
                if second is not None and other != name and first.row.remark == second.row.remark:
                    pairs[name, f"{column} vs {label}"] = first, second
        if pairs:
            metric = next(iter(pairs.values()))[0].metric
            sides = {" ".join(names): (first.value, second.value) for names, (first, second) in pairs.items()}
            decisions = differences(sides, metric, resampling).values()
            for ((name, versus), (first, second)), decision in zip(pairs.items(), decisions, strict=True):
                runs = behind([*first.records, *second.records])
                yield Cell(block + name, versus, *decision[:3], None, in_a_cell(decision), *runs)


kind = TableKind("tuned", tuned_cells, remarks)

"""Tables of tuned methods: backbones × objectives, each with an equal search, beside a baseline tuned just as much.

A row is ``backbone/objective``. It is trained in each of the definition's ``training`` ways that its objective allows,
tuned for each by ``tables.search``, and run once per seed and block. ``blocks`` are variants of the final runs (here:
with and without the training rows whose pair is tested), named by a prefix of the row. With ``everywhere`` the columns
are over all pairs of a world with known ratings, not over the test set. Columns ``X vs ROW`` are paired differences of
column X between rows that were trained the same way, with Holm's correction over all that are made of X in a block.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from upliftlens.benchmarks.reports.comparison import Decided, Evidence, bounds, differences, evidence, in_a_cell
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.tables.run import evaluation_of, fits, planned, record_of
from upliftlens.benchmarks.tables.search import search
from upliftlens.benchmarks.tables.table import Cell, TableKind, Where, judged
from upliftlens.benchmarks.tables.truth import everywhere
from upliftlens.causal.errors import located, unknown
from upliftlens.causal.intervals import Resampling


class Row(NamedTuple):
    """One row under one way of training: its options, what is searched, and its columns as metrics by name."""

    name: str
    options: tuple[str, ...]
    space: Mapping[str, Any]
    columns: Mapping[str, str]
    remark: str


class Found(NamedTuple):
    """A row's cell before it is judged."""

    row: Row
    column: str
    metric: str
    evidence: Evidence
    records: tuple[Record, ...]


def tuned_cells(content: Mapping[str, Any], where: Where) -> list[Cell]:
    """Cells of all rows, block by block, and their paired differences.

    Raises:
        UpliftlensError: for an unknown backbone or objective, or if a run fails.
    """
    resampling = Resampling(**content["interval"])
    result: dict[str, list[Found]] = {block: [] for block in content["blocks"]}
    for row in rows(content, where):
        with located(row.name):
            winner = search(content, [*row.options, *content["searched_on"]], row.space, where)
        where.say(f"{row.name} ({row.remark}): {' '.join(winner.changes)}, criterion {winner.criterion:.4f}")
        for block, mine in content["blocks"].items():
            plans = [
                planned([*row.options, *mine], [*winner.changes, *_measured(row), f"seed={seed}"], where)
                for seed in content["seeds"]
            ]
            runs = [record_of(plan) for plan in plans]
            if content["everywhere"]:
                evaluations = [everywhere(plan) for plan in plans]
            else:
                evaluations = [evaluation_of(run, where) for run in runs]
            result[block] += [
                Found(row, column, metric, evidence(evaluations, metric, resampling), tuple(runs))
                for column, metric in row.columns.items()
            ]
    return [
        cell
        for block, cells in result.items()
        for cell in (*_values(content, block, cells, resampling), *_differences(content, block, cells, resampling))
    ]


def rows(content: Mapping[str, Any], where: Where) -> Iterator[Row]:
    """The rows of a definition, each once per way of training that its objective allows and whose ``objectives``, where
    it lists some, hold it.

    An objective that can't be trained in the first way shows its ``alone`` columns of another one in their place.
    """
    for expected, there in (("backbones", "backbone"), ("objectives", "objective")):
        for name in content[expected]:
            if name not in content[there]:
                raise unknown(there, name, content[there])
    first = next(iter(content["training"]))
    for backbone in content["backbones"]:
        for objective in content["objectives"]:
            mine = content["objective"][objective]
            if backbone not in mine.get("backbones", content["backbone"]):
                continue
            sides = content["backbone"][backbone], mine
            fitting = {}
            for way, training in content["training"].items():
                options = (*content["common"], *sides[0]["options"], *mine["options"], *training["options"])
                if objective in training.get("objectives", [objective]) and fits(options, where):
                    fitting[way] = options
            for way, options in fitting.items():
                training = content["training"][way]
                space = {**sides[0].get("space", {}), **mine.get("space", {})}
                alone = {} if first in fitting else training.get("alone", {})
                columns = {**alone, **training["columns"]}
                if columns:
                    yield Row(f"{backbone}/{objective}", options, space, columns, f"trained on {way}")


def remarks(content: Mapping[str, Any], cells: Sequence[Cell]) -> list[str]:
    """What the paired differences say, in sentences: who is better, who can't be told apart, whose order turns."""
    parts = f"{len(content['validation_seeds'])} parts of {content['validation']:.0%} of the training log"
    near = f", the last {content['refining']} around the best of those before" if content["refining"] else ""
    said = [
        f"Every row and way of training had {content['trials']} trials{near}, each judged on {parts}, weighed by 1/p; "
        "no trial read a test rating. Intervals and p-values take the settings found as given.",
        *([content["note"]] if "note" in content else []),
    ]
    at = {(cell.row, cell.column): cell for cell in cells}
    names = _names(content)
    for column in dict.fromkeys(cell.column for cell in cells if " vs " in cell.column):
        signs: dict[str, set[bool]] = {name: set() for name in names}
        for block in content["blocks"]:
            where = f" ({block.rstrip('/')})" if block else ""
            mine = {name: at[block + name, column] for name in names if (block + name, column) in at}
            for name, cell in mine.items():
                signs[name].add(cell.value > 0)
            for kind, words in (
                ("better", "better"),
                ("worse", "worse"),
                (
                    "undecided",
                    "no difference can be claimed (the interval holds 0, or p after correction exceeds the level)",
                ),
            ):
                if those := [name for name, cell in mine.items() if cell.verdict.startswith(kind)]:
                    said.append(f"{column}{where}: {words}: {', '.join(those)}.")
        if turned := [name for name in names if len(signs[name]) > 1]:
            said.append(f"{column}: the order turns between the blocks for {', '.join(turned)}.")
    return said


def _names(content: Mapping[str, Any]) -> list[str]:
    return [f"{backbone}/{objective}" for backbone in content["backbones"] for objective in content["objectives"]]


def _measured(row: Row) -> list[str]:
    return [f"metrics.names=[{','.join(dict.fromkeys(row.columns.values()))}]"]


def _values(content: Mapping[str, Any], block: str, found: Sequence[Found], resampling: Resampling) -> Iterator[Cell]:
    for item in found:
        low, high = bounds(item.evidence, resampling)
        published, verdict = judged(content, block + item.row.name, item.column)(item.evidence.mean)
        if item.column in content["training"][next(iter(content["training"]))]["columns"]:
            first = f"trained on {next(iter(content['training']))}"
            verdict = verdict if item.row.remark == first else "; ".join(filter(None, (verdict, item.row.remark)))
        keys = tuple(record.key for record in item.records)
        mar = any(record.diagnostics["uses_mar_data"] for record in item.records)
        yield Cell(block + item.row.name, item.column, item.evidence.mean, low, high, published, verdict, keys, mar)


def _differences(
    content: Mapping[str, Any], block: str, found: Sequence[Found], resampling: Resampling
) -> Iterator[Cell]:
    at = {(item.row.name, item.column): item for item in found}
    for column in content["compared"]:
        pairs: dict[str, tuple[Found, Found]] = {}
        for item in found:
            naive = f"{item.row.name.partition('/')[0]}/naive"
            for label, other in ((content["baseline"], content["baseline"]), ("own naive", naive)):
                second = at.get((other, column))
                known = label == "own naive" and other == content["baseline"]
                if item.column != column or second is None or other == item.row.name or known:
                    continue
                # Trained on labels against trained on ratings would compare the targets, not the objectives.
                if item.row.remark == second.row.remark:
                    pairs[f"{item.row.name} {column} vs {label}"] = item, second
        if not pairs:
            continue
        metric = next(iter(pairs.values()))[0].metric
        sides = {label: (a.evidence, b.evidence) for label, (a, b) in pairs.items()}
        for label, difference in differences(sides, metric, resampling).items():
            yield _difference_cell(block, label, pairs[label], difference)


def _difference_cell(block: str, label: str, pair: tuple[Found, Found], found: Decided) -> Cell:
    first, second = pair
    keys = tuple(record.key for side in pair for record in side.records)
    mar = any(record.diagnostics["uses_mar_data"] for side in (first, second) for record in side.records)
    column = label.removeprefix(f"{first.row.name} ")
    return Cell(block + first.row.name, column, *found[:3], None, in_a_cell(found), keys, mar)


kind = TableKind("tuned", tuned_cells, remarks)

"""A table as it is committed, so that a stranger follows any number to the command that repeats it.

    NAME.json           its cells, one a line, numbers cut to nine digits
    NAME.md             the same table to be read, rendered from these cells
    NAME.records.jsonl  first what the runs share (environments, data and splits, configurations), then a line per run

Every cell and every line ends with a checksum of itself. What a line says of a run: its key, the words that repeat it,
the metrics that the table reads with their intervals and users, how its settings were chosen, and the seconds it took.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from upliftlens.benchmarks.runs.records import plain
from upliftlens.benchmarks.runs.repeat import repeating
from upliftlens.benchmarks.system.atomic import whole
from upliftlens.benchmarks.system.keys import canonical_key
from upliftlens.benchmarks.tables.cells import Cell, Ran
from upliftlens.benchmarks.tables.table import Table, TableOptions, definition, retold
from upliftlens.benchmarks.tables.written import plain_cell, rendered
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.intervals import Summary

DIGITS = 9
"""Of a number in a cell: so many that the text, of three decimals, is that of the uncut number."""

_ENDS = 6  # digits of the ends of a run's interval
_MORE_DIGITS = 12  # of a run's value, so that what follows from several is exact in DIGITS


class Committed(NamedTuple):
    """The files of a table: its cells without runs; what its runs share, None without records; a line per run by key;
    the text; and a sentence for each line that can't be read or was changed.
    """

    cells: list[Cell]
    shared: Mapping[str, Any] | None
    lines: Mapping[str, Mapping[str, Any]]
    text: str | None
    faults: list[str]

    def words(self, key: str) -> list[str]:
        """The words that repeat a run."""
        assert self.shared is not None
        line = self.lines[key]
        return [*self.shared["configurations"][line["configuration"]], f"seed={line['seed']}"]

    def source(self, key: str) -> Mapping[str, Any]:
        """The data and the split of a run, and whether its log says what was recommended."""
        assert self.shared is not None
        return dict(self.shared["sources"][self.lines[key]["source"]])

    def ran(self, key: str, config: Mapping[str, Any]) -> Ran:
        """A run with its configuration; ``trials``: the most, where rows differ in them.

        Raises:
            KeyError, IndexError, TypeError: for a line that lacks something.
        """
        assert self.shared is not None
        line, source = self.lines[key], self.source(key)
        metrics = {name: _summary(*four) for name, four in line["metrics"].items()}
        environment = self.shared["environments"][line["environment"]]
        parts = source["data"], source["split"], source["treated"]
        chosen = max(self._trials(key).values()), line.get("on_test", False)
        return Ran(key, config, *parts, metrics, *chosen, line["seconds"], environment)

    def of_row(self, run: Ran, row: str) -> Ran:
        """A run as the search of a row chose it: searches of several rows, of more trials or fewer, may end at it."""
        trials = self._trials(run.key)
        return run._replace(trials=trials.get(row, run.trials))

    def _trials(self, key: str) -> Mapping[str, int]:
        """The trials of each row's search; "" stands for all rows where their numbers are equal."""
        stated = self.lines[key].get("trials", 1)
        return stated if isinstance(stated, Mapping) else {"": stated}


def commit(folder: Path, name: str, overrides: Sequence[str], table: Table) -> list[Path]:
    """Writes the files of a table; gives back their paths.

    Raises:
        UpliftlensError: if the folder can't be written, or no command repeats a run.
    """
    cells = [_cut(cell) for cell in table.cells]
    text = rendered(retold(name, overrides, cells), "md")
    body = ",\n".join(json.dumps(_sealed(_without_defaults(cell)), ensure_ascii=False) for cell in cells)
    lines = (json.dumps(line, ensure_ascii=False) for line in _lines(name, overrides, table.cells))
    contents = {"json": f"[\n{body}\n]", "md": text, "records.jsonl": "\n".join(lines)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for ending, content in contents.items():
            with whole(folder / f"{name}.{ending}") as part:
                part.write_text(f"{content}\n")
    except OSError as error:
        raise UpliftlensError(
            f"{folder} can't be written ({error.strerror or error}): choose another folder with --out FOLDER"
        ) from error
    return [folder / f"{name}.{ending}" for ending in contents]


def read(folder: Path, name: str) -> Committed:
    """The committed files of a table; what is wrong with them is among its ``faults``.

    Raises:
        UpliftlensError: if there are no cells of that name.
    """
    try:
        content = json.loads((folder / f"{name}.json").read_text())
        cells = list(map(_cell, content))
    except FileNotFoundError:
        raise UpliftlensError(
            f"{folder} holds no {name}.json: `upliftlens table {name} --out {folder}` writes it"
        ) from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        return Committed([], None, {}, None, [f"{name}.json can't be read as cells: {error}"])
    records, text = folder / f"{name}.records.jsonl", folder / f"{name}.md"
    if not records.exists():
        fault = f"{records.name} is missing: `upliftlens table {name} --out {folder}` writes it"
        return Committed(cells, None, {}, None, [fault])
    places = Counter((cell.row, cell.column) for cell in cells)
    faults = [f"row {row}, column {column} stands twice in {name}.json" for (row, column), n in places.items() if n > 1]
    faults += [
        f"row {cell['row']}, column {cell['column']}: the cell in {name}.json was changed after it was written"
        for cell in content
        if not _whole(cell)
    ]
    lines: list[dict[str, Any]] = []
    for number, line in enumerate(records.read_text().splitlines(), 1):
        try:
            lines.append(json.loads(line))
            changed = not _whole(lines[-1])
        except (ValueError, AttributeError):
            changed = True
        if changed:
            about = f"key {lines[-1]['key']}" if lines and lines[-1].get("key") and line else "what the runs share"
            faults.append(f"{about}: line {number} of {records.name} was changed after it was written")
    shared, *runs = lines or [{}]
    by_key = {line["key"]: line for line in runs if "key" in line}
    keys = Counter(line["key"] for line in runs if "key" in line)
    faults += [f"key {key} stands twice in {records.name}" for key, n in keys.items() if n > 1]
    return Committed(cells, shared, by_key, text.read_text() if text.exists() else None, faults)


def content_key(name: str, overrides: Sequence[str]) -> str:
    """A key of a definition without what is only said or compared, so that a changed protocol is noticed.

    Raises:
        UpliftlensError: for an unknown name.
    """
    said = TableOptions.__dataclass_fields__
    content = {key: value for key, value in definition(name).items() if key not in said}
    return canonical_key({"definition": plain(content), "overrides": list(overrides)})


def _lines(name: str, overrides: Sequence[str], cells: Sequence[Cell]) -> Iterator[dict[str, Any]]:
    """What the runs share, and a line per run."""
    runs: dict[str, Ran] = {}
    trials: dict[str, dict[str, int]] = {}
    for row, run in ((cell.row, run) for cell in cells for run in cell.runs):
        known = runs.get(run.key, run)
        runs[run.key] = run._replace(metrics={**known.metrics, **run.metrics})
        trials.setdefault(run.key, {})[row] = run.trials
    environments, sources, configurations = _Numbered(), _Numbered(), _Numbered()
    lines = []
    for run in runs.values():
        *words, seed = repeating(run.config)
        counts = set(trials[run.key].values())
        chosen = trials[run.key] if len(counts) > 1 else counts.pop()
        line = {
            "key": run.key,
            "configuration": configurations.number(words),
            "seed": int(seed.removeprefix("seed=")),
            "source": sources.number({"data": run.data, "split": run.split, "treated": run.treated}),
            "environment": environments.number(run.environment),
            "metrics": {metric: _four(summary) for metric, summary in run.metrics.items()},
            **({"trials": chosen} if chosen != 1 else {}),
            **({"on_test": True} if run.on_test else {}),
            "seconds": float(f"{run.seconds:.3g}"),
        }
        lines.append(_sealed(line))
    yield _sealed(
        {
            "table": name,
            "overrides": list(overrides),
            "definition": content_key(name, overrides),
            "environments": environments.entries,
            "sources": sources.entries,
            "configurations": configurations.entries,
        }
    )
    yield from lines


class _Numbered:
    """Entries of which equal ones are kept once, by their numbers."""

    def __init__(self) -> None:
        self.entries: list[Any] = []

    def number(self, entry: Any) -> int:
        """The number of an entry."""
        if entry not in self.entries:
            self.entries.append(entry)
        return self.entries.index(entry)


def _cut(cell: Cell) -> Cell:
    """A cell with its numbers in ``DIGITS``, without its runs."""
    value, lo, hi = (_rounded(number, DIGITS) for number in (cell.value, cell.lo, cell.hi))
    return cell._replace(value=value, lo=lo, hi=hi, runs=())


def _rounded(number: float, digits: int) -> float:
    return float(f"{number:.{digits}g}")


def _number(kept: float | None) -> float:
    return math.nan if kept is None else kept


def _four(summary: Summary) -> list[Any]:
    """Value, lower and upper end, and number of users of a run's metric."""
    ends = (_rounded(end, _ENDS) for end in (summary.lo, summary.hi))
    return list(plain([_rounded(summary.value, _MORE_DIGITS), *ends, summary.n]))


def _summary(value: float | None, lo: float | None, hi: float | None, n: int) -> Summary:
    return Summary(_number(value), _number(lo), _number(hi), n)


def _without_defaults(cell: Cell) -> dict[str, Any]:
    usual = {name: value for name, value in Cell._field_defaults.items() if name != "uses_mar_data"}
    return {name: value for name, value in plain_cell(cell).items() if getattr(cell, name) != usual.get(name, ...)}


def _cell(kept: Mapping[str, Any]) -> Cell:
    """The cell that was kept: lists as tuples, an end that is not known as NaN."""
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()}
    fields.pop("checksum", None)
    fields |= {name: _number(fields[name]) for name in ("value", "lo", "hi")}
    return Cell(**fields)


def _sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content with a checksum of it."""
    return {**content, "checksum": _checksum(content)}


def _whole(content: Mapping[str, Any]) -> bool:
    """Whether a sealed content is as it was written."""
    rest = {name: value for name, value in content.items() if name != "checksum"}
    return content.get("checksum") == _checksum(rest)


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain(content), sort_keys=True).encode()).hexdigest()[:12]

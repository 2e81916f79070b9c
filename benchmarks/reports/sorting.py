"""The order of the rows of a table of results, and how many are shown."""

from contextlib import suppress

from upliftlens.benchmarks.reports.sheet import Row, Sheet
from upliftlens.causal.errors import UpliftlensError, unknown


def sorted_rows(sheet: Sheet, by: str | None, top: int | None) -> Sheet:
    """The ``top`` rows of a sheet, sorted ``by`` one of its metrics, the best first, or by one of its columns.

    A row without the value comes last. None: as they are, all of them.

    Raises:
        UpliftlensError: for a name that is neither, or ``top`` below 1.
    """
    if top is not None and top < 1:
        raise UpliftlensError(f"top={top}: ask for at least one row")
    rows = list(sheet.rows)
    if by is not None:
        from upliftlens.benchmarks.metrics.registry import choose, in_full  # slow to load, and few tables are sorted

        metric = by
        with suppress(UpliftlensError):  # a column, or a name that is refused below
            metric = in_full(by)
        if metric in sheet.metrics:
            sign = -1 if choose(metric).metric.higher_is_better else 1
            rows.sort(key=lambda row: _place(row, metric, sign))
        elif by in sheet.columns:
            rows.sort(key=lambda row: _natural(row.cells.get(by)))
        else:
            raise unknown("metric or column to sort by", by, [*sheet.metrics, *sheet.columns])
    return sheet._replace(rows=rows[:top])


def doubts(sheet: Sheet, by: str | None) -> list[str]:
    """A sentence where rows are sorted by a metric that is weighted by propensities of different kinds."""
    kinds = sorted({cell for row in sheet.rows if (cell := row.cells.get("propensity")) is not None})
    if by is None or by not in sheet.metrics or len(kinds) < 2:
        return []
    from upliftlens.benchmarks.metrics.registry import is_weighted

    if not is_weighted(by):
        return []
    return [
        f"{by} is weighted by the propensities of {', '.join(kinds)}: rows of different ones estimate different things"
    ]


def _place(row: Row, metric: str, sign: int) -> tuple[bool, float]:
    value = row.metrics[metric].value if metric in row.metrics else float("nan")
    return value != value, sign * value if value == value else 0.0


def _natural(cell: str | None) -> tuple[bool, bool, float, str]:
    """Numbers by their value, then text, then nothing."""
    try:
        return cell is None, False, float(cell or ""), ""
    except ValueError:
        return cell is None, True, 0.0, cell or ""

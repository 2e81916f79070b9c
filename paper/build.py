"""Builds the paper: figures and main.pdf, from the committed tables alone. ``--check``: whether they are up to date.

    python -m upliftlens.paper.build [--check]

Needs the extra ``paper`` (typst). The same tables give the same bytes: no date, no font of the machine is used.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from upliftlens.benchmarks.reports.drawing import ForestRow, Line, forest_plot, panel_plot, save, scatter_plot
from upliftlens.benchmarks.tables.ledger import NOT_RUN, ledger
from upliftlens.benchmarks.tables.published import NOT_COMPARABLE, published
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.intervals import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
FORMATS = (".svg", ".png")
CHECKSUMS = "checksums.txt"

Cells = Mapping[tuple[str, str], Mapping[str, object]]


def main() -> int:
    """Builds, or checks, and says what was done; 1 if something is not up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="build elsewhere and compare with what is committed")
    if not parser.parse_args().check:
        for path in build(FOLDER):
            print(path.relative_to(ROOT))
        return 0
    if changed := _changed((FOLDER / CHECKSUMS).read_text()):
        print("\n".join(changed), file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        stale = [
            path.relative_to(folder)
            for path in build(Path(folder))
            if not (FOLDER / path.relative_to(folder)).is_file()
            or (FOLDER / path.relative_to(folder)).read_bytes() != path.read_bytes()
        ]
    if not stale:
        print("paper/main.pdf and its figures are what the committed tables give")
    for path in stale:
        print(f"paper/{path} is not what the tables give: run `make paper` and commit it", file=sys.stderr)
    return int(bool(stale))


def build(folder: Path) -> list[Path]:
    """Writes the figures and main.pdf into ``folder``; their paths.

    Raises:
        UpliftlensError: if typst is not installed, or a table lacks a number that the paper states.
    """
    written = []
    for name, figure in FIGURES.items():
        drawn = figure()
        for form in FORMATS:
            save(drawn, path := folder / "figures" / f"{name}{form}")
            written.append(path)
    sums = folder / CHECKSUMS
    sums.write_text("".join(f"{digest}  {name}\n" for name, digest in _digests().items()))
    return [*written, _compiled(folder / "main.pdf"), sums]


def _digests() -> dict[str, str]:
    """The sha256 of each file that the paper is made of: tables, their definitions, the published numbers, the text."""
    tables = [*sorted((ROOT / "results").glob("*.*")), *sorted((ROOT / "configs/table").glob("*.yaml"))]
    made_of = [*tables, *sorted(FOLDER.glob("*.typ")), FOLDER / "published.yaml"]
    return {
        str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in made_of
        if path.suffix in (".json", ".md", ".jsonl", ".typ", ".yaml") and path.name != "README.md"
    }


def _changed(written: str) -> list[str]:
    """A sentence for each file that is not the one that the committed paper was made of."""
    before = {name: digest for digest, name in (line.split() for line in written.splitlines())}
    now = _digests()
    return [
        f"{name} is {'missing' if name not in now else 'new' if name not in before else 'changed'} since the paper was "
        "made: `upliftlens table --check` and `upliftlens ledger --check` say where; if that is meant, run `make paper`"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


def _compiled(path: Path) -> Path:
    try:
        import typst
    except ImportError:
        raise UpliftlensError("the paper needs typst: pip install -c constraints.txt -e '.[paper]'") from None
    lines = ledger(published())
    counts = Counter(line.verdict for line in lines)
    summary = {
        "total": len(lines),
        "sources": len({line.part.source for line in lines}),
        "targets": sum(n for word, n in counts.items() if word not in (NOT_RUN, NOT_COMPARABLE)),
        "counts": counts,
    }
    try:
        typst.compile(
            str(FOLDER / "main.typ"),
            output=str(path),
            root=str(ROOT),
            ignore_system_fonts=True,
            sys_inputs={"ledger": json.dumps(summary)},
            timestamp=0,
        )
    except typst.TypstError as error:
        raise UpliftlensError(f"paper/main.typ: {error}") from None
    return path


def cells(table: str) -> Cells:
    """The cells of a committed table by row and column."""
    content = json.loads((ROOT / "results" / f"{table}.json").read_text())
    return {(cell["row"], cell["column"]): cell for cell in content}


def _three(cell: Mapping[str, object]) -> tuple[float, float, float]:
    return tuple(float("nan") if cell[name] is None else float(cell[name]) for name in ("value", "lo", "hi"))  # type: ignore


def coat() -> "Figure":
    """Differences from the backbone's own naive training, by metric."""
    return forest_plot(
        list(_differences()), "Coat, trained on ratings: difference from own naive", "difference", overall=False
    )


def _differences() -> Iterator[ForestRow]:
    nan = float("nan")
    for column, title in (("auc", "AUC (higher is better)"), ("mse", "squared error (lower is better)")):
        yield ForestRow(title, nan, nan, nan, nan, False)
        for (row, name), cell in cells("coat").items():
            if name == f"{column} vs own naive" and not row.startswith("overlap-dropped/"):
                differs = str(cell["verdict"]).startswith(("better", "worse"))
                yield ForestRow(row, *_three(cell), nan, differs)


def uplift() -> "Figure":
    """Accuracy against the true effect."""
    at = cells("uplift-ml-100k")
    rows = ["oracle", "t-learner", "dr-learner", "cubn-o", "dlce", "random", "popularity", "logged-propensity"]
    rows += [f"{model}-by-{metric}" for model in ("bpr", "ials", "ease", "item-knn") for metric in ("ndcg", "uplift")]
    points = {row: [Summary(*_three(at[row, name]), 0) for name in ("recall@10", "cp@10")] for row in rows}
    return scatter_plot(points, "Semi-synthetic ML-100K world", "recall@10", "cp@10: mean true effect of the top ten")


def robustness() -> "Figure":
    """Errors of estimators as their assumptions fail, a panel per assumption."""
    at, panels = cells("robustness"), {}
    names = list(dict.fromkeys(name for _, name in at if "/" not in name and " vs " not in name))
    for knob in dict.fromkeys(row.partition("=")[0] for row, _ in at):
        values = [row for row in dict.fromkeys(row for row, _ in at) if row.startswith(f"{knob}=")]
        x = np.array([float(row.partition("=")[2]) for row in values])
        lines = [(name, np.array([_three(at[row, name]) for row in values]).T) for name in names]
        panels[f"{knob}: how wrong"] = [
            Line(name, x, line[0], place, *line[1:]) for place, (name, line) in enumerate(lines)
        ]
    return panel_plot(panels, "Errors relative to the true risk", "RMSE / truth")


FIGURES: Mapping[str, Callable[[], "Figure"]] = {"coat": coat, "uplift": uplift, "robustness": robustness}

if __name__ == "__main__":
    try:
        sys.exit(main())
    except UpliftlensError as error:
        sys.exit(f"error: {error}")

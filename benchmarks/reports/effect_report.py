"""A study of effects as a table, and as a forest plot."""

from math import nan
from pathlib import Path

from upliftlens.benchmarks.reports.comparison import rounded_p
from upliftlens.benchmarks.reports.drawing import ForestRow, forest_plot, save
from upliftlens.benchmarks.reports.effects import Study
from upliftlens.benchmarks.reports.sheet import Row, Sheet
from upliftlens.benchmarks.runs.records import Summary
from upliftlens.causal.effects.heterogeneity import Estimate

EXPLAINED = (
    "effect: what recommending changes in the outcome's mean. difference: a level's effect − the overall effect. p: "
    "how often chance alone would make it as large; p/holm, p/bh: corrected for the number of tests."
)


def sheet(study: Study) -> Sheet:
    """A row for the overall effect, for each feature (do its levels differ?), and each level (against the overall)."""
    corrected = "p" if study.options.correction == "none" else f"p/{study.options.correction}"
    rows = [
        Row(
            {"feature": "all", "level": "overall; p: of no effect", "rows": f"{study.rows}"},
            _cells(study.overall, None, study.true, study.overall.p, nan, corrected),
        )
    ]
    for feature in study.features:
        question, p_values = "no test possible", {}
        if (test := feature.test).p == test.p:
            question = f"differ? F({test.df1:.0f}, {test.df2:.0f}) = {test.statistic:.2f}"
            p_values = {"p": _alone(test.p), corrected: _alone(feature.p)}
        rows.append(Row({"feature": feature.name, "level": question}, p_values))
        for level in feature.levels:
            cells = _cells(level.effect, level.difference, level.true, level.difference.p, level.p, corrected)
            rows.append(Row({"feature": feature.name, "level": level.name, "rows": f"{level.rows}"}, cells))
    metrics = ["effect", *(["true"] if study.true == study.true else []), "difference", "p"]
    return Sheet(["feature", "level", "rows"], metrics if corrected == "p" else [*metrics, corrected], rows)


def forest(study: Study, path: Path) -> None:
    """The forest plot of a study: effects with intervals, true effects if known, and a mark for levels that differ.

    Raises:
        UpliftlensError: if the file can't be written.
    """
    rows = [ForestRow("overall", study.overall.value, study.overall.lo, study.overall.hi, study.true, False)]
    alarm = 1 - study.options.level
    for feature in study.features:
        mark = f"p = {rounded_p(feature.p, study.options.level)}" if feature.p == feature.p else "no test"
        rows.append(ForestRow(f"{feature.name} ({mark})", nan, nan, nan, nan, False))
        rows += [
            ForestRow(
                f"  {level.name}", level.effect.value, level.effect.lo, level.effect.hi, level.true, level.p <= alarm
            )
            for level in feature.levels
        ]
    title = f"Effect of recommending on {study.data} ({study.options.estimator}, {study.options.level:.0%} intervals)"
    save(forest_plot(rows, title, "change in the outcome's mean"), path)


def _cells(
    effect: Estimate, difference: Estimate | None, true: float, p: float, p_corrected: float, name: str
) -> dict[str, Summary]:
    cells = {"effect": Summary(effect.value, effect.lo, effect.hi, effect.n), "true": _alone(true), "p": _alone(p)}
    if difference is not None:
        cells["difference"] = Summary(difference.value, difference.lo, difference.hi, difference.n)
    if p_corrected == p_corrected:
        cells[name] = _alone(p_corrected)
    return cells


def _alone(value: float) -> Summary:
    return Summary(value, nan, nan, 0)

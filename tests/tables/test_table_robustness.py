"""The robustness table: its numbers against a plain second computation, its intervals, its figure."""

import itertools
import re

import numpy as np
import pytest
from test_tables import options

from upliftlens.benchmarks.data import configure
from upliftlens.benchmarks.reports.comparison import bounds
from upliftlens.benchmarks.tables import table as tables
from upliftlens.benchmarks.tables.kinds.robustness import (
    _replicated,
    _rmse,
    beside_the_least,
    relative_errors,
    remarks,
    robustness_cells,
)
from upliftlens.benchmarks.tables.table import Where
from upliftlens.benchmarks.tables.written import rendered
from upliftlens.benchmarks.worlds.grid import world_of
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.intervals import Resampling, holm
from upliftlens.causal.worlds.grid import Knobs, capacity_of, observed_rows

SMALL = {
    **tables.definition("robustness"), "world": ["data.n_users=60", "data.density=0.1"],
    "draws": 12, "figure": ["svg"], "knobs": {"propensity": [0.0, 1.0]},
    "interval": {"level": 0.95, "resamples": 600, "seed": 0},
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder, said = tmp_path_factory.mktemp("robustness"), []
    return folder, said, robustness_cells(options(SMALL), Where(folder, folder, said.append))


def test_the_estimators_errors_are_those_of_a_plain_computation():
    world = world_of(configure("grid", SMALL["world"]), Knobs(0.5, 0.5, 0.0))
    names = ("naive", "ips", "snips", "clipped_ips", "eib", "dr", "sndr")
    result = relative_errors(world, names, 5, 0.05, seed=7)
    stream, true = np.random.default_rng([7, 1]), world.loss.mean()
    for draw in range(5):
        rows, weight = observed_rows(world.exposure, stream, capacity_of(world.exposure))
        o = rows[weight > 0]
        e, p, g, n = world.loss[o], world.propensity[o], world.imputed[o], len(world.loss)
        mean = world.imputed.mean()
        expected = [
            e.mean(), (e / p).sum() / n, (e / p).sum() / (1 / p).sum(), (e / np.maximum(p, 0.05)).sum() / n,
            mean + (e - g).sum() / n, mean + ((e - g) / p).sum() / n, mean + ((e - g) / p).sum() / (1 / p).sum(),
        ]  # fmt: skip
        np.testing.assert_allclose(result[:, draw], np.array(expected) / true - 1, rtol=1e-4, atol=1e-6)


def test_cells_cover_every_knob_value_and_estimator(made):
    folder, said, cells = made
    assert len(cells) == 2 * 2 * (len(SMALL["estimators"]) + len(SMALL["compared"]))
    at = {(cell.row, cell.column): cell for cell in cells}
    for cell in cells:
        assert cell.lo <= cell.value <= cell.hi
        if not cell.column.startswith("bias/") and " vs " not in cell.column:
            assert abs(at[cell.row, f"bias/{cell.column}"].value) <= cell.value + 1e-12
    flat = [at["propensity=1", name].value for name in ("naive", "ips", "snips")]
    assert flat[2] == pytest.approx(flat[0], rel=1e-5), "constant propensities make SNIPS naive"
    assert at["propensity=0", "ips"].value < flat[0]
    assert (folder / "tables" / "robustness.svg").read_text().startswith("<?xml")
    assert any("robustness.svg" in line for line in said)


def test_remarks_name_the_least_error_of_each_row(made):
    _, _, cells = made
    said = [*remarks(options(SMALL), cells), *tables.paired_remarks(cells)]
    assert [item.partition(":")[0] for item in said[:2]] == ["propensity=0", "propensity=1"]
    assert any(item.startswith("bias/dr vs eib: better: propensity=0") for item in said[2:])
    of_column = [item.rpartition(": ")[2] for item in said[2:] if item.startswith("bias/dr vs eib:")]
    rows = [row for listed in of_column for row in listed.rstrip(".").split(", ")]
    assert sorted(rows) == ["propensity=0", "propensity=1"], "each row has one verdict"
    for item in said[:2]:
        row, _, words = item.partition(": ")
        best = min((c for c in cells if c.row == row and c.column in SMALL["estimators"]), key=lambda c: c.value)
        assert words.startswith(f"least error {best.column}")
        near = [c.column for c in cells if c.row == row and re.match("undecided|equal", c.verdict)]
        near = [name for name in near if name in SMALL["estimators"]]
        assert words == f"least error {best.column}{', not told apart from ' * bool(near)}{', '.join(near)}."
    assert "paired over the draws; p is corrected for the 28 pairs" in said[2]
    text = rendered(tables.Table("T", cells, said, 0.95), "md")
    assert said[0] in text


def test_p_values_are_corrected_for_the_rows_of_a_column(made):
    _, _, cells = made
    names, n = ["dr", "ips"], SMALL["draws"]
    drawn = np.random.default_rng(0).integers(n, size=(600, n))
    raw = []
    for shift in SMALL["knobs"]["propensity"]:
        world = world_of(configure("grid", SMALL["world"]), Knobs(shift, 0.5, 0.0))
        off = relative_errors(world, names, n, SMALL["floor"], SMALL["seed"]) ** 2
        gap = np.sqrt(off.mean(axis=1))
        moved = np.sqrt(off[:, drawn].mean(axis=2))
        difference, replicated = gap[0] - gap[1], moved[0] - moved[1]
        raw.append((1 + (abs(replicated - difference) >= abs(difference) - 1e-12).sum()) / 601)
    least = int(np.argmin(raw))
    holm = {least: min(1, 2 * raw[least]), 1 - least: max(2 * raw[least], raw[1 - least])}
    said = [cell.verdict for cell in cells if cell.column == "dr vs ips"]
    assert [re.search(rf"\(p [=≤] {holm[row]:.2g}\)", words) is not None for row, words in enumerate(said)] == [
        True,
        True,
    ], (said, raw)


def test_errors_are_told_from_the_least_by_their_paired_differences_corrected_for_all_pairs_of_the_row():
    """Two estimators that share their luck: far apart when paired, though their intervals overlap."""
    resampling = Resampling(0.95, 1000, 0)
    luck = np.random.default_rng(0).exponential(size=200)
    errors = {"a": luck, "b": luck + 0.02, "c": luck + 1e-9, "d": 0.1 + np.random.default_rng(1).exponential(size=200)}
    sides = {name: _replicated(error, _rmse, resampling) for name, error in errors.items()}
    intervals = {name: bounds(side, resampling) for name, side in sides.items()}
    assert intervals["b"][0] < intervals["a"][1], "the intervals overlap"
    said = beside_the_least(sides, resampling)
    drawn = np.random.default_rng(0).integers(200, size=(1000, 200))
    value, moved = {}, {}
    for name, error in errors.items():
        value[name], moved[name] = np.sqrt((error**2).mean()), np.sqrt((error[drawn] ** 2).mean(axis=1))
    raw = []
    for first, second in itertools.combinations(errors, 2):
        gap = value[first] - value[second]
        far = abs(moved[first] - moved[second] - gap) >= abs(gap) - 1e-12
        raw.append((1 + far.sum()) / 1001)
    corrected = dict(zip(itertools.combinations(errors, 2), holm(raw), strict=True))
    assert said == {
        "a": "least",
        "b": f"more (p ≤ {corrected['a', 'b']:.2g})",
        "c": "equal up to rounding",
        "d": f"undecided (p = {corrected['a', 'd']:.2g})",
    }
    with pytest.raises(UpliftlensError, match=r"6 comparisons .* raise interval\.resamples"):
        beside_the_least(sides, Resampling(0.95, 100, 0))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"estimators": ["naive", "ipss"]}, "did you mean 'ips'"),
        ({"knobs": {"propensty": [0.0]}}, "did you mean 'propensity'"),
        ({"world": ["data.density=0.9"]}, "can't be reached"),
        ({"compared": [["dr", "ipss"]]}, "did you mean 'ips'"),
        ({"compared": [["dr", "ips", "eib"]]}, r"compared\[0\] takes 2 values"),
        ({"compared": [["dr", "dr"]]}, r"compared\[0\] lists dr more than once"),
        ({"compared": [["dr", "ips"], ["dr", "ips"]]}, "compared lists .* more than once"),
        ({"compared": [["dr", "eib"]], "estimators": ["dr", "ips"]}, "unknown compared estimator 'eib'"),
        ({"base": {"propensity": 0.0, "imputation": 0.5, "confoundng": 0.0}}, "did you mean 'confounding'"),
        ({"knobs": {"propensity": [3.0]}}, r"knobs.propensity must lie in \[0, 2\], got 3.0"),
        ({"base": {**SMALL["base"], "confounding": -1}}, "base.confounding must be at least 0, got -1.0"),
        ({"base": {"propensity": 0.0}}, "base.imputation is missing"),
        ({"knobs": {"propensity": []}}, "knobs.propensity is empty"),
        ({"knobs": {"propensity": [0.5, 0.5000000001]}}, "differ in six digits"),
        ({"figure": ["pngg"]}, r"unknown figure\[0\] 'pngg': did you mean 'png'"),
        ({"world": ["data=coat"]}, "changes of data=grid"),
    ],
)
def test_bad_definitions_are_refused(tmp_path, change, sentence):
    with pytest.raises(UpliftlensError, match=sentence):
        robustness_cells(options({**SMALL, **change}), Where(tmp_path, tmp_path, print))


def test_double_robustness_pays_and_loses_in_the_shipped_table_and_its_intervals_say_so(tmp_path):
    content = {**tables.definition("robustness"), "figure": []}
    content = options({**content, "knobs": {"imputation": [0.0, 0.25, 1.0], "propensity": [2.0]}})
    at = {(cell.row, cell.column): cell for cell in robustness_cells(content, Where(tmp_path, tmp_path, print))}
    for name in ("dr", "eib"):
        assert at["imputation=0", name].hi < 1e-5, "the true imputation: DR and EIB are the truth"
    (said,) = [remark for remark in remarks(content, list(at.values())) if remark.startswith("imputation=0:")]
    assert all(name in said for name in ("eib", "dr", "sndr", "stable_dr")), "1e-7 and 0 are one number here"
    neither = "undecided: neither can be told from 0"
    assert at["imputation=0", "bias/dr vs ips"].verdict == neither, "true propensities and the true imputation"
    assert at["imputation=0.25", "dr vs ips"].hi < 0 and at["imputation=0.25", "bias/dr vs eib"].hi < 0
    assert at["imputation=0.25", "dr vs ips"].verdict.startswith("better (p ")
    assert at["imputation=1", "dr vs ips"].lo > 0, "an imputation from the log alone: DR loses to IPS with the true p"
    assert at["propensity=2", "dr vs ips"].lo > 0 and at["propensity=2", "dr vs eib"].lo > 0, "both wrong"
    assert at["propensity=2", "dr vs eib"].verdict.startswith("worse (p ")

"""The reliability plot shows each bin: mean prediction, share of positives, interval, count, as runs keep them."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from shell import records

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.evaluation.evaluation import from_arrays
from upliftlens.benchmarks.reports.drawing import Reliability, reliability_plot
from upliftlens.benchmarks.reports.figures import figure
from upliftlens.benchmarks.runs.store import Store, list_records, load_per_user
from upliftlens.causal.intervals import Resampling

WORDS = (
    *("data=synthetic", "data.n_users=40", "data.n_items=30", "data.ratings_per_user=8", "data.test_per_user=10"),
    *("split=given", "loss=logistic", "train.epochs=2", "metrics.interval.resamples=50", "progress=false"),
)
ASKED = "metrics.names=[logloss,ece,ece/squared]"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("reliability") / "runs"
    words = ["sweep", *WORDS, ASKED, "metrics.calibration.bins=4", f"store={path}", f"cache={path}/cache"]
    assert main([*words, "model=mf", "seed=0,1"]) == 0
    return path


def test_every_bin_is_where_its_pairs_are(store):
    kept = [load_per_user(Store(store), record) for record in list_records(Store(store)).records]
    drawn: Figure = figure(
        "reliability", {"m": [from_arrays(arrays, {}) for arrays in kept]}, "", "", Resampling(0.9, 40, 0)
    )
    upper, lower = drawn.axes
    diagonal, points = upper.lines[0], upper.containers[0]
    assert diagonal.get_xdata().tolist() == diagonal.get_ydata().tolist() == [0, 1]
    sums = [np.split(arrays["ece"].sum(axis=0), 3) for arrays in kept]
    predicted, share, count = (
        np.mean(each, axis=0) for each in zip(*((p / n, y / n, n) for n, p, y in sums), strict=True)
    )
    np.testing.assert_allclose(points.lines[0].get_xdata(), predicted)
    np.testing.assert_allclose(points.lines[0].get_ydata(), share)
    np.testing.assert_allclose(lower.lines[0].get_ydata(), count)
    assert count.sum() == 400 and len(count) == 4
    ends = np.array([segment[:, 1] for segment in points.lines[2][0].get_segments()])
    assert (ends[:, 0] < share).all() and (share < ends[:, 1]).all()


def test_an_interval_that_leaves_out_its_point_has_no_bar_beyond_it():
    at = np.array([0.2, 0.6, 0.9])
    curve = Reliability(at, at, np.array([0.3, 0.1, 0.8]), np.array([0.5, 0.4, 1.0]), np.full(3, 9.0))
    bars = reliability_plot({"m": curve}, "").axes[0].containers[0].lines[2][0]
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends, [[0.2, 0.5], [0.1, 0.6], [0.8, 1.0]])


def test_the_verb_and_what_it_refuses(store, tmp_path, capsys):
    words = ["plot", "reliability", "--store", str(store), "--out", str(tmp_path / "f.svg")]
    assert main(words) == 0 and "share of positive pairs" in (tmp_path / "f.svg").read_text()
    (bins,) = {record["config"]["metrics"]["calibration"]["bins"] for record in records(store)}
    assert bins == 4
    more = [*WORDS[:6], f"store={store}", f"cache={store}/cache", "progress=false"]
    assert main(["run", *more, "model=additive", "metrics.names=[rmse,ece]"]) == 0
    capsys.readouterr()
    assert main([*words, "additive"]) == 1
    assert "a run has no ece: ece is for methods that predict a probability" in " ".join(
        capsys.readouterr().err.split()
    )


def test_only_runs_with_these_metrics_have_the_bins_in_their_key(store, tmp_path, capsys):
    before = len(records(store))
    more = ["run", *WORDS, f"store={store}", f"cache={store}/cache", "model=mf", "seed=0"]
    assert main([*more, "metrics.names=[logloss]", "metrics.calibration.bins=4"]) == 0
    assert main([*more, "metrics.names=[logloss]", "metrics.calibration.bins=7"]) == 0
    assert len(records(store)) == before + 1, "log loss reads no bins"
    assert main([*more, ASKED, "metrics.calibration.bins=7"]) == 0
    assert len(records(store)) == before + 2
    assert main([*more, ASKED, "metrics.calibration.binning=equal-mas"]) == 1
    assert "did you mean 'equal-mass'" in capsys.readouterr().err
    drawn = ["plot", "reliability", "mf", "--store", str(store), "--out", str(tmp_path / "f.svg")]
    assert main(drawn) == 1
    where = "metrics.calibration.bins=7 metrics.calibration.binning=equal-mass"
    assert f"different bins: choose them, e.g. --where {where}" in " ".join(capsys.readouterr().err.split())
    assert main([*more, "metrics.names=[brier]", "metrics.calibration.bins=7"]) == 0
    assert main([*drawn, "--where", *where.split()]) == 0, "a fit that was measured without ece, too, is that with it"

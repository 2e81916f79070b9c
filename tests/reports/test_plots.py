"""Figures show the numbers they are given: read back from the drawn artists. Files, and the verb, on a tiny world."""

import builtins
import shutil
from math import nan

import numpy as np
import pytest
from shell import records

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.evaluation.evaluation import from_arrays
from upliftlens.benchmarks.reports.drawing import ForestRow, Line, forest_plot, line_plot, save, scatter_plot
from upliftlens.benchmarks.reports.figures import figure, overlap_figure
from upliftlens.benchmarks.runs.store import Store, list_records, load_per_user
from upliftlens.causal.effects import qini
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.intervals import Resampling, Summary

WORLD = (
    *("data=uplift-synthetic", "data.n_users=60", "data.n_items=40", "data.per_user=8", "split=draws"),
    *("metrics=uplift", "metrics.names=[auuc,auuc/true,cp@10,ndcg@10]", "metrics.interval.resamples=50"),
    "progress=false",
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("plots") / "runs"
    assert main(["sweep", *WORLD, "model=oracle,random", "seed=0,1", f"store={path}", f"cache={path}/cache"]) == 0
    return path


def evaluations(store, model):
    result = []
    for record in list_records(Store(store)).records:
        if record.model == model:
            arrays = load_per_user(Store(store), record)
            result.append(from_arrays(arrays, {}))
    return result


def test_a_forest_plot_has_every_interval_and_marks_what_differs():
    rows = [
        ForestRow("overall", 0.1, 0.05, 0.15, nan, False),
        ForestRow("age", nan, nan, nan, nan, False),
        ForestRow("old", 0.3, 0.2, 0.4, 0.28, True),
    ]
    (axes,) = forest_plot(rows, "title", "effect").axes
    assert [yticklabel.get_text() for yticklabel in axes.get_yticklabels()] == ["overall", "age", "old"]
    bars = {
        label: [tuple(map(tuple, item.get_segments()[0])) for item in container[2]]
        for container, label in ((c, c.get_label()) for c in axes.containers)
    }
    assert bars["differs (corrected)"] == [((pytest.approx(0.2), 2.0), (pytest.approx(0.4), 2.0))]
    assert bars["no difference shown"] == [((pytest.approx(0.05), 0.0), (pytest.approx(0.15), 0.0))]
    (cross,) = [line for line in axes.lines if line.get_label() == "true effect"]
    assert (cross.get_xdata()[0], cross.get_ydata()[0]) == (0.28, 2)
    assert axes.get_xlabel() == "effect" and axes.get_title() == "title"


def test_lines_have_bands_and_points_have_intervals():
    x = np.array([0.0, 1.0])
    (axes,) = line_plot([Line("a", x, x, 0, x - 1, x + 1), Line("b", x, 2 * x, 0, reference=True)], "t", "x", "y").axes
    assert [line.get_linestyle() for line in axes.lines[:2]] == ["-", ":"] and len(axes.collections) == 1
    assert axes.lines[1].get_ydata().tolist() == [0.0, 2.0]
    (axes,) = scatter_plot({"m": (Summary(0.2, 0.1, 0.3, 9), Summary(0.1, nan, nan, 1))}, "t", "x", "y").axes
    (container,) = axes.containers
    assert container.has_xerr and not container.has_yerr
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["m"]
    many = {f"m{place}": [Summary(place, nan, nan, 1)] * 2 for place in range(20)}
    (axes,) = scatter_plot(many, "t", "x", "y").axes
    looks = {
        (this_container.lines[0].get_color(), this_container.lines[0].get_marker())
        for this_container in axes.containers
    }
    assert len(looks) == 20, "every method looks like itself"


def totals(run):
    return np.asarray(run.statistics["auuc"].sums).sum(axis=0)[:, None]


def test_curves_end_at_the_overall_effect_and_stand_beside_the_truth(store):
    contenders = {name: evaluations(store, name) for name in ("oracle", "random")}
    interval = Resampling(0.95, 40, 0)
    (axes,) = figure("uplift", contenders, "", "", interval).axes
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in axes.lines}
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["oracle", "random", "the truth"], "one entry for all dotted lines"
    true = [
        np.asarray(line.get_ydata()) for line in axes.lines if line.get_linestyle() == ":" and len(line.get_ydata())
    ]
    expected = np.mean([qini.uplift_curves(totals(run))[1] for run in contenders["random"]], axis=0)
    assert lines["random"] == pytest.approx(expected[:, 0])
    assert len(true) == 2 and true[0].max() > true[1].max()
    assert len(axes.collections) == 2
    (axes,) = figure("qini", contenders, "", "", interval).axes
    last = [qini.qini_curves(totals(run))[1][-1, 0] for run in contenders["oracle"]]
    assert axes.lines[0].get_ydata()[-1] == pytest.approx(np.mean(last) / 60)


def test_the_verb_draws_what_the_store_holds(store, tmp_path, capsys):
    words = ["--store", str(store), "--out"]
    for kind in ("uplift", "qini", "scatter"):
        assert main(["plot", kind, *words, str(tmp_path / f"{kind}.png"), "--y", "cp@10"]) == 0
        assert (tmp_path / f"{kind}.png").read_bytes()[:4] == b"\x89PNG"
    assert main(["plot", "scatter", "oracle", "random", *words, str(tmp_path / "s.svg"), "--y", "cp@10"]) == 0
    assert "cp@10 against ndcg@10" in (tmp_path / "s.svg").read_text()
    oracle = {"o": evaluations(store, "oracle")[:1]}
    drawn = figure("scatter", oracle, "ndcg@10", "cp@10", Resampling(0.9, 20, 0)).axes[0].containers[0].lines[0]
    (value,) = {record["metrics"]["cp@10"]["value"] for record in records(store) if record["model"] == "oracle"}
    assert drawn.get_ydata()[0] == pytest.approx(value)
    capsys.readouterr()
    for bad, sentence in (
        (["scater", *words, "f.png"], "did you mean 'scatter'"),
        (["uplift", *words, "f.gif"], "a figure is written as .png"),
        (["uplift", "mfff", *words, "f.png"], "unknown method 'mfff'"),
        (["scatter", *words, "f.png", "--x", "rmse"], "a run has no rmse"),
        (["uplift", *words, "f.png", "--where", "seed=7"], "no finished run"),
    ):
        assert main(["plot", *bad]) == 1
        assert sentence in capsys.readouterr().err


def test_runs_of_two_logs_are_not_drawn_as_one(store, tmp_path, capsys):
    both = shutil.copytree(store, tmp_path / "both")
    assert main(["run", *WORLD, "data.draw=1", "model=random", f"store={both}", f"cache={both}/cache"]) == 0
    words = ["plot", "uplift", "random", "--store", str(both), "--out", str(tmp_path / "curves.png")]
    assert main(words) == 1
    assert "2 data sets" in capsys.readouterr().err and not (tmp_path / "curves.png").exists()
    assert main([*words, "--where", "data.draw=1"]) == 0


def test_the_overlap_of_propensities_is_drawn_from_the_records(tmp_path, capsys):
    out, words = (
        tmp_path / "runs",
        ["data.n_users=40", "data.n_items=30", "data.ratings_per_user=8", "data.test_per_user=10", "split=given"],
    )
    words = ["run", "data=synthetic", *words, "model=popularity", "progress=false", f"store={out}"]
    for name in ("naive_bayes", "popularity", "constant"):
        if name == "popularity":
            assert main(["plot", "overlap", "--store", str(out), "--out", str(tmp_path / "f.png")]) == 1
            assert "propensity that is known for all pairs" in " ".join(capsys.readouterr().err.split())
        assert main([*words, f"propensity={name}", "metrics.names=[recall@5]"]) == 0
    assert main(["plot", "overlap", "--store", str(out), "--out", str(tmp_path / "f.png")]) == 0
    assert (tmp_path / "f.png").read_bytes()[:4] == b"\x89PNG"
    stored = [
        this_record
        for this_record in list_records(Store(out)).records
        if this_record.diagnostics["propensity"]["overlap"]
    ]
    panels = overlap_figure(stored * 2).axes
    assert len(panels) == len(stored) == 2, "a propensity is drawn once"
    for axes, record in zip(panels, stored, strict=True):
        said = record.diagnostics["propensity"]
        assert said["name"] in axes.get_title() and said["verdict"] in axes.get_title()
        for patch, side in zip(axes.patches, ("all", "observed"), strict=True):
            counts = np.array(said["overlap"][side])
            np.testing.assert_allclose(patch.get_data().values, counts / counts.sum())
            np.testing.assert_allclose(patch.get_data().edges, said["overlap"]["edges"])


def test_files_and_a_missing_matplotlib_are_answered(tmp_path, monkeypatch):
    result = scatter_plot({}, "t", "x", "y")
    (tmp_path / "file").write_text("")
    with pytest.raises(UpliftlensError, match="name a file that can be written"):
        save(result, tmp_path / "file" / "f.png")
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UpliftlensError, match="pip install matplotlib"):
        scatter_plot({}, "t", "x", "y")

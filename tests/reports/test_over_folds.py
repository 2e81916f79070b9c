"""Results and comparisons over folds and seeds of real runs: the short names, what the words say, which runs count."""

import json

import numpy as np
import pytest

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.lab.lab import Lab
from upliftlens.benchmarks.reports.comparison import replicated
from upliftlens.benchmarks.reports.methods import evaluations
from upliftlens.benchmarks.runs.store import open_store
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.intervals import Resampling
from upliftlens.causal.over_runs import Source, bounds, pooled

SPEC = Resampling(0.95, 100, 0)
DATA = ["data=synthetic", "data.n_users=30", "data.n_items=40", "data.ratings_per_user=10", "data.test_per_user=5"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    store = tmp_path_factory.mktemp("folds")
    words = [
        *DATA,
        "train.epochs=2",
        "split.folds=3",
        "split.fold=0,1,2",
        "seed=0,1",
        "metrics.names=[rmse,coverage@5]",
    ]
    assert main(["sweep", *words, "model=mf,mlp", f"store={store}", "progress=false"]) == 0
    return store


def over(folder, *fields, metric="rmse"):
    return json.loads(str(Lab(folder).results("model=mf", metrics=[metric], over=fields).render("json")))


@pytest.mark.parametrize("metric", ["rmse", "coverage@5"])
def test_seed_and_fold_may_be_named_in_short(folder, metric):
    (row,) = over(folder, "seed", "split.fold", metric=metric)
    assert [row] == over(folder, "seed,fold", metric=metric) == over(folder, "fold", "seed", metric=metric)
    assert row["runs"] == "6"
    records = sorted(Lab(folder).records("model=mf").content, key=lambda run: (run.config["split"]["fold"], run.seed))
    runs = [run._replace(repetition=None) for run in evaluations(open_store(folder), records)]
    options = {name: records[0].config["metrics"]["interval"][name] for name in ("level", "resamples", "seed")}
    result, (fold, seed) = replicated(runs, metric, Resampling(**options)), np.divmod(np.arange(6), 2)
    leak = records[0].split["leak"]
    tested = leak["test"] / (leak["train"] + leak["validation"])
    assert tested == pytest.approx(1 / 2, abs=0.02)
    sources = [Source(fold, 1 / tested if metric == "coverage@5" else tested), Source(seed)]
    expected = np.clip(bounds(pooled(result.values, result.drawn, sources), options["level"]), 0, None)
    assert [source.shared for source in replicated(evaluations(open_store(folder), records), metric, SPEC).sources] == [
        pytest.approx(source.shared, rel=0.02) for source in sources
    ]
    limit = 1.0 if metric == "coverage@5" else np.inf
    shown = row["metrics"][metric]
    assert (shown["lo"], shown["hi"]) == pytest.approx(np.clip(expected, 0, limit), rel=0.02)


def test_the_legend_says_what_folds_share(folder, capsys):
    for fields, folds in ((["seed,fold"], True), (["seed"], False)):
        assert main(["results", f"--store={folder}", "--metrics", "rmse", "coverage@5", "--over", *fields]) == 0
        words = " ".join(capsys.readouterr().err.split())
        assert ("Folds share training rows" in words) == folds
        assert ("coverage@5 is of the trained models alone" in words) == folds
        assert ("Items are taken as they are" in words) == folds
        assert ("Items, training rows and split are taken as they are" in words) != folds
    assert main(["results", f"--store={folder}", "--over", "seed,flod"]) == 1
    assert "flod" in capsys.readouterr().err


def test_a_comparison_over_folds_says_so(folder, capsys):
    words = ["compare", "mf", "mlp", "--metric", "rmse", f"--store={folder}"]
    assert main([*words, "--format", "json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["folds"], content["about"]) == (3, "methods")
    assert main(words) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "This is about other users, seeds and training rows like these. With other items it may be" in text
    assert "Folds share training rows" in text
    assert main([*words, "--where", "split.fold=1"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "With other items, training rows or another split it may be different." in text
    assert "Folds share" not in text


def test_a_comparison_of_what_depends_on_the_model_alone_warns(folder, capsys):
    for where, said in (([], True), (["--where", "split.fold=0"], False)):
        assert main(["compare", "mf", "mlp", "--metric", "coverage@5", f"--store={folder}", *where]) == 0
        assert ("coverage@5 is of the trained models alone" in capsys.readouterr().out) == said


def test_other_options_of_a_split_are_no_folds(folder):
    with pytest.raises(UpliftlensError, match=r"--over split\.folds would average different ways to split"):
        Lab(folder).results(over="seed,split.folds")

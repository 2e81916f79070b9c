"""Which items are ranked in the test of a log of recommendations: new ones, or all, as Sato et al. (2020) rank them."""

import numpy as np
import pytest
from shell import records

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.config.compose import changed, composed, prepare_overrides
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.benchmarks.runs.prepare import prepare
from upliftlens.benchmarks.system.talk import quiet

WORLD = (
    *("data=uplift-synthetic", "data.n_users=60", "data.n_items=40", "data.per_user=8"),
    *("metrics.interval.resamples=50", "train.epochs=2", "progress=false"),
)
ALL = "metrics.uplift.candidates=all"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("candidates") / "runs"
    for words in ([], [ALL]):
        assert main(["sweep", *WORLD, "model=oracle,popularity", f"store={folder}", *words]) == 0
    return folder


def prepared(*changes):
    content = composed(prepare_overrides([*WORLD, "model=popularity"]), resolve=False)
    return prepare(plan(changed(content, changes)), quiet)


def test_all_ranks_every_item_and_new_those_that_were_not_taken(store):
    by_model = {
        (run["model"], run["config"]["metrics"]["uplift"]["candidates"]): run["metrics"] for run in records(store)
    }
    data = prepared().dataset
    tau, outcome = data.world.tau.astype(np.float64), data.log.value[: 60 * 40].reshape(60, 40)
    best = np.mean(-np.sort(-tau, axis=1)[:, :10])
    assert by_model["oracle", "all"]["cp@10"]["value"] == pytest.approx(best, abs=1e-6)
    assert by_model["oracle", "new"]["cp@10"]["value"] < best - 0.01
    first = np.argsort(-outcome.sum(axis=0), kind="stable")[:10]  # items of equal number may change places
    value = by_model["popularity", "all"]["cp@10"]["value"]
    assert value == pytest.approx(tau[:, first].mean(), abs=0.01)
    assert value != pytest.approx(by_model["popularity", "new"]["cp@10"]["value"], abs=0.01)


def test_candidates_change_no_fit():
    new, everything = prepared(), prepared(ALL)
    assert everything.fit_key == new.fit_key and everything.key != new.key
    assert prepared("trial=true", ALL).key == prepared("trial=true").key, "validation rows have the new ones anyway"


def test_both_rankings_of_a_fit_are_listed_and_never_mixed(store, capsys):
    assert main(["results", f"--store={store}", "--metrics", "cp@10", "--format", "csv"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert "metrics.uplift.candidates" in head and len(lines) == 4
    assert sum("all" in line.split(",") for line in lines) == 2
    words = ["compare", "oracle", "popularity", "--metric", "cp@10", f"--store={store}"]
    assert main(words) == 1
    said = "2 ways to split or measure, which must not be averaged: choose one, e.g. --where 'metrics.uplift."
    assert said + "candidates!=all'" in capsys.readouterr().err
    for condition in (ALL, "metrics.uplift.candidates!=all"):
        assert main([*words, "--where", condition]) == 0


def test_all_is_refused_where_an_item_can_not_be_taken_again(tmp_path, capsys):
    words = ["data=synthetic", "split=kfold", "metrics=uplift", "model=popularity", ALL, f"store={tmp_path}"]
    assert main(["run", *words]) == 1
    assert "synthetic does not say what was recommended: use metrics.uplift.candidates=new" in capsys.readouterr().err


REVIEWED = {
    "oracle": ((0.355, 0.282, 18.93), (0.353, 0.280, 21.32)),
    "random": ((0.078, 0.078, 14.64), (0.098, 0.098, 17.74)),
    "popularity": ((-0.268, -0.078, 12.19), (-0.092, 0.045, 16.94)),
    "logged_propensity": ((-0.475, -0.200, 10.92), (-0.386, -0.030, 15.87)),
    "cubn": ((0.296, 0.219, 17.29), (0.295, 0.219, 19.76)),
}
"""cp@10, cp@100, cdcg on ``uplift-ml-100k``, of all items and of new ones, as a reviewer found them on another log."""


@pytest.mark.slow
def test_the_numbers_of_both_rankings_are_those_of_a_review(tmp_path, cache, ml_100k):
    words = ["data=uplift-ml-100k", "metrics.names=[cp@10,cp@100,cdcg]", "metrics.interval.resamples=40"]
    words += [f"store={tmp_path}", f"cache={cache}", "progress=false", f"model={','.join(REVIEWED)}"]
    for candidates in ("all", "new"):
        assert main(["sweep", *words, f"metrics.uplift.candidates={candidates}"]) == 0
    for run in records(tmp_path):
        candidates = run["config"]["metrics"]["uplift"]["candidates"]
        expected = REVIEWED[run["model"]][candidates == "new"]
        # These two rank by the world alone; popularity on four logs has cp@10 from -.269 to -.259.
        of_log = candidates == "new" or run["model"] not in ("oracle", "logged_propensity")
        for (name, metric), value in zip(run["metrics"].items(), expected, strict=True):
            size = (0.03 if of_log else 0.006) if name == "cdcg" else (0.01 if of_log else 0.0006)
            assert metric["value"] == pytest.approx(value, abs=size), (run["model"], candidates, name)

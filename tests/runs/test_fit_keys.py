"""What a fit's key and its batches follow: every metric that may stop it, every row that its objective sums over."""

from types import SimpleNamespace

import pytest

from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.metrics import registry
from upliftlens.benchmarks.runs import feeding
from upliftlens.benchmarks.runs.failures import RunFailed
from upliftlens.benchmarks.runs.fit import _require
from upliftlens.benchmarks.runs.plan import fit_identity, plan
from upliftlens.benchmarks.runs.run import run
from upliftlens.benchmarks.system.talk import quiet
from upliftlens.causal.errors import UpliftlensError

MONITORS = ("rmse", "logloss", "rmse/snips", "logloss/snips", "ndcg@10", "uplift@10/snips")


def planned(*words: str):
    return plan(configured(["data=synthetic", "model=mf", "progress=false", *words]))


@pytest.mark.parametrize("monitor", MONITORS)
def test_a_new_version_of_any_metric_that_auto_may_stop_by_is_another_fit(monitor, monkeypatch):
    before, metrics = fit_identity(planned()), dict(registry.registry())
    name = monitor.replace("@10", "")
    metric = metrics[name].value
    metrics[name] = metrics[name]._replace(value=metric._replace(version=metric.version + 1))
    monkeypatch.setattr(registry, "registry", lambda: metrics)
    assert fit_identity(planned()) != before


@pytest.mark.parametrize("model", ["ease", "ials", "item_knn"])
def test_an_option_that_joined_later_is_in_a_key_only_where_it_changes_the_fit(model):
    before = fit_identity(planned(f"model={model}"))
    assert "history" not in before["options"] and "history" in planned(f"model={model}").config["model"]
    assert fit_identity(planned(f"model={model}", "model.history=graded"))["options"] == {
        **before["options"],
        "history": "graded",
    }


def test_graded_histories_of_implicit_data_are_refused():
    with pytest.raises(UpliftlensError, match=r"implicit has none: use model\.history=binary"):
        planned("data=uplift-synthetic", "model=ease", "model.history=graded")


@pytest.mark.parametrize("model", ["normal", "baseline", "knn_baseline", "nmf", "svd", "svdpp"])
def test_a_solver_of_ratings_refuses_implicit_data(model):
    with pytest.raises(UpliftlensError, match=f"model={model} learns from ratings, and .* none: use .* model=ials"):
        planned("data=uplift-synthetic", f"model={model}")
    unstated = SimpleNamespace(feedback="implicit")  # data of a plugin, whose configuration doesn't say it
    with pytest.raises(UpliftlensError, match=f"model={model} learns from ratings"):
        _require(planned(f"model={model}"), unstated)


def test_a_solver_of_ratings_is_selected_by_rmse_and_has_errors_and_ranks(tmp_path):
    world = ("data=synthetic", "data.ratings_per_user=8", "data.test_per_user=4", f"store={tmp_path}", "progress=false")
    record, _ = run(planned(*world, "model=baseline", "train.patience=2"), quiet)
    assert record.diagnostics["monitor"] == "rmse" and record.diagnostics["validation"] > 0
    assert {"rmse", "mae", "auc", "ndcg@10"} <= set(record.metrics) and "logloss" not in record.metrics
    assert record.metrics["rmse"].value < 1.5 and record.metrics["auc"].value > 0.5


@pytest.mark.parametrize(
    "words",
    [
        ("data=uplift-synthetic", "data.per_user=8", "split=draws", "metrics=uplift", "objective=ulrmf"),
        ("data=synthetic", "data.ratings_per_user=8", "data.test_per_user=4"),
    ],
)
def test_lbfgs_sees_every_row_at_every_step(words, tmp_path, monkeypatch):
    """A log of recommendations has many more rows than the interactions that came of it."""
    seen = []

    def spied(data, *arguments):
        this_feed = feed(data, *arguments)
        seen.append((this_feed.n_steps, len(data.log), this_feed.arrays.packed.shape[0]))
        raise UpliftlensError("seen enough: nothing has to be trained")

    feed = feeding.feed
    monkeypatch.setattr(feeding, "feed", spied)
    small = ("data.n_users=60", "data.n_items=40", "train.epochs=1", "model.dim=2", "trial=true", "train.layout=pairs")
    folders = (f"store={tmp_path}", f"cache={tmp_path}/cache")
    with pytest.raises(RunFailed, match="seen enough"):
        run(planned(*words, *small, "train.optimizer=lbfgs", "train.batch_size=7", *folders), quiet)
    assert [steps for steps, *_ in seen] == [1]
    assert words[0] == "data=synthetic" or seen[0][2] > seen[0][1], "the world is too small for this test"

"""Uplift end to end: a generated world through the command line, the truth closed to learners, a log of one's own."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from shell import records

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.config.chosen import chosen as plugin_of
from upliftlens.benchmarks.config.compose import composed, configured, prepare_overrides
from upliftlens.benchmarks.data.world import TruthRead, World, hidden
from upliftlens.benchmarks.metrics.registry import at, registry
from upliftlens.benchmarks.runs import run as experiment
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.benchmarks.runs.prepare import prepare
from upliftlens.benchmarks.system.talk import quiet
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.worlds.potential import ranks
from upliftlens.models.contract import Method, Solver

WORLD = (
    *("data=uplift-synthetic", "data.n_users=60", "data.n_items=40", "data.per_user=8"),
    *("metrics.interval.resamples=50", "train.epochs=2", "progress=false"),
)

RATED = (
    *("data=synthetic", "data.n_users=40", "data.n_items=30", "data.ratings_per_user=8", "data.test_per_user=10"),
    "progress=false",
)
SEMI = (
    *("metrics=uplift_semi", "metrics.world.per_user=6", "metrics.interval.resamples=50"),
    *(f"metrics.world.{this_name}.{size}" for this_name in ("ratings", "watched") for size in ("dim=4", "steps=4000")),
)


def uplift(verb: str, store, *words: str, world=WORLD) -> int:
    return main([verb, *world, f"store={store}", f"cache={store}/cache", *words])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("uplift") / "runs"
    models = "oracle,random,popularity,logged_propensity,cubn,cibn,ials"
    assert uplift("sweep", path, f"model={models}", "model.space=null") == 0
    return path


def values(store) -> dict[str, dict[str, float]]:
    return {record["model"]: {name: m["value"] for name, m in record["metrics"].items()} for record in records(store)}


def planned(*words: str):
    return plan(configured([*WORLD, *words]))


def test_every_model_has_every_uplift_metric_with_its_interval(store):
    expected = composed(prepare_overrides(list(WORLD)))["metrics"]["names"]
    for record in records(store):
        assert record["status"] == "done" and not record["diagnostics"]["absent"], record["model"]
        assert list(record["metrics"]) == expected
        for name, metric in record["metrics"].items():
            assert metric["lo"] <= metric["value"] <= metric["hi"], name
        assert record["diagnostics"]["monitor"] == "uplift@10/snips"
        assert record["diagnostics"]["recommendations"]["propensities"] == "recorded"


def test_the_oracle_reaches_the_analytic_maximum_over_what_may_be_recommended(store):
    prepared = prepare(planned("model=oracle"), quiet)
    truth, train = prepared.dataset.world, prepared.split.train
    assert truth is not None
    tau = truth.tau.astype(np.float64)
    taken = train.value > 0
    tau[train.user[taken], train.item[taken]] = np.nan
    best = [np.sort(row[np.isfinite(row)])[::-1] for row in tau]
    oracle = values(store)["oracle"]
    assert oracle["cp@10"] == pytest.approx(np.mean([row[:10].mean() for row in best]), abs=1e-6)
    gain = np.mean([(row / np.log2(np.arange(len(row)) + 2)).sum() for row in best])
    assert oracle["cdcg"] == pytest.approx(gain, abs=1e-5)
    for name, value in values(store).items():
        assert value["cp@10"] <= oracle["cp@10"] and value["cdcg"] <= oracle["cdcg"], name


def test_estimates_stand_near_the_truth_and_naive_ones_do_not(store):
    result = [record for record in records(store) if record["model"] != "oracle"]
    for item in result:
        truth = item["metrics"]["uplift@10/true"]["value"]
        for name in ("uplift@10/snips", "uplift@10/dr", "uplift@10/ips"):
            width = item["metrics"][name]["hi"] - item["metrics"][name]["lo"]
            assert abs(item["metrics"][name]["value"] - truth) < width, (item["model"], name)
    assert any(abs(v["uplift@10/naive"] - v["uplift@10/true"]) > 0.02 for v in values(store).values())


def test_the_logging_policy_ranks_by_what_was_recorded(store):
    prepared = prepare(planned("model=logged_propensity"), quiet)
    truth, train = prepared.dataset.world, prepared.split.train
    assert truth is not None
    score = truth.potential.recorded.copy()
    taken = train.value > 0
    score[train.user[taken], train.item[taken]] = -np.inf
    rank = ranks(score, np.random.default_rng(20).permutation(40))
    expected = np.mean([truth.tau[u][(rank[u] > 0) & (rank[u] <= 10)].mean() for u in range(60)])
    assert values(store)["logged_propensity"]["cp@10"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("asked", ["uplift@10", "uplift@10/snips", "cp@10"])
def test_two_methods_are_compared_on_one_log(asked, store, capsys):
    words = ["oracle", "random", "--metric", asked, "--store", str(store), "--format", "json"]
    assert main(["compare", *words]) == 0
    content = json.loads(capsys.readouterr().out)
    both, metric = values(store), "uplift@10/snips" if asked == "uplift@10" else asked
    assert content["metric"] == metric
    assert content["difference"] == pytest.approx(both["oracle"][metric] - both["random"][metric])
    assert content["lo"] < content["difference"] < content["hi"] and content["n"] == 60
    # A single run of random order: the two fits differ by their truth, of the methods nothing is decided.
    assert (content["better"], content["about"], content["differs"]) == ("undecided", "fits", metric == "cp@10")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("uplift@10/snip", "did you mean 'uplift/snips'"),
        ("uplift", "write uplift@10/snips"),
        ("uplift@5", "a run has no uplift@5/snips: it wasn't among metrics.names: run it again with it"),
    ],
)
def test_a_metric_that_is_not_there_is_answered(asked, sentence, store, capsys):
    assert main(["compare", "oracle", "random", "--metric", asked, "--store", str(store)]) == 1
    assert sentence in capsys.readouterr().err


def test_random_ranking_changes_what_the_average_recommendation_does(store):
    """The mean effect of what may be recommended lies in the interval of random order's CP@10."""
    prepared = prepare(planned("model=random"), quiet)
    truth, train = prepared.dataset.world, prepared.split.train
    assert truth is not None
    tau, taken = truth.tau.astype(np.float64), train.value > 0
    tau[train.user[taken], train.item[taken]] = np.nan
    (item,) = (record for record in records(store) if record["model"] == "random")
    result = item["metrics"]["cp@10"]
    assert result["lo"] < np.nanmean(tau, axis=1).mean() < result["hi"] and result["hi"] - result["lo"] < 0.1


def test_tuning_reads_no_truth_and_no_test(tmp_path, monkeypatch):
    def fails(self: World, part: Any) -> Any:
        raise AssertionError("the truth was read")

    monkeypatch.setattr(World, "_read", fails)
    record, _ = experiment.run(planned("model=cubn", "trial=true", f"store={tmp_path}"), quiet)
    assert set(record.metrics) == {"validation/uplift@10/snips"}


def test_a_learner_that_reads_the_truth_is_stopped(tmp_path):
    this_planned = planned("model=random", f"store={tmp_path}")
    truth = prepare(this_planned, quiet).dataset.world
    assert truth is not None
    honest = this_planned.learning.model.value

    def peeking(options) -> Method:
        method = honest.method(options)

        def init(key, seen, hp):
            return truth.tau.sum() + method.init(key, seen, hp)

        return method._replace(init=init)

    thief = this_planned.learning.model._replace(value=Solver("thief", honest.options, peeking))
    with pytest.raises(experiment.RunFailed, match="read the truth of a world"):
        experiment.run(replace(this_planned, learning=this_planned.learning._replace(model=thief)), quiet)
    with hidden(), pytest.raises(TruthRead):
        truth.realised()
    assert truth.tau.shape == (60, 40)


@pytest.mark.parametrize(
    ("words", "split", "metrics"),
    [
        ([], "draws", "uplift"),
        (["data=uplift-ml-100k"], "draws", "uplift"),
        (["data=uplift-log"], "kfold", "uplift"),
        (["data=uplift-log", "split=temporal", "metrics=standard"], "temporal", "standard"),
        (["data=uplift-synthetic", "sweep=quickstart"], "draws", "uplift_semi"),
        (["data=coat"], "kfold", "standard"),
    ],
)
def test_data_with_treatments_report_uplift_unless_metrics_are_chosen(words, split, metrics):
    prepare_overrides([])
    chosen = composed(words or ["data=uplift-synthetic"])
    assert chosen["split"]["name"] == split
    if metrics != "uplift_semi":
        assert chosen == composed([*(words or ["data=uplift-synthetic"]), f"split={split}", f"metrics={metrics}"])
    assert chosen["metrics"]["names"] == composed(["data=coat", f"metrics={metrics}"])["metrics"]["names"]
    named = composed([*(words or ["data=uplift-synthetic"]), "metrics.names=[cp@5]"])
    assert named["metrics"]["names"] == ["cp@5"] and named["split"] == chosen["split"]


TRUE = [
    at(name, "@10" if entry.value.at == "required" else "")
    for name, entry in registry().items()
    if entry.value.evidence in ("logged+truth", "truth", "realised", "semi")
]


@pytest.mark.parametrize("name", TRUE)
def test_nothing_is_selected_by_the_truth(name, tmp_path):
    reason = "a frozen world is for tests" if name.endswith("/semi") else "the truth is not known here"
    with pytest.raises(experiment.RunFailed, match=f"can't select by {name}: {reason}"):
        experiment.run(planned("model=cubn", "trial=true", f"train.monitor={name}", f"store={tmp_path}"), quiet)


def test_every_kind_of_truth_is_among_them():
    assert {"cp@10", "car", "cp@10/realised", "cp@10/semi", "cdcg/semi", "uplift@10/true", "qini/true"} < set(TRUE)


@pytest.mark.parametrize("name", ["cp@10/semi", "cdcg/semi"])
def test_nothing_is_selected_by_a_frozen_world(name, tmp_path):
    """Not even where the test has one."""
    words = [*RATED, *SEMI, "model=additive", "train.optimizer=adam", "train.epochs=1"]
    words += [f"train.monitor={name}", f"store={tmp_path}"]
    for trial in ("true", "false"):
        this_planned = plan(configured([*words, f"trial={trial}", f"cache={tmp_path}"]))
        with pytest.raises(experiment.RunFailed, match=f"can't select by {name}: a frozen world is for tests"):
            experiment.run(this_planned, quiet)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["split=kfold"], "use split=draws"),
        (["split.validation=0.3"], "the second draw is .5"),
        (["metrics=standard"], "use metrics=uplift"),
        (["data=synthetic", "split=draws"], "does not come as three draws"),
        (["data=synthetic", "split=kfold", "model=cubn"], "learns from what was recommended"),
        (["data=synthetic", "split=kfold", "model=oracle"], "ranks by the true effects"),
        (["data.exposure=lograng"], "unknown data.exposure 'lograng'"),
        (["data.per_user=4000"], "cannot be reached"),
        (
            ["metrics.names=[uplift/snips@10]"],
            "before the slash, write uplift@10/snips",
        ),
        (["metrics.names=[uplift/snips]"], "write uplift@10/snips"),
        (["metrics.names=[uplift@10/snip]"], "did you mean 'uplift/snips'"),
    ],
)
def test_what_does_not_go_together_is_said(words, message, tmp_path):
    chosen = {word.split("=")[0] for word in words}
    base = [item for item in ("model=ials", *WORLD) if item.split("=")[0] not in chosen]
    base = [item for item in base if not (words[0] == "data=synthetic" and item.startswith("data."))]
    small = (
        ["data.n_users=40", "data.n_items=30", "data.ratings_per_user=8", "data.test_per_user=10"]
        if words[0] == "data=synthetic"
        else []
    )
    with pytest.raises(UpliftlensError, match=message):
        experiment.run(plan(configured([*base, *words, *small, f"store={tmp_path}"])), quiet)


def test_options_of_worlds_are_known_by_their_format():
    assert main(["data", "card", "uplift-synthetic", "data.n_users=20", "data.n_items=10", "data.per_user=3"]) == 0
    assert plugin_of("data", {"name": "x", "format": "uplift-ratings"}).value.options.__name__ == "UpliftRatingsConfig"

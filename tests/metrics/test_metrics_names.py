"""Names, configuration, what a method can't have, monitoring, keeping per-user sums."""

import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import jax
import numpy as np
import pytest
from omegaconf import OmegaConf

import upliftlens.configs.metrics
from upliftlens.benchmarks.config import plugins as installed_registry
from upliftlens.benchmarks.config.typed import typed
from upliftlens.benchmarks.evaluation.evaluate import evaluate, monitor
from upliftlens.benchmarks.evaluation.evaluation import from_arrays, statistic_of, summaries, to_arrays
from upliftlens.benchmarks.evaluation.exam import HeldOut
from upliftlens.benchmarks.metrics.metric import Metric, mean_of, quotient
from upliftlens.benchmarks.metrics.registry import MetricsConfig, choose, registry
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions, interactions, take
from upliftlens.causal.intervals import Interval, value
from upliftlens.models.contract import Method, TrainingData

SHAPE = (13, 20)


def factor_method(link, traced=None):
    """The state is a pair of factor matrices; ``traced`` collects a mark whenever a function is traced."""

    def score(state, data, at):
        if traced is not None:
            traced.append("score")
        return state[0][at.user] @ state[1].T

    def predict(state, data, at, items):
        if traced is not None:
            traced.append("predict")
        return (state[0][at.user] * state[1][items]).sum(axis=1)

    return Method(lambda *_: None, lambda *_: None, score, predict, "full", link)


def factors(seed):
    rng = np.random.default_rng(seed)
    return tuple(rng.normal(size=(n, 3)).astype(np.float32) for n in SHAPE)


def split():
    rng = np.random.default_rng(0)
    cell, values = rng.random(SHAPE), rng.integers(1, 6, SHAPE)
    seen, test = (
        interactions(*np.nonzero(which), values[which], *SHAPE) for which in (cell < 0.3, (cell >= 0.3) & (cell < 0.6))
    )
    none = (np.zeros((n, 0), np.float32) for n in SHAPE)
    return TrainingData(seen, (seen.value >= 4).astype(np.float32), *none), test, seen


def config(*names):
    return MetricsConfig(names, 4, 20, Interval(0.95, 50, 0))


def run(method, state, *names):
    data, test, seen = split()
    return evaluate(method, state, data, HeldOut(test, seen, 4.0, (1, 5), "explicit"), config(*names))


def standard():
    path = Path(next(iter(upliftlens.configs.metrics.__path__))) / "standard.yaml"
    return typed(MetricsConfig, OmegaConf.to_container(OmegaConf.load(path)), "metrics")


def test_the_standard_config_is_typed_complete_and_runs():
    loaded = standard()
    assert isinstance(loaded, MetricsConfig) and isinstance(loaded.interval, Interval)
    data, test, seen = split()
    result = evaluate(factor_method("rating"), factors(0), data, HeldOut(test, seen, 4.0, (1, 5), "explicit"), loaded)
    # A rating is no probability, and these rows come without propensities.
    absent = {"logloss", "brier", "rmse/snips", "mae/snips", "logloss/snips", "brier/snips"}
    assert list(result.statistics) == [name for name in loaded.names if name not in absent]
    assert set(result.absent) == absent
    for name, summary in result.summaries.items():
        low, high = choose(name).metric.limits
        assert low <= summary.lo <= summary.value <= summary.hi <= high, name


def test_a_name_with_its_cutoff():
    assert choose("recall@20")[1:] == (registry()["recall"].value, 20, 1)
    assert choose("gini@20").code == registry()["gini"].value.version == 2
    assert choose("mrr").cutoff == np.inf
    assert choose("mrr@5").cutoff == 5
    assert choose("auc/user").metric.name == "auc/user"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("recal@10", "unknown metric 'recal': did you mean 'recall'"),
        ("NDCG@10", "unknown metric 'NDCG'"),
        ("recall", "'recall' needs a cut-off: write recall@10"),
        ("recall@0", "cut-off must be a whole number from 1, as in recall@10"),
        ("recall@x", "cut-off must be a whole number"),
        ("recall@", "cut-off must be a whole number"),
        ("recall@-1", "cut-off must be a whole number"),
        ("recall@1.5", "cut-off must be a whole number"),
        ("ndcg@10@5", "cut-off must be a whole number"),
        ("rmse@10", "rmse has no cut-off, write rmse"),
        ("", "unknown metric ''"),
    ],
)
def test_a_name_that_means_nothing(name, message):
    with pytest.raises(UpliftlensError, match=message) as error:
        choose(name)
    assert len(str(error.value).splitlines()) <= 2


def install(monkeypatch, found):
    monkeypatch.setitem(sys.modules, "some_package", sys.modules[__name__])
    entry = EntryPoint("mine", "some_package:metric", "upliftlens.metrics")
    load = EntryPoint.load
    monkeypatch.setattr(EntryPoint, "load", lambda self: found if self is entry else load(self))
    monkeypatch.setattr(
        installed_registry,
        "entry_points",
        lambda group: [*entry_points(group=group), *([entry] if group == "upliftlens.metrics" else [])],
    )
    registry.cache_clear()


@pytest.fixture
def clean_registry():
    yield
    registry.cache_clear()


def first_place(ranks, k):
    return mean_of(np.bincount(ranks.row, ranks.rank == 1, len(ranks.relevant)), ranks.relevant > 0)


def test_an_installed_metric_takes_the_same_door(monkeypatch, clean_registry):
    mine = Metric("first", "ranks", first_place, quotient, "mean", True, (0.0, 1.0), "never")
    install(monkeypatch, mine)
    result = run(factor_method("rank"), factors(0), "first", "hit@1")
    assert result.summaries["first"] == result.summaries["hit@1"]
    install(monkeypatch, mine._replace(name="rmse"))
    with pytest.raises(UpliftlensError, match="two metrics are called 'rmse'; one is some_package"):
        choose("rmse")
    install(monkeypatch, first_place)
    with pytest.raises(UpliftlensError, match=r"'mine'.* is a function: it must be a Metric"):
        choose("rmse")


def test_what_a_method_cannot_have_is_absent_with_the_reason():
    result = run(factor_method("rank"), factors(0), "rmse", "logloss", "auc", "auc/user", "recall@3")
    assert list(result.summaries) == ["auc/user", "recall@3"]
    assert result.absent["rmse"] == "rmse is for methods that predict a rating, this one gives a rank"
    assert "a probability or a rating" in result.absent["auc"]
    with pytest.raises(UpliftlensError, match="a run has no rmse: rmse is for methods that predict a rating"):
        statistic_of(result, "rmse")
    with pytest.raises(UpliftlensError, match="a run has no mae: it wasn't among"):
        statistic_of(result, "mae")


def test_test_sets_that_define_nothing():
    data, test, seen = split()
    names = ("recall@3", "auc", "auc/user", "mae", "coverage@2")

    def on(rows: Interactions):
        return evaluate(
            factor_method("rating"), factors(0), data, HeldOut(rows, seen, 4.0, (1, 5), "explicit"), config(*names)
        )

    result = on(take(test, test.value < 4))
    assert list(result.summaries) == ["mae", "coverage@2"]
    assert result.absent["recall@3"] == "no user has a relevant test item"
    assert "one class of labels" in result.absent["auc"]
    assert result.counts["users_without_relevant"] == result.counts["users"] > 0
    empty = on(take(test, []))
    assert empty.summaries == {} and set(empty.absent) == set(names)


def test_one_user_has_a_value_without_bounds():
    data, test, seen = split()
    item = take(test, test.user == test.user[test.value == 5][0])
    names = ("mae", "recall@5", "coverage@5")
    result = evaluate(
        factor_method("rating"), factors(0), data, HeldOut(item, seen, 4.0, (1, 5), "explicit"), config(*names)
    )
    for name in names:
        summary = result.summaries[name]
        assert summary.n == 1 and np.isfinite(summary.value) and np.isnan([summary.lo, summary.hi]).all()


def test_rows_of_weight_zero_are_no_test_rows():
    data, test, seen = split()
    test.weight[::2] = 0
    method, named = factor_method("rating"), config("mae", "ndcg@5")
    held = HeldOut(test, seen, 4.0, (1, 5), "explicit")
    padded, real = (
        evaluate(method, factors(0), data, item, named).summaries
        for item in (held, held._replace(rows=take(test, test.weight > 0)))
    )
    assert padded == real


@pytest.mark.parametrize("name", ["rmse", "mae", "auc", "ndcg@5", "recall@5", "mrr", "coverage@5"])
def test_the_monitor_is_the_metric_of_the_evaluation(name):
    data, test, seen = split()
    method = factor_method("rating")
    watch = monitor(method, data, HeldOut(test, seen, 4.0, (1, 5), "explicit"), name, config("mae"))
    for seed in range(3):
        assert watch(factors(seed)) == run(method, factors(seed), name).summaries[name].value


def test_the_monitor_refuses_what_it_cannot_measure():
    data, test, seen = split()
    with pytest.raises(UpliftlensError, match="can't select by rmse: rmse is for methods that predict a rating"):
        monitor(factor_method("rank"), data, HeldOut(test, seen, 4.0, (1, 5), "explicit"), "rmse", config())
    with pytest.raises(UpliftlensError, match="can't select by ndcg@3: no user has a relevant"):
        monitor(factor_method("rank"), data, HeldOut(test, seen, 9.0, (1, 5), "explicit"), "ndcg@3", config())
    watch = monitor(factor_method("rating"), data, HeldOut(test, seen, 0.0, (1, 5), "explicit"), "auc", config())
    with pytest.raises(UpliftlensError, match="can't select by auc"):
        watch(factors(0))


def test_a_prediction_that_is_no_number_names_its_pair():
    _, test, _ = split()
    state = factors(0)
    state[0][test.user[0]] = np.nan
    with pytest.raises(UpliftlensError, match=f"user index {test.user[0]} and item index {test.item[0]} is nan"):
        run(factor_method("rating"), state, "rmse")


def test_one_compilation_for_all_states_seeds_and_folds():
    traced = []
    method = factor_method("rating", traced)
    data, test, seen = split()
    for seed in range(3):
        for rows in (test, take(test, np.arange(len(test)) % 3 > 0)):
            state = jax.device_put(factors(seed))
            evaluate(
                method, state, data, HeldOut(rows, seen, 4.0, (1, 5), "explicit"), config("rmse", "ndcg@5", "gini@5")
            )
            monitor(method, data, HeldOut(rows, seen, 4.0, (1, 5), "explicit"), "recall@7", config())(state)
    assert sorted(traced) == ["predict", "score"]


def test_per_user_sums_survive_a_file(tmp_path):
    names = ("rmse", "auc", "auc/user", "recall@5", "coverage@5", "gini@3")
    result = run(factor_method("rating"), factors(0), *names)
    np.savez(tmp_path / "users.npz", **to_arrays(result))
    with np.load(tmp_path / "users.npz") as arrays:
        statistics = from_arrays(arrays, {}).statistics
    assert list(statistics) == list(names)
    assert {name: value(statistic) for name, statistic in statistics.items()} == {
        n: s.value for n, s in result.summaries.items()
    }
    assert summaries(statistics, config().interval) == result.summaries

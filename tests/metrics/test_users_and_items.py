"""Intervals over users and items: sums by item, resamples of both, who can have them, and what is said of them."""

import json

import numpy as np
import pytest
from shell import call, records

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.evaluation.evaluation import Evaluation, from_arrays, to_arrays
from upliftlens.benchmarks.metrics.metric import DebiasOptions, Pairs, crossed_sums
from upliftlens.benchmarks.metrics.registry import registry
from upliftlens.benchmarks.reports.comparison import compare, difference, replicated
from upliftlens.benchmarks.reports.figures import figure
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.intervals import Interval, Statistic, draws, replicates, value

USERS, ITEMS, N = 9, 7, 40
SPEC = Interval(0.9, 30, 0, "users-items")
CAN = [name for name, entry in registry().items() if entry.value.by_pair != "no"]
WORDS = ("model=popularity", "metrics.interval.over=users-items")


def pairs():
    """Test pairs with tied predictions, cold ones among them; every user has some."""
    rng = np.random.default_rng(0)
    cell = rng.choice(USERS * ITEMS, N, replace=False)
    value, row = rng.integers(1, 6, N).astype(float), cell // ITEMS
    assert len(np.unique(row)) == USERS
    prediction = np.round(rng.uniform(0.1, 0.9, N), 1)
    propensity, options = rng.uniform(0.2, 1, N), DebiasOptions(0.5, 5.0)
    return Pairs(
        row, USERS, value, value > 3, prediction, (1.0, 5.0), propensity, USERS * ITEMS, options, value % 2 > 0,
        cell % ITEMS,
    )  # fmt: skip


def statistic(name, known, units=USERS):
    metric = registry()[name].value
    sums, crossed = crossed_sums(metric, known, np.inf)
    return Statistic(np.arange(units), sums, metric.reduce, None, crossed)


def repeated(known, users, items):
    """The test pairs of a resample, each as often as its user was drawn times as often as its item."""
    times = (users[known.row] * items[known.item]).astype(int)
    columns = ("row", "value", "positive", "prediction", "propensity", "cold", "item")
    return known._replace(**{name: np.repeat(getattr(known, name), times) for name in columns})


def test_who_can():
    assert {"rmse", "mae", "logloss", "brier", "auc", "mse", "rmse/snips", "rmse/ips", "rmse/clipped"} <= set(CAN)
    assert not {"auc/user", "recall@10", "rmse/dr", "rmse/eib", "rmse/stable-dr", "recall/cold"} & set(CAN)
    for name in CAN:
        assert registry()[name].value.evidence == "pairs"


@pytest.mark.parametrize("name", CAN)
def test_a_replicate_is_the_metric_of_the_repeated_pairs(name):
    known, metric = pairs(), registry()[name].value
    both = statistic(name, known)
    plain = Statistic(np.arange(USERS), metric.sums(known, np.inf), metric.reduce)
    assert value(both) == pytest.approx(value(plain), rel=1e-12)
    (drawn,), _ = replicates([both], SPEC)
    (users,), (items,) = draws(USERS, SPEC, 30), draws(ITEMS, SPEC, 30, 1)
    assert not np.array_equal(users[:ITEMS], items)
    expected = [
        value(Statistic(np.arange(USERS), metric.sums(repeated(known, u, i), np.inf), metric.reduce))
        for u, i in zip(users.T, items.T, strict=True)
    ]
    np.testing.assert_allclose(drawn, expected, rtol=1e-9)


def test_blocks_change_nothing_and_two_methods_see_the_same_resample(monkeypatch):
    known = pairs()
    other = known._replace(prediction=known.prediction / 2)
    both = [statistic("rmse", known), statistic("rmse", other)]
    whole, _ = replicates(both, SPEC)
    monkeypatch.setattr("upliftlens.causal.intervals._CELLS", 60)
    in_blocks, _ = replicates(both, SPEC)
    np.testing.assert_array_equal(whole, in_blocks)
    (alone,), _ = replicates(both[1:], SPEC)
    np.testing.assert_array_equal(whole[1], alone)


def test_sums_by_item_are_stored_and_do_not_mix_with_others():
    known = pairs()
    both, metric = statistic("auc", known), registry()["auc"].value
    stored = from_arrays(to_arrays(Evaluation(np.arange(USERS), {"auc": both}, {}, {}, {})), {})
    again = stored.statistics["auc"]
    np.testing.assert_array_equal(replicates([both], SPEC)[0], replicates([again], SPEC)[0])
    by_user = Statistic(np.arange(USERS), metric.sums(known, np.inf), metric.reduce)
    with pytest.raises(UpliftlensError, match="run all with the same"):
        replicates([both, by_user], SPEC)
    before = to_arrays(Evaluation(np.arange(USERS), {"auc": both}, {}, {}, {}))
    del before["auc:items"]
    old = from_arrays(before, {}).statistics["auc"].crossed
    np.testing.assert_array_equal(old.items, both.crossed.items)


def test_an_item_without_errors_is_drawn_like_any_other():
    """Of rmse/ips, which has no sums beside those of the errors."""
    known = pairs()
    right = known._replace(prediction=np.where(known.item == 2, known.value, known.prediction))
    perfect, usual = statistic("rmse/ips", right), statistic("rmse/ips", known)
    first, second = (Evaluation(np.arange(USERS), {"rmse/ips": each}, {}, {}, {}) for each in (perfect, usual))
    alone, other = (replicated([each], "rmse/ips", SPEC) for each in (first, second))
    np.testing.assert_array_equal(alone.items, np.arange(ITEMS))
    np.testing.assert_array_equal(alone.drawn[0], replicates([perfect, usual], SPEC)[0][0])
    assert difference("x", alone, other, SPEC).value == pytest.approx(value(perfect) - value(usual))


def test_sides_that_were_not_resampled_alike_are_not_compared():
    known = pairs()
    by_user = Statistic(np.arange(USERS), registry()["rmse"].value.sums(known, np.inf), registry()["rmse"].value.reduce)
    both, users = (
        [Evaluation(np.arange(USERS), {"rmse": each}, {}, {}, {})] for each in (statistic("rmse", known), by_user)
    )
    for sides in ((both, users), (users, both)):
        with pytest.raises(UpliftlensError, match=r"over users and items, the other over users.* --where 'config.metr"):
            compare({"x": sides}, "rmse", SPEC)
    for over, side in (("users, items", both), ("users", users)):
        (axes,) = figure("scatter", {"mf": side}, "rmse", "rmse", SPEC).axes
        assert f"(90% intervals over {over} and runs)" in axes.get_title()
    side = replicated(both, "rmse", SPEC)
    with pytest.raises(UpliftlensError, match="different test items"):
        difference("x", side, side._replace(items=side.items[1:]), SPEC)


def test_metrics_that_can_not_are_refused_with_those_that_can():
    with pytest.raises(UpliftlensError, match=r"and recall@10, auc/user are none: .* only .*rmse, mae.*, or leave"):
        plan(configured([*WORDS, "metrics.names=[rmse,recall@10,auc/user]"]))
    with pytest.raises(UpliftlensError, match="did you mean 'users'"):
        plan(configured([*WORDS, "metrics.interval.over=user"]))


def test_runs_and_comparisons_say_what_they_are_over(tmp_path, capsys):
    names = "metrics.names=[rmse,auc]"
    assert call("sweep", tmp_path, "model=mf,additive", "train.lr=0.1", names, WORDS[1]) == 0
    assert call("run", tmp_path, "model=mf", "train.lr=0.1", names) == 0
    two_way, _, one_way = records(tmp_path)
    assert two_way["fit_key"] == one_way["fit_key"] and two_way["key"] != one_way["key"]
    wide, narrow = (run["metrics"]["rmse"] for run in (two_way, one_way))
    assert wide["value"] == pytest.approx(narrow["value"], rel=1e-12)
    assert wide["hi"] - wide["lo"] > narrow["hi"] - narrow["lo"]
    capsys.readouterr()
    store, choice = f"--store={tmp_path}", "metrics.interval.over=users-items"
    assert main(["compare", "mf", "additive", "--metric", "rmse", store]) == 1
    assert f"choose one, e.g. --where {choice}\n" in capsys.readouterr().err
    assert main(["compare", f"model=mf,{choice.removesuffix('-items')}", "additive", "--metric", "rmse", store]) == 1
    assert f"never measured alike: the defaults against {choice}: run one" in capsys.readouterr().err
    assert main(["results", "--metrics", "rmse", "--format", "csv", store]) == 0
    assert "metrics.interval.over" in (shown := capsys.readouterr().out) and len(shown.splitlines()) == 4
    assert main(["results", "--over", "seed", "--over", "metrics.interval.over", store]) == 1
    assert "would average different ways to measure" in capsys.readouterr().err
    where = ["--where", "config.metrics.interval.over=users-items", "--metric", "auc", f"--store={tmp_path}"]
    assert main(["compare", "mf", "additive", *where]) == 0
    said = capsys.readouterr().out
    words = " ".join(said.split())
    assert (
        "other users and items like these. With other seeds, training rows or another split" in words
        and "resampled, too" in words
    )
    assert main(["compare", "mf", "additive", *where, "--format=json"]) == 0
    assert json.loads(capsys.readouterr().out)["over"] == "users-items"
    assert main(["results", *where[:2], f"--store={tmp_path}"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "over the users × items of the test set" in said and "Training rows and split are taken" in said

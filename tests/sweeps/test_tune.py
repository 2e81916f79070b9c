"""Where the trials of a search lie in its space."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shell import call, records

from upliftlens.benchmarks.runs.many import NoData
from upliftlens.benchmarks.sweeps import search as searches
from upliftlens.benchmarks.sweeps.space import grid, narrowed, sample, spread, stated
from upliftlens.causal.errors import UpliftlensError

SPACE = {
    "dim": {"choices": [8, 16, 32]},
    "train.l2": {"low": 0.3, "high": 300.0, "log": True},
    "objective.anchor": {"low": 0.0, "high": 2.0},
}
WIDE = 0.13  # of a range: 19 trials in base 5, the sparser one, leave 0.12


def values(trials, place):
    return [float(trial[place].partition("=")[2]) for trial in trials[1:]]


@pytest.mark.parametrize("draw", [sample, spread], ids=lambda draw: draw.__name__)
@given(st.integers(1, 30), st.integers(0, 30), st.integers(0, 2**32 - 1))
def test_a_larger_budget_repeats_the_trials_of_a_smaller_one(draw, budget, more, seed):
    trials = draw(SPACE, budget, seed)
    assert trials[0] == []
    assert len(trials) == budget
    assert draw(SPACE, budget + more, seed)[:budget] == trials
    assert all(0.3 <= value <= 300 for value in values(trials, 1))
    assert all(0 <= value <= 2 for value in values(trials, 2))
    assert {trial[0] for trial in trials[1:]} <= {"model.dim=8", "model.dim=16", "model.dim=32"}


@given(st.integers(0, 2**32 - 1))
def test_a_few_spread_trials_leave_no_wide_gap_in_a_range(seed):
    trials = spread(SPACE, 20, seed)
    counts = np.unique([trial[0] for trial in trials[1:]], return_counts=True)[1]
    assert counts.min() >= 5, "19 trials of 3 choices"
    for place, scaled in ((1, lambda x: np.log(x / 0.3) / np.log(1000)), (2, lambda x: x / 2)):
        inside = np.sort([scaled(value) for value in values(trials, place)])
        assert np.diff([0, *inside, 1]).max() < WIDE


def test_trials_drawn_at_random_do_leave_one():
    drawn = [np.sort(values(sample(SPACE, 20, seed), 2)) / 2 for seed in range(20)]
    assert max(np.diff([0, *inside, 1]).max() for inside in drawn) > WIDE


def test_a_grid_holds_every_combination_of_its_choices():
    space = {"dim": {"choices": [8, 16]}, "model.layers": {"choices": [(16,), [32, 16]]}}
    points = [["model.dim=8", "model.layers=[16]"], ["model.dim=8", "model.layers=[32,16]"]]
    points += [["model.dim=16", "model.layers=[16]"], ["model.dim=16", "model.layers=[32,16]"]]
    assert grid(space, budget=1, seed=0) == points


def test_nothing_to_search_is_refused(tmp_path, capsys):
    assert call("tune", tmp_path, "model=popularity") == 1
    assert "states no search space" in capsys.readouterr().err and not records(tmp_path)


def test_a_range_of_whole_numbers_is_refused_before_the_first_trial(tmp_path, capsys):
    assert call("tune", tmp_path, "model=additive", "+model.space={train.patience:{low:1,high:9}}") == 1
    said = capsys.readouterr().err
    assert "train.patience takes whole numbers, and a range holds others, too: give it choices, as in train.pat" in said
    assert not records(tmp_path)
    for model, option in (("mf", "dim"), ("item_knn", "neighbours")):
        with pytest.raises(UpliftlensError, match=rf"model\.{option} takes whole .*{option}: {{choices: \[8, 64\]}}"):
            stated(option, {"low": 8, "high": 64.0}, {"model": {"name": model, option: 16}})
    assert stated("train.l2", {"low": 1, "high": 9}, {"train": {"l2": 2}}) == 2, "a number that happens to be whole"


def test_a_trial_that_fails_in_a_part_counts_and_cannot_win_and_is_told_when_it_fails():
    """Trials are planned first and run in one group, with the parts a and b each."""
    log, groups = [], []

    def planned(changes):
        if "train.l2=3" in changes:
            raise UpliftlensError("no plan")
        return SimpleNamespace(changes=tuple(changes))

    def run_many(plans, watched):
        groups.append(len(plans))
        for plan in plans:
            log.append(plan.changes)
            yield None

    def record_of(plan, outcome):
        if plan.changes == ("train.l2=1", "b"):
            raise UpliftlensError("broken")
        return {"": 5.0, "train.l2=1": 0.0, "train.l2=2": 4.0}[plan.changes[0] if len(plan.changes) > 1 else ""]

    def rule(space, budget, seed):
        return [[], ["train.l2=1"], ["train.l2=2"], ["train.l2=3"]]

    space = {"train.l2": {"choices": [1, 2, 3]}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searches, "record_of", record_of)
        trials, best = searches.search(
            planned,
            {"train": {"l2": 0}},
            space,
            rule,
            4,
            0,
            log.append,
            [["a"], ["b"]],
            scored=lambda at: ("rmse", at),
            runs=run_many,
        )
    assert groups == [6] and best == 2
    assert [(trial.changes, len(trial.records)) for trial in trials] == [
        ((), 2), (("train.l2=1",), 0), (("train.l2=2",), 2), (("train.l2=3",), 0),
    ]  # fmt: skip
    assert log[0] == "trial 4 (train.l2=3) failed: no plan"
    assert log.index("trial 2 (train.l2=1) failed: broken") == log.index(("train.l2=1", "b")) + 1


def judged(results, patch, rule=grid, budget=0):
    """The search of ``train.l2``; ``results``: the (criterion, value) of each value, or its error."""

    def planned(changes):
        if not changes:
            raise UpliftlensError("wrong as it stands")
        return float(changes[0].partition("=")[2])

    def record_of(plan, outcome):
        if isinstance(results[plan], Exception):
            raise results[plan]
        return results[plan]

    said = []
    patch.setattr(searches, "record_of", record_of)
    space, config = {"train.l2": {"choices": list(results)}}, {"train": {"l2": 0}}
    none = lambda plans, watched: [None] * len(plans)  # noqa: E731
    best = searches.search(planned, config, space, rule, budget, 0, said.append, [[]], scored=lambda at: at, runs=none)
    return best.best, said


def test_trials_scored_by_different_criteria_are_refused(monkeypatch):
    with pytest.raises(UpliftlensError, match=r"^the trials were scored by auc and rmse: set train\.monitor to one"):
        judged({1.0: ("rmse", 0.5), 2.0: ("auc", 0.6)}, monkeypatch)


def test_the_earliest_of_equal_trials_wins(monkeypatch):
    assert judged({1.0: ("rmse", 0.6), 2.0: ("rmse", 0.5), 3.0: ("rmse", 0.5)}, monkeypatch) == (1, [])
    assert judged({1.0: ("auc", 0.5), 2.0: ("auc", 0.6), 3.0: ("auc", 0.6)}, monkeypatch) == (1, [])


def test_a_configuration_that_is_wrong_as_it_stands_is_no_failed_trial_but_a_grid_may_not_hold_it(monkeypatch):
    results = {1.0: ("rmse", 0.5), 2.0: ("rmse", 0.4)}
    with pytest.raises(UpliftlensError, match=r"^wrong as it stands"):
        judged(results, monkeypatch, sample, budget=3)
    assert judged(results, monkeypatch) == (1, [])


def test_data_that_cannot_be_loaded_end_a_search_and_are_no_failed_trial(monkeypatch):
    with pytest.raises(NoData, match=r"^no network"):
        judged({1.0: ("rmse", 0.5), 2.0: NoData("no network")}, monkeypatch)


@given(st.floats(0.01, 1e4), st.floats(-1, 3), st.floats(0.01, 1), st.integers(0, 2**32 - 1))
def test_a_narrowed_space_lies_within_the_space_around_its_centre(l2, anchor, width, seed):
    centre = {"dim": "16", "train.l2": str(l2), "objective.anchor": anchor}
    near = narrowed(SPACE, centre, width)
    assert near["dim"] == {"choices": ["16"]}
    for name, scale, value in (("train.l2", np.log, l2), ("objective.anchor", float, anchor)):
        low, high = scale(near[name]["low"]), scale(near[name]["high"])
        least, most = scale(SPACE[name]["low"]), scale(SPACE[name]["high"])
        assert high - low == pytest.approx(width * (most - least))
        assert least - 1e-9 <= low and high <= most + 1e-9
        inside = min(max(scale(value), least), most)
        assert low - 1e-9 <= inside <= high + 1e-9
        if least < inside - (high - low) / 2 and inside + (high - low) / 2 < most:
            assert low + high == pytest.approx(2 * inside), "in the middle, but at an end"
    drawn = spread(near, 9, seed)
    assert {item[0] for item in drawn[1:]} == {"model.dim=16"}


def test_around_an_option_without_a_value_the_whole_range_is_kept():
    assert narrowed(SPACE, {"dim": 8, "train.l2": None, "objective.anchor": 1.0}, 0.5) == {
        "dim": {"choices": [8]}, "train.l2": SPACE["train.l2"], "objective.anchor": {"low": 0.5, "high": 1.5},
    }  # fmt: skip


def test_the_metric_of_a_search_is_read_whatever_the_model_trains_by(tmp_path, capsys):
    assert call("tune", tmp_path, "model=ease", "train.monitor=recall@10", "budget=1") == 0
    captured = capsys.readouterr()
    assert not [line for line in (captured.err + captured.out).splitlines() if "train.monitor: not read" in line]

"""``upliftlens effects``: what is planted is found, nothing is invented, intervals hold the truth."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from studies import OPTIONS, logged

from upliftlens.benchmarks import data
from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.lab.lab import Lab
from upliftlens.benchmarks.reports.effect_features import features
from upliftlens.benchmarks.reports.effects import _first_log, _halves, _predictions, effects, study
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.worlds.potential import draw

STUDIES = 1600
WORLD = ("data=uplift-synthetic", "data.n_users=150", "data.n_items=60", "data.per_user=15")


def quiet(sentence: str) -> None:
    pass


def studies_without_heterogeneity(count):
    """Each redraws its users: in how many a corrected test rejects, whether each raw test does, and intervals hold."""
    rng = np.random.default_rng(0)
    alarms, raw, covered = 0, [], []
    for _ in range(count):
        this_study = study(logged(rng), OPTIONS, quiet)
        assert [feature.name for feature in this_study.features] == ["gender", "age", "activity", "genres"]
        levels = [level for feature in this_study.features for level in feature.levels]
        alarms += any(feature.p <= 0.05 for feature in [*this_study.features, *levels])
        raw += [feature.test.p <= 0.05 for feature in this_study.features]
        covered += [level.effect.lo <= 0.1 <= level.effect.hi for level in levels]
    return alarms, raw, covered


def test_in_a_few_studies_without_heterogeneity_corrected_tests_reject_in_few():
    """At 5 % more alarms than these come 4 times in 10,000, at 15 % 9 times in 10."""
    alarms, raw, covered = studies_without_heterogeneity(160)
    low, high = binom.interval(0.999, len(raw), 0.05)
    assert alarms <= 18 and low <= np.sum(raw) <= high
    assert np.mean(covered) == pytest.approx(0.95, abs=0.025)


@pytest.mark.slow
def test_without_heterogeneity_corrected_tests_reject_in_at_most_5_percent():
    """Raw tests must reject in about 5 %, or the corrected ones hold for nothing.

    Stated exactly: were the true rate of false alarms above 6 %, as few alarms as were seen would have a probability
    below 5 % (the upper Clopper-Pearson bound, P(Binomial(studies, r) <= alarms) = .05). The percentage point above
    the promised 5 % is what so many studies can't tell apart, not a licence.
    """
    alarms, raw, covered = studies_without_heterogeneity(STUDIES)
    assert alarms / STUDIES <= 0.05
    assert binom.cdf(alarms, STUDIES, 0.06) < 0.05
    assert 0.04 <= np.mean(raw) <= 0.06
    assert 0.94 <= np.mean(covered) <= 0.96


@pytest.mark.parametrize("estimator", ["dr", "ips", "snips"])
def test_planted_heterogeneity_is_found(estimator):
    rng = np.random.default_rng(1)
    hits, others, middle = [], [], []
    for _ in range(40):
        this_study = study(logged(rng, 150, by_gender=0.3), replace(OPTIONS, estimator=estimator), quiet)
        by_name = {feature.name: feature for feature in this_study.features}
        hits.append(by_name["gender"].p <= 0.05 and all(level.p <= 0.05 for level in by_name["gender"].levels))
        others += [by_name[name].p <= 0.05 for name in ("age", "genres")]
        female, male = by_name["gender"].levels
        middle.append((female.effect.value, male.effect.value))
    assert np.mean(hits) > 0.9 and np.mean(others) < 0.1
    assert np.mean(middle, axis=0) == pytest.approx([0.4, 0.1], abs=0.03)


def test_naive_effects_are_confounded():
    rng = np.random.default_rng(2)
    naive, dr = (
        np.mean(
            [study(logged(rng), replace(OPTIONS, estimator=name, features=()), quiet).overall.value for _ in range(20)]
        )
        for name in ("naive", "dr")
    )
    assert naive > 0.13 and dr == pytest.approx(0.1, abs=0.015)


def test_correction_is_over_features_and_over_levels_and_no_level_without_its_feature():
    this_study = study(logged(np.random.default_rng(3)), OPTIONS, quiet)
    raw = study(logged(np.random.default_rng(3)), replace(OPTIONS, correction="none"), quiet)
    p = [feature.p for feature in raw.features]
    assert p == [feature.test.p for feature in this_study.features]
    assert min(feature.p for feature in this_study.features) == pytest.approx(min(1.0, 4 * min(p)))
    count = sum(len(feature.levels) for feature in raw.features)
    least = min(level.p for feature in raw.features for level in feature.levels)
    assert min(level.p for feature in this_study.features for level in feature.levels) >= min(1.0, count * least)
    for feature in this_study.features:
        assert all(level.p >= feature.p for level in feature.levels)
    controlled = study(logged(np.random.default_rng(3)), replace(OPTIONS, correction="bh"), quiet)
    assert all(a.p <= b.p for a, b in zip(controlled.features, this_study.features, strict=True))


def test_in_a_world_the_estimate_stands_beside_the_truth(tmp_path):
    dataset = data.load(data.configure("uplift-synthetic", [*WORLD[1:], "data.heterogeneity=1.5"]), tmp_path)
    assert dataset.world is not None
    assert (_first_log(dataset).value == draw(dataset.world.potential, 0).value).all()
    this_study = study(dataset, replace(OPTIONS, features=("group",)), quiet)
    (group,) = this_study.features
    for level, member in zip(group.levels, ("0", "1"), strict=True):
        true = dataset.world.tau[(dataset.users["group"] == member).to_numpy()].mean()
        assert level.true == pytest.approx(true, abs=1e-6)
        assert level.effect.lo < true < level.effect.hi
    assert this_study.true == pytest.approx(dataset.world.tau.mean(), abs=1e-6)
    assert group.p < 0.01 and group.levels[1].difference.lo > 0


def test_the_halves_have_nothing_to_do_with_a_worlds_draw(tmp_path):
    """The same seed for both once drew the same numbers, and made doubly-robust effects a third of what they are."""
    dataset = data.load(data.configure("uplift-synthetic", list(WORLD[1:])), tmp_path)
    log = _first_log(dataset)
    for seed in range(3):
        assert abs(np.corrcoef(_halves(len(log), seed), log.treated)[0, 1]) < 0.04


def test_no_row_helps_to_predict_itself():
    result = logged(np.random.default_rng(8))
    log = _first_log(result)
    half = _halves(len(log), 0)
    before = np.stack(_predictions(log, half, 5.0))
    other = np.where(half == 0, 1 - log.value, log.value)
    after = np.stack(_predictions(replace(log, value=other), half, 5.0))
    assert (before[:, half == 0] == after[:, half == 0]).all() and (before[:, half == 1] != after[:, half == 1]).any()


def test_features_become_levels():
    result = logged(np.random.default_rng(4))
    log = _first_log(result)
    half = _halves(len(log), 0)
    gender, age, activity, genres = features(result, log, half, OPTIONS)
    assert gender.levels == ("F", "M") and gender.partition and gender.side == "user"
    assert (gender.member[0][:, 0] == (result.users["gender"] == "F")).all()
    assert len(age.levels) == 3 and (age.member[1].sum(axis=1) == 1).all()
    ages = result.users["age"].astype(int).to_numpy()
    assert age.levels[0] == f"{ages.min()} to {ages[age.member[0][:, 0]].max()}"
    assert abs(age.member[0].mean(axis=0) - 1 / 3).max() < 0.06
    assert genres.levels == ("comedy", "drama", "noir") and not genres.partition
    assert genres.member[0][:6].astype(int).tolist() == [
        [0, 1, 0], [1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 1], [0, 0, 0],
    ]  # fmt: skip
    count = [sum(y > 0 for u, y, h in zip(log.user, log.value, half) if u == 7 and h == side) for side in (0, 1)]
    for side in (0, 1):  # what decides about the rows of one half is what happened in the other
        low, high = map(int, activity.levels[int(np.argmax(activity.member[side][7]))].split(" to "))
        assert low <= count[1 - side] <= high
    empty = replace(result, users=result.users.assign(gender=["", *result.users["gender"][1:]]))
    assert not features(empty, log, half, OPTIONS)[0].member[0][0].any()


def test_occupation_and_genres_have_a_row_for_each_level(tmp_path, monkeypatch, capsys):
    """As in ML-100K: a user has one occupation, an item several genres; the true effect of each stands beside it."""
    jobs = ("artist", "doctor", "nurse", "student")
    world, plain = data.configure("uplift-synthetic", list(WORLD[1:])), data.load
    genres = ["drama", "comedy|drama", "noir|comedy"] * 20
    users = pd.DataFrame({"id": range(150), "occupation": [jobs[item % 4] for item in range(150)]}).astype(str)

    def load(config, cache, say=None):
        result = plain(config, cache, say)
        return replace(result, users=users, items=result.items.assign(genres=genres))

    dataset = load(world, tmp_path)
    monkeypatch.setattr("upliftlens.benchmarks.reports.effects.load", load)
    words = ["effects", *WORLD, f"cache={tmp_path}", "features=[occupation,genres]", "--format", "csv"]
    assert main(words) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    result = {(row["feature"], row["level"]): row for row in rows}
    levels = [("occupation", job) for job in jobs] + [("genres", name) for name in ("comedy", "drama", "noir")]
    assert [place for place in result if place in levels] == levels and len(rows) == 1 + 2 + len(levels)
    tau = dataset.world.tau
    for feature, level in levels:
        if feature == "occupation":
            member = tau[users["occupation"] == level]
        else:
            member = tau[:, [level in genre.split("|") for genre in genres]]
        row = result[feature, level]
        assert int(row["rows"]) == member.size and float(row["true"]) == pytest.approx(member.mean(), abs=1e-4)
        assert float(row["effect/lo"]) < float(row["effect"]) < float(row["effect/hi"])


def test_what_cannot_be_studied_is_said():
    result = logged(np.random.default_rng(5))
    with pytest.raises(UpliftlensError, match="unknown feature of logged 'gendr': did you mean 'gender'"):
        study(result, replace(OPTIONS, features=("gendr",)), quiet)
    many = replace(result, users=result.users.assign(town=[f"t{item}" for item in range(90)]))
    with pytest.raises(UpliftlensError, match="'town' of logged can't be used: it has 90 values"):
        study(many, replace(OPTIONS, features=("town",)), quiet)
    assert "town" not in [feature.name for feature in study(many, OPTIONS, quiet).features]
    rare = replace(result, users=result.users.assign(gender=["X"] * 3 + ["F"] * 40 + ["M"] * 47))
    said: list[str] = []
    this_study = study(rare, replace(OPTIONS, features=("gender",)), said.append)
    assert [level.name for level in this_study.features[0].levels] == ["F", "M"]
    assert said == ["gender: left out X (users with recommended rows 3, with others 3): min_users=5 of each are needed"]
    few = replace(result.log, treated=np.arange(len(result.log)) % 400 == 0)
    with pytest.raises(UpliftlensError, match="logged: 5 users have recommended rows and 90 have others"):
        study(replace(result, log=few), replace(OPTIONS, min_users=6), quiet)
    with pytest.raises(UpliftlensError, match="chi must lie in"):
        study(result, replace(OPTIONS, chi=1.0), quiet)


def test_rows_without_overlap_are_left_out_and_counted():
    result = logged(np.random.default_rng(6))
    certain = np.arange(len(result.log)) % 9 == 0
    some = replace(result.log, propensity=np.where(certain, 1.0, result.log.propensity))
    said: list[str] = []
    this_study = study(replace(result, log=some), OPTIONS, said.append)
    assert said[0] == "180 of 1,620 rows have no overlap (propensity 0 or 1) and are left out"
    assert this_study.rows == 1440 == sum(level.rows for level in this_study.features[0].levels)
    always = replace(result.log, propensity=np.ones(len(result.log)))
    with pytest.raises(UpliftlensError, match="logged: no overlap: all 1620 rows"):
        study(replace(result, log=always), OPTIONS, quiet)


def test_the_verb_writes_every_format_and_the_figure(tmp_path, capsys):
    words = ["effects", *WORLD, f"cache={tmp_path}", "data.heterogeneity=2"]
    assert main([*words, "--format", "csv", "estimator=snips", "--plot", str(tmp_path / "figures" / "f.svg")]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    levels = [row for row in rows if row["feature"] == "group"][1:]
    assert {"effect", "effect/lo", "true", "difference", "p", "p/holm"} <= set(rows[0])
    for row in levels:
        assert float(row["effect/lo"]) < float(row["true"]) < float(row["effect/hi"]) and int(row["effect/n"]) == 75
    assert b"true effect" in (tmp_path / "figures" / "f.svg").read_bytes()
    assert main([*words, "--format", "json", "correction=bh"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["metrics"]["effect"]["n"] == 150
    assert main([*words, "--format", "md"]) == 0
    printed = capsys.readouterr().out
    answer = Lab(tmp_path / "runs", tmp_path).effects(*WORLD, "data.heterogeneity=2")
    assert "| group | 1 | 4500 |" in printed and printed == f"{answer.text}\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["data=synthetic"], "does not say what was recommended"),
        (["estimater=dr"], "did you mean 'estimator'"),
        (["estimator=drr"], "did you mean 'dr'"),
        (["level=2"], "level must lie in (0, 1), got 2"),
        (["features=[groop]"], "did you mean 'group'"),
        (["features=[activity,activity]"], "features lists activity more than once"),
        (["--plot", "f.txt"], "a figure is written as .png, .svg, .pdf"),
    ],
)
def test_wrong_calls_are_answered(words, sentence, tmp_path, capsys):
    assert main(["effects", *(words if words[0] == "data=synthetic" else [*WORLD, *words]), f"cache={tmp_path}"]) == 1
    assert sentence in capsys.readouterr().err


def test_a_log_of_ones_own_knows_only_activity(tmp_path, capsys):
    result = logged(np.random.default_rng(7), 60)
    columns = {"user": result.log.user, "item": result.log.item, "treated": result.log.treated.astype(int)}
    pd.DataFrame({**columns, "outcome": result.log.value}).to_csv(tmp_path / "log.csv", index=False)
    assert (
        main(["effects", "data=uplift-log", f"data.path={tmp_path}/log.csv", f"cache={tmp_path}", "--format", "csv"])
        == 0
    )
    captured = capsys.readouterr()
    assert "propensities are estimated" in captured.err
    rows = list(csv.DictReader(io.StringIO(captured.out)))
    assert {row["feature"] for row in rows} == {"all", "activity"} and "true" not in rows[0]


@pytest.mark.parametrize("word", ["metrics=standard", "split.seed=1"])
def test_what_a_study_does_not_use_is_refused(word):
    with pytest.raises(UpliftlensError, match="leave that out"):
        effects([word], print)


def test_rows_that_were_nearly_impossible_are_told():
    result = logged(np.random.default_rng(2))
    rare = np.flatnonzero(result.log.treated)[:3]
    propensity = result.log.propensity.copy()
    propensity[rare] = 1e-6
    result = replace(result, log=replace(result.log, propensity=propensity))
    for options, expected in (
        (OPTIONS, True),
        (replace(OPTIONS, chi=0.01), False),
        (replace(OPTIONS, estimator="naive"), False),
    ):
        said: list[str] = []
        study(result, options, said.append)
        assert (
            any("3 of 1,620 rows had a chance below 0.001 of being what they are" in line for line in said) == expected
        )

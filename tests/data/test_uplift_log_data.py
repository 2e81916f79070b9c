"""Logs of recommendations from files, worlds as data sets, and what of both reaches a learner."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from shell import records
from uplift_logs import file_of, loaded, rows

from upliftlens.benchmarks import data
from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.data.card import rows_of as rows_of_card
from upliftlens.benchmarks.data.config import UpliftLogConfig
from upliftlens.benchmarks.data.recommendations import with_absent
from upliftlens.benchmarks.runs import plan as plans
from upliftlens.benchmarks.runs.prepare import prepare
from upliftlens.benchmarks.splits.kinds import SplitOptions, split
from upliftlens.benchmarks.splits.uplift_parts import consumed, fitted_rows, recommendations, uplift_part
from upliftlens.benchmarks.system.talk import quiet
from upliftlens.causal.effects.outcome_means import outcome_means
from upliftlens.causal.effects.treatment import treatment_propensity
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import interactions
from upliftlens.causal.propensities.treatment import additive_logistic
from upliftlens.causal.worlds.potential import draw

SMALL = ["data.n_users=30", "data.n_items=20", "data.per_user=5"]


def test_a_log_in_which_nothing_was_taken_is_refused(tmp_path):
    table = [(*row[:3], 0.0, row[4]) for row in rows()]
    with pytest.raises(UpliftlensError, match="outcomes are 0: nothing was ever taken"):
        loaded(file_of(tmp_path / "log.csv", table, True))


def test_a_log_keeps_every_column_in_its_row(tmp_path):
    table = rows()
    dataset = loaded(file_of(tmp_path / "log.csv", table, True))
    assert not dataset.estimated and dataset.world is None
    result = [
        (dataset.users["id"][u], dataset.items["id"][i], int(z), float(y), pytest.approx(e, abs=1e-6))
        for u, i, z, y, e in zip(
            dataset.log.user,
            dataset.log.item,
            dataset.log.treated,
            dataset.log.value,
            treatment_propensity(dataset.log),
            strict=True,
        )
    ]
    assert table == result


def test_propensities_that_are_not_recorded_are_estimated_and_it_is_said(tmp_path):
    said: list[str] = []
    dataset = loaded(file_of(tmp_path / "log.csv", rows(), False), say=said.append)
    assert dataset.estimated
    assert any("estimated from its 300 rows" in line for line in said)
    assert any("Every item was both recommended and not" in line for line in said)
    other = loaded(file_of(tmp_path / "log.csv", rows(), False), "data.propensity_l2=3")
    assert other.fingerprint != dataset.fingerprint


def test_a_log_without_overlap_is_refused_where_propensities_would_be_estimated(tmp_path):
    by_item = [(u, i, int(i[1:]) % 2, y, e) for u, i, _, y, e in rows()]
    with pytest.raises(UpliftlensError, match="no overlap: every item is always or never recommended"):
        loaded(file_of(tmp_path / "items.csv", by_item, False))
    by_user = [(u, i, int(u[1:]) % 2, y, e) for u, i, _, y, e in rows()]
    with pytest.raises(UpliftlensError, match="no overlap: every user is always or never recommended"):
        loaded(file_of(tmp_path / "users.csv", by_user, False))
    some = [(u, i, 0 if i == "i3" else z, y, e) for u, i, z, y, e in rows()]
    said: list[str] = []
    loaded(file_of(tmp_path / "some.csv", some, False), say=said.append)
    alone = sum(item == "i3" for _, item, *_ in some)
    assert any(f"{alone} of the rows are of 1 items that were always or never recommended" in line for line in said)


def test_a_column_has_one_role(tmp_path):
    with pytest.raises(UpliftlensError, match=r"data\.columns\.treated and data\.columns\.outcome are both treated"):
        loaded(file_of(tmp_path / "log.csv", rows(), False), "data.columns.outcome=treated")
    outcomes = loaded(file_of(tmp_path / "log.csv", rows(), True), "data.columns.outcome=propensity")
    assert outcomes.estimated, "data.columns.propensity=auto takes no column that has another role"


def test_estimated_propensities_minimise_the_penalised_likelihood():
    rng = np.random.default_rng(1)
    user, item, treated = rng.integers(0, 4, 60), rng.integers(0, 3, 60), rng.random(60) < 0.4

    def loss(theta: np.ndarray) -> float:
        p = expit(theta[7] + theta[:4][user] + theta[4:7][item])
        return float(-np.where(treated, np.log(p), np.log(1 - p)).sum() + 0.7 * (theta[:7] ** 2).sum())

    every = np.ones(60, bool)
    theta = minimize(
        loss, np.zeros(8), method="Nelder-Mead", options={"maxiter": 40_000, "xatol": 1e-7, "fatol": 1e-11}
    ).x
    expected = expit(theta[7] + theta[:4][user] + theta[4:7][item])
    assert additive_logistic(user, item, treated, 4, 3, 0.7, 100, every) == pytest.approx(expected, abs=1e-4)
    for bad, l2 in ((treated, 0.0), (np.ones(60, bool), 1.0), (np.zeros(60, bool), 1.0)):
        with pytest.raises(ValueError, match=r"l2 > 0|treated"):
            additive_logistic(user, item, bad, 4, 3, l2, 100, every)
    with pytest.raises(ValueError, match=r"did not converge in 2 of 2 iterations .* larger l2"):
        additive_logistic(user, item, treated, 4, 3, 0.7, 2, every)


def test_outcome_means_are_shrunk_towards_the_arm():
    treated = np.array([True, True, False, False])
    log = interactions([0, 1, 2, 0], [0, 0, 0, 1], [1, 0, 1, 0], 3, 3, None, treated, np.full(4, 0.5))
    with_it, without = outcome_means(log, 2.0)
    assert with_it == pytest.approx([(1 + 2 * 0.5) / 4, 0.5, 0.5])
    assert without == pytest.approx([(1 + 2 * 0.5) / 3, (0 + 2 * 0.5) / 3, 0.5])
    with pytest.raises(ValueError, match="positive"):
        outcome_means(log, 0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: [(*t[0][:3], 1.5, t[0][4]), *t[1:]], r"line 2, column outcome: outcome 1\.5 lies outside"),
        (lambda t: [(*t[0][:4], -0.1), *t[1:]], r"line 2, column propensity: propensity -0\.1 lies outside"),
        (lambda t: [(*t[0][:2], 0.5, *t[0][3:]), *t[1:]], r"line 2, column treated: treated 0\.5 is not 0 or 1"),
        (lambda t: [(*row[:2], 0, *row[3:]) for row in t], "no treated row"),
        (lambda t: [(*row[:2], 1, *row[3:]) for row in t], "no untreated row"),
        (lambda t: [t[0], *t], "already on line 2"),
        (lambda t: [(*row[:4], float(row[2])) for row in t], "no overlap: all 300 rows"),
        (lambda t: [(*t[0][:4], 1.0 - t[0][2]), *t[1:]], "1 rows are treated with propensity 0 or untreated"),
    ],
)
def test_bad_logs_are_named(change, message, tmp_path):
    with pytest.raises(UpliftlensError, match=message):
        loaded(file_of(tmp_path / "log.csv", change(rows()), True))


def test_rows_without_overlap_are_counted(tmp_path):
    said: list[str] = []
    table = [(*row[:4], float(row[2])) if k < 7 else row for k, row in enumerate(rows())]
    loaded(file_of(tmp_path / "log.csv", table, True), say=said.append)
    assert any("7 of 300 rows have propensity 0 or 1" in line for line in said)


def test_pairs_that_a_world_always_recommends_are_counted_and_its_card_says_so(tmp_path):
    said: list[str] = []
    options = [*SMALL, "data.exposure=rank", "data.exponent=2", "data.cap=1"]
    dataset = data.load(data.configure("uplift-synthetic", options), tmp_path, said.append)
    certain = int((treatment_propensity(dataset.log) == 1).sum())
    assert certain > 0
    assert said == [f"uplift-synthetic: {certain:,} of 1,200 rows have propensity 0 or 1 and are left out of estimates"]
    card = data.card(dataset)
    assert card.recommended is not None and len(card.log) == 600 and card.density == 1
    assert card.recommended.without_overlap == certain // 2 and card.recommended.draws == 3
    first = dataset.log.treated[:600]
    assert card.recommended.rows == first.sum() and card.relevant == np.mean(dataset.log.value[:600] > 0)
    assert card.recommended.outcome[0] == pytest.approx(dataset.log.value[:600][first].mean())
    shown = dict(rows_of_card(card))
    assert shown["no overlap"].startswith(f"{certain // 2} pairs") and "the first of 3 draws" in shown["logged pairs"]


def test_absent_pairs_can_count_as_neither_recommended_nor_taken(tmp_path):
    table, said = rows(), []
    path = file_of(tmp_path / "log.csv", table, False)
    dataset = loaded(path, "data.absent=zero", say=said.append)
    assert len(dataset.log) == 25 * 15
    assert any("estimated from its 375 rows" in line for line in said)
    known = {(user, item): (bool(z), y) for user, item, z, y, _ in table}
    ids = zip(dataset.users["id"][dataset.log.user], dataset.items["id"][dataset.log.item])
    for pair, z, y in zip(ids, dataset.log.treated, dataset.log.value):
        assert (z, y) == known.pop(pair, (False, 0.0))
    assert not known
    e = additive_logistic(
        dataset.log.user, dataset.log.item, dataset.log.treated, 25, 15, 1.0, 1000, np.ones(375, bool)
    )
    np.testing.assert_allclose(treatment_propensity(dataset.log), e, atol=1e-4)
    assert loaded(path).fingerprint != dataset.fingerprint
    with pytest.raises(UpliftlensError, match=r"absent pair has no row in .*columns\.propensity=null"):
        loaded(file_of(tmp_path / "log.csv", table, True), "data.absent=zero")


def test_absent_pairs_that_would_be_too_many_are_refused():
    wide = pd.DataFrame(
        {"user": np.arange(20_000), "item": np.arange(20_000), "value": np.zeros(20_000), "treated": False}
    )
    with pytest.raises(UpliftlensError, match="would be 400,000,000 rows"):
        with_absent(wide, "log.csv")


def test_a_log_of_ones_own_runs_from_file_to_estimate(tmp_path):
    path = file_of(tmp_path / "log.csv", rows(80, 30), False)
    words = [
        f"data.path={path}",
        "data=uplift-log",
        "metrics=uplift",
        "metrics.interval.resamples=50",
        "progress=false",
    ]
    assert main(["run", *words, "model=cubn", f"store={tmp_path}/runs", f"cache={tmp_path}"]) == 0
    (record,) = records(tmp_path / "runs")
    assert record["diagnostics"]["recommendations"]["propensities"] == "estimated"
    assert {"uplift@10/snips", "uplift@10/dr", "auuc", "qini", "recall@10"} <= set(record["metrics"])
    assert "the truth is not known" in record["diagnostics"]["absent"]["cp@10"]
    assert record["metrics"]["uplift@10/snips"]["n"] > 40


@pytest.mark.parametrize("words", [["propensity=popularity"], ["objective=rel_mf", "loss=logistic", "model=mf"]])
def test_a_propensity_of_being_observed_is_refused_before_the_log_is_read(words, tmp_path, capsys):
    given = [
        "data=uplift-log",
        f"data.path={tmp_path}/absent.csv",
        "model=popularity",
        *words,
        f"store={tmp_path}/runs",
    ]
    assert main(["run", *given]) != 0
    said = capsys.readouterr().err
    assert "data=uplift-log is a log of recommendations" in said and "use propensity=none" in said


def test_a_propensity_of_being_observed_is_refused_for_a_plugins_log(tmp_path, monkeypatch):
    monkeypatch.setattr(UpliftLogConfig, "recommendations", False)
    words = ["data=uplift-log", f"data.path={file_of(tmp_path / 'log.csv', rows(), True)}", "model=popularity"]
    planned = plans.plan(configured([*words, "propensity=popularity", f"cache={tmp_path}"]))
    with pytest.raises(UpliftlensError, match="log is a log of recommendations"):
        prepare(planned, quiet)


def test_the_three_draws_are_those_of_the_world(tmp_path):
    dataset = data.load(data.configure("uplift-synthetic", [*SMALL, "data.draw=2"]), tmp_path)
    assert dataset.world is not None
    parts = split(dataset, SplitOptions("draws", 0.5, 0))
    for part, rows_there, seed in (
        ("training", parts.train, 6),
        ("validation", parts.validation, 7),
        ("test", parts.test, 8),
    ):
        drawn = draw(dataset.world.potential, seed)
        result = uplift_part(parts, part)
        assert result is not None and (rows_there.value == drawn.value).all()
        for name in ("user", "item", "treated", "value", "propensity"):
            assert (getattr(result, name) == getattr(drawn, name)).all(), (part, name)
    assert parts.leak.redrawn and not parts.leak.problems()
    seen = fitted_rows(parts)
    assert len(seen) == int((parts.train.value > 0).sum()) and len(consumed(parts.train)) == len(seen)
    both = uplift_part(parts, "fit")
    assert both is not None and len(both) == len(parts.train)
    padded = recommendations(both, 700)
    assert padded.weight.sum() == 600 and padded.treated.sum() == both.treated.sum()
    assert (np.diff(np.asarray(padded.user[:600])) >= 0).all()
    again = data.load(data.configure("uplift-synthetic", [*SMALL, "data.draw=2"]), tmp_path)
    assert again.fingerprint == dataset.fingerprint
    other = data.load(data.configure("uplift-synthetic", SMALL), tmp_path)
    assert other.fingerprint != dataset.fingerprint

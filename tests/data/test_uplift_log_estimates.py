"""Propensities that a log does not record are estimated without the rows that a run tests on."""

from pathlib import Path

import numpy as np
import pytest
from uplift_logs import file_of, loaded, rows

from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.benchmarks.runs.prepare import Prepared, prepare, training_data
from upliftlens.benchmarks.splits.at_random import KFoldOptions
from upliftlens.benchmarks.splits.kinds import split
from upliftlens.benchmarks.system.talk import Reporter, quiet
from upliftlens.causal.effects.treatment import treatment_propensity
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.propensities.treatment import additive_logistic

KFOLD = KFoldOptions("kfold", 0.1, 0, folds=5, fold=0)


def prepared(path: Path, *words: str, reporter: Reporter = quiet) -> Prepared:
    common = ["data=uplift-log", f"data.path={path}", "model=cubn", "split.folds=5", "split.validation=0.1"]
    return prepare(plan(configured([*common, f"cache={path.parent}", *words])), reporter)


def e_of(result):
    return treatment_propensity(result.dataset.log)


def test_who_was_recommended_what_in_the_test_rows_enters_no_other_weight(tmp_path):
    table = rows()
    result = prepared(file_of(tmp_path / "log.csv", table, False))
    assert result.split.test_rows is not None
    flipped = set(result.split.test_rows[::2].tolist())
    other = [(*row[:2], 1 - row[2] if place in flipped else row[2], *row[3:]) for place, row in enumerate(table)]
    changed = prepared(file_of(tmp_path / "other.csv", other, False))
    assert (changed.split.train_rows == result.split.train_rows).all()
    assert (changed.dataset.log.treated != result.dataset.log.treated).sum() == len(flipped)
    assert e_of(changed) == pytest.approx(e_of(result), rel=0, abs=0)
    seen, same = (training_data(item, refit=True).recommendations for item in (result, changed))
    assert seen is not None and same is not None and (seen.propensity == same.propensity).all()
    place = int(result.split.train_rows[0])
    table[place] = (*table[place][:2], 1 - table[place][2], *table[place][3:])
    trained = prepared(file_of(tmp_path / "trained.csv", table, False))
    assert (e_of(trained) != e_of(result)).any()


def test_the_estimate_is_that_of_a_log_without_the_test_rows(tmp_path):
    result = prepared(file_of(tmp_path / "log.csv", rows(), False))
    kept = np.sort(np.r_[result.split.train_rows, result.split.validation_rows])
    log = result.dataset.log
    assert result.dataset.estimated and len(kept) == 240
    every = np.ones(240, bool)
    alone = additive_logistic(log.user[kept], log.item[kept], log.treated[kept], 25, 15, 1.0, 1000, every)
    assert e_of(result)[kept] == pytest.approx(alone, abs=1e-6)


def test_a_user_and_an_item_without_a_fitted_row_are_average():
    user, item = np.array([0, 0, 1, 1, 2, 2, 3]), np.array([0, 1, 0, 1, 0, 2, 2])
    treated, fitted = np.array([1, 0, 0, 1, 1, 1, 1], bool), np.arange(7) < 4
    e = additive_logistic(user, item, treated, 4, 3, 1.0, 100, fitted)
    assert e == pytest.approx(0.5, abs=1e-6)  # as many fitted rows are treated as not, of every user and item
    uneven = additive_logistic(user, item, np.array([1, 0, 1, 1, 0, 0, 0], bool), 4, 3, 1.0, 100, fitted)
    assert uneven[4] > uneven[5] == uneven[6] > 0.5  # item 0 was always recommended, item 2 is unknown


def test_the_run_says_so_and_has_a_key_of_its_own(tmp_path):
    said: list[str] = []
    path = file_of(tmp_path / "log.csv", rows(), False)
    result = prepared(path, reporter=quiet._replace(say=said.append))
    assert said[-1] == "uplift-log, split kfold: the run's propensities are estimated without its test rows"
    whole = loaded(path)
    assert result.dataset.fingerprint == whole.fingerprint
    assert result.split.fingerprint != split(whole, KFOLD).fingerprint


def test_recorded_propensities_stay_as_they_are(tmp_path):
    said: list[str] = []
    path = file_of(tmp_path / "log.csv", rows(), True)
    result, whole = prepared(path, reporter=quiet._replace(say=said.append)), loaded(path)
    assert not said and (result.dataset.log.propensity == whole.log.propensity).all()
    assert result.split.fingerprint == split(whole, KFOLD).fingerprint


def test_other_rows_that_are_not_enough_are_named(tmp_path):
    table = rows()
    late = sorted(range(len(table)), key=lambda place: table[place][2])  # whatever was recommended was so at the end
    lines = [f"{','.join(map(str, table[place][:4]))},{time}" for time, place in enumerate(late)]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(["user,item,treated,outcome,when", *lines]) + "\n")
    share = np.mean([row[2] for row in table]) + 0.01
    words = ["data=uplift-log", f"data.path={path}", "data.columns.time=when", "model=cubn", f"cache={tmp_path}"]
    temporal = plan(configured([*words, "split=temporal", f"split.share={share:.3f}"]))
    with pytest.raises(UpliftlensError, match=r"without the test rows of split temporal: 0% .* Fix: record them"):
        prepare(temporal, quiet)

"""The propensity of each part of a split, and the sample that naive Bayes takes P(r) from."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from upliftlens.benchmarks.propensities.exposure import NaiveBayesConfig, PropensityConfig, expose, without_mar_sample
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions, interactions, take


@dataclass(frozen=True)
class Parts:
    """What of a split a propensity reads."""

    name: str
    train: Interactions
    validation: Interactions
    test: Interactions
    fingerprint: str


def toy(p, test_kind="mar"):
    rng = np.random.default_rng(0)
    user, item = np.nonzero(rng.random((8, 6)) < 0.5)
    log = interactions(user, item, rng.integers(1, 6, len(user)), 8, 6)
    features = [SimpleNamespace(matrix=np.zeros((n, 0), np.float32)) for n in (8, 6)]
    dataset = SimpleNamespace(
        name="toy", log=log, propensity=p, test_kind=test_kind, user_features=features[0], item_features=features[1]
    )
    cut = len(user) * 3 // 4
    rows = np.arange(len(user))
    parts = SimpleNamespace(name="given", train=take(log, rows[:cut]), validation=take(log, rows[cut:]), test=log)
    return dataset, parts


def test_training_and_validation_rows_share_the_propensity_of_both():
    p = np.random.default_rng(1).uniform(0.2, 0.8, (8, 6)).astype(np.float32)
    dataset, parts = toy(p)
    exposed = expose(PropensityConfig("given", 0.3, False), dataset, parts, None, None)
    for part, rows in (("training", parts.train), ("validation", parts.validation)):
        expected = np.maximum(p[rows.user, rows.item], 0.3) * len(rows) / len(dataset.log)
        np.testing.assert_allclose(exposed.of(part, rows), expected, rtol=1e-6)
    with pytest.raises(UpliftlensError, match="no random share"):
        exposed.of("test", parts.test)
    whole = expose(PropensityConfig("given", 0.3, True), dataset, parts, None, None)
    assert (1 / whole.of("fit", dataset.log)).sum() == pytest.approx(48, rel=1e-4)


def test_normalising_hides_neither_a_wrong_total_nor_what_was_clipped():
    p = np.random.default_rng(1).uniform(0.1, 0.4, (8, 6)).astype(np.float32) / 3
    dataset, parts = toy(p)
    plain, whole = (expose(PropensityConfig("given", 0.05, n), dataset, parts, None, None) for n in (False, True))
    assert whole.diagnostics == plain.diagnostics and whole.diagnostics["verdict"] == "poor"
    assert whole.diagnostics["inverse_ratio"] > 2 and 0 < whole.diagnostics["clip_rate"] < 1
    assert not np.allclose(plain.of("fit", dataset.log), whole.of("fit", dataset.log))


@pytest.mark.parametrize("bad", [0.0, -0.1, np.nan])
def test_impossible_propensities_are_refused(bad):
    p = np.full((8, 6), 0.5, np.float32)
    dataset, parts = toy(p)
    p[int(dataset.log.user[3]), int(dataset.log.item[3])] = bad
    with pytest.raises(UpliftlensError, match="propensity"):
        expose(PropensityConfig("given", 0.0, False), dataset, parts, None, None)


def test_a_sample_of_ones_own_shows_the_ratings_and_must_have_left_the_test_set(tmp_path):
    dataset, parts = toy(None)
    ids = {side: pd.DataFrame({"id": [f"{side}{n}" for n in range(size)]}) for side, size in (("u", 8), ("i", 6))}
    dataset.users, dataset.items, parts.fingerprint = ids["u"], ids["i"], "split"
    parts = Parts(**vars(parts))
    cells = np.ones((8, 6), bool)
    cells[parts.test.user, parts.test.item] = False
    lines = [f"u{user},i{item},{1 + number % 5}" for number, (user, item) in enumerate(np.argwhere(cells))]
    path, config = (
        tmp_path / "mar.csv",
        NaiveBayesConfig("naive_bayes", 0.0, False, 0.0, 0, 1.0, str(tmp_path / "mar.csv")),
    )

    def sampled(*rows):
        path.write_text("\n".join(["user,item,value", *rows]))
        return without_mar_sample(dataset, parts, config)

    kept, sample = sampled(*lines)
    assert kept.test is parts.test and len(sample) == len(lines) and kept.fingerprint != "split"
    assert sampled(*lines[1:])[0].fingerprint != kept.fingerprint
    assert expose(config, dataset, parts, sample, None).propensity.uses_mar_data
    wrong = {
        "1 pairs of the MAR sample are also test pairs": f"u{parts.test.user[0]},i{parts.test.item[0]},3",
        r"toy has no user 'u9' \(line \d+\)": "u9,i0,3",
        "no number is 'three'": "u0,i0,three",
    }
    for message, line in wrong.items():
        with pytest.raises(UpliftlensError, match=message):
            sampled(*lines, line)
    path.write_text("who,item,value")
    with pytest.raises(UpliftlensError, match="no column user"):
        without_mar_sample(dataset, parts, config)
    path.unlink()
    with pytest.raises(UpliftlensError, match="can't be read"):
        without_mar_sample(dataset, parts, config)
    with pytest.raises(UpliftlensError, match="mar_share=0"):
        NaiveBayesConfig("naive_bayes", 0.0, False, 0.1, 0, 1.0, "mar.csv")


def test_a_share_that_empties_the_test_set_is_refused():
    dataset, parts = toy(np.full((8, 6), 0.5, np.float32))
    with pytest.raises(UpliftlensError, match="leaves one side empty"):
        without_mar_sample(dataset, parts, NaiveBayesConfig("naive_bayes", 0.0, False, 0.001, 0, 1.0))

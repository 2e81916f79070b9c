"""The propensity of each part of a split, and the sample that naive Bayes takes P(r) from."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from split_toys import dataset

from upliftlens.benchmarks.propensities.exposure import expose, without_sample
from upliftlens.benchmarks.propensities.kinds import PropensityOptions
from upliftlens.benchmarks.propensities.naive_bayes import NaiveBayesOptions
from upliftlens.benchmarks.splits.kinds import assemble
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import interactions


def toy(p):
    """A data set with these propensities, tested on its log, and a split that selects by the last quarter."""
    rng = np.random.default_rng(0)
    user, item = np.nonzero(rng.random((8, 6)) < 0.5)
    log = interactions(user, item, rng.integers(1, 6, len(user)), 8, 6)
    ids = {side: pd.DataFrame({"id": [f"{side}{n}" for n in range(size)]}) for side, size in (("u", 8), ("i", 6))}
    data = replace(dataset(log, log), propensity=p, users=ids["u"], items=ids["i"])
    cut, rows = len(user) * 3 // 4, np.arange(len(user))
    return data, assemble(data, "given", rows[:cut], rows[cut:], None, published=True)


def test_training_and_validation_rows_share_the_propensity_of_both():
    p = np.random.default_rng(1).uniform(0.2, 0.8, (8, 6)).astype(np.float32)
    data, parts = toy(p)
    exposed = expose(PropensityOptions("given", 0.3, False), data, parts, None, None)
    for part, rows in (("training", parts.train), ("validation", parts.validation)):
        expected = np.maximum(p[rows.user, rows.item], 0.3) * len(rows) / len(data.log)
        np.testing.assert_allclose(exposed.of(part, rows), expected, rtol=1e-6)
    with pytest.raises(UpliftlensError, match="no random share"):
        exposed.of("test", parts.test)
    whole = expose(PropensityOptions("given", 0.3, True), data, parts, None, None)
    assert (1 / whole.of("fit", data.log)).sum() == pytest.approx(48, rel=1e-4)


def test_normalising_hides_neither_a_wrong_total_nor_what_was_clipped():
    p = np.random.default_rng(1).uniform(0.1, 0.4, (8, 6)).astype(np.float32) / 3
    data, parts = toy(p)
    plain, whole = (expose(PropensityOptions("given", 0.05, n), data, parts, None, None) for n in (False, True))
    assert whole.diagnostics == plain.diagnostics and whole.diagnostics["verdict"] == "poor"
    assert whole.diagnostics["inverse_ratio"] > 2 and 0 < whole.diagnostics["clip_rate"] < 1
    assert not np.allclose(plain.of("fit", data.log), whole.of("fit", data.log))


@pytest.mark.parametrize("bad", [0.0, -0.1, np.nan])
def test_impossible_propensities_are_refused(bad):
    p = np.full((8, 6), 0.5, np.float32)
    data, parts = toy(p)
    p[int(data.log.user[3]), int(data.log.item[3])] = bad
    with pytest.raises(UpliftlensError, match="propensity"):
        expose(PropensityOptions("given", 0.0, False), data, parts, None, None)


def test_a_sample_of_ones_own_shows_the_ratings_and_must_have_left_the_test_set(tmp_path, capsys):
    data, parts = toy(None)
    cells = np.ones((8, 6), bool)
    cells[parts.test.user, parts.test.item] = False
    lines = [f"u{user},i{item},{1 + number % 5}" for number, (user, item) in enumerate(np.argwhere(cells))]
    path = tmp_path / "mar.csv"
    config = NaiveBayesOptions("naive_bayes", 0.0, False, 0.0, 0, 1.0, str(path))

    def sampled(*rows):
        path.write_text("\n".join(["user,item,value", *rows]))
        return without_sample(data, parts, config)

    kept, sample = sampled(*lines)
    assert kept.test is parts.test and len(sample) == len(lines) and kept.fingerprint != parts.fingerprint
    assert sampled(*lines[1:])[0].fingerprint != kept.fingerprint
    assert expose(config, data, parts, sample, None).propensity.uses_mar_data
    wrong = {
        "1 pairs of the MAR sample are also test pairs": f"u{parts.test.user[0]},i{parts.test.item[0]},3",
        r"toy has no user 'u9' \(line \d+\)": "u9,i0,3",
        r"mar\.csv, line \d+, column value: 'three' is not a number": "u0,i0,three",
        "column value: rating 9 lies outside of the scale 1 to 5": "u0,i0,9",
        r"are already on line 2\. Fix: delete one$": lines[0],
        r"are already on line 2\. Fix: delete one \(2 problems in all\)$": f"{lines[0]}\n{lines[1]}",
        r"a quote opens here and closes on line \d+: 2 lines would be one user": f'"{lines[0]}\nu0",i0,3',
        r"a quote opens here and the row runs on to line \d+": '"u0,i0,3\nu0,i1,3',
    }
    for message, line in wrong.items():
        with pytest.raises(UpliftlensError, match=message):
            sampled(*lines, line)
    refused = {
        "no such column; there is: who, item, value. Fix: its first line must name user, item, value": "who,item,value",
        "line 1: a quote opens here and the header runs on to line 3": 'user,item,value,"note\nu0,i0,3,\nu0,i1,3"',
        "separate its fields by comma": "user\titem\tvalue\nu0\ti0\t3",
        "byte 0xe9 is not utf-8. Fix: convert the file to UTF-8": "user,item,value\né,i0,3",
    }
    for message, content in refused.items():
        path.write_text(content, encoding="latin-1")
        with pytest.raises(UpliftlensError, match=f"^propensity.mar_path: .*{message}"):
            without_sample(data, parts, config)
    path.write_text(f'user,item,value,note\n{lines[0]},"a\nb\nc"\nu9,i0,3,')
    with pytest.raises(UpliftlensError, match=r"toy has no user 'u9' \(line 5\)"):
        without_sample(data, parts, config)
    assert "mar.csv: 1 of 2 rows take several lines, the first from line 2" in capsys.readouterr().err
    path.unlink()
    with pytest.raises(UpliftlensError, match="can't be read"):
        without_sample(data, parts, config)
    with pytest.raises(UpliftlensError, match="mar_share=0"):
        NaiveBayesOptions("naive_bayes", 0.0, False, 0.1, 0, 1.0, "mar.csv")


def test_a_share_that_empties_the_test_set_is_refused():
    data, parts = toy(np.full((8, 6), 0.5, np.float32))
    with pytest.raises(UpliftlensError, match="leaves one side empty"):
        without_sample(data, parts, NaiveBayesOptions("naive_bayes", 0.0, False, 0.001, 0, 1.0, None))

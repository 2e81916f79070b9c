"""A learned propensity on pairs whose observation its fit has not seen: the numbers, the chances, who is refused."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from shell import call, records
from split_toys import dataset

from upliftlens.benchmarks.propensities import held_out as judge
from upliftlens.benchmarks.propensities.diagnostics import diagnostics, verdict
from upliftlens.benchmarks.propensities.estimated import constant, popularity
from upliftlens.benchmarks.propensities.held_out import held_out
from upliftlens.benchmarks.propensities.kinds import Known, PropensityKind, PropensityOptions
from upliftlens.benchmarks.propensities.known import given
from upliftlens.benchmarks.propensities.naive_bayes import NaiveBayesOptions, naive_bayes
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import interactions
from upliftlens.causal.propensities import propensity as models
from upliftlens.causal.propensities.diagnostics import calibration, calibration_error

SHAPE, SHARE = (300, 200), 0.2
OPTIONS = PropensityOptions("k", 0.0, False, held_out=SHARE)


def world(seed=0):
    """Its propensities, and a log drawn from them."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.02, 0.5, SHAPE) ** 2
    user, item = np.nonzero(rng.random(SHAPE) < p)
    log = interactions(user, item, np.ones(len(user)), *SHAPE)
    return p, Known(log, dataset(log, log), None, None)


def kind(fit):
    return PropensityKind("k", PropensityOptions, lambda options, known: models.given(fit(known.log), "k"))


def by_heart(log):
    p = np.full(SHAPE, 1e-4)
    p[log.user, log.item] = 0.99
    return p


def test_the_three_numbers_are_what_the_table_says():
    rng = np.random.default_rng(2)
    p = rng.uniform(0.05, 0.6, 900)
    o = rng.random(900) < p
    result = calibration(p, o, 10)
    rate = o.mean()
    assert result.error == pytest.approx(calibration_error(p, o, 10) / rate)
    loss = [-np.mean(np.where(o, np.log(q), np.log(1 - q))) for q in (p, rate)]
    assert result.gain == pytest.approx(1 - loss[0] / loss[1]) and result.gain > 0
    drawn = [calibration_error(p, rng.random(900) < p, 10) for _ in range(400)]
    assert result.by_chance * rate == pytest.approx(np.mean(drawn), rel=0.05)
    assert calibration(np.full(900, rate), o, 10).gain == pytest.approx(0, abs=1e-12)


def test_the_chance_of_an_unseen_pair_by_enumeration(monkeypatch):
    p, share = 0.3, SHARE
    unseen = held = 0.0
    for observed, leaves in product([0, 1], repeat=2):
        weight = (p if observed else 1 - p) * (share if leaves else 1 - share)
        if not (observed and not leaves):
            unseen += weight
            held += weight * (observed and leaves)
    judged = []
    monkeypatch.setattr(judge, "calibration", lambda q, observed, bins: judged.append((q, observed)))
    _, known = world()
    held_out(kind(lambda log: np.full(SHAPE, (1 - share) * p)), OPTIONS, known)
    ((q, observed),) = judged
    np.testing.assert_allclose(q, held / unseen, rtol=1e-6)
    assert observed.sum() / len(known.log) == pytest.approx(share, abs=0.02)
    assert len(q) == np.prod(SHAPE) - (len(known.log) - observed.sum()), "all pairs but those that it was fitted to"


def test_the_true_propensity_is_as_good_as_chance_allows_and_what_was_learned_by_heart_is_not():
    p, known = world()
    true = held_out(kind(lambda log: (1 - SHARE) * p), OPTIONS, known)
    assert true.share == SHARE
    assert abs(true.unseen.error - true.unseen.by_chance) < 0.5 * true.unseen.by_chance and true.unseen.gain > 0.03
    heart = kind(by_heart)
    learned = held_out(heart, OPTIONS, known)
    assert learned.unseen.gain < -0.1
    fitted = heart.fit(OPTIONS, known)
    said = diagnostics(fitted, known.log, known.dataset, 0.0, learned)
    assert said["held_out"]["unseen"] == learned.unseen._asdict()
    assert said["held_out"]["seen"]["gain"] > 0.9, "in sample nothing shows it"
    assert said["verdict"] == "poor" and "on unseen pairs its log loss is" in said["reason"]
    line = next(line for line in verdict(said).splitlines() if "fitted without 20% of the observed pairs" in line)
    assert "that of a constant (in sample" in line and "above that" in line
    assert "held_out" not in diagnostics(fitted, known.log, known.dataset, 0.0)


def test_a_kind_is_fitted_to_the_rows_that_stay_and_repeated_pairs_leave_together():
    _, known = world(1)
    log = known.log
    twice = interactions(*(np.tile(column, 2) for column in (log.user, log.item, log.value)), *SHAPE)
    seen = []
    held_out(kind(lambda log: seen.append(log) or by_heart(log)), OPTIONS, known._replace(log=twice))
    (kept,) = seen
    keys, counts = np.unique(kept.user.astype(int) * SHAPE[1] + kept.item, return_counts=True)
    assert (counts == 2).all() and len(keys) / len(log) == pytest.approx(1 - SHARE, abs=0.02)


def test_the_estimates_of_the_log_pass_and_what_is_not_fitted_or_needs_ratings_is_refused():
    _, known = world()
    assert abs(held_out(constant, OPTIONS, known).unseen.gain) < 1e-3
    options = popularity.options("popularity", 0.0, False, 1.0, "density", held_out=SHARE)
    assert held_out(popularity, options, known).unseen.error < 0.3
    with pytest.raises(UpliftlensError, match="propensity=given is not fitted to the log"):
        held_out(given, OPTIONS, known)
    bayes = NaiveBayesOptions("naive_bayes", 0.0, False, 0.0, 0, 1.0, None, held_out=SHARE)
    with pytest.raises(UpliftlensError, match="held_out can't judge it"):
        held_out(naive_bayes, bayes, known)
    with pytest.raises(UpliftlensError, match="holds out 0 of 2 observed pairs"):
        few = interactions([0, 1], [0, 1], [1, 1], *SHAPE)
        held_out(constant, replace(OPTIONS, held_out=1e-6), known._replace(log=few))


def test_a_run_is_judged_anew_and_not_trained_anew(tmp_path, capsys):
    words = ("data=synthetic", "data.n_users=40", "data.n_items=30", "data.ratings_per_user=8", "model=additive")
    words += ("data.test_per_user=10", "split=given", "metrics.names=[rmse]", "propensity=popularity", "objective=ips")
    assert call("run", tmp_path, *words) == 0
    assert call("run", tmp_path, *words, "propensity.held_out=0.25") == 0
    assert "fitted without 25% of the observed pairs" in " ".join(capsys.readouterr().err.split())
    first, second = sorted(records(tmp_path), key=lambda record: record["created"])
    assert first["fit_key"] == second["fit_key"] and first["key"] != second["key"]
    assert second["diagnostics"]["propensity"]["held_out"]["share"] == 0.25
    assert call("run", tmp_path, *words, "propensity.held_out=1") == 1
    assert "propensity.held_out must lie in [0, 1), got 1" in capsys.readouterr().err

"""Schnabel et al. 2016, table 1: the published block comes out of any matrix with the right marginal."""

import numpy as np
import pytest

from upliftlens.causal.worlds import schnabel

MARGINAL = np.array([0.5263, 0.2419, 0.1440, 0.0623, 0.0255])
# true, then mean of IPS, SNIPS and naive over 50 draws, as published (rounded to three digits)
PUBLISHED = {
    "REC_ONES": (0.102, 0.102, 0.102, 0.011),
    "REC_FOURS": (0.026, 0.026, 0.026, 0.173),
    "ROTATED": (2.579, 2.581, 2.579, 1.168),
    "SKEWED": (1.306, 1.304, 1.304, 0.912),
    "COARSENED": (1.320, 1.314, 1.318, 0.387),
}
# standard deviations as published: IPS, SNIPS, naive
PUBLISHED_SD = {
    "REC_ONES": (0.007, 0.007, 0.001),
    "REC_FOURS": (0.000, 0.000, 0.001),
    "ROTATED": (0.031, 0.012, 0.003),
    "SKEWED": (0.012, 0.009, 0.002),
    "COARSENED": (0.015, 0.005, 0.002),
}
DRAWS = 50


def small(seed: int = 0, shape: tuple[int, int] = (60, 80)) -> tuple[np.ndarray, np.ndarray]:
    ratings = schnabel.rebucket(np.random.default_rng(seed).normal(size=shape), MARGINAL)
    return ratings, schnabel.exposure(ratings, alpha=0.25, density=0.05)


@pytest.fixture(scope="module")
def world() -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """ML-100K's shape, any scores at all: here noise."""
    ratings, propensity = small(seed=1, shape=(943, 1682))
    return ratings, propensity, schnabel.predictions(ratings, np.random.default_rng(2))


def test_rebucketing_keeps_the_order_and_meets_the_marginal() -> None:
    scores = np.random.default_rng(0).normal(size=(60, 80))
    ratings = schnabel.rebucket(scores, MARGINAL)
    counts = np.bincount(ratings.ravel(), minlength=6)[1:]
    assert np.abs(counts - MARGINAL / MARGINAL.sum() * scores.size).max() <= 1
    for level in range(1, 5):
        assert scores[ratings == level].max() < scores[ratings == level + 1].min()


def test_exposure_constants_are_the_published_ones(world) -> None:  # type: ignore[no-untyped-def]
    ratings, p, _ = world
    assert abs(p.mean() - 0.05) < 1e-12
    assert abs(p[ratings == 5].max() - 0.339) < 2e-3  # k; the paper rounds the marginal
    assert p[ratings == 4].max() == p[ratings == 5].max()
    for level in (1, 2, 3):
        np.testing.assert_allclose(p[ratings == level] / p.max(), 0.25 ** (4 - level))
    observed = [(p * (ratings == level)).sum() / p.sum() for level in range(1, 6)]
    np.testing.assert_allclose(observed, [0.056, 0.103, 0.244, 0.424, 0.173], atol=1e-3)


def test_predictions_are_as_described() -> None:
    r, _ = small()
    result = schnabel.predictions(r, np.random.default_rng(0))
    for name, level in (("REC_ONES", 1), ("REC_FOURS", 4)):
        changed = result[name] != r
        assert (r[changed] == level).all()
        assert (result[name][changed] == 5).all()
        assert changed.sum() == (r == 5).sum()
    np.testing.assert_array_equal(result["ROTATED"][r == 1], 5)
    np.testing.assert_array_equal(result["ROTATED"][r > 1], r[r > 1] - 1)
    np.testing.assert_array_equal(result["COARSENED"], np.where(r > 3, 4, 3))
    assert result["SKEWED"].min() >= 0
    assert result["SKEWED"].max() <= 6
    # Around r = 3 the clipping at ±3 is two standard deviations off and symmetric.
    threes = result["SKEWED"][r == 3]
    assert abs(threes.mean() - 3) < 4 * 1.5 / np.sqrt(len(threes))


def test_dcg_loss_averages_to_the_plain_dcg() -> None:
    r, _ = small(shape=(5, 30))
    prediction = np.random.default_rng(3).normal(size=r.shape)
    plain = 0.0
    for user in range(5):
        best = sorted(range(30), key=lambda item, user=user: -prediction[user, item])[:7]
        plain += sum(r[user, item] / np.log2(rank + 1) for rank, item in enumerate(best, start=1)) / 5
    assert abs(schnabel.dcg(r, prediction, 7, np.random.default_rng(0)).mean() - plain) < 1e-12


def test_dcg_breaks_ties_at_random() -> None:
    r = np.arange(1.0, 7)[None, :]
    rng = np.random.default_rng(0)
    firsts = [int(np.argmax(schnabel.dcg(r, np.zeros_like(r), 1, rng))) for _ in range(600)]
    assert np.abs(np.bincount(firsts, minlength=6) - 100).max() < 5 * np.sqrt(600 * 5 / 36)


def test_table_1_mae_block_is_reproduced(world) -> None:  # type: ignore[no-untyped-def]
    ratings, p, predictions = world
    losses = {name: schnabel.absolute_error(ratings, prediction) for name, prediction in predictions.items()}
    ours = schnabel.estimates(losses, p, DRAWS, np.random.default_rng(4))
    for name, (true, ips, snips, naive) in PUBLISHED.items():
        got = ours[name]
        assert abs(got.true - true) < 0.005
        assert abs(got.naive.mean() - naive) < 0.005
        assert abs(got.snips.mean() - snips) < 0.005
        assert abs(got.ips.mean() - ips) < 0.02
        spread = schnabel.spreads(losses[name], p)
        for sd, estimator in zip(PUBLISHED_SD[name], ("ips", "snips", "naive"), strict=True):
            closed, drawn = spread[estimator], getattr(got, estimator)
            # Three standard errors of an sd over 50 draws are 30 %; the published one is another such sample.
            assert abs(drawn.std(ddof=1) / closed.sd - 1) < 0.3
            assert abs(closed.sd - sd) < 0.3 * closed.sd + 0.0005
            assert abs(drawn.mean() - closed.mean) < 4 * closed.sd / np.sqrt(DRAWS)


def test_dcg_of_rotated_is_reproduced(world) -> None:  # type: ignore[no-untyped-def]
    """The only DCG row that no completion decides, as long as every user has 50 true 1s: they take the top ranks."""
    ratings, p, predictions = world
    rng = np.random.default_rng(5)
    loss = schnabel.dcg(ratings, predictions["ROTATED"], 50, rng)
    assert abs(loss.mean() - 12.90) < 0.005
    spread = schnabel.spreads(loss, p)
    assert abs(spread["naive"].mean - 1.38) < 0.02
    for estimator, sd in (("naive", 0.09), ("ips", 0.85), ("snips", 0.83)):
        assert abs(spread[estimator].sd / sd - 1) < 0.3


def test_spreads_agree_with_many_draws() -> None:
    ratings, p = small(shape=(40, 50))
    p = np.minimum(1, 6 * p)
    losses = {"e": schnabel.absolute_error(ratings, schnabel.predictions(ratings, np.random.default_rng(1))["ROTATED"])}
    draws = 2000
    got = schnabel.estimates(losses, p, draws, np.random.default_rng(2))["e"]
    for name, closed in schnabel.spreads(losses["e"], p).items():
        drawn = getattr(got, name)
        # SNIPS and naive are ratios: their closed forms hold to first order.
        assert abs(drawn.std() / closed.sd - 1) < 0.07
        assert abs(drawn.mean() - closed.mean) < 4 * closed.sd / np.sqrt(draws) + (0 if name == "ips" else 0.01)


def test_bad_input_is_refused() -> None:
    scores = np.zeros((4, 5))
    for marginal in ([0.5, 0.5], [0.5, 0.2, 0.2, 0.1, 0.2], [0.6, 0.2, 0.2, 0.1, -0.1]):
        with pytest.raises(ValueError, match="marginal"):
            schnabel.rebucket(scores, marginal)
    with pytest.raises(ValueError, match="NaN"):
        schnabel.rebucket(np.full((4, 5), np.nan), MARGINAL)
    ratings, p = small()
    with pytest.raises(ValueError, match="can't be reached"):
        schnabel.exposure(ratings, alpha=0.25, density=0.5)
    with pytest.raises(ValueError, match="alpha"):
        schnabel.exposure(ratings, alpha=0.0, density=0.05)
    with pytest.raises(ValueError, match="are to be raised"):
        schnabel.predictions(np.full((4, 5), 5), np.random.default_rng(0))
    with pytest.raises(ValueError, match="no pair"):
        schnabel.estimates({"e": np.ones((1, 2))}, np.full((1, 2), 1e-9), 1, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"not in \(0, 1\]"):
        schnabel.estimates({"e": np.ones_like(p)}, 0 * p, 1, np.random.default_rng(0))

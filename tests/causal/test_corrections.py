"""Corrections for several p-values agree with scipy's and statsmodels' to 1e-10."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from upliftlens.causal.intervals import benjamini_hochberg, holm

SOME = st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.01, 0.05, 1.0])), min_size=1, max_size=12)


@settings(deadline=None)
@given(SOME)
def test_benjamini_hochberg_is_scipys(p):
    np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p, method="bh"), rtol=0, atol=1e-10)


@settings(deadline=None)
@given(SOME)
def test_holm_is_by_definition(p):
    """The largest, over the hypotheses with no larger p, of p times the number that are not smaller."""
    given_p = np.array(p)
    expected = [max(min(1, (given_p >= other).sum() * other) for other in given_p if other <= each) for each in given_p]
    np.testing.assert_allclose(holm(p), expected, rtol=0, atol=1e-10)


@settings(deadline=None)
@given(SOME)
def test_both_are_statsmodels(p):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    for ours, name in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        np.testing.assert_allclose(ours(p), multitest.multipletests(p, method=name)[1], rtol=0, atol=1e-10)

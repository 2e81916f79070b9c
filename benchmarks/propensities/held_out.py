"""A learned propensity judged on pairs whose observation its fit has not seen.

A random share f of the observed pairs is held out and the same options are fitted to the others, whose propensity is
(1 − f)·p. To that fit p' held-out pairs look like pairs that nobody observed. Of all pairs but those it was fitted to,
the held-out ones are observed, with

    q = f·p/(1 − (1 − f)·p) = f/(1 − f) · p'/(1 − p')

which is compared with them: by the calibration error, and by the log loss relative to that of a constant. A fit that
learned its log by heart has a small error on all pairs and a large one here. The fit that is judged has seen 1 − f of
the rows of the fit that is used.
"""

import numpy as np

from upliftlens.benchmarks.propensities.diagnostics import BINS, SEED, HeldOut, among, cells_of, probabilities
from upliftlens.benchmarks.propensities.kinds import Known, PropensityKind, PropensityOptions
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import take
from upliftlens.causal.propensities.diagnostics import calibration
from upliftlens.causal.propensities.propensity import clipped


def held_out(kind: PropensityKind, options: PropensityOptions, known: Known) -> HeldOut:
    """How q does on the pairs that a fit without ``options.held_out`` of the observed pairs has not seen.

    Raises:
        UpliftlensError: if the kind is not fitted, or needs ratings; if all observed pairs are held out, or none.
    """
    share, log = options.held_out, known.log
    assert kind.fit is not None, "there is no propensity"
    if kind.whole_log:
        raise UpliftlensError(
            f"propensity={kind.name} is not fitted to the log, so held_out tests nothing: leave it out"
        )
    rng = np.random.default_rng(SEED)
    rows = np.asarray(log.user, np.int64) * log.n_items + log.item
    pairs = np.unique(rows)
    leave = rng.random(len(pairs)) < share
    if leave.all() or not leave.any():
        raise UpliftlensError(
            f"propensity.held_out={share:g} holds out {leave.sum()} of {len(pairs)} observed pairs: choose another"
        )
    kept = take(log, ~leave[np.searchsorted(pairs, rows)])
    p = clipped(kind.fit(options, known._replace(log=kept)), (1 - share) * options.floor)
    if not p.rating_free:
        raise UpliftlensError(
            f"propensity={kind.name} depends on the rating, which is not known of pairs that nobody observed: "
            "held_out can't judge it, leave it out"
        )
    cells = cells_of(log.n_users * log.n_items, rng)
    cells = cells[~among(pairs[~leave], cells)]
    thinned = probabilities(p, log, cells).astype(np.float64)
    odds = np.divide(thinned, 1 - thinned, out=np.full(len(cells), np.inf), where=thinned < 1)
    q = np.minimum(1, share / (1 - share) * odds)
    return HeldOut(share, calibration(q, among(pairs[leave], cells), BINS))

"""The diagnostics of a run's propensity: numbers for its record, a verdict in words, and the overlap plot as text."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.causal.interactions import Interactions
from upliftlens.causal.propensities.diagnostics import (
    Calibration,
    ExposureFit,
    balance,
    calibration,
    calibration_error,
    diagnose,
    imbalance,
)
from upliftlens.causal.propensities.propensity import Propensity
from upliftlens.causal.propensities.trimming import Kept

BINS = 20  # of equally many pairs, for the calibration error; of equal width in log p, for the overlap plot
CALIBRATED = 5_000_000  # pairs for the calibration error: all of D, or so many drawn from it
SEED = 0  # of both draws
BALANCED = 200_000  # pairs for the balance measure, which needs a row of features for each

BARS = "▁▂▃▄▅▆▇█"


class HeldOut(NamedTuple):
    """How a fit without a ``share`` of the observed pairs predicts which of the pairs it has not seen are observed."""

    share: float
    unseen: Calibration


def diagnostics(
    p: Propensity,
    log: Interactions,
    dataset: Dataset,
    floor: float,
    held_out: HeldOut | None = None,
    kept: Kept | None = None,
) -> dict[str, Any]:
    """A clipped propensity, not normalised, in a record: its description, ``diagnose``, the histogram of overlap.

    ``held_out``: how a fit without a share of the observed pairs does on pairs it has not seen; the same numbers in
    sample, on all pairs, stand beside it. ``kept``: the pairs that trimming leaves: the numbers of weights are theirs.

    Raises:
        UpliftlensError: if the log is empty, or a row's propensity is not in (0, 1] or can't be known.
    """
    seen = p.pairs(log.user, log.item, log.value)
    counted, estimated = np.ones(len(log), bool), log.n_users * log.n_items
    if kept is not None:
        counted, estimated = kept.of(log.user, log.item), kept.n_pairs
    n_pairs = log.n_users * log.n_items
    fit = ExposureFit()
    overlap: dict[str, Any] = {}
    judged: dict[str, Any] = {}
    if p.rating_free:
        rng = np.random.default_rng(SEED)
        cells = cells_of(n_pairs, rng)
        users, items = np.divmod(cells, log.n_items)
        everywhere = probabilities(p, log, cells)
        observed = among(np.unique(np.asarray(log.user, np.int64) * log.n_items + log.item), cells)
        fit = fit._replace(ece=calibration_error(everywhere, observed, BINS))
        if held_out is not None:
            fit = fit._replace(unseen=held_out.unseen)
            judged = {
                "held_out": {
                    "share": held_out.share,
                    "unseen": held_out.unseen._asdict(),
                    "seen": calibration(everywhere, observed, BINS)._asdict(),
                }
            }
        sample = rng.permutation(len(cells))[:BALANCED]
        if ((everywhere[sample] > 0) & (everywhere[sample] < 1)).all():
            fit = _balanced(fit, everywhere[sample], observed[sample], users[sample], items[sample], dataset)
        low = float(max(everywhere.min(), 1e-6))
        edges = np.geomspace(low, max(float(everywhere.max()), low * 1.001), BINS + 1)
        overlap = {
            "edges": edges.tolist(),
            "observed": np.histogram(np.clip(seen, edges[0], edges[-1]), edges)[0].tolist(),
            "all": np.histogram(np.clip(everywhere, edges[0], edges[-1]), edges)[0].tolist(),
        }
    return {
        "name": p.name,
        "assumes": p.assumes,
        "uses_mar_data": p.uses_mar_data,
        "rating_free": p.rating_free,
        **asdict(diagnose(seen[counted], estimated, floor, fit)),
        "overlap": overlap,
        **judged,
        **({} if kept is None else {"trimmed": _trimmed(kept, counted, n_pairs)}),
    }


def _trimmed(kept: Kept, counted: np.ndarray, n_pairs: int) -> dict[str, Any]:
    """The threshold, and how many of how many rows and pairs lie below it."""
    return {
        "threshold": kept.threshold,
        "rows": [int((~counted).sum()), len(counted)],
        "pairs": [n_pairs - kept.n_pairs, n_pairs],
    }


def cells_of(n_pairs: int, rng: np.random.Generator) -> np.ndarray:
    """user·n_items + item of all pairs, or of ``CALIBRATED`` that are drawn from them; i64[C]."""
    return np.arange(n_pairs) if n_pairs <= CALIBRATED else rng.integers(0, n_pairs, CALIBRATED)


def probabilities(p: Propensity, log: Interactions, cells: np.ndarray) -> np.ndarray:
    """p f32[C] of ``cells``."""
    users, items = np.divmod(cells, log.n_items)
    if log.n_users * log.n_items <= CALIBRATED:  # the products of whole rows are faster
        return p.everywhere(np.arange(log.n_users))[users, items]
    return p.pairs(users, items, np.zeros(len(cells), np.float32))


def among(pairs: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """bool[C]: which ``cells`` are among the sorted, distinct ``pairs``."""
    return pairs[np.minimum(np.searchsorted(pairs, cells), len(pairs) - 1)] == cells


def _balanced(
    fit: ExposureFit, p: np.ndarray, observed: np.ndarray, users: np.ndarray, items: np.ndarray, dataset: Dataset
) -> ExposureFit:
    """The fit with the balance of a constant and of the features of users and items."""
    sides = (dataset.user_features, users), (dataset.item_features, items)
    features = np.hstack([np.ones((len(p), 1)), *(side.matrix[rows] for side, rows in sides)])
    fit = fit._replace(bmse=balance(p, observed, features))
    worst = imbalance(p, observed, features[:, 1:])
    if worst is None:
        return fit
    names = [name for side, _ in sides for name in side.names]
    return fit._replace(imbalance=worst[0], feature=names[worst[1]])


def verdict(diagnostics: Mapping[str, Any]) -> str:
    """The propensity's verdict, its assumption, its numbers, and the overlap plot where there is one."""
    d = diagnostics
    largest = f"{d['largest_weight']:{',.0f' if d['largest_weight'] >= 100 else '.3g'}}"
    fit = [
        f"Σ 1/p is {d['inverse_ratio']:.2f} ± {d['inverse_ratio_error']:.2f} of all pairs (1 if the total is right)",
        *(words.format(d[name]) for name, words in _FIT_WORDS.items() if d[name] is not None),
    ]
    return "\n".join(
        [
            f"propensity {d['name']}: {d['verdict']} ({d['reason']}); it assumes that {d['assumes']}",
            f"  weights 1/p: {d['n_observed']:,} rows count as {d['effective_sample_size']:,.0f} equally weighted ones "
            f"(effective sample), the largest is {largest}, {d['clip_rate']:.1%} are clipped at the floor",
            f"  {', '.join(fit)}",
            *_trimmed_lines(d.get("trimmed")),
            *_unseen_lines(d.get("held_out")),
            *overlap_lines(d["overlap"]),
        ]
    )


def _trimmed_lines(trimmed: Mapping[str, Any] | None) -> list[str]:
    if trimmed is None:
        return []
    rows, pairs = ("{:,} of {:,}".format(*trimmed[what]) for what in ("rows", "pairs"))
    return [
        f"  trimmed: {rows} rows and {pairs} pairs have p < {trimmed['threshold']:g} and are left out of losses and "
        "metrics weighted by 1/p, which then estimate the mean over the other pairs, not over all"
    ]


def _unseen_lines(held_out: Mapping[str, Any] | None) -> list[str]:
    if held_out is None:
        return []
    unseen, seen = held_out["unseen"], held_out["seen"]
    gains = [f"{abs(side['gain']):.1%} {'below' if side['gain'] >= 0 else 'above'}" for side in (unseen, seen)]
    return [
        f"  fitted without {held_out['share']:.0%} of the observed pairs, on the pairs it has not seen: "
        f"calibration error {unseen['error']:.0%} of the exposure rate, {unseen['by_chance']:.0%} by chance alone "
        f"(in sample {seen['error']:.0%}), log loss {gains[0]} that of a constant (in sample {gains[1]})"
    ]


_FIT_WORDS = {
    "ece": "calibration error (ECE) {:.2g}",
    "bmse": "error of the features' balance (BMSE) {:.2g}",
    "imbalance": "largest gap in a feature's mean (imbalance) {:.2g} sd",
}
"""Sentences for the numbers that need p on all pairs, by their names in a record."""


def overlap_lines(overlap: Mapping[str, Any]) -> list[str]:
    """The overlap plot as text: the share of the observed pairs and of all pairs in bins of log p, over one scale.

    Overlap is good where both have the same support: if a bin is empty for the observed pairs and filled for all pairs,
    pairs with that propensity are never observed.
    """
    if not overlap:
        return []
    edges = overlap["edges"]
    shares = {name: np.asarray(overlap[name]) / max(sum(overlap[name]), 1) for name in ("observed", "all")}
    highest = max(float(share.max()) for share in shares.values())
    return [
        f"  {name + ' pairs':<14} p {edges[0]:.2g} {_bars(share / highest)} {edges[-1]:.2g}"
        for name, share in shares.items()
    ]


def _bars(heights: np.ndarray) -> str:
    """One character per height in [0, 1]; only an empty bin is blank."""
    return "".join(" " if height == 0 else BARS[min(int(height * len(BARS)), len(BARS) - 1)] for height in heights)

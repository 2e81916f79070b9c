"""Config group ``propensity/``: the P(pair is observed) that weights the loss, the validation rows and the test rows.

A propensity is that of the rows that a run may learn from, training and validation together. An estimated propensity
is fitted to them and never sees the test set; one that is given for the whole log is scaled to their share of it. Then
it is trimmed (by its value before it is clipped), clipped, normalised. If each part is a random share of the log, then
with f the share of validation rows

    p_training = (1 − f)·p        p_validation = f·p        p_test = p·(test rows / other rows)

``Split.shares`` states which parts a split draws at random. Another part (by time, by a user's last rows) has no known
propensity, and weighting its rows is refused.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from upliftlens.benchmarks.config.plugins import entry
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.propensities.diagnostics import diagnostics
from upliftlens.benchmarks.propensities.held_out import held_out
from upliftlens.benchmarks.propensities.kinds import Known, PropensityChoice, PropensityKind, PropensityOptions
from upliftlens.benchmarks.splits.kinds import Part, Split
from upliftlens.causal.errors import UpliftlensError, located
from upliftlens.causal.interactions import Interactions
from upliftlens.causal.options import identity_of
from upliftlens.causal.propensities.propensity import Propensity, clipped, normalised, scaled
from upliftlens.causal.propensities.trimming import Kept, trimmed
from upliftlens.causal.risk import check_propensity


class Exposure(NamedTuple):
    """A propensity of the training and validation rows together, each part's share of it, and its diagnostics.

    ``shares``: by part, the factor of p, or why the part's rows have no propensity. ``kept``: the pairs that trimming
    leaves in what is weighted, None for all.
    """

    propensity: Propensity
    shares: Mapping[Part, float | str]
    diagnostics: Mapping[str, Any]
    kept: Kept | None = None

    def of(self, part: Part, rows: Interactions) -> np.ndarray:
        """p f32[N] of a part's rows; 1 for padding.

        Raises:
            UpliftlensError: if that part has none, or that of a row is unknown.
        """
        share = self.shares[part]
        if isinstance(share, str):
            raise UpliftlensError(share)
        p = np.ones(len(rows), np.float32)
        real = np.asarray(rows.weight) > 0
        ids = (np.asarray(column)[real] for column in (rows.user, rows.item, rows.value))
        with located("propensity"):
            p[real] = scaled(self.propensity, share).pairs(*ids)
            check_propensity(p)
        return p

    def everywhere(self, part: Part, n_users: int) -> np.ndarray:
        """p f32[n_users, n_items] of every pair, as that of a part's rows.

        Raises:
            UpliftlensError: if that part has none, or p is not defined for pairs that were not observed.
        """
        share = self.shares[part]
        if isinstance(share, str):
            raise UpliftlensError(share)
        with located("propensity"):
            return np.asarray(scaled(self.propensity, share).everywhere(np.arange(n_users)), np.float32)


def identity(options: PropensityChoice) -> dict[str, Any]:
    """The options that change numbers, for keys; the content of a sample is in the split's fingerprint."""
    kind, source, _ = entry("propensities", options.name)
    left_out = (*kind.files, "held_out")  # which judges the propensity and does not change it
    stated = {name: value for name, value in identity_of(options).items() if name not in left_out}
    return {**stated, "version": kind.version, **({"source": source} if source else {})}


def without_sample(dataset: Dataset, parts: Split, options: PropensityChoice) -> tuple[Split, Interactions | None]:
    """The split without the test rows that the propensity needs as a sample, and that sample, None if it needs none.

    Raises:
        UpliftlensError: if there is no such sample, or it would empty the test set.
    """
    kind: PropensityKind = entry("propensities", options.name).value
    return (parts, None) if kind.take_sample is None else kind.take_sample(dataset, parts, options)


def expose(
    options: PropensityOptions,
    dataset: Dataset,
    parts: Split,
    sample: Interactions | None,
    truth: np.ndarray | None,
) -> Exposure:
    """The propensity of the options, fitted, clipped, normalised and with its diagnostics.

    ``sample`` is what ``without_sample`` took from the test set; ``truth`` f32[U, I] the propensities of the world.

    Raises:
        UpliftlensError: if the data lack what it needs, or it is not in (0, 1] on some observed pair.
    """
    kind: PropensityKind = entry("propensities", options.name).value
    assert kind.fit is not None, "there is nothing to weigh by"
    log = parts.fit
    with located("propensity"):
        known = Known(log, dataset, sample, truth)
        p = kind.fit(options, known)
        if not isinstance(p, Propensity):
            raise UpliftlensError(f"fit of '{kind.name}' must give a Propensity, not a {type(p).__name__}")
        if kind.whole_log:
            if not parts.sampling.fit:
                raise UpliftlensError(
                    f"propensity={kind.name} is of the whole log; split={parts.name} doesn't draw the training rows "
                    "from it at random: choose split=kfold or given, or a propensity that is fitted to the training "
                    "rows"
                )
            p = scaled(p, len(log) / len(dataset.log))
        kept = trimmed(p, log, options.trim) if options.trim else None
        if kept is not None and options.normalise:
            raise UpliftlensError(
                "normalise makes the weights sum to all pairs, which trim reduces: choose one of them"
            )
        p = clipped(p, options.floor)
        # Before it is normalised, which would hide a wrong total and the clipped rows.
        unseen = held_out(kind, options, known) if options.held_out else None
        quality = diagnostics(p, log, dataset, options.floor, unseen, kept)
        return Exposure(normalised(p, log) if options.normalise else p, parts.shares, quality, kept)

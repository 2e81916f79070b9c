"""The contract of a metric: sums per user, and one reduction of their total.

Built-in metrics are defined in ``pairs.py`` (predictions of the test pairs), ``debiased.py`` (the same on a log missing
not at random), ``calibration.py`` (are probabilities right?), ``published.py`` (conventions of published tables),
``ranking.py`` (ranks of the relevant items), ``cold.py`` (cold and warm rows apart), ``moments.py`` (means over
moments), ``lists.py`` (recommended items) and ``uplift.py`` (effects of recommendations).
An installed package adds a ``Metric`` through the entry-point group ``upliftlens.metrics``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from scipy import sparse

from upliftlens.causal.calibration import Binning
from upliftlens.causal.crossed import Crossed, crossed
from upliftlens.causal.effects.outcome_means import AdditiveMeans
from upliftlens.causal.effects.qini import groups
from upliftlens.causal.effects.treatment import overlap
from upliftlens.causal.effects.uplift import inverse_propensity
from upliftlens.causal.interactions import Interactions, take
from upliftlens.causal.intervals import Sums
from upliftlens.causal.intervals import mean_of as mean_of  # what a metric needs comes from one module
from upliftlens.causal.intervals import quotient as quotient
from upliftlens.causal.losses import Link
from upliftlens.causal.options import Above, AtLeast, Before, Within
from upliftlens.causal.propensities.trimming import Kept


class Pairs(NamedTuple):
    """Evidence "pairs": the N test pairs and what the method predicts for them.

    ``row`` i64[N]: position among the U = ``n_users`` test users; ``value`` f64[N]; ``positive`` bool[N], value ≥
    relevance; ``prediction`` f64[N] as predicted (float32), in the unit of the method's link; ``scale``: lowest and
    highest value. ``propensity`` f64[N], for metrics that are ``weighted``: P(the pair is among the test pairs), or
    None; ``n_pairs``: users × items, or those of them that trimming leaves. Then ``user_pairs`` f64[U] is each test
    user's part of them; None: all parts are equal. ``options`` of debiased values, or None. ``cold`` bool[N]: see
    ``cold.py``.
    ``item`` i64[N]: indices of the items, for intervals over users and items. ``calibration``: the options of the bins,
    or None.
    """

    row: np.ndarray
    n_users: int
    value: np.ndarray
    positive: np.ndarray
    prediction: np.ndarray
    scale: tuple[float, float]
    propensity: np.ndarray | None = None
    n_pairs: int = 0
    options: "DebiasOptions | None" = None
    cold: np.ndarray | None = None
    item: np.ndarray | None = None
    calibration: "CalibrationOptions | None" = None
    user_pairs: np.ndarray | None = None

    @property
    def pairs_per_user(self) -> np.ndarray | float:
        """Each test user's part of ``n_pairs``: it is drawn with the user in every resample of users."""
        return self.n_pairs / self.n_users if self.user_pairs is None else self.user_pairs

    def take(self, chosen: np.ndarray) -> "Pairs":
        """Those of the pairs that bool[N] chooses; every user stays."""
        columns = ("row", "value", "positive", "prediction", "propensity", "cold", "item")
        known = {name: column for name in columns if (column := getattr(self, name)) is not None}
        return self._replace(**{name: column[chosen] for name, column in known.items()})


class Imputed(NamedTuple):
    """Evidence "imputed": the test pairs, and the predictions of the method and of an outcome model for *every* pair.

    ``users`` i64[U]: indices of the test users; ``item`` i64[N]: of the test pairs' items. ``prediction``
    f32[n_users, n_items]. ``outcome``, fitted to training rows only: of values for methods that predict ratings, of
    "value ≥ relevance" for those that predict probabilities. ``kept``: the pairs of D that count, None for all.
    """

    pairs: Pairs
    users: np.ndarray
    item: np.ndarray
    prediction: np.ndarray
    outcome: AdditiveMeans
    kept: Kept | None = None


class Ranks(NamedTuple):
    """Evidence "ranks": where each relevant test item stands among the user's candidates.

    ``row`` i64[P] and ``rank`` f64[P], sorted by (row, rank); ranks count from 1, inf where never recommended.
    ``relevant`` f64[U]: relevant test items per user. Users with none are undefined for every metric of ranks.
    ``cold`` bool[P]: see ``cold.py``.
    """

    row: np.ndarray
    rank: np.ndarray
    relevant: np.ndarray
    cold: np.ndarray | None = None


class Lists(NamedTuple):
    """Evidence "lists": the items recommended to every test user, also to users without a relevant test item.

    ``items`` i32[U, K], best first, −1 beyond the last candidate; ``popularity`` f64[n_items]: training rows per item.
    """

    items: np.ndarray
    popularity: np.ndarray


@dataclass(frozen=True)
class DebiasOptions:
    """Options of debiased values on a test log that is missing not at random.

    ``floor`` of the propensities of /clipped: no test pair weighs more than 1/floor. ``shrinkage``: rows that pull a
    user's and an item's effect towards 0 in the outcome model of /eib, /dr, /sndr and /stable-dr.
    """

    floor: Annotated[float, Within(0, 1, "(]")]
    shrinkage: Annotated[float, Above(0)]


@dataclass(frozen=True)
class CalibrationOptions:
    """The bins of calibration: their number, and whether they hold equally many test pairs or are equally wide."""

    bins: Annotated[int, AtLeast(1)]
    binning: Binning


SECTIONS = {"debiased": DebiasOptions, "calibration": CalibrationOptions}
"""The sections of ``metrics`` that only some metrics read."""


@dataclass(frozen=True)
class UpliftOptions:
    """Options of estimates from logs of recommendations, and of the ranking that is tested on one.

    ``chi`` clips propensities: e ≥ χ where treated, e ≤ 1 − χ where not. ``points`` of the uplift and Qini curves.
    ``shrinkage``: rows that pull an item's mean outcome towards its arm's, in the doubly-robust estimator.
    ``candidates`` of the test: the items that the user did not take in the training log ("new"), or "all", as Sato et
    al. 2020 rank them. Validation rows always have the new ones, so that both tests are of the same fits.
    """

    chi: Annotated[float, Within(0, 1, "[)")]
    points: Annotated[int, AtLeast(1)]
    shrinkage: Annotated[float, Above(0)]
    candidates: Annotated[Literal["new", "all"], Before("new")] = "new"


class Ranked(NamedTuple):
    """Evidence "truth", "realised", "semi": ``rank`` i32[U, I] of all items, from 1, 0 where not to be recommended.

    ``tau`` f32[U, I]: the effects of recommendations in the world itself, in its tested draw, or in a frozen world.
    """

    rank: np.ndarray
    tau: np.ndarray


@dataclass(frozen=True)
class Logged:
    """Evidence "logged": a log of recommendations and a ranking. "logged+history" needs ``m1`` and ``m0``,
    "logged+truth" ``tau``.

    ``log.user`` holds positions among the U test users. ``rank`` i32[U, I] as in ``Ranked``; ``score`` f32[U, I], the
    scores behind it, −inf where not to be recommended. ``m1``, ``m0`` f64[N]: the predicted outcome of each row if the
    item is recommended and if it is not, fitted to another log than this one.
    """

    log: Interactions
    rank: np.ndarray
    score: np.ndarray
    m1: np.ndarray | None
    m0: np.ndarray | None
    tau: np.ndarray | None
    options: UpliftOptions

    @cached_property
    def curve(self) -> tuple[Interactions, np.ndarray, np.ndarray]:
        """The ranked rows with overlap, the group of their pooled ranking each is in, and their 1/e or 1/(1 − e).

        Cached: every area under a curve sorts the same rows.
        """
        log = self.log
        rows = take(log, overlap(log).usable & (self.rank[log.user, log.item] > 0))
        group = groups(self.score[rows.user, rows.item], self.options.points)
        return rows, group, inverse_propensity(rows, self.options.chi)


Evidence = Literal[
    "pairs", "imputed", "ranks", "lists", "logged", "logged+history", "logged+truth", "truth", "realised", "semi"
]


class Metric(NamedTuple):
    """A metric: value = reduce(Σ_u sums_u).

    ``evidence`` names the record that ``sums(evidence, cutoff)`` reads; it returns f64[U, S], with zeros for a user
    whose value is undefined. ``cutoff`` is inf where the name has none. ``reduce``: f64[S, R] to f64[R] by column.
    ``kind`` "mean": of per-user values (sums are value and 1); "pooled": a ratio of totals over users; "recomputed":
    any other function of totals. All three are recomputed in every resample of users, except those with ``without``.
    ``at``: whether the name takes a cut-off, as in "recall@10"; it comes before the first slash: "uplift@10/snips".
    ``links``: the links of the methods that the metric is defined for.
    ``without``: see ``causal.intervals.Statistic``. ``weighted``: needs the test pairs' propensities. ``reads``:
    the section of ``metrics`` whose options it needs. ``version`` is bumped when the metric's numbers change.
    ``by_pair``, of evidence "pairs": whether its ``sums`` of single pairs, each in place of a user, add up to those of
    all; "numerator": only the first does, the second total is |D|. Then intervals can be over users and items.
    ``undefined``: why its value may be NaN, in words for the user, where the reason is not that of other metrics.
    """

    name: str
    evidence: Evidence
    sums: Callable[[Any, float], Sums]
    reduce: Callable[[np.ndarray], np.ndarray]
    kind: Literal["mean", "pooled", "recomputed"]
    higher_is_better: bool
    limits: tuple[float, float]
    at: Literal["required", "optional", "never"]
    links: frozenset[Link] = frozenset({"rating", "probability", "rank"})
    without: Callable[[Sums], np.ndarray] | None = None
    weighted: bool = False
    reads: Literal["debiased", "calibration"] | None = None
    version: int = 1
    by_pair: Literal["all", "numerator", "no"] = "no"
    undefined: str | None = None

    @property
    def of_model_alone(self) -> bool:
        """Whether the value depends on what was trained and not on which rows test, such as the lists' coverage."""
        return self.evidence in ("lists", "truth", "semi")


def crossed_sums(metric: Metric, pairs: Pairs, cutoff: float) -> tuple[sparse.csr_array, Crossed]:
    """As ``metric.sums``, but by user, item and total (``causal.crossed``), for a metric that has them ``by_pair``.

    The total |D| is the same in every resample. That of the pairs that trimming leaves is not: a plan refuses it.
    """
    assert pairs.item is not None
    n = len(pairs.row)
    terms = metric.sums(pairs._replace(row=np.arange(n), n_users=n), cutoff)
    fixed = np.zeros(terms.shape[1])
    if metric.by_pair == "numerator":
        terms, fixed[1] = terms[:, :1], pairs.n_pairs
    return crossed(terms, pairs.row, pairs.item, pairs.n_users, fixed)


def run_starts(*columns: np.ndarray) -> np.ndarray:
    """bool[N]: where a run of rows that are equal in all columns [N] begins; the rows are sorted by the columns."""
    changes = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return np.r_[True, changes][: len(columns[0])]

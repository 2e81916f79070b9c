"""Evidence on effects: the tested log of recommendations, the true effects in a world, a frozen world.

And what the user is told: metrics that could not be measured and why, cold test rows, rows whose weights were clipped.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from upliftlens.benchmarks.config.choices import stated
from upliftlens.benchmarks.data.world import World
from upliftlens.benchmarks.evaluation.ranking import tie_order
from upliftlens.benchmarks.metrics.metric import Evidence, Logged, Ranked, UpliftOptions
from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.causal.effects.outcome_means import outcome_means
from upliftlens.causal.effects.treatment import treatment_propensity, without_overlap
from upliftlens.causal.interactions import Interactions
from upliftlens.causal.losses import Link
from upliftlens.causal.worlds.potential import ranks

KINDS: tuple[Evidence, ...] = ("logged", "logged+history", "logged+truth", "truth", "realised", "semi")
_SHOWN = 3  # metrics that a remark names
_OF_LOG = frozenset(("logged", "logged+history", "logged+truth"))


class Effects(NamedTuple):
    """``log``: the tested log; ``history``: the log that was trained on, from which outcomes are predicted; without it,
    or where it is empty, there is no doubly-robust estimate. ``world`` gives the true effects.

    ``semi``: the effects τ f32[n_users, n_items] in a world fitted to rating data, or why there is none. Each may be
    None.
    """

    log: Interactions | None = None
    history: Interactions | None = None
    world: World | None = None
    semi: np.ndarray | str | None = None


def lacking(kind: Evidence, effects: Effects, options: UpliftOptions | None) -> str | None:
    """Why there is no evidence of this kind, or None."""
    if kind in _OF_LOG and effects.log is None:
        return "these rows do not say what was recommended"
    if kind in _OF_LOG and options is None:
        return "its options are not stated: use metrics=uplift"
    if kind in _OF_LOG and effects.log is not None and without_overlap(effects.log).all():
        always = int((treatment_propensity(effects.log) >= 1).sum())
        return f"no overlap: all {len(effects.log)} rows have propensity 0 or 1 ({always} always recommended)"
    if kind == "logged+history" and not effects.history:  # None, or empty
        return "no log was trained on, and outcomes can't be predicted from the tested log itself"
    if kind in ("logged+truth", "truth", "realised") and not (effects.world and effects.world.knows_effects):
        return "the truth is not known here: the rows come from no world, or select a model"
    if kind == "semi" and effects.semi is None:
        return "a frozen world is for tests on rating data, with metrics=uplift_semi"
    if kind == "semi" and isinstance(effects.semi, str):
        return effects.semi
    return None


def gathered(
    kinds: set[Evidence],
    effects: Effects,
    options: UpliftOptions | None,
    users: np.ndarray,
    score: np.ndarray,
    tie_seed: int,
) -> dict[Evidence, Ranked | Logged]:
    """Evidence of these kinds, from a method's scores f32[U, I] for ``users`` i[U], −inf where not to be ranked."""
    rank = ranks(score, tie_order(score.shape[1], tie_seed))
    result: dict[Evidence, Ranked | Logged] = {}
    tau = None
    if effects.world is not None and kinds & {"truth", "logged+truth"} and (true := effects.world.tau) is not None:
        tau = true[users]
        result["truth"] = Ranked(rank, tau)
    if effects.world is not None and "realised" in kinds and (drawn := effects.world.realised()) is not None:
        result["realised"] = Ranked(rank, drawn[users])
    if isinstance(effects.semi, np.ndarray) and "semi" in kinds:
        result["semi"] = Ranked(rank, effects.semi[users])
    if effects.log is not None and options is not None and kinds & _OF_LOG:
        log = replace(effects.log, user=np.searchsorted(users, effects.log.user), n_users=len(users))
        m1 = m0 = None
        if effects.history:
            m1, m0 = (mean[log.item] for mean in outcome_means(effects.history, options.shrinkage))
        result |= dict.fromkeys(kinds & _OF_LOG, Logged(log, rank, score, m1, m0, tau, options))
    return result


def unmeasured(name: str, absent: Mapping[str, str], link: Link, weighted: bool, asked: bool = False) -> Iterator[str]:
    """The metrics that are undefined on data ``name``, a line for each reason: those of effects; where such were
    ``asked`` for by name, those that configs/metrics/standard.yaml doesn't list; and where there is a propensity, too
    (``weighted``), those that are weighted by it.

    Usual metrics that do not fit what the method predicts, its ``link`` (RMSE of a ranker), are expected to be absent:
    an empty cell is enough.
    """
    usual, told = stated("metrics/standard.yaml")["names"], {}
    for metric, reason in absent.items():
        kind = choose(metric).metric
        special = asked and metric not in usual and not kind.weighted
        if kind.evidence in KINDS or special or (weighted and kind.weighted and link in kind.links):
            told[metric] = reason
    for line in by_reason(told):
        yield f"{name}: no {line}"


def by_reason(absent: Mapping[str, str]) -> Iterator[str]:
    """Metrics without a value, ``METRICS: REASON``, the first few of each reason by name."""
    for reason in dict.fromkeys(absent.values()):
        metrics = [metric for metric in absent if absent[metric] == reason]
        shown, rest = ", ".join(metrics[:_SHOWN]), len(metrics) - _SHOWN
        more = f" and {rest} other{'s' if rest > 1 else ''}" if rest > 0 else ""
        yield f"{shown}{more}: {reason}"


def mostly_cold(counts: Mapping[str, int]) -> str | None:
    """A sentence where more than half of the test rows are cold (``Evaluation.counts``), else None."""
    cold, tested = counts["cold_test_pairs"], counts["test_pairs"]
    if 2 * cold <= tested:
        return None
    return (
        f"{cold:,} of {tested:,} test rows ({cold / tested:.0%}) are of users or items without training rows: "
        "metrics.names=[rmse/warm,rmse/cold,recall@10/warm,recall@10/cold] has both kinds of rows apart"
    )


def clipped(log: Interactions | None, options: UpliftOptions | None) -> int:
    """The number of rows with overlap of a tested log whose weight is clipped: their arm's propensity is below χ."""
    if log is None or options is None:
        return 0
    # e is recorded in float32, and compared so: the float32 of .01 is below the float64 of .01, but not below χ.
    e = treatment_propensity(log).astype(np.float32)
    low, high = np.float32(options.chi), np.float32(1 - options.chi)
    return int(((e > 0) & (e < 1) & np.where(log.treated, e < low, e > high)).sum())

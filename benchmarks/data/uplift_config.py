"""The options of data sets that say what was recommended. No field has a default: configs/data states every one."""

from dataclasses import dataclass
from typing import Literal

from upliftlens.benchmarks.data.config import DataConfig, DrawnConfig
from upliftlens.causal.generated_world import GeneratedOptions
from upliftlens.causal.options import at_least


@dataclass(frozen=True)
class UpliftColumns:
    """Header names, or positions from 0 in a file without header. ``propensity``: auto, null, or a column's name."""

    user: str
    item: str
    treated: str
    outcome: str
    propensity: str | None
    time: str | None


@dataclass(frozen=True)
class UpliftLogConfig(DataConfig):
    """A user's own log of recommendations.

    ``absent`` pairs of its users and items are dropped, or count as not recommended and not taken (zero).
    ``propensity_l2`` penalises the propensities that have to be estimated, in at most ``propensity_iterations``.
    """

    separator: Literal["auto", "colons", "tab", "semicolon", "comma", "pipe", "space"]
    header: bool
    columns: UpliftColumns
    absent: Literal["drop", "zero"]
    propensity_l2: float
    propensity_iterations: int


@dataclass(frozen=True)
class UpliftSyntheticConfig(DrawnConfig, GeneratedOptions):
    """A generated world of potential outcomes: its options, and ``draw``, which seeds the world and its three logs."""


@dataclass(frozen=True)
class FitConfig:
    """One early-stopped factorisation of the semi-synthetic world: see ``benchmarks.uplift_world.Fit``."""

    dim: int
    rate: float
    l2: float
    steps: int
    spread: float


@dataclass(frozen=True)
class SemiSyntheticConfig:
    """The definition of a semi-synthetic world, given ratings: see ``benchmarks.uplift_world``.

    ``exposure`` capped is the rule ``rank`` with propensities of at most ``cap``; the other two reach up to 1.
    """

    ratings: FitConfig
    watched: FitConfig
    offset: float
    exposure: Literal["log-rank", "rank", "capped"]
    exponent: float
    per_user: float
    floor: float
    cap: float
    seed: int

    def __post_init__(self) -> None:
        at_least(0, seed=self.seed)


@dataclass(frozen=True)
class UpliftRatingsConfig(DrawnConfig):
    """Logs of the semi-synthetic ``world`` fitted to the ratings of the data set ``base``; ``draw`` seeds them."""

    base: DataConfig
    world: SemiSyntheticConfig


TREATED = (UpliftLogConfig, UpliftSyntheticConfig, UpliftRatingsConfig)
"""The options of every built-in data set that says what was recommended."""

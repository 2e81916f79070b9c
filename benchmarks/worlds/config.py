"""The options of worlds. No field has a default: configs/data states every one."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from upliftlens.benchmarks.data.config import BaseConfig, DataConfig
from upliftlens.causal.options import SEEDS, Above, AtLeast, Within
from upliftlens.causal.worlds.potential_generated import GeneratedOptions
from upliftlens.causal.worlds.synthetic_options import SyntheticOptions


@dataclass(frozen=True)
class DrawnConfig(BaseConfig):
    """A data set that is drawn at random: ``draw`` is its seed."""

    draw: Annotated[int, AtLeast(0)]


@dataclass(frozen=True)
class SyntheticConfig(DrawnConfig, SyntheticOptions):
    """A generated world: its options, and its seed.

    ``misspecification``: the world ships propensities that are wrong by so much; None: it ships none.
    """

    misspecification: Annotated[float, Within(0, 1)] | None


@dataclass(frozen=True)
class CompletionConfig:
    """MF with biases under the squared loss: ``dim`` factors that start with sd ``init``, λ ``l2``, of which biases get
    ``bias_penalty``, Adam with rate ``lr`` for ``epochs``."""

    dim: Annotated[int, AtLeast(1)]
    init: Annotated[float, AtLeast(0)]
    l2: Annotated[float, AtLeast(0)]
    bias_penalty: Annotated[float, AtLeast(0)]
    lr: Annotated[float, Above(0)]
    epochs: Annotated[int, AtLeast(1)]
    seed: Annotated[int, SEEDS]


@dataclass(frozen=True)
class CompletedOptions:
    """The ratings of a log completed by ``completion``, cut into ratings with shares ``marginal``, and observed.

    Exposure is k·``alpha``^max(0, 4 − r), k such that a share ``density`` is observed.
    """

    completion: CompletionConfig
    marginal: tuple[Annotated[float, Above(0)], ...]
    alpha: Annotated[float, Within(0, 1, "(]")]
    density: Annotated[float, Within(0, 1, "(]")]


@dataclass(frozen=True)
class SchnabelConfig(DrawnConfig, CompletedOptions):
    """A semi-synthetic world: the data set ``base`` completed; ``draw`` seeds exposure and test set.

    ``test_per_user`` pairs of each user, drawn uniformly, test and never enter the log.
    """

    base: str
    test_per_user: Annotated[int, AtLeast(1)]


@dataclass(frozen=True)
class GridConfig(DrawnConfig):
    """A grid world (causal/worlds/grid.py) over ``n_users`` × ``n_items`` pairs, whose outcomes are what a method
    predicts.

    A pair's rank among all, which gives its level, is that of √structure·⟨p_u, q_i⟩/√dim + √(1 − structure)·ε, all
    standard normal: with ``structure`` 0 nothing can be learnt. ``prediction`` and ``loss`` are for table robustness.
    ``misspecification``: the world ships propensities that are wrong by so much; None: it ships none.
    """

    n_users: Annotated[int, AtLeast(1)]
    n_items: Annotated[int, AtLeast(1)]
    levels: tuple[float, ...]
    shares: tuple[Annotated[float, Above(0)], ...]
    exposure: tuple[Annotated[float, Above(0)], ...]
    density: Annotated[float, Within(0, 1, "()")]
    dim: Annotated[int, AtLeast(1)]
    structure: Annotated[float, Within(0, 1)]
    prediction: tuple[tuple[Annotated[float, Within(0, 1)], ...], ...]
    loss: Literal["absolute", "squared"]
    test_per_user: Annotated[int, AtLeast(1)]
    misspecification: Annotated[float, Within(0, 2)] | None


@dataclass(frozen=True)
class UpliftSyntheticConfig(DrawnConfig, GeneratedOptions):
    """A generated world of potential outcomes: its options, and ``draw``, which seeds the world and its three logs."""

    recommendations: ClassVar[bool] = True


@dataclass(frozen=True)
class FitConfig:
    """One early-stopped factorisation of the semi-synthetic world.

    ``spread``/√``dim`` is the standard deviation of the initial factors.
    """

    dim: Annotated[int, AtLeast(1)]
    rate: Annotated[float, Above(0)]
    l2: Annotated[float, AtLeast(0)]
    steps: Annotated[int, AtLeast(1)]
    spread: Annotated[float, Above(0)]


@dataclass(frozen=True)
class SemiSyntheticConfig:
    """All that makes a semi-synthetic world, given ratings: see ``benchmarks.worlds.semi_synthetic``.

    ``exposure`` is a name in ``causal.worlds.potential.EXPOSURES``, or capped.
    capped is the rule ``rank`` with propensities of at most ``cap``; the other two reach up to 1.
    """

    ratings: FitConfig
    watched: FitConfig
    offset: float
    exposure: Literal["log-rank", "rank", "capped"]
    exponent: Annotated[float, AtLeast(0)]
    per_user: Annotated[float, Above(0)]
    floor: Annotated[float, Within(0, 1)]
    cap: Annotated[float, Within(0, 1, "(]")]
    seed: Annotated[int, AtLeast(0)]


@dataclass(frozen=True)
class UpliftRatingsConfig(DrawnConfig):
    """Logs of the semi-synthetic ``world`` fitted to the ratings of the data set ``base``; ``draw`` seeds them."""

    recommendations: ClassVar[bool] = True

    base: DataConfig
    world: SemiSyntheticConfig

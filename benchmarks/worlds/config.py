"""The options of worlds. No field has a default: configs/data states every one."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from upliftlens.benchmarks.data.config import BaseConfig, DataConfig
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.options import above, at_least
from upliftlens.causal.worlds.generated import GeneratedOptions
from upliftlens.causal.worlds.synthetic_options import SyntheticOptions


@dataclass(frozen=True)
class DrawnConfig(BaseConfig):
    """A data set that is drawn at random: ``draw`` is its seed."""

    draw: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.draw < 0:
            raise UpliftlensError(f"data.draw must be at least 0, got {self.draw}: it is a seed, e.g. data.draw=0")


@dataclass(frozen=True)
class SyntheticConfig(DrawnConfig, SyntheticOptions):
    """A generated world: its options, and its seed.

    ``misspecification`` in [0, 1]: the world ships propensities that are wrong by so much; None: it ships none.
    """

    misspecification: float | None


@dataclass(frozen=True)
class CompletionConfig:
    """MF with biases under the squared loss: ``dim`` factors that start with sd ``init``, λ ``l2``, of which biases get
    ``bias_penalty``, Adam with rate ``lr`` for ``epochs``."""

    dim: int
    init: float
    l2: float
    bias_penalty: float
    lr: float
    epochs: int
    seed: int

    def __post_init__(self) -> None:
        at_least(1, dim=self.dim, epochs=self.epochs)
        at_least(0, init=self.init, l2=self.l2, bias_penalty=self.bias_penalty, seed=self.seed)
        above(0, lr=self.lr)
        if self.seed >= 2**32:
            raise ValueError(f"seed must be below {2**32}, got {self.seed}")


@dataclass(frozen=True)
class SchnabelConfig(DrawnConfig):
    """A semi-synthetic world: the data set ``base`` completed, cut into ratings with shares ``marginal``, and observed.

    Exposure is k·``alpha``^max(0, 4 − r), k such that a share ``density`` is observed; ``draw`` seeds exposure and test
    set. ``test_per_user`` pairs of each user, drawn uniformly, test and never enter the log.
    """

    base: str
    completion: CompletionConfig
    marginal: tuple[float, ...]
    alpha: float
    density: float
    test_per_user: int


@dataclass(frozen=True)
class GridConfig(DrawnConfig):
    """A grid world (causal/worlds/grid.py) over ``n_users`` × ``n_items`` pairs, whose outcomes are what a method
    predicts.

    A pair's rank among all, which gives its level, is that of √structure·⟨p_u, q_i⟩/√dim + √(1 − structure)·ε, all
    standard normal: with ``structure`` 0 nothing can be learnt. ``prediction`` and ``loss`` are for table robustness.
    ``misspecification`` in [0, 2]: the world ships propensities that are wrong by so much; None: it ships none.
    """

    n_users: int
    n_items: int
    levels: tuple[float, ...]
    shares: tuple[float, ...]
    exposure: tuple[float, ...]
    density: float
    dim: int
    structure: float
    prediction: tuple[tuple[float, ...], ...]
    loss: Literal["absolute", "squared"]
    test_per_user: int
    misspecification: float | None


@dataclass(frozen=True)
class UpliftSyntheticConfig(DrawnConfig, GeneratedOptions):
    """A generated world of potential outcomes: its options, and ``draw``, which seeds the world and its three logs."""

    recommendations: ClassVar[bool] = True


@dataclass(frozen=True)
class FitConfig:
    """One early-stopped factorisation of the semi-synthetic world: see ``benchmarks.worlds.semi_synthetic.Fit``."""

    dim: int
    rate: float
    l2: float
    steps: int
    spread: float


@dataclass(frozen=True)
class SemiSyntheticConfig:
    """The definition of a semi-synthetic world, given ratings: see ``benchmarks.worlds.semi_synthetic``.

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

    recommendations: ClassVar[bool] = True

    base: DataConfig
    world: SemiSyntheticConfig

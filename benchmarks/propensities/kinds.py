"""The contract of a propensity, P(a pair is observed), by which losses and metrics are weighted.

A kind is a ``PropensityKind``, registered by an entry point of the group ``upliftlens.propensities``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

import numpy as np

from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.splits.kinds import Split
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions
from upliftlens.causal.options import Before, Within
from upliftlens.causal.propensities.propensity import Propensity


@dataclass(frozen=True)
class PropensityChoice:
    """The name of the chosen kind: what the options of every kind have, and all that ``none`` has."""

    name: str


@dataclass(frozen=True)
class PropensityOptions(PropensityChoice):
    """The options of every propensity; a kind with further options derives its class from this one.

    ``name`` is the kind's: an installed kind gives it, and all other options, a default; those of the built-in ones
    are in ``configs/propensity/NAME.yaml``. ``floor``: lowest propensity after clipping; ``normalise``: scale p so that
    Σ 1/p over the log is |D|. ``held_out``: share of the observed pairs by which a fit to the others is judged, 0
    for none; the estimate itself is fitted to all. ``trim``: pairs with a lower propensity are left out of losses and
    metrics weighted by it, see ``causal.propensities.trimming``; 0: none is.
    """

    floor: Annotated[float, Within(0, 1)]
    normalise: bool
    held_out: Annotated[float, Within(0, 1, "[)")] = field(default=0.0, kw_only=True)
    trim: Annotated[float, Within(0, 1, "[)"), Before(0.0)] = field(default=0.0, kw_only=True)


class Known(NamedTuple):
    """The data that a propensity may be fitted to: ``log``, the training and validation rows together.

    ``dataset`` gives features and the propensities that its authors ship; its log holds test rows, too. ``sample``: the
    ratings missing at random from ``PropensityKind.take_sample``; ``truth`` f32[U, I]: the propensities of a world, for
    ``oracle`` alone.
    """

    log: Interactions
    dataset: Dataset
    sample: Interactions | None
    truth: np.ndarray | None


@dataclass(frozen=True, eq=False)
class PropensityKind:
    """A source of propensities.

    ``fit(options, known)``: p of the rows of ``known.log``, not clipped; None for no weights.
    ``whole_log``: p is of the whole log instead, and is scaled to the share of the rows that may be learned from.
    ``take_sample(dataset, split, options)``: the split without the test rows that form ``known.sample``, under a
    fingerprint of its contents, and that sample; None where no sample is needed.
    ``files``: options with the path of a sample's file; its content is in the key instead of the path.
    ``version``: bumped when a built-in kind gives other numbers.
    """

    name: str
    options: type[PropensityChoice]
    fit: Callable[[Any, Known], Propensity] | None = None
    whole_log: bool = False
    take_sample: Callable[[Dataset, Split, Any], tuple[Split, Interactions | None]] | None = None
    files: tuple[str, ...] = ()
    version: int = 1

    def __post_init__(self) -> None:
        if self.fit is not None and not issubclass(self.options, PropensityOptions):
            raise UpliftlensError(f"propensity '{self.name}': derive {self.options.__name__} from PropensityOptions")


none = PropensityKind("none", PropensityChoice)

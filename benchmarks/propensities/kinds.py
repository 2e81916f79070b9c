"""The contract of a propensity, P(a pair is observed), by which losses and metrics are weighed.

A kind is a ``PropensityKind``, which an entry point of the group ``upliftlens.propensities`` names.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np

from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.splits.kinds import Split
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions
from upliftlens.causal.options import Within
from upliftlens.causal.propensities.propensity import Propensity


@dataclass(frozen=True)
class NoPropensity:
    """Nothing is weighed."""

    name: str


@dataclass(frozen=True)
class PropensityOptions(NoPropensity):
    """The options of every propensity; a kind with further options derives its class from this one.

    ``name`` is the kind's: an installed kind gives it, and all other options, a default; those of the built-in ones
    are in ``configs/propensity/NAME.yaml``. ``floor``: lowest propensity that is divided by; ``normalise``: scale p so
    that Σ 1/p over the log is |D|.
    """

    floor: Annotated[float, Within(0, 1)]
    normalise: bool


class Known(NamedTuple):
    """What a propensity may be fitted to: ``log``, the training and validation rows together.

    ``dataset`` is for its features and what its authors ship: its log holds test rows, too. ``sample``: the ratings
    missing at random that ``PropensityKind.take_sample`` gave; ``truth`` f32[U, I]: the propensities of a world, for
    ``oracle`` alone.
    """

    log: Interactions
    dataset: Dataset
    sample: Interactions | None
    truth: np.ndarray | None


@dataclass(frozen=True, eq=False)
class PropensityKind:
    """A way to get a propensity.

    ``fit(options, known)``: p of the rows of ``known.log``, not clipped; None where nothing is weighed.
    ``whole_log``: p is of the whole log instead, and is scaled to the share of it that may be learned from.
    ``take_sample(dataset, split, options)``: the split whose test set has lost what ``known.sample`` is to hold, under
    a fingerprint of its contents, and that sample; None where none is needed.
    ``files``: options that name the file of a sample, whose content is in the key in their place.
    ``version``: bumped when a built-in kind gives other numbers.
    """

    name: str
    options: type[NoPropensity]
    fit: Callable[[Any, Known], Propensity] | None = None
    whole_log: bool = False
    take_sample: Callable[[Dataset, Split, Any], tuple[Split, Interactions | None]] | None = None
    files: tuple[str, ...] = ()
    version: int = 1

    def __post_init__(self) -> None:
        if self.fit is not None and not issubclass(self.options, PropensityOptions):
            raise UpliftlensError(f"propensity '{self.name}': derive {self.options.__name__} from PropensityOptions")


none = PropensityKind("none", NoPropensity)

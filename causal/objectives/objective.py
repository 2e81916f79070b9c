"""Training objectives: what is minimised, over which pairs, moving which modules.

An objective names the modules it needs (each is built from the same backbone) and runs one or more phases per step.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Array, Interactions
from upliftlens.causal.objectives.triples import DrawTriples
from upliftlens.causal.options import NoOptions
from upliftlens.causal.sample import Batch, Sample


class View(NamedTuple):
    """What a phase's loss sees of the modules.

    ``score(module name, sample)`` -> f32 of the sample's shape, each call is another pass, with
    another dropout mask: a loss calls it once and keeps the scores; ``error(score, target)`` is the per-pair loss ℓ;
    ``module(name)`` is the Flax module itself, for objectives that use more than scores (``requires``);
    ``predict(score)`` is the score in the unit of the loss's target (``Loss.predict``), for pseudo-labels.
    """

    score: Callable[[str, Sample], Array]
    error: Callable[[Array, Array], Array]
    module: Callable[[str], Any]
    predict: Callable[[Array], Array]

    def errors(self, module: str, sample: Sample) -> Array:
        """e of every pair of the sample, by one more pass of a module."""
        return self.error(self.score(module, sample), sample.target)


class Phase(NamedTuple):
    """``loss(view, batch, hp) -> f32[]``, differentiated with respect to the modules named in ``moves`` only.

    ``l2``: (module, the objective's option that says what share of λ it is regularised with); all of it for modules
    that are not named. A nuisance (imputation, propensity) has a loss of another size, and λ another meaning there.
    """

    loss: Callable[[View, Batch, Mapping[str, Array]], Array]
    moves: tuple[str, ...]
    l2: tuple[tuple[str, str], ...] = ()


class Objective(NamedTuple):
    """An objective.

    ``modules``: "prediction" and whatever else it trains; the score of one called "propensity" is a logit of being
    observed, and its loss a mean over D, which its λ is of. ``needs``: "everything" where it sums over D, "propensity"
    where it divides by P(observed), "everywhere" where it reads P(observed) of all pairs, "recommendations" where
    ``batch.observed`` samples a log of recommendations (all logged pairs, recommended or not) instead of the consumed
    pairs.
    ``requires``: methods that the backbone's module must have, e.g. "embed".
    ``links``: the links of the losses it makes sense with (``Loss.link``).
    ``triples(log, hp)``: which pairs of a log of recommendations a pairwise loss is summed over, for objectives that
    need recommendations; it runs on the host, with the objective's floats.
    ``differences``: modules that score a difference (an effect): their constant starts at 0, not at the mean target.
    ``implicit``: for logs of positives only; the objective defines what a pair without a row counts as.
    ``rank(view, sample, hp)``: the score that ranks items, where it is not the prediction module's.
    ``link``: the unit of scores and predictions, where it is not the unit of the loss.
    ``version`` is bumped when the objective's numbers change.
    """

    name: str
    options: type
    phases: tuple[Phase, ...]
    modules: tuple[str, ...] = ("prediction",)
    needs: frozenset[str] = frozenset()
    requires: frozenset[str] = frozenset()
    links: frozenset[str] = frozenset({"rating", "probability", "rank"})
    triples: Callable[[Interactions, Mapping[str, float]], DrawTriples] | None = None
    differences: frozenset[str] = frozenset()
    rank: Callable[[View, Sample, Mapping[str, Array]], Array] | None = None
    link: Literal["rank"] | None = None
    version: int = 1
    implicit: bool = False


def pairs_per_row(batch: Batch) -> Array:
    """|D|/|O|: the ``n_pairs`` of a risk estimator over rows whose weights sum to 1, f[].

    Raises:
        UpliftlensError: if the batch was made without a density.
    """
    if batch.density is None:
        raise UpliftlensError("this objective sums over all pairs: its batches need the density |O|/|D|")
    return 1 / batch.density


def all_pairs(batch: Batch) -> Sample:
    """The sample of D.

    Raises:
        UpliftlensError: if the batch was made without one.
    """
    if batch.everything is None:
        raise UpliftlensError("this objective sums over all pairs: its batches need a sample of everything")
    return batch.everything


def _naive(view: View, batch: Batch, hp: Mapping[str, Array]) -> Array:
    return (batch.observed.weight * view.errors("prediction", batch.observed)).sum()


naive = Objective("naive", NoOptions, phases=(Phase(_naive, moves=("prediction",)),))
"""mean_O e: the average loss over what was observed, as if it were all there is."""

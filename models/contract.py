"""What a model is to the harness: a Solver, which gives a Method, or a Backbone, of which gradient training makes one.

The harness owns data, splits, batches, budgets, selection and evaluation. A method owns its state and nothing else;
it never sees the test set or the truth of a world.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import jax
from flax import nnx

from upliftlens.causal.interactions import Interactions
from upliftlens.causal.losses import Link as Link
from upliftlens.causal.options import Traced as Traced  # what a plugin needs comes from one module
from upliftlens.models.query import Query as Query
from upliftlens.models.query import Reach

Array = jax.Array
State = Any  # a pytree that only its own method reads


class Hyper(NamedTuple):
    """The traced floats of a run, by config group; each leaf is f32[]."""

    model: Mapping[str, Array]
    objective: Mapping[str, Array]
    train: Mapping[str, Array]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainingData:
    """All that a method may see.

    ``log``: training rows, sorted by user, padded with rows of weight 0 (see ``causal.interactions.padded``).
    ``positive`` f32[N]: 1 where the row counts as a positive (value ≥ the data's relevance threshold, or any
    interaction of an implicit log), 0 elsewhere and in padding: what implicit-feedback methods learn from.
    ``user_features`` f32[n_users, Fu], ``item_features`` f32[n_items, Fi]: one-hot or scaled columns; F may be 0.
    ``scale``: lowest and highest possible value, static.
    ``recommendations``: None unless the data say what was recommended; then every logged pair, recommended or not, with
    the columns ``treated`` and ``propensity`` f32[M], sorted and padded as ``log``, which holds what was consumed: the
    rows with an outcome above 0, without these columns.
    """

    log: Interactions
    positive: Array
    user_features: Array
    item_features: Array
    scale: tuple[float, float] = field(default=(1.0, 5.0), metadata={"static": True})
    recommendations: Interactions | None = None

    @property
    def n_users(self) -> int:
        """Size of the user universe (static)."""
        return self.log.n_users

    @property
    def n_items(self) -> int:
        """Size of the item universe (static)."""
        return self.log.n_items


Layout = Literal["pairs", "triples", "tiles", "full"]
"""How a method wants its data at each step.

``pairs``    a minibatch of observed rows
``triples``  (user, positive item, sampled negative item)
``tiles``    a block of users × all items, values and mask as dense arrays
``full``     nothing: one step per epoch, the method reads ``data``
"""


class Method(NamedTuple):
    """A learner as pure functions. Everything the harness trains is one of these.

    init(key, data, hp) -> state
    step(state, data, batch, key, hp) -> (state, loss f32[])   one batch; the harness scans steps into an epoch.
        ``batch`` is a ``causal.sample.Batch`` of the kind that ``layout`` names, None for "full".
    score(state, data, at: Query) -> f32[B, n_items]           higher is better
    predict(state, data, at: Query, items i32[B]) -> f32[B]    in the unit that ``link`` names
    layout   how the data is wanted
    link     the unit of ``predict``
    max_epochs  None, or the number of epochs after which nothing changes any more (1 for a closed form)
    random   whether the seed (``key``) changes the fit. Of a random method one run is one draw: only several seeds say
        something about the method
    history  how many interactions before the moment a query holds for a user who was trained on
    new_users  None if the method can score no other user, else what ``history`` is for one; then ``at.user`` is −1
    """

    init: Callable[[Array, TrainingData, Hyper], State]
    step: Callable[[State, TrainingData, Any, Array, Hyper], tuple[State, Array]]
    score: Callable[[State, TrainingData, Query], Array]
    predict: Callable[[State, TrainingData, Query, Array], Array]
    layout: Layout
    link: Link
    max_epochs: int | None = None
    random: bool = True
    history: Reach = 0
    new_users: Reach | None = None


class Solver(NamedTuple):
    """A model that brings its own learning rule: closed forms, neighbourhoods, alternating least squares.

    ``options`` is a frozen dataclass of typed options; a class variable ``space`` of a plugin's is what ``tune`` and
    ``benchmark`` search: by option ``{"choices": […]}``, for a float also ``{"low": …, "high": …, "log": …}`` (a
    built-in model states it in its YAML file). ``method(options) -> Method`` sees the structural ones, the
    traced ones arrive as ``hp.model[name]``. ``memory(options, n_users, n_items) -> bytes`` is asked before anything
    starts.
    ``version`` is bumped whenever the model's numbers change: it is part of a run's key.
    ``needs``: "ratings" if it learns from values, which implicit data lack; its ``link`` is then usually "rating".
    "recommendations" if it reads ``data.recommendations``. "truth" is for the oracle only: after training,
    which gives it no information, its state is replaced by the true effects f32[n_users, n_items].
    """

    name: str
    options: type
    method: Callable[[Any], Method]
    memory: Callable[[Any, int, int], int] = lambda options, n_users, n_items: 0
    version: int = 1
    needs: Literal["log", "ratings", "recommendations", "truth"] = "log"


class Backbone(NamedTuple):
    """A Flax module that scores pairs; every loss and objective can train it.

    ``build(options, data, rngs) -> nnx.Module`` with ``__call__(users i32[B], items i32[B]) -> f32[B]``, and where it
    is cheaper than calling every pair, ``score_all(users i32[B]) -> f32[B, n_items]``.
    A module may say what λ multiplies by a ``penalty() -> f32[]`` of its own; ‖θ‖² otherwise.
    The harness adds a learned constant to the score, so a backbone needs no global mean. ``options``: as of ``Solver``.
    """

    name: str
    options: type
    build: Callable[[Any, TrainingData, nnx.Rngs], nnx.Module]
    version: int = 1

    def example(self, options: Any, data: TrainingData) -> nnx.Module:
        """A module with some parameters, for what doesn't depend on them: its structure, its methods, its shapes."""
        return self.build(options, data, nnx.Rngs(params=0, dropout=0))


def split(module: nnx.Module) -> tuple[Any, Any, Any]:
    """Structure, parameters, and the rest of the variables (dropout's keys, fixed features) of a module."""
    graph, params, *rest = nnx.split(module, nnx.Param, ...)
    return graph, params, rest[0]

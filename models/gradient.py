"""Gradient training: backbone × loss × objective × optimiser as a Method.

Minimises, for each phase of the objective,

    objective(batch) + s·λ/N · penalty(θ)

over the parameters θ of the modules that the phase moves; penalty is ‖θ‖², or what the module's own ``penalty()``
says; s is the share of λ that the objective's options state for the module (``Phase.l2``; 1 where they state none); λ
is ``train.l2``, N = |O| the number of training rows, so that λ means the same in every layout and batch size (it is
the λ of Σ_O e + λ‖θ‖²). The loss of a module called "propensity" is a mean over all pairs: there N = |D|. With
``propensity.trim`` weighted losses are means over O∩K and K (``causal.propensities.trimming``) and N stays |O| and |D|:
it is then the λ of |O|/|O∩K|·Σ_{O∩K} e + λ‖θ‖², so that trimming alone does not regularise more. Where pairs
of a log of recommendations are summed over, |O| is the number of logged rows; for
triples it is always that of the positives. Each module's score gets a learned, unregularised constant, which starts
at the mean target or its logit (``_start``).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import Interactions
from upliftlens.causal.losses import Loss
from upliftlens.causal.objectives.objective import Objective, Phase, View
from upliftlens.causal.sample import Batch, Sample
from upliftlens.models.contract import (
    Array,
    Backbone,
    Hyper,
    Layout,
    Method,
    Query,
    TrainingData,
    split,
)
from upliftlens.models.descent import Descent, Schedule, descend, start_state


class Learner(NamedTuple):
    """The state of a gradient method.

    Per module: its parameters, its constant, and the rest of what its Flax module carries.
    ``objective``: the objective's traced floats, which its ``rank`` may read after training.
    """

    params: Mapping[str, Any]
    constants: Mapping[str, Array]
    rest: Mapping[str, Any]
    optimizer: tuple[Any, ...]
    step: Array
    objective: Mapping[str, Array]


class _Recipe(NamedTuple):
    """The choices that make up a gradient method; ``options`` are the backbone's structural ones."""

    backbone: Backbone
    options: Any
    loss: Loss
    objective: Objective
    descent: Descent
    layout: Layout


class _Shared(NamedTuple):
    """What the phases of one step share: ``graph``, the structure of every module; ``n_observed`` f32[], |O|; and
    ``n_pairs``, |D|."""

    batch: Batch
    hp: Hyper
    graph: Any
    n_observed: Array
    n_pairs: int


def gradient_method(
    backbone: Backbone,
    options: Any,
    loss: Loss,
    objective: Objective,
    optimizer: str,
    schedule: Schedule,
    layout: Layout,
) -> Method:
    """The Method that trains ``backbone`` by ``objective`` of ``loss``.

    ``options`` are the backbone's structural options. ``layout`` says which batches ``step`` will get: "tiles" needs a
    module with ``score_all``, "triples" a pairwise loss.
    ``hp.train`` holds ``lr``, ``l2`` and ``steps``, the number of steps over which a schedule runs.
    """
    recipe = _Recipe(backbone, options, loss, objective, Descent(optimizer, schedule), layout)
    return Method(
        init=partial(_init, recipe),
        step=partial(_step, recipe),
        score=partial(_score, recipe),
        predict=partial(_predict, recipe),
        layout=layout,
        link=objective.link or loss.link,
    )


def _init(recipe: _Recipe, key: Array, data: TrainingData, hp: Hyper) -> Learner:
    objective = recipe.objective
    params: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for index, name in enumerate(objective.modules):
        module_key = jax.random.fold_in(key, index)
        rngs = nnx.Rngs(params=module_key, dropout=jax.random.fold_in(module_key, 1))
        _, params[name], rest[name] = split(recipe.backbone.build(recipe.options, data, rngs))
    constants = {name: _start(name, recipe.loss, objective, data) for name in objective.modules}
    states = tuple(
        start_state(recipe.descent, {name: (params[name], constants[name]) for name in phase.moves})
        for phase in objective.phases
    )
    return Learner(params, constants, rest, states, jnp.zeros((), jnp.int32), dict(hp.objective))


def _step(
    recipe: _Recipe, learner: Learner, data: TrainingData, batch: Batch, key: Array, hp: Hyper
) -> tuple[Learner, Array]:
    rows = data.log if recipe.layout == "triples" else _training_rows(recipe.objective, data)
    shared = _Shared(batch, hp, _structure(recipe, data), rows.weight.sum(), data.n_users * data.n_items)
    reported = jnp.zeros(())
    for index, phase in enumerate(recipe.objective.phases):
        value, learner = _advance(recipe, shared, learner, index, jax.random.fold_in(key, index))
        reported = value if "prediction" in phase.moves else reported
    return learner._replace(step=learner.step + 1), reported


def _advance(recipe: _Recipe, shared: _Shared, learner: Learner, index: int, key: Array) -> tuple[Array, Learner]:
    """One phase of one step: differentiate with respect to what it moves, descend."""
    phase = recipe.objective.phases[index]
    moved = {name: (learner.params[name], learner.constants[name]) for name in phase.moves}
    function = partial(_phase_value, recipe.loss, shared, learner, phase, key)
    after = descend(recipe.descent, function, moved, learner.optimizer[index], learner.step, shared.hp)
    return after.value, learner._replace(
        params={**learner.params, **{name: params for name, (params, _) in after.point.items()}},
        constants={**learner.constants, **{name: constant for name, (_, constant) in after.point.items()}},
        rest={**learner.rest, **after.byproduct},
        optimizer=(*learner.optimizer[:index], after.state, *learner.optimizer[index + 1 :]),
    )


def _phase_value(
    loss: Loss, shared: _Shared, learner: Learner, phase: Phase, key: Array, moved: Mapping[str, Any]
) -> tuple[Array, Mapping[str, Any]]:
    """The regularised objective of a phase where the parameters and constants that it moves are ``moved``.

    Second, the rest of the modules' variables as the pass left them.
    """
    modules, constants = {}, {}
    for position, name in enumerate(learner.params):
        params, constants[name] = moved.get(name, (learner.params[name], learner.constants[name]))
        modules[name] = nnx.merge(shared.graph, params, learner.rest[name], copy=True)
        if name in moved:
            modules[name].train()
        else:  # a constant of this phase: dropout would only add noise to it
            modules[name].eval()
        nnx.reseed(modules[name], dropout=jax.random.fold_in(key, position))
    value = phase.loss(_view(modules, constants, loss), shared.batch, shared.hp.objective)
    norms: dict[tuple[str | None, bool], Any] = {}
    for name in moved:
        kind = dict(phase.l2).get(name), name == "propensity"
        norms[kind] = norms.get(kind, 0) + _penalty(modules[name])
    for (option, over_all_pairs), norm in norms.items():
        share = 1.0 if option is None else shared.hp.objective[option]
        n_pairs = shared.n_pairs if over_all_pairs else shared.n_observed
        value = value + share * shared.hp.train["l2"] / n_pairs * norm
    rest = {name: split(module)[2] for name, module in modules.items()}
    return value, rest


def _score(recipe: _Recipe, learner: Learner, data: TrainingData, at: Query) -> Array:
    view = _trained(recipe, learner, data)
    sample = _every_item(at.user, data.n_items, hasattr(view.module("prediction"), "score_all"))
    rank = recipe.objective.rank or _prediction
    return rank(view, sample, learner.objective).reshape(at.user.shape[0], data.n_items)


def _predict(recipe: _Recipe, learner: Learner, data: TrainingData, at: Query, items: Array) -> Array:
    view, ones = _trained(recipe, learner, data), jnp.ones(items.shape)
    sample = Sample(at.user, items, ones, ones)
    if recipe.objective.link is None:
        return view.predict(view.score("prediction", sample))
    return (recipe.objective.rank or _prediction)(view, sample, learner.objective)


def _prediction(view: View, sample: Sample, hp: Mapping[str, Array]) -> Array:
    """The score that ranks items where the objective states no other."""
    return view.score("prediction", sample)


def _structure(recipe: _Recipe, data: TrainingData) -> Any:
    return split(nnx.eval_shape(lambda: recipe.backbone.example(recipe.options, data)))[0]


def _trained(recipe: _Recipe, learner: Learner, data: TrainingData) -> View:
    """The modules as they score after training, without dropout."""
    graph, modules = _structure(recipe, data), {}
    for name, params in learner.params.items():
        modules[name] = nnx.merge(graph, params, learner.rest[name], copy=True)
        modules[name].eval()
    return _view(modules, learner.constants, recipe.loss)


def _training_rows(objective: Objective, data: TrainingData) -> Interactions:
    """The rows that the objective's observed samples are drawn from, in the layouts pairs and tiles.

    Raises:
        UpliftlensError: if the objective needs recommendations and the data have none.
    """
    if "recommendations" not in objective.needs:
        return data.log
    if data.recommendations is None:
        raise UpliftlensError(f"objective {objective.name} learns from what was recommended, which the data do not say")
    return data.recommendations


def _start(name: str, loss: Loss, objective: Objective, data: TrainingData) -> Array:
    """f32[], the constant of a module before training.

    The mean target (squared loss) or its logit (logistic loss); 0 for pairwise losses and for modules that score a
    difference; for a module called "propensity" the logit of |O|/|D|, or 0 where it starts from a given p.
    """
    if name in objective.differences or (name == "propensity" and "everywhere" in objective.needs):
        return jnp.zeros(())
    rows = _training_rows(objective, data)
    if name == "propensity":  # its score is the logit of being observed, whatever the loss
        return _logit(rows.weight.sum() / (data.n_users * data.n_items), 1e-6)
    target = data.positive if rows is data.log and loss.link != "rating" else rows.value
    mean = (rows.weight * target).sum() / jnp.maximum(rows.weight.sum(), 1)
    if loss.link == "rating":
        return mean
    if loss.link == "probability":
        return _logit(mean, 1e-3)  # a log with one class only would start at ±infinity
    return jnp.zeros(())


def _logit(share: Array, least: float) -> Array:
    bounded = jnp.clip(share, least, 1 - least)
    return jnp.log(bounded / (1 - bounded))


def module_offers(backbone: Backbone, options: Any, data: TrainingData) -> frozenset[str]:
    """Names of the public methods of the backbone's module, e.g. "score_all"; nothing is computed."""
    module = nnx.eval_shape(lambda: backbone.example(options, data))
    return frozenset(name for name in dir(type(module)) if not name.startswith("_"))


def _view(modules: Mapping[str, Any], constants: Mapping[str, Array], loss: Loss) -> View:
    def score(name: str, sample: Sample) -> Array:
        return _sample_score(modules[name], sample) + (0.0 if sample.negatives is not None else constants[name])

    return View(score, loss.error, modules.__getitem__, loss.predict)


def _every_item(users: Array, n_items: int, dense: bool) -> Sample:
    """The pairs of some users with all items, as a tile or as columns, in the order of the tile."""
    ones = jnp.ones((users.shape[0], n_items))
    if dense:
        return Sample(users, None, ones, ones)
    items = jnp.tile(jnp.arange(n_items, dtype=jnp.int32), users.shape[0])
    flat = ones.ravel()
    return Sample(jnp.repeat(users, n_items, total_repeat_length=items.shape[0]), items, flat, flat)


def _penalty(module: Any) -> Array:
    """The module's own ``penalty()``, or ‖θ‖² over all of its parameters."""
    if hasattr(module, "penalty"):
        return module.penalty()
    return sum((jnp.sum(leaf**2) for leaf in jax.tree.leaves(nnx.state(module, nnx.Param))), jnp.zeros(()))


def _sample_score(module: Any, sample: Sample) -> Array:
    if sample.items is None:
        return module.score_all(sample.users)
    if sample.negatives is None:
        return module(sample.users, sample.items)
    return module(sample.users, sample.items) - module(sample.users, sample.negatives)

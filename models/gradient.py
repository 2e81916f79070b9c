"""Gradient training: backbone × loss × objective × optimiser as a Method.

Minimises, for each phase of the objective,

    objective(batch) + s·λ/|O| · penalty(θ)

over the parameters θ of the modules that the phase moves; penalty is ‖θ‖², or what the module's own ``penalty()``
says; s is the share of λ that the objective's options state for the phase (``Phase.l2``; 1 where they state none); λ is
``train.l2``, |O| the number of training rows, so that λ means the same in every layout and batch size (it is
the λ of Σ_O e + λ‖θ‖²). Where pairs of a log of recommendations are summed over, |O| is the number of logged rows; for
triples it is always that of the positives. Each module's score gets a learned, unregularised constant, which starts
where ``models.starts`` says.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from upliftlens.causal.losses import Loss
from upliftlens.causal.objectives.objective import Objective, Phase, View
from upliftlens.causal.sample import Batch, Sample
from upliftlens.models.contract import Array, Backbone, Hyper, Layout, Method, TrainingData
from upliftlens.models.descent import Descent, Schedule, descend, start_state
from upliftlens.models.starts import start, training_rows


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
    """What the phases of one step share; ``n_observed`` f32[] is |O|, ``graph`` the structure of every module."""

    batch: Batch
    hp: Hyper
    graph: Any
    n_observed: Array


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
        _, params[name], rest[name] = _split(recipe.backbone.build(recipe.options, data, rngs))
    constants = {name: start(name, recipe.loss, objective, data) for name in objective.modules}
    states = tuple(
        start_state(recipe.descent, {name: (params[name], constants[name]) for name in phase.moves})
        for phase in objective.phases
    )
    return Learner(params, constants, rest, states, jnp.zeros((), jnp.int32), dict(hp.objective))


def _step(
    recipe: _Recipe, learner: Learner, data: TrainingData, batch: Batch, key: Array, hp: Hyper
) -> tuple[Learner, Array]:
    rows = data.log if recipe.layout == "triples" else training_rows(recipe.objective, data)
    shared = _Shared(batch, hp, _structure(recipe, data), rows.weight.sum())
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
    norm = sum(_penalty(modules[name]) for name in moved)
    rest = {name: _split(module)[2] for name, module in modules.items()}
    share = 1.0 if phase.l2 is None else shared.hp.objective[phase.l2]
    return value + share * shared.hp.train["l2"] / shared.n_observed * norm, rest


def _score(recipe: _Recipe, learner: Learner, data: TrainingData, users: Array) -> Array:
    rank = recipe.objective.rank
    if rank is None:
        module = _trained(recipe, learner, data, "prediction")
        return score_all(module, users, data.n_items) + learner.constants["prediction"]
    view = _trained_view(recipe, learner, data)
    sample = _every_item(users, data.n_items, hasattr(view.module("prediction"), "score_all"))
    return rank(view, sample, learner.objective).reshape(users.shape[0], data.n_items)


def _predict(recipe: _Recipe, learner: Learner, data: TrainingData, users: Array, items: Array) -> Array:
    link, rank = recipe.objective.link, recipe.objective.rank
    if link is not None and rank is not None:
        ones = jnp.ones(users.shape)
        return rank(_trained_view(recipe, learner, data), Sample(users, items, ones, ones), learner.objective)
    score = _trained(recipe, learner, data, "prediction")(users, items) + learner.constants["prediction"]
    return score if link is not None else recipe.loss.predict(score)


def _structure(recipe: _Recipe, data: TrainingData) -> Any:
    build = recipe.backbone.build
    return _split(nnx.eval_shape(lambda: build(recipe.options, data, nnx.Rngs(params=0, dropout=0))))[0]


def _trained(recipe: _Recipe, learner: Learner, data: TrainingData, name: str) -> Any:
    """A module as it scores after training, without dropout."""
    merged = nnx.merge(_structure(recipe, data), learner.params[name], learner.rest[name], copy=True)
    merged.eval()
    return merged


def _trained_view(recipe: _Recipe, learner: Learner, data: TrainingData) -> View:
    """The trained modules as the objective's ``rank`` reads them."""
    modules = {name: _trained(recipe, learner, data, name) for name in recipe.objective.modules}
    return _view(modules, learner.constants, recipe.loss)


def module_offers(backbone: Backbone, options: Any, data: TrainingData) -> frozenset[str]:
    """Names of the public methods of the backbone's module, e.g. "score_all"; nothing is computed."""
    module = nnx.eval_shape(lambda: backbone.build(options, data, nnx.Rngs(params=0, dropout=0)))
    return frozenset(name for name in dir(type(module)) if not name.startswith("_"))


def score_all(module: Any, users: Array, n_items: int) -> Array:
    """f32[B, n_items]: the module's own ``score_all``, or its ``__call__`` on every pair."""
    if hasattr(module, "score_all"):
        return module.score_all(users)
    items = jnp.tile(jnp.arange(n_items, dtype=jnp.int32), users.shape[0])
    return module(jnp.repeat(users, n_items, total_repeat_length=items.shape[0]), items).reshape(
        users.shape[0], n_items
    )


def _split(module: nnx.Module) -> tuple[Any, Any, Any]:
    """Structure, parameters, and the rest of the variables (dropout's keys, fixed features) of a module."""
    graph, params, *rest = nnx.split(module, nnx.Param, ...)
    return graph, params, rest[0]


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

"""Gradient training: backbone × loss × objective × optimiser, put together as one Method.

Minimises, for each phase of the objective,

    objective(batch) + s·λ/|O| · penalty(θ)

over the parameters θ of the modules that the phase moves; penalty is ‖θ‖², or what the module's own ``penalty()``
says; s is the share of λ that the objective's options state for the phase (``Phase.l2``; 1 where they state none); λ is
``train.l2``, |O| the number of training rows, so that λ means the same in every layout and batch size (it is
the λ of Σ_O e + λ‖θ‖²). Where pairs of a log of recommendations are summed over, |O| is the number of logged rows; for
triples it is always that of the positives. Each module's score gets a learned, unregularised constant, which starts
where ``models.starts`` says.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from upliftlens.causal.losses import Loss
from upliftlens.causal.objectives import Objective, Phase, View
from upliftlens.causal.sample import Batch, Sample
from upliftlens.models.contract import Array, Backbone, Hyper, Layout, Method, TrainingData
from upliftlens.models.starts import start, training_rows

Schedule = Literal["cosine", "constant"]


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


OPTIMIZERS: dict[str, Callable[[], optax.GradientTransformation]] = {
    "adam": lambda: optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8),
    "adagrad": lambda: optax.scale_by_rss(initial_accumulator_value=0.1, eps=1e-7),
    "sgd": optax.identity,
    "lbfgs": lambda: optax.lbfgs(memory_size=10),
}
"""Directions of descent; the learning rate is applied outside of them, since it is an argument of the compiled program.

``lbfgs`` brings its own line search and therefore needs the full batch; it ignores learning rate and schedule.
"""


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
    direction = OPTIMIZERS[optimizer]()

    def build(data: TrainingData, rngs: nnx.Rngs) -> nnx.Module:
        return backbone.build(options, data, rngs)

    def structure(data: TrainingData) -> Any:
        abstract = nnx.eval_shape(lambda: build(data, nnx.Rngs(params=0, dropout=0)))
        return _split(abstract)[0]

    def init(key: Array, data: TrainingData, hp: Hyper) -> Learner:
        params: dict[str, Any] = {}
        rest: dict[str, Any] = {}
        for index, name in enumerate(objective.modules):
            own = jax.random.fold_in(key, index)
            module = build(data, nnx.Rngs(params=own, dropout=jax.random.fold_in(own, 1)))
            _, params[name], rest[name] = _split(module)
        constants = {name: start(name, loss, objective, data) for name in objective.modules}
        states = tuple(
            direction.init({name: (params[name], constants[name]) for name in phase.moves})
            for phase in objective.phases
        )
        return Learner(params, constants, rest, states, jnp.zeros((), jnp.int32), dict(hp.objective))

    def step(learner: Learner, data: TrainingData, batch: Batch, key: Array, hp: Hyper) -> tuple[Learner, Array]:
        graph = structure(data)
        n_observed = (data.log if layout == "triples" else training_rows(objective, data)).weight.sum()
        reported = jnp.zeros(())
        for index, phase in enumerate(objective.phases):
            value, learner = _advance(
                learner,
                index,
                phase,
                graph,
                batch,
                jax.random.fold_in(key, index),
                hp,
                loss,
                direction,
                optimizer,
                schedule,
                n_observed,
            )
            reported = value if "prediction" in phase.moves else reported
        return learner._replace(step=learner.step + 1), reported

    def module(learner: Learner, data: TrainingData, name: str) -> nnx.Module:
        merged = nnx.merge(structure(data), learner.params[name], learner.rest[name], copy=True)
        merged.eval()
        return merged

    def view(learner: Learner, data: TrainingData) -> View:
        modules = {name: module(learner, data, name) for name in objective.modules}
        return _view(modules, learner.constants, loss)

    def score(learner: Learner, data: TrainingData, users: Array) -> Array:
        if objective.rank is None:
            return score_all(module(learner, data, "prediction"), users, data.n_items) + learner.constants["prediction"]
        seen = view(learner, data)
        sample = _every_item(users, data.n_items, hasattr(seen.module("prediction"), "score_all"))
        return objective.rank(seen, sample, learner.objective).reshape(users.shape[0], data.n_items)

    def predict(learner: Learner, data: TrainingData, users: Array, items: Array) -> Array:
        if objective.link is not None and objective.rank is not None:
            ones = jnp.ones(users.shape)
            return objective.rank(view(learner, data), Sample(users, items, ones, ones), learner.objective)
        own = module(learner, data, "prediction")(users, items) + learner.constants["prediction"]
        return own if objective.link is not None else loss.predict(own)

    return Method(init, step, score, predict, layout, objective.link or loss.link)


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


def _advance(
    learner: Learner,
    index: int,
    phase: Phase,
    graph: Any,
    batch: Batch,
    key: Array,
    hp: Hyper,
    loss: Loss,
    direction: optax.GradientTransformation,
    optimizer: str,
    schedule: Schedule,
    n_observed: Array,
) -> tuple[Array, Learner]:
    """One phase of one step: differentiate with respect to what it moves, descend."""
    moved = {name: (learner.params[name], learner.constants[name]) for name in phase.moves}
    share = 1.0 if phase.l2 is None else hp.objective[phase.l2]

    def objective(moved: Mapping[str, Any]) -> tuple[Array, Mapping[str, Any]]:
        modules, constants = {}, {}
        for position, name in enumerate(learner.params):
            params, constants[name] = moved.get(name, (learner.params[name], learner.constants[name]))
            modules[name] = nnx.merge(graph, params, learner.rest[name], copy=True)
            if name in moved:
                modules[name].train()
            else:  # a constant of this phase: dropout would only add noise to it
                modules[name].eval()
            nnx.reseed(modules[name], dropout=jax.random.fold_in(key, position))

        value = phase.loss(_view(modules, constants, loss), batch, hp.objective)
        norm = sum(_penalty(modules[name]) for name in moved)
        rest = {name: _split(module)[2] for name, module in modules.items()}
        return value + share * hp.train["l2"] / n_observed * norm, rest

    (value, rest), gradient = jax.value_and_grad(objective, has_aux=True)(moved)
    if optimizer == "lbfgs":
        updates, state = direction.update(
            gradient,
            learner.optimizer[index],
            moved,
            value=value,
            grad=gradient,
            value_fn=lambda point: objective(point)[0],
        )
    else:
        updates, state = direction.update(gradient, learner.optimizer[index], moved)
        rate = -hp.train["lr"] * _decay(schedule, learner.step, hp.train["steps"])
        updates = jax.tree.map(lambda update: rate * update, updates)
    moved = optax.apply_updates(moved, updates)
    return value, learner._replace(
        params={**learner.params, **{name: params for name, (params, _) in moved.items()}},
        constants={**learner.constants, **{name: constant for name, (_, constant) in moved.items()}},
        rest={**learner.rest, **rest},
        optimizer=(*learner.optimizer[:index], state, *learner.optimizer[index + 1 :]),
    )


def _decay(schedule: Schedule, step: Array, steps: Array) -> Array:
    """Share of the learning rate at a step: constant, or a half cosine from 1 to 0."""
    if schedule == "constant":
        return jnp.ones(())
    return 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(step / steps, 1.0)))


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

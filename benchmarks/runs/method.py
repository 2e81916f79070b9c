"""From a plan to the Method that it trains, and to the floats that the compiled program takes as arguments."""

from functools import lru_cache
from typing import Any

import jax.numpy as jnp

from upliftlens.benchmarks.runs.plan import Plan
from upliftlens.benchmarks.system.environment import available_memory
from upliftlens.benchmarks.system.talk import say, say_once
from upliftlens.benchmarks.training.feed import choose_layout
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.options import structural, traced_names
from upliftlens.models.checks import check_agreement, check_method, check_module, shapes_of
from upliftlens.models.contract import Hyper, Method, Solver, TrainingData
from upliftlens.models.gradient import gradient_method, module_offers


def method_of(plan: Plan, data: TrainingData) -> Method:
    """The plan's Method. Plans of one structure share the very same object, and with it every compiled program.

    Raises:
        UpliftlensError: if the model would not fit into memory, its optimiser not the layout that the data get, or it
            is a plugin that breaks its contract.
    """
    learning, train = plan.learning, plan.train
    model = learning.model.value
    options = structural(learning.options)
    if isinstance(model, Solver):
        _refuse_too_large(model, learning.options, data.n_users, data.n_items)
        method = _solver_method(model, options)
        if learning.model.source:  # a plugin: the tests have seen the built-in ones
            check_method(model.name, method, shapes_of(data), hyper(plan, 1))
        return method
    if learning.model.source:
        check_module(model, options, shapes_of(data))
    dense = "score_all" in module_offers(model, options, data)
    loss, objective = learning.loss.value, learning.objective.value
    layout = choose_layout(train.layout, loss.pairwise, dense, data.n_users, data.n_items, train.dense_cells)
    if layout != "tiles" and train.optimizer == "lbfgs" and "everything" in plan.needs:
        raise UpliftlensError(
            f"train.optimizer=lbfgs needs the same sums at every step, and objective={objective.name} "
            "draws pairs from all users × items in the layout pairs: use another optimizer, or a model and data "
            "that fit train.layout=tiles"
        )
    return _gradient_method(model, options, loss, objective, train.optimizer, train.schedule, layout)


def refuse_disagreement(plan: Plan, data: TrainingData) -> None:
    """Compares the two scoring functions of a plugin's module; the tests have done so for the built-in models.

    Raises:
        UpliftlensError: if they differ.
    """
    model, options = plan.learning.model.value, structural(plan.learning.options)
    plugin = bool(plan.learning.model.source) and not plan.solver
    if plugin and "score_all" in module_offers(model, options, data):
        check_agreement(model, options, data)


def hyper(plan: Plan, steps_per_epoch: int) -> Hyper:
    """The traced floats of a plan; the learning-rate schedule runs over ``train.epochs`` epochs."""
    train = {**_floats(plan.train), "steps": jnp.float32(plan.train.epochs * steps_per_epoch)}
    return Hyper(_floats(plan.learning.options), _floats(plan.learning.objective_options), train)


def _refuse_too_large(model: Solver, options: Any, n_users: int, n_items: int) -> None:
    needed, free = model.memory(options, n_users, n_items), available_memory()
    if needed > free:
        raise UpliftlensError(
            f"model={model.name} needs about {needed / 2**30:.1f} GiB for {n_users} users × {n_items} items, "
            f"{free / 2**30:.1f} GiB are free: filter the data (data.filter.item_core=…), choose smaller options, "
            "or another model"
        )
    if needed > _LARGE:
        say_once(f"model={model.name} needs about {needed / 2**30:.1f} GiB for {n_users} users × {n_items} items", say)


_LARGE = 4 << 30  # bytes that are told before they are taken
_gradient_method = lru_cache(maxsize=64)(gradient_method)


@lru_cache(maxsize=64)
def _solver_method(model: Solver, options: Any) -> Method:
    return model.method(options)


def _floats(options: Any) -> dict[str, Any]:
    return {name: jnp.float32(getattr(options, name)) for name in traced_names(type(options))}

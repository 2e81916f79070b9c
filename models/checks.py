"""Checks of a model or an objective before anything is trained: its shapes, and that its two ways to score agree.

All errors are of one or two lines and name the model and the fix.
"""

import inspect
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from upliftlens.causal.objectives.objective import Objective, Phase
from upliftlens.models.contract import Backbone, Hyper, Method, Query, Solver, TrainingData, split
from upliftlens.models.record_checks import BrokenContract, check_call, check_choices, check_record

_RESERVED = ("name", "file", "space")  # other keys in the configuration of a model
_PAIRS = 512  # on which both ways to score are compared, about
_USERS = 8
_TOLERANCE = 1e-4  # of the largest score: far above rounding in float32, far below a forgotten bias
_ROWS = 3
_LENGTH = 5  # of a history, where a method reads all of it


def checked_model(value: Any, where: str) -> Backbone | Solver:
    """``value``, if it is a well-formed model; ``where`` says in errors what defines it.

    Raises:
        BrokenContract: naming the field that is wrong and what belongs there.
    """
    if not isinstance(value, Backbone | Solver):
        raise BrokenContract(
            f"{where} is a {type(value).__name__}: it must be a Backbone or a Solver of models.contract"
        )
    check_record(value, where, _RESERVED)
    where = f"{where}, model '{value.name}'"
    if isinstance(value, Backbone):
        check_call(value.build, "build", "options, data, rngs", where)
        return value
    check_call(value.method, "method", "options", where)
    check_call(value.memory, "memory", "options, n_users, n_items", where)
    return value


def checked_objective(value: Any, where: str) -> Objective:
    """``value``, if it is a well-formed objective.

    Raises:
        BrokenContract: naming the field that is wrong and what belongs there.
    """
    if not isinstance(value, Objective):
        raise BrokenContract(
            f"{where} is a {type(value).__name__}: it must be an Objective of upliftlens.causal.objectives.objective"
        )
    check_record(value, where, _RESERVED)
    where = f"{where}, objective '{value.name}'"
    if not isinstance(value.phases, tuple) or not value.phases or not all(isinstance(p, Phase) for p in value.phases):
        raise BrokenContract(f"{where}: phases must be a tuple of one or more Phase(loss, moves)")
    for phase in value.phases:
        check_call(phase.loss, "a phase's loss", "view, batch, hp", where)
        if not phase.moves or isinstance(phase.moves, str) or set(phase.moves) - set(value.modules):
            raise BrokenContract(
                f"{where}: moves must be a tuple of names in modules {value.modules}, got {phase.moves!r}"
            )
    return value


def shapes_of(data: TrainingData) -> TrainingData:
    """The shapes and dtypes of the data, hashable: a structure is checked once."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(jnp.shape(x), jnp.result_type(x)), data)


@lru_cache(maxsize=64)
def check_module(backbone: Backbone, options: Any, data: TrainingData) -> None:
    """Refuses a backbone whose module can't be called, or gives arrays of other shapes than the contract says.

    ``data`` from ``shapes_of``: nothing is computed.

    Raises:
        BrokenContract: with the expected and the given shape.
    """
    where = f"model {backbone.name}"

    module = nnx.eval_shape(partial(backbone.example, options), data)
    if not isinstance(module, nnx.Module):
        raise BrokenContract(f"{where}: build must return a flax.nnx.Module, and does not")
    if plain := [name for name, value in vars(module).items() if _holds_an_array(value)]:
        raise BrokenContract(
            f"{where}: {_assigned(type(module), plain[0])} is a plain array: make it nnx.Param(…), which is trained, "
            "or nnx.Variable(…), which is not"
        )
    if not callable(module):
        raise BrokenContract(f"{where}: {type(module).__name__} needs __call__(users, items) -> scores")

    def gives(method: str, *ids: Any) -> Any:
        def call(data: TrainingData, *ids: Any) -> Any:
            module = backbone.example(options, data)
            module.eval()
            return getattr(module, method)(*ids)

        return jax.eval_shape(call, data, *ids)

    ids = jax.ShapeDtypeStruct((_rows(data),), jnp.int32)
    i32 = f"i32{list(ids.shape)}"
    _require_shape(where, f"__call__(users {i32}, items {i32})", gives("__call__", ids, ids), ids.shape)
    if hasattr(module, "score_all"):
        _require_shape(where, f"score_all(users {i32})", gives("score_all", ids), (*ids.shape, data.n_items))
    if hasattr(module, "penalty"):
        _require_shape(where, "penalty()", gives("penalty"), ())


def _holds_an_array(value: Any) -> bool:
    """Whether an attribute is an array, or a list, tuple or dict that holds one, outside of Flax's variables."""
    if isinstance(value, list | tuple | dict):
        return any(map(_holds_an_array, value.values() if isinstance(value, dict) else value))
    return isinstance(value, jax.Array | np.ndarray | jax.ShapeDtypeStruct)


def _assigned(kind: type, name: str) -> str:
    """``FILE, line N: self.NAME``, as far as the source of the class is there."""
    with suppress(OSError, TypeError):
        lines, first = inspect.getsourcelines(kind)
        places = [number for number, line in enumerate(lines, first) if f"self.{name}" in line]
        if places:
            return f"{inspect.getfile(kind)}, line {places[0]}: self.{name}"
    return f"self.{name} of {kind.__name__}"


def check_method(name: str, method: Method, data: TrainingData, hp: Hyper) -> None:
    """Refuses a solver's Method whose functions give other shapes than the contract says; nothing is computed.

    Raises:
        BrokenContract: with the expected and the given shape.
    """
    where = f"model {name}"
    if not isinstance(method, Method):
        raise BrokenContract(f"{where}: method(options) must return a Method, got {type(method).__name__}")
    check_choices(method, where)
    key, ids = jax.random.key(0), jax.ShapeDtypeStruct((_rows(data),), jnp.int32)
    i32 = f"i32{list(ids.shape)}"
    state = jax.eval_shape(method.init, key, data, hp)
    for reach in (method.history, method.new_users):
        if reach is None:
            continue
        if reach != "all" and (type(reach) is not int or reach < 0):
            raise BrokenContract(
                f'{where}: history and new_users must be a number of interactions or "all", got {reach!r}'
            )
        length = _LENGTH if reach == "all" else reach
        past = [jax.ShapeDtypeStruct((*ids.shape, length), kind) for kind in (jnp.int32, jnp.float32, jnp.float32)]
        score = jax.eval_shape(method.score, state, data, Query(ids, *past))
        query = f"Query of {ids.shape[0]} users and {length} interactions"
        _require_shape(where, f"score(state, data, {query})", score, (*ids.shape, data.n_items))
        predicted = jax.eval_shape(method.predict, state, data, Query(ids, *past), ids)
        _require_shape(where, f"predict(state, data, {query}, items {i32})", predicted, ids.shape)
    if method.layout != "full":
        return
    stepped, loss = jax.eval_shape(method.step, state, data, None, key, hp)
    _require_shape(where, "the loss of step(…)", loss, ())
    before, after = (jax.tree.map(lambda x: f"{x.dtype}{list(x.shape)}", tree) for tree in (state, stepped))
    if before != after:
        raise BrokenContract(f"{where}: step must give a state like that of init, {before}, got {after}")


def check_agreement(backbone: Backbone, options: Any, data: TrainingData) -> None:
    """Refuses a module whose ``score_all`` and ``__call__`` score the same pairs differently, without dropout.

    They are compared on a few hundred pairs, at random parameters: a bias that starts at 0 counts too.

    Raises:
        BrokenContract: with the largest difference.
    """
    rng = np.random.default_rng(0)
    leaves, tree = jax.tree.flatten(nnx.eval_shape(lambda: split(backbone.example(options, data))[1]))
    random = [(0.3 * rng.standard_normal(leaf.shape)).astype(leaf.dtype) for leaf in leaves]
    with jax.default_matmul_precision("highest"):
        apart, scale = map(float, _apart(backbone, options, data, jax.tree.unflatten(tree, random)))
    if not apart <= _TOLERANCE * (1 + scale):
        raise BrokenContract(
            f"model {backbone.name}: score_all(users) and __call__(users, items) differ by up to {apart:.3g} where "
            f"scores reach {scale:.3g}: both must score a pair alike. Mend score_all, or leave it out"
        )


@partial(jax.jit, static_argnums=(0, 1))
def _apart(backbone: Backbone, options: Any, data: TrainingData, params: Any) -> tuple[Any, Any]:
    """The largest |score_all − __call__| over some users × some items, and the largest finite |__call__|."""
    graph, _, rest = split(backbone.example(options, data))  # the parameters that it starts with are never computed
    module = nnx.merge(graph, params, rest)
    module.eval()
    users = np.unique(np.linspace(0, data.n_users - 1, _USERS, dtype=np.int32))
    items = np.unique(np.linspace(0, data.n_items - 1, _PAIRS // _USERS, dtype=np.int32))
    dense = module.score_all(jnp.asarray(users))[:, items]
    pairs = module(jnp.asarray(np.repeat(users, len(items))), jnp.asarray(np.tile(items, len(users))))
    pairs = pairs.reshape(dense.shape)
    same = (dense == pairs) | (jnp.isnan(dense) & jnp.isnan(pairs))
    return jnp.where(same, 0.0, jnp.abs(dense - pairs)).max(), jnp.where(jnp.isfinite(pairs), jnp.abs(pairs), 0.0).max()


def _rows(data: TrainingData) -> int:
    """A number of ids other than n_items, so that a shape with swapped axes is noticed."""
    return _ROWS if data.n_items != _ROWS else _ROWS + 1


def _require_shape(where: str, call: str, got: Any, shape: tuple[int, ...]) -> None:
    if not hasattr(got, "shape") or got.shape != shape or not jnp.issubdtype(got.dtype, jnp.floating):
        given = f"{got.dtype}{list(got.shape)}" if hasattr(got, "shape") else f"a {type(got).__name__}"
        raise BrokenContract(f"{where}: {call} must give float32{list(shape)}, got {given}")

"""The log: which user interacted with which item, and the rating."""

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from upliftlens.causal.errors import UpliftlensError

Array = Any  # jax.Array or numpy.ndarray: the same record holds NumPy arrays on the host and JAX's in compiled programs


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Interactions:
    """N observed (user, item, value) rows over a fixed universe of users and items; a pytree.

    Shapes: ``user`` i32[N] in [0, n_users), ``item`` i32[N] in [0, n_items), ``value`` f32[N],
    ``weight`` f32[N] (0 marks padding: such a row carries no information and every method must ignore it),
    ``time`` seconds since the epoch on the host, i64[N], or f64[N] where some have fractions; or None.
    A log of recommendations has a row for every pair that was logged, recommended or not, and two columns more:
    ``treated`` bool[N], Z = the pair was recommended, ``value`` being the outcome in [0, 1]; and ``propensity``, P(the
    action that the row records), e = P(Z = 1) where treated and 1 − e where not, f64[N] on the host, so that both are
    exact, and f32[N] in compiled programs. Elsewhere both are None. ``causal.effects.treatment`` gives e.

    ``n_users`` and ``n_items`` are static: they are part of a compiled program's structure, so that ids without a
    single training row still have a score.
    """

    user: Array
    item: Array
    value: Array
    weight: Array
    time: Array | None = None
    treated: Any = None  # an Array or None, like the next: every reader knows which log it has
    propensity: Any = None
    n_users: int = field(default=0, metadata={"static": True})
    n_items: int = field(default=0, metadata={"static": True})

    def __len__(self) -> int:
        return int(self.user.shape[0])


def interactions(
    user: Array,
    item: Array,
    value: Array,
    n_users: int,
    n_items: int,
    time: Array | None = None,
    treated: Array | None = None,
    propensity: Array | None = None,
) -> Interactions:
    """Host-side record from any integer and float arrays [N], each row with weight 1.

    Raises:
        UpliftlensError: if the columns differ in length, an id is out of range, a value is not finite, or only one of
            ``treated`` and ``propensity`` is given.
    """
    user, item = np.asarray(user, np.int32), np.asarray(item, np.int32)
    value = np.asarray(value, np.float32)
    if not (user.shape == item.shape == value.shape) or user.ndim != 1:
        raise UpliftlensError(
            f"user, item and value must be equally long columns, got {user.shape}, {item.shape}, {value.shape}"
        )
    check_ids(user, item, n_users, n_items)
    if not np.isfinite(value).all():
        raise UpliftlensError("a value is NaN or infinite: drop or mend such rows before building Interactions")
    if time is not None:
        time = np.asarray(time)
        time = time.astype(np.float64 if time.dtype.kind == "f" else np.int64)
    if (treated is None) != (propensity is None):
        raise UpliftlensError("treated and propensity go together: give both or none")
    for name, column in {"time": time, "treated": treated, "propensity": propensity}.items():
        if column is not None and np.shape(column) != user.shape:
            raise UpliftlensError(f"{name} must be as long as user, {len(user)} rows, got shape {np.shape(column)}")
    if treated is not None:
        treated, propensity = np.asarray(treated, bool), np.asarray(propensity, np.float64)
    weight = np.ones(len(user), np.float32)
    return Interactions(user, item, value, weight, time, treated, propensity, n_users=n_users, n_items=n_items)


def check_ids(user: np.ndarray, item: np.ndarray, n_users: int, n_items: int) -> None:
    """Refuses ids outside of [0, n_users) and [0, n_items).

    Raises:
        UpliftlensError: if there is such an id.
    """
    if len(user) and (user.min() < 0 or user.max() >= n_users or item.min() < 0 or item.max() >= n_items):
        raise UpliftlensError(f"an id lies outside of the universe of {n_users} users and {n_items} items")


def time_bits(log: Interactions) -> np.ndarray:
    """The times i64[N] for a hash: whole seconds as they are, others by their 64 bits, none lost; 0 without times."""
    if log.time is None:
        return np.zeros(len(log), np.int64)
    return np.asarray(log.time.view(np.int64) if log.time.dtype.kind == "f" else log.time)


def take(log: Interactions, rows: Array) -> Interactions:
    """The rows of a host-side log that an index array or boolean mask picks, in that order."""
    return jax.tree.map(lambda column: column[rows], log)


def concatenate(first: Interactions, second: Interactions) -> Interactions:
    """The rows of two host-side logs over the same users and items; without a column that only one of them has.

    Raises:
        UpliftlensError: if the numbers of users or items differ.
    """
    if (first.n_users, first.n_items) != (second.n_users, second.n_items):
        raise UpliftlensError("only logs over the same users and items can be put together")
    if first.time is None or second.time is None:
        first, second = replace(first, time=None), replace(second, time=None)
    if first.treated is None or second.treated is None:
        first, second = (replace(log, treated=None, propensity=None) for log in (first, second))
    return jax.tree.map(lambda *columns: np.concatenate(columns), first, second)


def padded(log: Interactions, capacity: int) -> Interactions:
    """The host-side log sorted by (user, time or file order) and filled up to ``capacity`` rows of weight 0.

    Programs are compiled for shapes. Folds, and a fit with and without its validation rows, share one shape, so they
    share one program. A padding row is (0, 0, 0.0) with weight 0.

    Raises:
        UpliftlensError: if the log is longer than ``capacity``.
    """
    missing = capacity - len(log)
    if missing < 0:
        raise UpliftlensError(f"a log of {len(log)} rows does not fit into {capacity}")
    order = np.argsort(log.user, kind="stable") if log.time is None else np.lexsort((log.time, log.user))
    return jax.tree.map(lambda column: np.pad(column[order], (0, missing)), log)

"""Queries for methods that are tested without a harness around them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from upliftlens.benchmarks.evaluation.scoring import moments
from upliftlens.models.contract import Method, Query, TrainingData


def asked(method: Method, data: TrainingData, users: Any) -> Query:
    """The queries of users i[B], with their training rows where the method reads them."""
    users = np.asarray(users)
    query: Query = jax.tree.map(jnp.asarray, moments(method, data, users, None, None).query(users))
    return query

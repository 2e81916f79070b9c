"""A tiny world in which every objective can be written again in NumPy, over whole matrices; shared by tests."""

from collections.abc import Mapping
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import expit, logit

from upliftlens.causal.losses import logistic, squared
from upliftlens.causal.objectives import (
    cvib as objective_cvib,
)
from upliftlens.causal.objectives import (
    dr as objective_dr,
)
from upliftlens.causal.objectives import (
    implicit as objective_implicit,
)
from upliftlens.causal.objectives import (
    ips as objective_ips,
)
from upliftlens.causal.objectives import (
    multitask as objective_multitask,
)
from upliftlens.causal.objectives.objective import Objective, View, naive
from upliftlens.causal.sample import Batch, Sample

N_USERS, N_ITEMS, K = 3, 4, 2
D = N_USERS * N_ITEMS
RNG = np.random.default_rng(11)
P = RNG.uniform(0.2, 0.9, (N_USERS, N_ITEMS))
OBSERVED = np.array([[1, 0, 1, 0], [0, 1, 1, 1], [1, 0, 0, 1]], bool)
USERS, ITEMS = np.nonzero(OBSERVED)
N = len(USERS)
RATING = RNG.integers(1, 6, (N_USERS, N_ITEMS)).astype(float)
LABEL = (RATING >= 3).astype(float)
NAMES = ("prediction", "imputation", "propensity", "user", "item")
HP = {
    "balance": 0.7, "floor": 0.3, "confidence": 0.3, "joint": 0.6, "risk": 1.3,
    "unlabelled": 0.4, "item_weight": 0.5, "user_weight": 0.2, "reference": 0.8, "imputation_l2": 2.0,
    "propensity_l2": 0.5, "anchor": 0.4,
}  # fmt: skip

IPS = [objective_ips.ips, objective_ips.snips]
LINEAR = [
    naive, objective_ips.ips, objective_dr.eib, objective_dr.dr, objective_dr.dr_jl, objective_dr.mrdr,
    objective_multitask.escm2_dr, objective_multitask.escm2_dr_given, objective_implicit.macr, objective_implicit.ubpr,
]  # fmt: skip
DR = [objective_dr.dr, objective_dr.dr_jl, objective_dr.mrdr]
RATIOS = [
    objective_ips.snips, objective_dr.stable_dr, objective_dr.stable_dr_given, objective_cvib.cvib,
    objective_implicit.rel_mf,
]  # fmt: skip
ALL = [*LINEAR, *RATIOS]

Params = Mapping[str, Mapping[str, jax.Array]]


def params(seed: int = 3) -> Params:
    """Per module a free score table, and embeddings and a tower's weights for the objectives that share."""
    rng = np.random.default_rng(seed)
    shapes = {"table": (N_USERS, N_ITEMS), "users": (N_USERS, K), "items": (N_ITEMS, K), "tower": (2 * K,)}
    return {name: {k: jnp.asarray(rng.normal(size=s)) for k, s in shapes.items()} for name in NAMES}


def view_of(modules: Params, loss=logistic) -> View:  # type: ignore[no-untyped-def]
    def module(name: str) -> SimpleNamespace:
        mine = modules[name]

        def tower(user: jax.Array, item: jax.Array) -> jax.Array:
            return jnp.tanh(jnp.concatenate([user, item], -1)) @ mine["tower"]

        return SimpleNamespace(embed=lambda u, i: (mine["users"][u], mine["items"][i]), tower=tower)

    def score(name: str, sample: Sample) -> jax.Array:
        table = modules[name]["table"]
        if sample.items is None:
            return table[sample.users]
        if sample.negatives is None:
            return table[sample.users, sample.items]
        return table[sample.users, sample.items] - table[sample.users, sample.negatives]

    return View(score, loss.error, module, loss.predict)


def sparse(target: np.ndarray, rows: np.ndarray | None = None, pairs: np.ndarray | None = None) -> Batch:
    """Rows of O and pairs of D (all of them by default) as index columns."""
    rows = np.arange(N) if rows is None else rows
    pairs = np.arange(D) if pairs is None else pairs
    u, i = USERS[rows], ITEMS[rows]
    observed = Sample(u, i, target[u, i], np.full(len(rows), 1 / len(rows)), propensity=P[u, i])
    u, i = np.divmod(pairs, N_ITEMS)
    everything = Sample(u, i, target[u, i], np.full(len(pairs), 1 / len(pairs)), propensity=P[u, i])
    return Batch(observed, everything, jnp.asarray(N / D))


def triples(batch: Batch) -> Batch:
    """The rows of a sparse batch as positives, each with an item of its own that is preferred less."""
    observed = batch.observed
    return batch._replace(observed=observed._replace(negatives=(observed.items + 1) % N_ITEMS))


def tile(target: np.ndarray, users: np.ndarray) -> Batch:
    """Users × all items, dense; off O the target and the observed sample's p are rubbish that nothing may read."""
    seen = OBSERVED[users]
    known = np.where(seen, target[users], 0)
    p = np.where(seen, P[users], np.nan)
    observed = Sample(users, None, known, seen * (N_USERS / len(users) / N), propensity=p)
    everything = Sample(users, None, known, np.full(seen.shape, 1 / seen.size), propensity=P[users])
    return Batch(observed, everything, jnp.asarray(N / D))


def value(objective: Objective, index: int, modules: Params, batch: Batch, loss=logistic, hp=HP) -> jax.Array:  # type: ignore[no-untyped-def]
    return objective.phases[index].loss(view_of(modules, loss), batch, hp)


def last(objective: Objective) -> int:
    """The phase that moves the prediction."""
    return next(k for k, phase in enumerate(objective.phases) if "prediction" in phase.moves)


def gradient(objective: Objective, index: int, modules: Params, batch: Batch, loss=logistic, hp=HP) -> Params:  # type: ignore[no-untyped-def]
    return jax.grad(lambda modules: value(objective, index, modules, batch, loss, hp))(modules)


def pointwise(objective: Objective) -> bool:
    return objective.name != "ubpr"


def loss_and_target(objective: Objective, name: str) -> tuple:  # type: ignore[type-arg]
    return (squared, RATING) if name == "squared" else (logistic, LABEL)


def numpy_losses(name: str, link: str) -> list[float]:
    """Each phase's loss on the full batch, in the order of the objective's phases."""
    tables = {k: np.asarray(v["table"]) for k, v in params().items()}
    s, o, p, h = tables["prediction"], OBSERVED.astype(float), P, SimpleNamespace(**HP)
    r = RATING if link == "rating" else LABEL

    def ell(score: np.ndarray, target: np.ndarray) -> np.ndarray:
        if link == "rating":
            return (target - score) ** 2
        return -(target * np.log(expit(score)) + (1 - target) * np.log(1 - expit(score)))

    g = tables["imputation"] if link == "rating" else expit(tables["imputation"])
    e, ehat = ell(s, r), ell(s, g)
    exposure = expit(tables["propensity"] + (logit(P) if name.endswith("_given") else 0))
    learned = np.maximum(exposure, h.floor)
    robust = (ehat + o * (e - ehat) / p).mean()
    outcome = (o * ell(tables["imputation"], r)).sum() / N
    return {
        "naive": lambda: [(o * e).sum() / o.sum()],
        "ips": lambda: [(o * e / p).sum() / D],
        "snips": lambda: [(o * e / p).sum() / (o / p).sum()],
        "eib": lambda: [(o * (e - ehat) ** 2).sum() / N + h.anchor * outcome, (o * e + (1 - o) * ehat).mean()],
        "dr": lambda: [outcome, robust],
        "dr_jl": lambda: [(o * (e - ehat) ** 2 / p).sum() / N + h.anchor * outcome, robust],
        "mrdr": lambda: [(o * (e - ehat) ** 2 * (1 - p) / p**2).sum() / N + h.anchor * outcome, robust],
        "stable_dr": lambda: [
            entropy(o, exposure)
            + h.balance * ((1 - o / learned) * (ehat - ehat.mean())).mean() ** 2,
            (o * (e - ehat) ** 2 / learned).sum() / N + h.anchor * outcome,
            (o * e / learned).sum() / (o / learned).sum(),
        ],
        "cvib": lambda: [
            (o * e).sum() / N
            - h.balance * cross((o * expit(s)).sum() / N, expit(s).mean())
            + h.confidence * (o * expit(s) * np.log(expit(s))).sum() / N
        ],
        "rel_mf": lambda: [
            ((o * r / p) * (1 - expit(s)) ** 2 + h.unlabelled * (1 - o * r / p) * expit(s) ** 2).sum()
            / (o * r + h.unlabelled * (1 - o * r)).sum()
        ],
        "escm2_dr": lambda: numpy_escm2(s, o, r, h, 0 * P),
        "escm2_dr_given": lambda: numpy_escm2(s, o, r, h, logit(P)),
        "macr": lambda: numpy_macr(s, o * r, h),
    }["stable_dr" if name == "stable_dr_given" else name]()  # fmt: skip


def entropy(o: np.ndarray, p: np.ndarray) -> float:
    return float(-(o * np.log(p) + (1 - o) * np.log(1 - p)).mean())


def cross(a: float, b: float) -> float:
    return float(a * np.log(b) + (1 - a) * np.log(1 - b))


def numpy_tower(name: str, use_user: bool = True, use_item: bool = True) -> np.ndarray:
    modules = params()
    users, items = np.asarray(modules["prediction"]["users"]), np.asarray(modules["prediction"]["items"])
    w = np.asarray(modules[name]["tower"])
    return use_user * (np.tanh(users) @ w[:K])[:, None] + use_item * (np.tanh(items) @ w[K:])[None, :]


def numpy_escm2(s: np.ndarray, o: np.ndarray, r: np.ndarray, h: SimpleNamespace, start: np.ndarray) -> list[float]:
    p, g = expit(start + numpy_tower("propensity")), expit(numpy_tower("imputation"))
    e = -(r * np.log(expit(s)) + (1 - r) * np.log(1 - expit(s)))
    ehat = -(g * np.log(expit(s)) + (1 - g) * np.log(1 - expit(s)))
    clipped = np.maximum(p, h.floor)
    robust = (ehat + o * (e - ehat) / clipped).mean()
    return [
        float((o * (e - ehat) ** 2 / clipped).sum() / N),
        entropy(o, p) + h.joint * entropy(o * r, p * expit(s)) + h.risk * robust,
    ]


def numpy_macr(s: np.ndarray, y: np.ndarray, h: SimpleNamespace) -> list[float]:
    user, item = numpy_tower("user", use_item=False), numpy_tower("item", use_user=False)
    user, item = np.broadcast_to(user, s.shape), np.broadcast_to(item, s.shape)
    ranked = entropy(y, expit(s * expit(user) * expit(item)))
    return [ranked + h.item_weight * entropy(y, expit(item)) + h.user_weight * entropy(y, expit(user))]


def distance(a: Params, b: Params) -> float:
    return max(float(jnp.abs(x - y).max()) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))

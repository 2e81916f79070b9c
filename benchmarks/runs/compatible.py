"""Do the parts of a plan go together? All that can be checked before the data are loaded is checked here."""

from collections.abc import Iterator, Sequence
from contextlib import chdir
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from upliftlens.benchmarks.config.plugins import Entry, entries
from upliftlens.benchmarks.training.feed import READS, choose_layout
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import interactions
from upliftlens.causal.losses import Loss
from upliftlens.causal.objectives.objective import Objective
from upliftlens.causal.options import structural, traced_names
from upliftlens.models.contract import Backbone, Layout, Solver, TrainingData
from upliftlens.models.descent import NOT_READ
from upliftlens.models.gradient import module_offers


class Learning(NamedTuple):
    """A model with its options and, for a backbone, what trains it."""

    model: Entry
    options: Any
    loss: Entry
    objective: Entry
    objective_options: Any


def check_learning(learning: Learning, optimizer: str, layout: str, feedback: str | None, weighted: bool) -> None:
    """Refuses a backbone, loss, objective and optimiser that make no method together.

    ``feedback``: the data's, None where their configuration doesn't state it. ``weighted``: there is a propensity.

    Raises:
        UpliftlensError: with what to choose instead.
    """
    model, objective = learning.model.value, learning.objective.value
    if marked := traced_names(model.options):
        raise UpliftlensError(
            f"model {model.name}: {', '.join(marked)} is marked Traced, which only a Solver's option can be: "
            "a backbone is built before the program runs"
        )
    _check_loss(learning.loss.value, objective, optimizer, feedback)
    if "propensity" in objective.needs and not weighted:
        raise UpliftlensError(
            f"objective={objective.name} divides by propensities and there are none: "
            "add propensity=popularity, or constant, naive_bayes, logistic, logistic_mf, given, oracle"
        )
    if (offers := _offers(model, structural(learning.options))) is not None:
        _check_module(model, objective, layout, offers)


def _check_loss(loss: Loss, objective: Objective, optimizer: str, feedback: str | None) -> None:
    if loss.link not in objective.links:
        fitting = sorted(name for name, other in entries("losses").items() if other.value.link in objective.links)
        raise UpliftlensError(
            f"objective={objective.name} makes no sense with loss={loss.name}: use loss={' or loss='.join(fitting)}"
        )
    if feedback == "implicit" and not loss.pairwise and not objective.implicit and objective.needs <= _EXPLICIT:
        raise UpliftlensError(
            f"data.feedback=implicit holds positives only, and objective={objective.name} with loss={loss.name} would "
            "learn that everything is one: use loss=bpr, objective=rel_mf loss=logistic, a solver such as model=ials, "
            "or on a log of recommendations a learner of effects such as objective=dlce"
        )
    if loss.pairwise and optimizer == "lbfgs":
        raise UpliftlensError(
            f"train.optimizer=lbfgs needs the same function at every step, but loss={loss.name} draws "
            "negatives anew: use train.optimizer=adam"
        )


def _check_module(model: Backbone, objective: Objective, layout: str, offers: frozenset[str]) -> None:
    """``offers``: the methods of the model's module."""
    if lacking := sorted(objective.requires - offers):
        raise UpliftlensError(
            f"objective={objective.name} needs {', '.join(lacking)} of the model's module, "
            f"which {model.name} does not have"
        )
    if layout == "tiles" and "score_all" not in offers:
        raise UpliftlensError(
            f"train.layout=tiles needs score_all of the model's module, which {model.name} does not have: "
            "use pairs or auto"
        )


SOLVERS_READ = ("epochs", "patience", "monitor", "refit")
"""The options of ``train`` that apply to a solver too: of its stopping, not of its learning rule."""


def unread(overrides: Sequence[str]) -> list[str]:
    """The options among a run's overrides that a solver, which brings its own learning rule, does not read."""
    options = []
    for name in names_of(overrides):
        group, _, option = name.partition(".")
        if group in ("loss", "objective") or (group == "train" and option and option not in SOLVERS_READ):
            options.append(name)
    return options


def idle(overrides: Sequence[str], learning: Learning, optimizer: str, layout: str) -> list[str]:
    """The options of ``train`` among a run's overrides that a backbone's optimiser, layout or objective does not read.

    The layout auto is known with the data only, so that what one of its layouts reads counts as read.
    """
    loss, objective = learning.loss.value, learning.objective.value
    chosen: list[Layout] = ["pairs", "tiles"]
    if loss.pairwise or layout != "auto":
        chosen = [choose_layout(layout, loss.pairwise, False, 0, 0, 0)]
    options = set(NOT_READ.get(optimizer, ()))
    options |= frozenset().union(*READS.values()) - frozenset().union(*(READS[each] for each in chosen))
    if "everything" not in objective.needs:
        options.add("everything_share")
    if len(chosen) == 1:
        options.add("dense_cells")
    if loss.pairwise:
        options.add("layout")
    stated = (name.partition("train.")[2] for name in names_of(overrides) if name.startswith("train."))
    return [f"train.{name}" for name in stated if name in options]


def names_of(overrides: Sequence[str]) -> Iterator[str]:
    """The names of the options that overrides state."""
    return (override.lstrip("+~").partition("=")[0] for override in overrides)


def check_feedback(solver: Solver, options: Any, feedback: str | None) -> None:
    """Refuses a solver that learns from ratings, where the data's ``feedback`` is implicit.

    Raises:
        UpliftlensError: with what to choose instead.
    """
    if feedback != "implicit":
        return
    if solver.needs == "ratings":
        raise UpliftlensError(
            f"model={solver.name} learns from ratings, and data.feedback=implicit has none: use a model of implicit "
            "feedback such as model=ials, ease or item_knn"
        )
    if getattr(options, "history", "binary") == "graded":
        raise UpliftlensError(
            "model.history=graded learns from ratings, and data.feedback=implicit has none: use model.history=binary"
        )


def check_new_users(split: str, model: Entry, options: Any) -> None:
    """Refuses a model that has no score for users whom it was not trained on, where a ``split`` tests such users.

    Raises:
        UpliftlensError: with what to choose instead.
    """
    solver = model.value
    if isinstance(solver, Backbone) or solver.method(structural(options)).new_users is None:
        raise UpliftlensError(
            f"split={split} tests users whom a model was not trained on, and model={solver.name} has no score for "
            f"them: use model={', '.join(FOR_NEW_USERS)}, or split=kfold"
        )


FOR_NEW_USERS = ("ease", "ials", "item_knn", "popularity", "random", "rp3beta", "user_knn")
"""The built-in models that can."""


def check_exposure(data: str, treated: bool, weighted: bool, needs: frozenset[str]) -> None:
    """Refuses a propensity of being observed for a log of recommendations (``treated``).

    Such a log holds its rows whatever the user did, and weights divide by the log's own P(recommended). ``needs``: what
    the objective reads.

    Raises:
        UpliftlensError: with what to choose instead.
    """
    if treated and (weighted or "propensity" in needs):
        raise UpliftlensError(
            f"{data} is a log of recommendations: its own propensities of being recommended are used, and one of being "
            "observed means nothing there: use propensity=none, and an objective without one (e.g. naive, dlce, ulrmf)"
        )


def check_candidates(data: str, treated: bool, candidates: str) -> None:
    """Refuses ``metrics.uplift.candidates=all`` where the data are no log of recommendations (``treated``).

    Only there every pair is drawn anew for the test; elsewhere an item that was taken can't be taken again.

    Raises:
        UpliftlensError: with what to choose instead.
    """
    if candidates == "all" and not treated:
        raise UpliftlensError(
            f"metrics.uplift.candidates=all is for logs of recommendations, and {data} does not say what was "
            "recommended: use metrics.uplift.candidates=new"
        )


_EXPLICIT = frozenset({"everything", "propensity", "everywhere"})
"""What objectives of ratings read; an objective that reads more says itself how it treats pairs not observed."""


@lru_cache(maxsize=64)
def _offers(model: Backbone, options: Any) -> frozenset[str] | None:
    """The methods of a backbone's module; None if it can't be built for two users and items: then the run decides."""
    rows, ones = np.arange(2), np.ones(2, np.float32)
    log = jax.tree.map(jnp.asarray, interactions(rows, rows, ones, 2, 2))
    data = TrainingData(log, jnp.asarray(ones), jnp.ones((2, 2)), jnp.ones((2, 2)))
    try:
        with chdir("."):  # where a plugin may leave it
            return module_offers(model, options, data)
    except (Exception, SystemExit):
        return None

"""``tune``: a seeded random search over the ranges that a model's configuration states, then the best trial in full."""

from collections.abc import Mapping, Sequence
from typing import Any

from upliftlens.benchmarks.config.compose import changed, composed, prepare_overrides
from upliftlens.benchmarks.runs.many import run_many
from upliftlens.benchmarks.runs.plan import Plan, general, plan, refuse_ignored
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.sweeps.app import sweep_name
from upliftlens.benchmarks.sweeps.search import Search, search
from upliftlens.benchmarks.sweeps.space import Space, full_name, sample
from upliftlens.benchmarks.sweeps.tell import tell_done
from upliftlens.benchmarks.system.talk import say
from upliftlens.causal.errors import UpliftlensError


def tune(arguments: Sequence[str]) -> tuple[Search, Record]:
    """The search of the configuration, and the record of its best trial, run in full with refit and test set.

    Raises:
        UpliftlensError: for what is wrong with the configuration itself, or if every trial failed.
    """
    overrides = prepare_overrides(arguments)
    content = composed(overrides, resolve=False)
    config = changed(content, ())
    settings = general(config)
    if settings.trial:
        raise UpliftlensError("trial=true is for tune to set: without it, the best trial is then run in full")
    named = sweep_name("tune", [text for text in overrides if not text.startswith("budget=")])
    group = [] if settings.group else [f"group={named}"]

    def planned(changes: Sequence[str]) -> Plan:
        return refuse_ignored(plan(changed(content, [*changes, *group]), overrides))

    if not (space := searched(config, overrides)):
        raise UpliftlensError(
            "this model's configuration states no search space: give one, e.g. '+model.space={dim:{choices:[8,16]}}'"
        )
    tried = search(planned, config, space, sample, settings.budget, settings.tune_seed, say, watched=True)
    final = planned(tried.trials[tried.best].changes)
    (outcome,) = run_many([final], watched=True)
    return tried, tell_done(final, outcome)


def searched(content: Mapping[str, Any], overrides: Sequence[str]) -> Space:
    """The search space that a configuration states, without the options that overrides fix.

    Raises:
        UpliftlensError: if it is no mapping.
    """
    space = content["model"].get("space") or {}
    if not isinstance(space, Mapping):
        raise UpliftlensError(f"model.space={space} must be a mapping, e.g. '+model.space={{dim:{{choices:[8,16]}}}}'")
    fixed = {text.lstrip("+").partition("=")[0] for text in overrides}
    return {full_name(name): entry for name, entry in space.items() if full_name(name) not in fixed}

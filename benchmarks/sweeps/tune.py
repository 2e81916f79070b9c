"""``tune``: a seeded random search over the ranges that a model's configuration states, then the best trial in full."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from upliftlens.benchmarks.config.compose import changed, composed, prepare_overrides
from upliftlens.benchmarks.config.overrides import sweep_name
from upliftlens.benchmarks.config.sections import Configuration
from upliftlens.benchmarks.runs.compatible import names_of
from upliftlens.benchmarks.runs.many import run_many
from upliftlens.benchmarks.runs.plan import Plan, plan, refuse_ignored, without_effect
from upliftlens.benchmarks.runs.records import Record
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
    named = sweep_name("tune", [text for text in overrides if not text.startswith("budget=")])
    configuration, planned = changeable(overrides, named, refuse_ignored)
    settings = configuration.general
    if not (space := searched(configuration)):
        raise UpliftlensError(
            "this model's configuration states no search space: give one, e.g. '+model.space={dim:{choices:[8,16]}}'"
        )
    tried = search(
        planned, configuration.content, space, sample, settings.budget, settings.tune_seed, say, watched=True
    )
    final = planned(tried.trials[tried.best].changes)
    searching = replace(final, stated=tuple(space))
    if remark := without_effect(searching, final.train.layout, searching.unread):
        say(remark)
    # The search has read train.monitor, whether the model's own training does or not.
    read = tuple(text for text in final.stated if "train.monitor" not in names_of([text]))
    (outcome,) = run_many([replace(final, stated=read)], watched=True)
    return tried, tell_done(final, outcome)


def changeable(
    overrides: Sequence[str], group: str, checked: Callable[[Plan], Plan] = lambda plan: plan
) -> tuple[Configuration, Callable[[Sequence[str]], Plan]]:
    """The configuration of overrides, composed once, and the plan of it with changes, ``checked``.

    Runs get the ``group``, unless the user states one.

    Raises:
        UpliftlensError: for what can't be composed or typed, and for trial=true, which a search sets itself.
    """
    content = composed(overrides, resolve=False)
    configuration = changed(content, (), overrides)
    if configuration.general.trial:
        raise UpliftlensError("trial=true is for a search to set: without it, the best trial is then run in full")
    named = [] if configuration.general.group else [f"group={group}"]
    return configuration, lambda changes: checked(plan(changed(content, [*changes, *named], overrides)))


def searched(configuration: Configuration) -> Space:
    """The search space that a configuration states, without the options that its overrides fix.

    Raises:
        UpliftlensError: if it is no mapping.
    """
    space = configuration.content["model"].get("space") or {}
    if not isinstance(space, Mapping):
        raise UpliftlensError(f"model.space={space} must be a mapping, e.g. '+model.space={{dim:{{choices:[8,16]}}}}'")
    fixed = {text.lstrip("+").partition("=")[0] for text in configuration.overrides}
    return {full_name(name): entry for name, entry in space.items() if full_name(name) not in fixed}

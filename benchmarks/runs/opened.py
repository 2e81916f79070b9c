"""A finished run, opened: its plan, data and trained model, for questions that come after it."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from upliftlens.benchmarks.config.choices import stated
from upliftlens.benchmarks.config.sections import configuration_of
from upliftlens.benchmarks.runs import fit as fitting
from upliftlens.benchmarks.runs.plan import Plan, plan
from upliftlens.benchmarks.runs.prepare import Prepared, prepare
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.runs.store import Store
from upliftlens.benchmarks.system.environment import fix_numerics
from upliftlens.benchmarks.system.talk import Reporter
from upliftlens.benchmarks.training.programs import keep_programs
from upliftlens.causal.errors import UpliftlensError, located
from upliftlens.causal.interactions import Interactions, concatenate


def find_run(records: list[Record], run: str) -> Record:
    """The finished run whose key begins with ``run``.

    Raises:
        UpliftlensError: if none or several do.
    """
    finished = [record for record in records if record.status == "done" and not record.trial]
    matching = [record for record in finished if record.key.startswith(run)]
    if not run or not matching:
        if not finished:
            raise UpliftlensError("the store holds no finished run: make one with `upliftlens run`")
        some = ", ".join(f"{record.key[:8]} ({record.model})" for record in finished[-8:])
        raise UpliftlensError(f"unknown run '{run}': there is{', for example' if len(finished) > 8 else ''}: {some}")
    if len(matching) > 1:
        keys = ", ".join(record.key for record in matching[:4])
        raise UpliftlensError(f"'{run}' begins {len(matching)} keys ({keys}): write more of it")
    return matching[0]


class Known(NamedTuple):
    """Users i[U] (indices) of whom the model knows in the same way, and their ``places`` among all that were asked for.

    ``shown``: the rows that a model which was not trained on them is told, None for those it was trained on; ``seen``:
    the rows whose items are not recommended to them.
    """

    users: np.ndarray
    places: np.ndarray
    shown: Interactions | None
    seen: Interactions


class Opened(NamedTuple):
    """A finished run with its data."""

    record: Record
    plan: Plan
    prepared: Prepared

    def trained(self, reporter: Reporter) -> fitting.Trained:
        """The fit of the run.

        Raises:
            UpliftlensError: if it is no longer in the store.
        """
        try:
            return fitting.restore(self.plan, self.prepared, reporter.say)
        except UpliftlensError as error:
            folder = Store(self.plan.store).folder("runs", self.record.key)
            raise UpliftlensError(
                f"{' '.join(str(error).split())}\nDelete the folder {folder}, too, and run it again"
            ) from None

    def known(self, trained: fitting.Trained, users: np.ndarray) -> Iterator[Known]:
        """The users (indices i[U]), those that the model was trained on and the others apart."""
        parts = self.prepared.split
        fitted = np.asarray(trained.data.log.user)[np.asarray(trained.data.log.weight) > 0]
        new = np.zeros(len(users), bool) if parts.shown is None else ~np.isin(users, fitted)
        if (~new).any():
            yield Known(users[~new], np.flatnonzero(~new), None, parts.fit)
        if parts.shown is not None and new.any():
            shown = concatenate(parts.shown.test, parts.shown.validation)
            yield Known(users[new], np.flatnonzero(new), shown, concatenate(parts.fit, shown))

    def positive(self, rows: Interactions) -> np.ndarray:
        """bool[N]: which rows count as positives."""
        dataset = self.prepared.dataset
        return np.ones(len(rows), bool) if dataset.feedback == "implicit" else rows.value >= dataset.relevance


def current(record: Record, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a record; a record of before there were tables of users and items gets those options."""
    config = {**record.config, **overrides}
    if config["data"].get("format") in ("csv", "uplift-log"):
        config["data"] = {**stated("data/_tables.yaml"), **config["data"]}
    return config


def opened(record: Record, overrides: Mapping[str, Any], reporter: Reporter) -> Opened:
    """The run of a record; ``overrides`` replaces entries of its configuration that change no number (where store and
    cache are).

    Raises:
        UpliftlensError: for data or code that have changed since the run.
    """
    fix_numerics()
    with located(f"run {record.key} can't be planned again"):  # this version may refuse what made it
        planned = plan(configuration_of(current(record, overrides)))
    keep_programs(planned.cache)
    prepared = prepare(planned, reporter)
    if prepared.fit_key != record.fit_key:
        other = "a model file of other content, or another version of Upliftlens"
        if prepared.dataset.fingerprint != record.data["fingerprint"]:
            other = f"other data than {prepared.dataset.name} holds now"
        elif prepared.split.fingerprint != record.split["fingerprint"]:
            other = f"another split than {prepared.split.name} makes now"
        raise UpliftlensError(f"run {record.key} was made from {other}: run it again")
    return Opened(record, planned, prepared)

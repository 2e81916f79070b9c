"""The command that repeats runs, from the configurations in their records."""

import shlex
from collections.abc import Sequence

from upliftlens.benchmarks.runs.compatible import names_of
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.runs.repeat import repeating

_REPEATED = ("seed", "split.fold")


def commands(records: Sequence[Record]) -> list[str]:
    """The command that repeats the runs: a sweep if they are all combinations of their seeds and folds, else one each.

    It has no ``store=``, and computes nothing that the store has.

    Raises:
        UpliftlensError: if what they chose is not there, such as a model that was defined in a notebook.
    """
    words = [repeating(record.config) for record in records]
    values = {name: _values(records, name) for name in _REPEATED}
    several = {name: each for name, each in values.items() if len(each) > 1}
    shared = [[word for word in each if not set(several).intersection(names_of([word]))] for each in words]
    combinations = len(values["seed"]) * max(1, len(values["split.fold"]))
    if several and combinations == len(records) and all(each == shared[0] for each in shared):
        swept = [f"{name}={','.join(each)}" for name, each in several.items()]
        return [shlex.join(["upliftlens", "sweep", *shared[0], *swept])]
    return [shlex.join(["upliftlens", "run", *each]) for each in words]


def _values(records: Sequence[Record], name: str) -> list[str]:
    """The different values of the seed, or the fold, in order; of a split without folds none."""
    folds = (record.config.get("split", {}).get("fold") for record in records)
    numbers = {record.seed for record in records} if name == "seed" else {fold for fold in folds if fold is not None}
    return [str(number) for number in sorted(numbers)]

"""Options given in Python as words of a command: ``model="mf", train={"lr": 0.1}`` is ``model=mf train.lr=0.1``."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from upliftlens.benchmarks.config.overrides import text
from upliftlens.causal.errors import UpliftlensError

_SEVERAL = (list, range, np.ndarray)


def words_of(options: Mapping[str, Any], several: bool) -> list[str]:
    """The words of ``options``: names, and values or nested mappings of them.

    ``several``: a list, range or array gives an option several values, as in a sweep; else it is a list. A tuple is a
    list in both.

    Raises:
        UpliftlensError: for a value that no option can have.
    """
    return list(chain.from_iterable(_words(name, value, several) for name, value in options.items()))


def _words(name: str, value: Any, several: bool) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner, content in value.items():
            yield from _words(f"{name}.{inner}", content, several)
    elif several and isinstance(value, _SEVERAL):
        values = [text(name, item) for item in value]
        if not values:
            raise UpliftlensError(f"{name}={value} holds no value, so nothing would run")
        yield f"{name}={','.join(values)}"
    else:
        yield f"{name}={text(name, value)}"


def refuse_flags(arguments: Sequence[str]) -> None:
    """Refuses flags where options are taken.

    Raises:
        UpliftlensError: with the way to write an option.
    """
    for word in arguments:
        if word.startswith("-"):
            raise UpliftlensError(f"{word} is no option: write option=value, without the dashes")


def refuse_sweep(arguments: Sequence[str]) -> None:
    """Refuses ``sweep=NAME`` where one run is meant.

    Raises:
        UpliftlensError: naming the verb that takes it.
    """
    for word in arguments:
        if word.startswith("sweep=") and word != "sweep=null":
            raise UpliftlensError(f"{word} is several runs: start it with `upliftlens sweep {word}`")

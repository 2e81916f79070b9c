"""Data sets: a list of them, their loading from cache, network or user files, their contents.

``configure`` composes a data set's options by name, ``save`` keeps them under another, ``load`` gets and reads it,
``check`` lists what is wrong with a file, ``card`` describes it. One reader per file layout; ``build`` turns what it
read into a Dataset.
"""

from upliftlens.benchmarks.data.build import sealed
from upliftlens.benchmarks.data.card import card
from upliftlens.benchmarks.data.contract import DataSource
from upliftlens.benchmarks.data.obtain import DataUnavailable
from upliftlens.benchmarks.data.problems import BadData, Problem
from upliftlens.benchmarks.data.registry import (
    check,
    configure,
    guess,
    listing,
    load,
    names,
    save,
)
from upliftlens.benchmarks.data.world import TruthRead, World

__all__ = [
    "BadData",
    "DataSource",
    "DataUnavailable",
    "Problem",
    "TruthRead",
    "World",
    "card",
    "check",
    "configure",
    "guess",
    "listing",
    "load",
    "names",
    "save",
    "sealed",
]

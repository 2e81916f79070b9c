"""Data sets: a list of them, their loading from cache, network or user files, their contents.

``configure`` composes a data set's options by name, ``load`` gets and reads it, ``check`` lists what is wrong with a
file, ``card`` describes it. One reader per file layout; ``build`` turns what it read into a Dataset.
"""

from upliftlens.benchmarks.data.build import sealed
from upliftlens.benchmarks.data.card import Card, card
from upliftlens.benchmarks.data.contract import DataSource, file_source
from upliftlens.benchmarks.data.obtain import DataUnavailable
from upliftlens.benchmarks.data.problems import BadData, Problem
from upliftlens.benchmarks.data.registry import (
    Listed,
    check,
    config_type,
    configure,
    guess,
    listing,
    load,
    names,
)
from upliftlens.benchmarks.data.world import TruthRead, World

__all__ = [
    "BadData",
    "Card",
    "DataSource",
    "DataUnavailable",
    "Listed",
    "Problem",
    "TruthRead",
    "World",
    "card",
    "check",
    "config_type",
    "configure",
    "file_source",
    "guess",
    "listing",
    "load",
    "names",
    "sealed",
]

"""Items by what a person types."""

import re

import pandas as pd
import pytest
from split_toys import dataset, random_log

from upliftlens.benchmarks.runs.lookup import item_indices
from upliftlens.causal.errors import UpliftlensError

TITLES = ("Heat (1995)", "Heathers (1989)", "Toy Story (1995)", "Psycho (1960)", "Psycho (1998)", "7")


def movies():
    data = dataset(random_log(0, n_items=6))
    data.items["id"] = [str(place + 1) for place in range(6)]
    data.items["title"] = pd.Series(TITLES)
    return data


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("Heat (1995)", 0),
        ("heat", 0),
        ("1", 0),
        ("heath", 1),
        ("TOY STORY", 2),
        ("psycho (1998)", 4),
        ("6", 5),
        ("7", 5),
    ],
)
def test_an_id_a_title_or_the_beginning_of_one(name, index):
    assert item_indices(movies(), [name]).tolist() == [index]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["psycho"], "'psycho' names 2 items of toy: write the id. Psycho (1960) (id 4); Psycho (1998) (id 5)"),
        (["Heet"], "toy has no item 'Heet': did you mean 'Heat'"),
        (["1", "heat"], "names 'heat' twice"),
        ([], "names no item"),
    ],
)
def test_what_names_no_item(names, expected):
    with pytest.raises(UpliftlensError, match=re.escape(expected)):
        item_indices(movies(), names)

"""Items by what a person types."""

import re

import pandas as pd
import pytest
from split_toys import dataset, random_log

from upliftlens.benchmarks.runs.lookup import item_indices, pair_indices
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
        (["Heet", "1", "Toy Stori", "?", "??"], "toy has no item 'Heet', 'Toy Stori', '?' and 1 more: did you mean"),
        (["1", "heat"], "names 'heat' twice"),
        ([], "names no item"),
    ],
)
def test_what_names_no_item(names, expected):
    with pytest.raises(UpliftlensError, match=re.escape(expected)):
        item_indices(movies(), names)


def test_unknown_ids_of_pairs_are_named_with_their_places():
    users, items = pair_indices(movies(), ["1", "0", "1"], ["1", "2", "6"])
    assert (users.tolist(), items.tolist()) == ([1, 0, 1], [0, 1, 5])
    with pytest.raises(UpliftlensError) as raised:
        pair_indices(movies(), ["a", "0", "b", "a", "c", "d", "e"], ["1"] * 7)
    first, second = str(raised.value).splitlines()
    assert first.startswith("toy has no user 'a' (pair 1), 'b' (pair 3), 'c' (pair 5) and 2 more; its ")
    assert second == "Pairs are counted from 1: pair 1 is line 2 of a file with a header"
    with pytest.raises(UpliftlensError, match=re.escape("toy has no item '9' (pair 2); its 6 ids run from '1' to '6'")):
        pair_indices(movies(), ["0", "0"], ["1", "9"])

"""`compare` on a store: two methods, several, a baseline, a margin, and what is refused."""

import json
import re
from dataclasses import replace

import pytest
from shell import records

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.reports.methods import _apart
from upliftlens.benchmarks.runs.store import Store, readable_records

WORDS = (
    *("data=synthetic", "data.n_users=60", "data.n_items=40", "data.ratings_per_user=8", "progress=false"),
    *("metrics.names=[recall@10,ndcg@10]", "metrics.interval.resamples=200"),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare") / "runs"
    models = "model=random,popularity,item_knn"
    assert main(["sweep", *WORDS, models, "seed=0,1", f"store={folder}", f"cache={folder}/cache"]) == 0
    return folder


def compare(store, *words):
    return main(["compare", *words, "--metric", "ndcg@10", "--store", str(store)])


def test_all_with_all_are_one_family(store, capsys):
    assert compare(store, "random", "popularity", "item_knn", "--format", "json") == 0
    pairs = json.loads(capsys.readouterr().out)
    assert [pair["methods"] for pair in pairs] == [
        ["random", "popularity"], ["random", "item_knn"], ["popularity", "item_knn"]
    ]  # fmt: skip
    assert all(pair["family"] == 3 and pair["p_holm"] >= pair["p"] >= pair["least"] for pair in pairs)
    stored = {record["key"]: record for record in records(store)}
    for pair in pairs:
        for name, keys in zip(pair["methods"], pair["runs"], strict=True):
            assert {stored[key]["model"] for key in keys} == {name} and len(keys) == 2
    assert compare(store, "random", "popularity", "item_knn") == 0
    shown = capsys.readouterr().out
    words = " ".join(shown.split())
    assert all(pair["verdict"].partition(":")[0] in shown for pair in pairs)
    assert "ndcg@10 (higher is better), 3 comparisons:" in shown and "is corrected for 3 comparisons (Holm)" in shown
    first = pairs[0]
    values = f"random {first['first']:.4f} − popularity {first['second']:.4f}, over 2 shared runs, {first['n']} users:"
    assert values in shown and f"effect size {first['effect']:+.2f}. {first['verdict'].partition(':')[0]}" in shown
    assert "This is about other users and seeds like these. With other items, training rows or another split" in words


def test_where_one_pair_is_about_fits_nothing_is_said_of_seeds(store, capsys):
    assert compare(store, "popularity", "item_knn", "random", "--where", "seed=0") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert (
        "these two fits" in shown
        and "This is about other users like these. With other seeds, items, training rows" in shown
    )


@pytest.mark.parametrize("named", [("random", "item_knn"), ("popularity", "random", "item_knn")])
def test_each_with_a_baseline(named, store, capsys):
    assert compare(store, *named, "--baseline", "popularity", "--format", "json") == 0
    pairs = json.loads(capsys.readouterr().out)
    assert [pair["methods"] for pair in pairs] == [["random", "popularity"], ["item_knn", "popularity"]]


def test_a_margin_says_what_is_the_same(store, capsys):
    assert compare(store, "popularity", "item_knn", "--margin", "1") == 0
    assert "the 95% interval lies inside ±1." in capsys.readouterr().out
    assert compare(store, "random", "popularity", "--margin", "1", "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["margin"] == 1.0


def test_a_sample_that_is_set_aside_is_named_where_nothing_is_shared(store):
    runs = readable_records(Store(store))
    aside = [replace(run, diagnostics={**run.diagnostics, "uses_mar_data": True}) for run in runs]
    assert "sets a sample of ratings aside" in _apart(runs, aside) and "same propensity" in _apart(aside, runs)


def test_what_differs_is_named_where_nothing_is_shared(store):
    """By the runs that agree in most: of those with seed 0 and 1, the ones with seed 0."""
    runs = readable_records(Store(store))
    (run, *_), keys = [each for each in runs if each.seed == 0], "[0-9a-f]{8} and [0-9a-f]{8}"

    def changed(**sections):
        fingerprints = {part: {**getattr(run, part), "fingerprint": part} for part in sections if part != "seed"}
        config = {part: {**run.config[part], **options} for part, options in sections.items() if part != "seed"}
        return replace(run, **fingerprints, config={**run.config, **config}, seed=sections.get("seed", 0))

    ua = changed(split={"name": "ua"})
    for other, said in (
        (changed(seed=7), r"seed \(0 and 7\)"),
        (changed(data={"relevance": 3}), r"data\.relevance \(4 and 3\)"),
        (
            changed(data={"relevance": 3}, split={"fold": 2}, seed=3),
            r"data\.rel.*, split\.fold \(0 and 2\), seed \(0 an.*",
        ),
        (replace(ua, split={**ua.split, "name": "ua"}), r"split \(kfold and ua\)"),
        (changed(split={}), rf"split\.fingerprint \({run.split['fingerprint']} and split\)"),
    ):
        assert re.fullmatch(
            f"the nearest runs, {keys}, differ in {said}: run both on the same ones", _apart(runs, [other])
        )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["random"], "random alone can't be compared: name two methods, or a --baseline"),
        (["random", "popularity", "random"], "random is named more than once"),
        (["popularity", "popularity"], "popularity is named more than once: name different methods"),
        (["model=popularity", "popularity"], "model=popularity and popularity mean the same run"),
        (["random", "random", "--baseline", "random"], "random is named more than once"),
        (["random", "popularity", "--margin", "0"], "margin must be above 0, got 0.0"),
        (["random", "popularity", "--baseline", "poplarity"], "did you mean 'popularity'"),
    ],
)
def test_what_is_refused(words, expected, store, capsys):
    assert compare(store, *words) == 1
    assert expected in capsys.readouterr().err

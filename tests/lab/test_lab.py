"""The Lab does what the command line does: the same keys, records and sentences."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from shell import TINY, call, records

import upliftlens as ul
from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.lab.words import words_of

WORLD = {
    "data": "synthetic",
    "data.n_users": 40,
    "data.n_items": 30,
    "data.ratings_per_user": 12,
    "data.test_per_user": 4,
    "train": {"epochs": 4},
    "metrics": {"interval": {"resamples": 50}},
    "progress": False,
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    lab = ul.Lab(folder / "runs", folder / "runs" / "cache")
    lab.sweep(**WORLD, model=["mf", "item_knn"], seed=range(2))
    return lab


def test_the_same_options_make_the_same_keys(lab):
    before = {record["key"] for record in records(lab.store)}
    assert call("sweep", lab.store, "model=mf,item_knn", "seed=range(0,2)") == 0
    assert {record["key"] for record in records(lab.store)} == before and len(before) == 4
    assert lab.run(*TINY, model="mf", seed=1).key == lab.run(**WORLD, model="mf", seed=1).key
    assert {run.key for run in lab.runs()} == before and repr(lab).endswith("4 finished runs")
    assert lab.open(lab.runs("model=mf")[0].key[:8]).record.model == "mf"


@pytest.mark.parametrize(
    ("options", "several", "words"),
    [
        (
            {"model": "mf", "train": {"lr": 1e-2, "refit": True}},
            False,
            ["model=mf", "train.lr=0.01", "train.refit=true"],
        ),
        ({"seed": range(3), "model": ["mf", "ease"]}, True, ["seed=0,1,2", "model=mf,ease"]),
        ({"model.layers": [[64, 32], [8]]}, True, ["model.layers=[64,32],[8]"]),
        ({"metrics.names": ["rmse", "ndcg@5"]}, False, ["metrics.names=[rmse,ndcg@5]"]),
        ({"metrics.names": ("rmse", "mae")}, True, ["metrics.names=[rmse,mae]"]),
        ({"data.path": "a b,c.csv", "group": None}, False, ["data.path='a b,c.csv'", "group=null"]),
        ({"train.l2": np.logspace(0, 1, 2)}, True, ["train.l2=1.0,10.0"]),
        ({"+model.space": {"dim": {"choices": [8, 16]}}}, False, ["+model.space.dim.choices=[8,16]"]),
    ],
)
def test_options_are_the_words_of_a_command(options, several, words):
    assert words_of(options, several) == words


def test_results_and_comparisons_say_what_the_commands_say(lab, capsys):
    frame = lab.results(over="seed", metrics=["rmse", "ndcg@10"]).to_pandas()
    where = ("--store", str(lab.store), "--metrics", "rmse", "ndcg@10")
    capsys.readouterr()
    assert main(["results", "--over", "seed", "--format", "csv", *where]) == 0
    command = pd.read_csv(pd.io.common.StringIO(capsys.readouterr().out))
    for name in ("ndcg@10", "ndcg@10/lo", "ndcg@10/hi", "ndcg@10/n"):
        assert frame[name].tolist() == pytest.approx(command[name].tolist(), rel=1e-12)
    assert "<table" in lab.results()._repr_html_() and "| mf |" in repr(lab.results())
    answer = lab.compare("mf", "item_knn", metric="ndcg@10", margin=2)
    assert main(["compare", "mf", "item_knn", "--margin", "2", "--store", str(lab.store)]) == 0
    assert capsys.readouterr().out.strip() == answer.text and "the same" in answer.text
    (line,) = answer.to_pandas().to_dict("records")
    assert (line["first_method"], line["second_method"]) == ("mf", "item_knn")
    assert line["verdict"].startswith("the same")
    by_place = lab.compare("mf", "item_knn", "recall@10").to_pandas()["metric"].tolist()
    assert by_place == ["recall@10"] and lab.compare("mf", "item_knn").to_pandas()["metric"].tolist() == ["ndcg@10"]


def test_a_run_scores_predicts_and_recommends(lab, capsys, tmp_path):
    run, neighbours = lab.open(lab.runs(["model=mf", "seed=0"])[0].key), lab.runs("model=item_knn")[0]
    scores = run.score([3, 0, 3])
    assert scores.shape == (3, 30) and scores.iloc[0].equals(scores.iloc[2]) and scores.index.tolist() == [3, 0, 3]
    several = run.score([7, 3, 0, 5])
    assert all(several.loc[user].equals(run.score([user]).loc[user]) for user in (7, 3, 0, 5))
    lists = run.recommend(user=3, k=5)
    assert lists["score"].tolist() == pytest.approx([scores.loc[3].iloc[0][item] for item in lists["item"]], rel=1e-5)
    assert lists["score"].is_monotonic_decreasing and lists["rank"].tolist() == [1, 2, 3, 4, 5]
    everyone = run.recommend(k=5)
    assert len(everyone) == 200 and everyone[everyone["user"] == "3"]["item"].tolist() == lists["item"].tolist()
    assert run.recommend(user=[5, 3], k=1)["user"].tolist() == ["5", "3"]
    same = lab.recommend(run.key[:8], 3, 5), lab.score(run.key, [3]), lab.predict(run.key, 3, scores.columns[0])
    assert same[0].equals(lists) and same[1].equals(run.score(3)) and len(same[2]) == 1
    names = scores.columns[:4]
    predicted = run.predict([3] * 4, names)
    assert np.argsort(predicted).tolist() == np.argsort(scores.iloc[0, :4].to_numpy()).tolist(), "squared: score + mean"
    for_new = neighbours.recommend(history=list(names[:2]), k=4)
    assert len(for_new) == 4 and not set(for_new["item"]) & set(names[:2])
    pairs, out = tmp_path / "pairs.csv", tmp_path / "out.csv"
    pairs.write_text("user;item\n" + "".join(f"3;{name}\n" for name in names))
    places = ("--store", str(lab.store), "--cache", str(lab.cache))
    assert main(["predict", run.key, "--pairs", str(pairs), "--out", str(out), *places]) == 0
    assert pd.read_csv(out)["prediction"].tolist() == pytest.approx(predicted.tolist(), rel=1e-6)
    for fault, said in (
        ("user\n1\n", "has no column item"),
        ("user,item\nnobody,0\n", "has no user 'nobody'"),
        ("user,item,prediction\n3,0,1\n", "has a column prediction"),
    ):
        pairs.write_text(fault)
        assert main(["predict", run.key, "--pairs", str(pairs), "--out", str(out), *places]) == 1
        assert said in capsys.readouterr().err
    assert main(["predict", run.key, "--pairs", str(out), "--out", str(out), *places]) == 1
    out.write_text("user,item\n3,0\n")
    assert main(["predict", run.key, "--pairs", str(out), "--out", str(out), *places]) == 1
    assert "is the file of --pairs: give another name" in capsys.readouterr().err
    with pytest.raises(ul.UpliftlensError, match="has no user '99'; its 40 ids run from '0' to '39'"):
        run.score([99])
    with pytest.raises(ul.UpliftlensError, match="2 users and 1 items make no pairs"):
        run.predict([1, 2], [3])
    with pytest.raises(ul.UpliftlensError, match="has no score for users whom it was not trained on"):
        run.recommend(history="0")


def test_a_search_and_a_benchmark(lab):
    tuned = lab.tune(**WORLD, model="item_knn", budget=2)
    assert tuned.trials.to_pandas()["best"].sum() == 1 and tuned.run.record.model == "item_knn"
    table = lab.benchmark(**WORLD, model=["popularity", "item_knn"], budget=2, seeds=2)
    assert {"popularity", "item_knn"} == set(table.to_pandas()["row"]) and "item_knn again:" in repr(table)


def test_what_is_refused(lab):
    with pytest.raises(ul.UpliftlensError, match=r"store is the Lab's own: make another, ul.Lab\(store='other'\)"):
        lab.run(*TINY, model="mf", store="other")
    with pytest.raises(ul.UpliftlensError, match="data is a file: say what kind it is, data='csv'"):
        lab.run(data=Path("log.csv"), model="mf")
    with pytest.raises(ul.UpliftlensError, match="nothing can't be compared: name two methods"):
        lab.compare()
    for call_it, said in (
        (lambda: lab.run(**WORLD, model="mff"), "did you mean 'mf'"),
        (lambda: lab.run(**WORLD, model=object()), "model is a object"),
        (lambda: lab.run(**WORLD, model="mf", seed=object()), "object is no value of an option"),
        (lambda: lab.sweep(**WORLD, model="mf", seed=[]), "holds no value"),
        (lambda: lab.run(**WORLD, model=["mf", "ease"]), "model takes one choice in a run"),
        (lambda: lab.sweep(**WORLD, model=["mf", "mf"]), "two of the models are called 'mf'"),
        (lambda: lab.run("train.epochs=2", **WORLD, model="mf"), "train.epochs is stated twice"),
        (lambda: lab.run(**{**WORLD, "data": pd.DataFrame()}, model="mf"), "data is a DataFrame: say what"),
        (lambda: lab.runs()[0].recommend(user=1, history="0"), "give it without user"),
        (lambda: lab.runs()[0].recommend(user=1, k="3"), "k='3' must be a whole number"),
        (lambda: lab.open("zzzz"), "unknown run 'zzzz'"),
        (lambda: lab.compare("mf"), "alone can't be compared"),
        (lambda: lab.results(where="modle=mf"), "did you mean 'model'"),
    ):
        with pytest.raises(ul.UpliftlensError, match=said):
            call_it()
    with pytest.raises(AttributeError, match="upliftlens has no Labb: there is Lab"):
        ul.Labb  # noqa: B018
    assert "Lab" in dir(ul) and set(ul.__all__) <= set(dir(ul))

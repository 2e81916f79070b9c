"""Runs on split=new_users: EASE against float64 NumPy on the same split, what is refused, and lists for new users."""

import json

import numpy as np
import pytest
from shell import TINY, call, records

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.evaluation.ranking import tie_order
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.benchmarks.runs.prepare import prepare
from upliftlens.benchmarks.system.talk import quiet

DATA = (*TINY, "data.n_users=60", "data.n_items=40", "split=new_users")
WORDS = (*DATA, "split.share=0.3", "split.validation=0.2", "metrics.names=[ndcg@5,recall@5,recall@5/cold]")


def dense(log, relevance):
    x = np.zeros((log.n_users, log.n_items))
    np.maximum.at(x, (log.user, log.item), log.value >= relevance)
    return x


def by_hand(learned, shown, rest, relevance):
    """NDCG@5 and recall@5 of EASE (λ 20) learned from one log, on the ``rest`` of users of whom rows are ``shown``."""
    x = dense(learned, relevance)
    p = np.linalg.inv(x.T @ x + 20 * np.eye(40))
    score = dense(shown, relevance) @ np.where(np.eye(40) > 0, 0, -p / np.diag(p))
    score[shown.user, shown.item] = -np.inf
    ndcg, recall, gain = [], [], 1 / np.log2(np.arange(2, 7))
    for user in np.unique(rest.user):
        relevant = set(rest.item[(rest.user == user) & (rest.value >= relevance)])
        if relevant:
            hits = [item in relevant for item in np.lexsort((tie_order(40, 0), -np.round(score[user], 9)))[:5]]
            ndcg.append(gain @ hits / gain[: len(relevant)].sum())
            recall.append(sum(hits) / len(relevant))
    return np.mean(ndcg), np.mean(recall)


def test_ease_for_new_users_equals_numpy_in_the_test_and_in_a_trial(tmp_path, capsys):
    words = (*WORDS, "model=ease", "model.l2=20", "train.monitor=ndcg@5")
    assert call("run", tmp_path, *words) == 0, capsys.readouterr().err
    assert "users or items without training rows" not in capsys.readouterr().err
    (record,) = records(tmp_path)
    prepared = prepare(plan(configured([*words])), quiet)
    parts, relevance = prepared.split, prepared.dataset.relevance
    ndcg, recall = by_hand(parts.fit, parts.shown.test, parts.test, relevance)
    assert record["metrics"]["ndcg@5"]["value"] == pytest.approx(ndcg, abs=1e-6)
    assert record["metrics"]["recall@5"]["value"] == pytest.approx(recall, abs=1e-6)
    assert record["split"]["leak"]["shown"] == len(parts.shown.test) + len(parts.shown.validation)
    assert record["diagnostics"]["evaluation"]["cold_test_pairs"] == 0
    assert call("run", tmp_path, *words, "trial=true") == 0
    ndcg, _ = by_hand(parts.train, parts.shown.validation, parts.validation, relevance)
    assert records(tmp_path)[1]["metrics"]["validation/ndcg@5"]["value"] == pytest.approx(ndcg, abs=1e-6)


def test_a_model_with_a_row_for_each_user_is_refused_before_anything_is_loaded(tmp_path, capsys):
    for words in (["model=mf"], ["model=oracle", "metrics=uplift_semi"]):
        assert call("run", tmp_path, *WORDS, *words) == 1
        error = capsys.readouterr().err
        assert "tests users whom a model was not trained on" in error and "use model=ease, ials, item_knn" in error
    assert call("run", tmp_path, *WORDS, "model=ease", "split.shown=1.0") == 1
    assert "split.shown" in capsys.readouterr().err


def test_validation_users_select_and_lists_are_made_from_what_was_shown(tmp_path, capsys):
    words = (*WORDS, "model=ials", "model.dim=4", "train.epochs=3", "train.monitor=ndcg@5")
    assert call("run", tmp_path, *words) == 0, capsys.readouterr().err
    (record,) = records(tmp_path)
    assert 0 < record["diagnostics"]["validation"] < 1
    prepared = prepare(plan(configured([*words])), quiet)
    user = int(prepared.split.test.user[0])
    shown = prepared.split.shown.test
    told = {str(prepared.dataset.items["id"].iloc[item]) for item in shown.item[shown.user == user]}
    name = str(prepared.dataset.users["id"].iloc[user])
    lists = []
    for _ in range(2):
        capsys.readouterr()
        flags = ("--store", str(tmp_path), "--cache", str(tmp_path / "cache"), "--user", name, "--format", "json")
        assert main(["recommend", record["key"], *flags, "-k", "40"]) == 0
        lists.append([line["item"] for line in json.loads(capsys.readouterr().out)])
    assert lists[0] == lists[1] and not told & set(lists[0]) and len(lists[0]) == 40 - len(told)

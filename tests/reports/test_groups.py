"""Metrics by group of users: values of the group alone, differences to all others, corrected, and nothing by chance."""

import csv
import io

import numpy as np
import pytest
from shell import TINY

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.evaluation.evaluation import statistic_of
from upliftlens.benchmarks.reports.groups import measured
from upliftlens.benchmarks.reports.methods import evaluations
from upliftlens.benchmarks.runs.store import Store, readable_records
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.intervals import Interval, value

FAST = [word for word in TINY if not word.startswith(("data", "train.epochs"))]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Ratings of 90 users, of whom the first 45 (group a) rate at random and the others by one rule."""
    folder, rng = tmp_path_factory.mktemp("groups"), np.random.default_rng(0)
    lines, people = ["user_id:token\titem_id:token\trating:float"], ["user_id:token\tkind:token\tage:float\tname:token"]
    for user in range(90):
        people.append(f"{user}\t{'a' if user < 45 else 'b'}\t{20 + user % 40}\tn{user}")
        for item in rng.choice(30, 15, replace=False):
            lines.append(f"{user}\t{item}\t{rng.integers(1, 6) if user < 45 else 1 + item % 5}")
    (folder / "x.inter").write_text("\n".join(lines))
    (folder / "x.user").write_text("\n".join(people))
    words = [
        *FAST,
        "data=recbole",
        f"data.path={folder}/x.inter",
        "data.columns.time=null",
        f"store={folder}/runs",
        f"cache={folder}/cache",
    ]
    assert main(["sweep", *words, "model=additive", "train.optimizer=adam", "train.epochs=30", "seed=0,1"]) == 0
    return folder


def shown(store, capsys, *flags):
    capsys.readouterr()
    places = (f"--store={store}/runs", f"--cache={store}/cache")
    code = main(["groups", "additive", "--format", "csv", *places, *flags])
    streams = capsys.readouterr()
    return code, list(csv.DictReader(io.StringIO(streams.out))), streams.err


def test_the_value_of_a_group_is_the_metric_over_its_users_and_a_real_difference_is_found(store, capsys):
    code, rows, said = shown(store, capsys, "--by", "kind", "--metrics", "rmse", "ndcg@10")
    assert code == 0 and "says nothing about its cause" in said
    assert [(row["metric"], row["kind"]) for row in rows] == [
        ("rmse", "a"), ("rmse", "b"), ("ndcg@10", "a"), ("ndcg@10", "b")
    ]  # fmt: skip
    runs = evaluations(Store(store / "runs"), readable_records(Store(store / "runs")))
    for row in rows:
        expected = []
        for run in runs:
            statistic = statistic_of(run, row["metric"])
            inside = (statistic.units < 45) == (row["kind"] == "a")
            expected.append(value(statistic._replace(units=statistic.units[inside], sums=statistic.sums[inside])))
        assert float(row["value"]) == pytest.approx(np.mean(expected), rel=1e-12)
    for first, second in (rows[:2], rows[2:]):
        assert float(first["difference"]) == pytest.approx(float(first["value"]) - float(second["value"]), rel=1e-9)
    assert rows[0]["verdict"].startswith("worse (p ≤") and float(rows[0]["difference/lo"]) > 0
    assert rows[1]["verdict"] == rows[1]["difference"] == "", "of two groups the difference is said once"


def test_several_groups_are_a_family_and_chance_makes_no_difference(store):
    runs = evaluations(Store(store / "runs"), readable_records(Store(store / "runs")))
    alarms = 0
    for seed in range(40):
        kinds = np.random.default_rng(seed).integers(0, 3, 90)
        member = kinds[:, None] == np.arange(3)
        found, small = measured(runs, "rmse", "xyz", member, Interval(0.95, 200, 0))
        tested = np.unique(np.concatenate([statistic_of(run, "rmse").units for run in runs]))
        assert [group.users for group in found] == member[tested].sum(axis=0).tolist() and not small
        p = [group.difference.p for group in found]
        alarms += min(p) * 3 <= 0.05
    assert alarms <= 6, "5 % of 40 are 2"
    low = np.zeros((90, 2), bool)
    low[:5, 0], low[5:, 1] = True, True
    found, small = measured(runs, "rmse", ["few", "many"], low, Interval(0.95, 200, 0))
    assert [group.name for group in found] == [] and small == ["few", "many"], "nor has many enough others"


def test_what_is_refused(store, capsys):
    for flags, said in (
        (["--by", "kid", "--metrics", "rmse"], "unknown column of recbole's users 'kid': did you mean 'kind'"),
        (["--by", "name", "--metrics", "rmse"], "'name' of recbole makes no groups: it has 90 values"),
        (["--by", "kind", "--metrics", "coverage@10"], "coverage@10 can't be measured by group"),
        (["--by", "kind", "--metrics", "rmsee"], "did you mean 'rmse'"),
        (["--by", "kind", "--metrics", "ndcg@3"], "error: additive: a run has no ndcg@3: "),
    ):
        code, _, error = shown(store, capsys, *flags)
        assert code == 1 and said in error
    code, rows, _ = shown(store, capsys, "--by", "age", "--metrics", "rmse")
    assert code == 0 and len(rows) == 4 and rows[0]["age"].startswith("20 to ") and rows[3]["age"].endswith(" to 59")
    runs = evaluations(Store(store / "runs"), readable_records(Store(store / "runs")))
    with pytest.raises(UpliftlensError, match="has no ndcg@3"):
        measured(runs, "ndcg@3", "x", np.ones((90, 1), bool), Interval(0.95, 200, 0))

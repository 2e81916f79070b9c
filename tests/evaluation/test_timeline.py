"""Several moments per user: candidates, histories and values against loops over rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shell import records

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.evaluation.evaluate import evaluate
from upliftlens.benchmarks.evaluation.exam import HeldOut
from upliftlens.benchmarks.evaluation.timeline import timeline
from upliftlens.benchmarks.metrics import moments as of_moments
from upliftlens.benchmarks.metrics import ranking
from upliftlens.benchmarks.metrics.registry import MetricsConfig, choose
from upliftlens.causal.interactions import Interactions, interactions, padded, take
from upliftlens.causal.intervals import Interval
from upliftlens.models.contract import Method, TrainingData
from upliftlens.models.query import history_matrix

USERS, ITEMS, TIES, K = 9, 14, 3, 4


def by_history(state, data, at):
    """Scores of the history, and for users that were trained on a row of their own beside it."""
    theirs = state[0][at.user] * (at.user >= 0)[:, None]
    return history_matrix(at, data.n_items) @ state[1] + theirs


def predicted(state, data, at, items):
    return by_history(state, data, at)[np.arange(len(items)), items]


METHOD = Method(None, None, by_history, predicted, "full", "rating", history="all", new_users="all")
NAMES = (
    *(f"{name}@{K}" for name in ("recall", "precision", "f1", "hit", "coverage", "popularity", "gini")),
    *(f"{name}@{K}/moments" for name in ("recall", "precision", "f1", "hit")),
    *("ndcg", "mrr", "map", "ndcg/moments", "mrr/moments", "map/moments", "rmse", "recall@4/cold", "recall@4/warm"),
)


def config(names, block=5):
    return MetricsConfig(tuple(names), block, TIES, Interval(0.95, 40, 0))


def problem(seed: int, n: int = 160) -> tuple[TrainingData, Interactions, Interactions]:
    """Training data, the rows before time 60 and those after it, many at one time; user 0 has no training row."""
    rng = np.random.default_rng(seed)
    user, item, time = rng.integers(0, USERS, n), rng.integers(0, ITEMS, n), rng.integers(0, 100, n)
    time[user == 0] += 60
    log = interactions(user, item, rng.integers(1, 6, n), USERS, ITEMS, time)
    seen, rows = take(log, time < 60), take(log, time >= 60)
    train = padded(seen, len(seen) + 5)
    nothing = (np.zeros((n, 0), np.float32) for n in (USERS, ITEMS))
    return TrainingData(train, (train.value >= 3).astype(np.float32) * train.weight, *nothing), seen, rows


def state(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(USERS, ITEMS)).astype(np.float32), rng.normal(size=(ITEMS, ITEMS)).astype(np.float32)


def measured(data, seen, rows, weights, names=NAMES, block=5):
    held = HeldOut(rows, seen, 3, (1, 5), "explicit", each_moment=True)
    return evaluate(METHOD, weights, data, held, config(names, block))


def in_loops(data, seen, rows, weights):
    """By user: (moments with their ranks, lists and squared errors), from the definitions."""
    own, table = (part.astype(np.float64) for part in weights)
    place = np.random.default_rng(TIES).permutation(ITEMS)
    every = [*zip(seen.user, seen.item, seen.value, seen.time), *zip(rows.user, rows.item, rows.value, rows.time)]
    trained, result = set(seen.user.tolist()), {}
    for user in np.unique(rows.user).tolist():
        for time in sorted({t for u, _, _, t in zip(rows.user, rows.item, rows.value, rows.time) if u == user}):
            before = [(i, v) for u, i, v, t in every if u == user and t < time]
            liked = np.zeros(ITEMS)
            liked[[i for i, v in before if v >= 3]] = 1
            score = liked @ table + (own[user] if user in trained else 0)
            now = [
                (int(i), v) for u, i, v, t in zip(rows.user, rows.item, rows.value, rows.time) if (u, t) == (user, time)
            ]
            candidates = set(range(ITEMS)) - {i for i, _ in before} | {i for i, _ in now}
            order = sorted(candidates, key=lambda i: (-score[i], place[i]))
            ranks = sorted(order.index(i) + 1 for i in {i for i, v in now if v >= 3})
            errors = [(np.clip(score[i], 1, 5) - v) ** 2 for i, v in now]
            result.setdefault(user, []).append((ranks, order[:K], errors))
    return result


def of_ranks(name, ranks):
    hits, n = sum(r <= K for r in ranks), len(ranks)
    ideal = sum(1 / np.log2(j + 2) for j in range(n))
    return {
        "recall": hits / n,
        "precision": hits / K,
        "f1": 2 * hits / (K + n),
        "hit": float(hits > 0),
        "ndcg": sum(1 / np.log2(r + 1) for r in ranks) / ideal,
        "mrr": 1 / ranks[0],
        "map": sum((j + 1) / r for j, r in enumerate(ranks)) / n,
    }[name]


@pytest.mark.parametrize("seed", range(4))
def test_every_value_is_that_of_loops_over_users_and_times(seed):
    data, seen, rows = problem(seed)
    weights = state(seed)
    result, expected = measured(data, seen, rows, weights), in_loops(data, seen, rows, weights)
    assert result.counts["moments"] == sum(map(len, expected.values())) > 2 * len(expected)
    assert result.counts["users"] == len(expected)
    for metric in ranking.METRICS:
        cut = f"@{K}" if metric.at == "required" else ""
        values = {u: [of_ranks(metric.name, r) for r, _, _ in row if r] for u, row in expected.items()}
        values = {u: row for u, row in values.items() if row}
        by_user, every = [np.mean(row) for row in values.values()], [x for row in values.values() for x in row]
        summary = result.summaries[f"{metric.name}{cut}"]
        assert summary.value == pytest.approx(np.mean(by_user), abs=1e-6) and summary.n == len(values), metric.name
        assert result.summaries[f"{metric.name}{cut}/moments"].value == pytest.approx(np.mean(every), abs=1e-6)
        assert np.mean(by_user) != pytest.approx(np.mean(every), abs=1e-6)
    shown = [set().union(*(items for _, items, _ in row)) for row in expected.values()]
    assert result.summaries[f"coverage@{K}"].value == pytest.approx(len(set().union(*shown)) / ITEMS)
    errors = [error for row in expected.values() for _, _, mine in row for error in mine]
    assert result.summaries["rmse"].value == pytest.approx(np.sqrt(np.mean(errors)), rel=1e-5)
    for block in (1, 64):
        for name, summary in measured(data, seen, rows, weights, block=block).summaries.items():
            assert [*summary] == pytest.approx([*result.summaries[name]], abs=1e-9, nan_ok=True), name


def test_a_user_is_known_from_the_second_moment_on():
    """User 0 has no training row: cold at the first time, then told the rows before."""
    data, seen, rows = problem(1)
    rows = take(rows, rows.user == 0)
    known = ~np.isin(rows.item, seen.item)
    first = rows.time == rows.time.min()
    assert measured(data, seen, rows, state(1)).counts["cold_test_pairs"] == int((first | known).sum())


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 500))
def test_a_moment_each_after_all_training_rows_is_the_usual_test(seed):
    data, seen, rows = problem(seed)
    rows = take(rows, rows.time == np.array([rows.time[rows.user == u].min() for u in rows.user]))
    rows = take(rows, np.isin(rows.user, seen.user))
    names = [name for name in NAMES if "/moments" not in name]
    each = measured(data, seen, rows, state(seed), names)
    usual = evaluate(METHOD, state(seed), data, HeldOut(rows, seen, 3, (1, 5), "explicit"), config(names))
    assert each.summaries.keys() == usual.summaries.keys()
    for name, summary in each.summaries.items():
        assert [*summary] == pytest.approx([*usual.summaries[name]], abs=1e-6, nan_ok=True), name
    assert {k: v for k, v in each.counts.items() if k != "moments"} == usual.counts


def test_rows_of_one_time_are_one_moment_and_do_not_know_each_other():
    seen = interactions([0], [5], [5], 1, 9, [1])
    rows = interactions([0, 0, 0, 0], [0, 1, 2, 3], [5, 5, 5, 5], 1, 9, [4, 3, 4, 9])
    line = timeline(rows, seen)
    assert line.of_row.tolist() == [1, 0, 1, 2] and line.end.tolist() == [1, 2, 4] and line.begin.tolist() == [0, 0, 0]
    assert line.log.item.tolist() == [5, 1, 0, 2, 3]
    with pytest.raises(ValueError, match=r"need the time of each row: use split\.moments=one"):
        timeline(interactions([0], [0], [1], 1, 9), seen)


def test_the_metrics_of_moments_differ_in_nothing_but_the_mean():
    for metric, whole in zip(of_moments.METRICS, ranking.METRICS, strict=True):
        assert metric == whole._replace(name=f"{whole.name}/moments", kind="pooled")
        name = f"{whole.name}@3/moments" if whole.at == "required" else metric.name
        assert choose(name).metric == metric


@pytest.mark.parametrize("model", ["ease", "ials", "popularity", "mf"])
def test_a_run_at_each_moment_has_a_key_of_its_own(model, tmp_path):
    rng = np.random.default_rng(0)
    rows = {
        (u, i): (int(rng.integers(1, 6)), int(rng.integers(0, 500)))
        for u in range(30)
        for i in rng.permutation(25)[:12]
    }
    table = "\n".join(f"u{u},i{i},{value},{time}" for (u, i), (value, time) in rows.items())
    (tmp_path / "log.csv").write_text(f"user,item,rating,timestamp\n{table}\n")
    words = ["data=csv", f"data.path={tmp_path}/log.csv", "data.columns.time=timestamp"]
    words += ["split=temporal", "split.share=0.3", f"model={model}"]
    words += [f"store={tmp_path}/runs", f"cache={tmp_path}", "train.epochs=2", "metrics.interval.resamples=50"]
    words += ["metrics.names=[recall@5,recall@5/moments,ndcg@10]"]
    for moments in ("one", "each"):
        assert main(["run", *words, f"split.moments={moments}"]) == 0
    one, each = records(tmp_path / "runs")
    assert one["key"] != each["key"] and one["split"] != each["split"]
    counts = [record["diagnostics"]["evaluation"] for record in (one, each)]
    assert "moments" not in counts[0] and counts[1]["moments"] > 2 * counts[1]["users"]
    assert one["metrics"]["recall@5"] == one["metrics"]["recall@5/moments"]
    assert each["metrics"]["recall@5"] != each["metrics"]["recall@5/moments"]


def test_logs_of_recommendations_have_one_moment(tmp_path, capsys):
    rng = np.random.default_rng(0)
    lines = [
        f"{u},{i},{int(rng.random() < 0.5)},{int(rng.random() < 0.5)},{u + i}" for u in range(20) for i in range(9)
    ]
    (tmp_path / "log.csv").write_text("user,item,treated,outcome,time\n" + "\n".join(lines) + "\n")
    words = ["data=uplift-log", f"data.path={tmp_path}/log.csv", "data.columns.time=time", "model=cubn"]
    assert (
        main(["run", *words, "split=temporal", "split.moments=each", f"cache={tmp_path}", f"store={tmp_path}/runs"])
        == 1
    )
    assert "is a log of recommendations: use moments=one" in capsys.readouterr().err

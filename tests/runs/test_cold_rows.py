"""A run whose test rows are mostly of users without training rows says so, and has both kinds of rows apart."""

import pytest
from shell import records

from upliftlens.benchmarks.cli.main import main

NAMES = ("rmse", "rmse/warm", "rmse/cold", "recall@2/warm", "recall@2/cold")


@pytest.mark.parametrize("new", [9, 3])
def test_a_run_says_that_most_of_its_test_rows_are_cold(new, tmp_path, capsys):
    """12 users rate 4 items each at the end, all within a second; ``new`` of them for the first time."""
    known = [(user, item, 1 + (user + item) % 5, 10 + item) for user in range(12 - new) for item in range(8)]
    reference = [(12, item, 3, 1) for item in range(12)]  # a further user makes every item known
    late = [(user, 8 + item, 1 + (user * item) % 5, 100) for user in range(12) for item in range(4)]
    rows = [f"u{u},i{i},{value},{time}" for u, i, value, time in (*known, *reference, *late)]
    path = tmp_path / "ratings.csv"
    path.write_text("\n".join(["user,item,rating,time", *rows]) + "\n")
    options = (
        "data=csv", f"data.path={path}", "data.columns.time=time", "model=mf", "train.epochs=1", "train.patience=0",
        "split=temporal", f"split.share={len(late) / len(rows)}", "split.validation=0",
        "metrics.interval.resamples=40", "progress=false",
        f"metrics.names=[{','.join(NAMES)}]", f"store={tmp_path / 'store'}", f"cache={tmp_path / 'cache'}",
    )  # fmt: skip
    assert main(["run", *options]) == 0
    (record,) = records(tmp_path / "store")
    assert record["diagnostics"]["evaluation"]["cold_test_pairs"] == 4 * new
    rmse, warm, cold = (record["metrics"][name]["value"] for name in NAMES[:3])
    assert rmse**2 == pytest.approx(((12 - new) * warm**2 + new * cold**2) / 12) and warm != cold
    assert set(record["metrics"]) == set(NAMES)
    sentence = "split temporal: 36 of 48 test rows (75%) are of users or items without training rows"
    assert (sentence in capsys.readouterr().err) == (new == 9)

"""What a run tells of metrics that it could not have, and of weights that clipping cut."""

import csv

import numpy as np
import pytest
from shell import call, records

from upliftlens.benchmarks.evaluation import evidence
from upliftlens.benchmarks.metrics.metric import UpliftOptions
from upliftlens.causal.effects.treatment import action_propensity
from upliftlens.causal.interactions import interactions

OPTIONS = UpliftOptions(chi=0.01, points=10, shrinkage=1.0)


def test_metrics_of_effects_that_the_data_cannot_have_are_told_once(tmp_path, capsys):
    asked = ("model=popularity", "metrics=uplift", "metrics.names=[recall@10,cp@10,uplift@10/snips,rmse]")
    assert call("run", tmp_path, *asked) == 0
    err = capsys.readouterr().err
    assert "synthetic: no cp@10: the truth is not known here" in err
    assert "synthetic: no uplift@10/snips: these rows do not say what was recommended" in err
    assert "rmse:" not in err, "that popularity predicts no ratings is no news"
    assert call("run", tmp_path, *asked, "seed=1") == 0
    assert "no cp@10" not in capsys.readouterr().err


def test_many_metrics_are_counted():
    reason = "these rows do not say what was recommended"
    absent = dict.fromkeys(("uplift@5/ips", "uplift@5/snips", "auuc", "qini", "uplift@5/dr"), reason)
    assert [*evidence.unmeasured("mine", absent, "rank", False)] == [
        f"mine: no uplift@5/ips, uplift@5/snips, auuc and 2 others: {reason}"
    ]


@pytest.mark.parametrize(
    ("treated", "propensity", "expected"),
    [(1, 0.001, 1), (0, 0.001, 0), (0, 0.999, 1), (1, 0.999, 0), (1, 0.0, 0), (0, 1.0, 0), (1, 0.01, 0)],
)
def test_rows_are_clipped_by_the_propensity_of_their_own_arm(treated, propensity, expected):
    item = np.zeros(1, np.int32)
    treated = np.array([bool(treated)])
    log = interactions(item, item, np.ones(1), 1, 1, None, treated, action_propensity(treated, np.array([propensity])))
    assert evidence.clipped(log, OPTIONS) == expected and evidence.clipped(None, OPTIONS) == 0


@pytest.mark.parametrize("chi", [0.01, 0.002, 0.05, 0.1, 0.3])
def test_a_row_exactly_at_chi_is_not_clipped_in_single_precision(chi):
    """Whose float32 may lie below the χ of double precision, as that of .01 does."""
    treated, many = np.array([True, False, True, False]), np.zeros(4, np.int32)
    at, below = np.float32([chi, 1 - chi]), np.float32([chi * 0.999, 1 - chi * 0.999])
    e = np.concatenate([at, below])
    assert e.dtype == np.float32
    log = interactions(many, many, np.ones(4), 1, 1, None, treated, action_propensity(treated, e))
    assert evidence.clipped(log, UpliftOptions(chi=chi, points=10, shrinkage=1.0)) == 2


def test_a_run_tells_how_many_rows_were_clipped(tmp_path, capsys):
    rng = np.random.default_rng(0)
    path = tmp_path / "log.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["user", "item", "treated", "outcome", "propensity"])
        for user, item in np.ndindex(30, 20):
            treated = int(rng.random() < 0.4)
            out.writerow([user, item, treated, int(rng.random() < 0.3), 1e-5 if treated and user < 6 else 0.4])
    words = ("data=uplift-log", f"data.path={path}", "model=popularity", "metrics.uplift.chi=0.002")
    from upliftlens.benchmarks.cli.main import main

    assert main(["run", *words, f"store={tmp_path}", f"cache={tmp_path}"]) == 0
    cut = records(tmp_path)[0]["diagnostics"]["recommendations"]["clipped"]
    assert 0 < cut < 48
    assert (
        f"uplift-log: {cut} of 120 tested rows had a chance below metrics.uplift.chi=0.002" in capsys.readouterr().err
    )


def test_weighted_metrics_that_a_split_cannot_have_are_told_where_there_is_a_propensity(tmp_path, capsys):
    asked = ("split=leave_last", "propensity=popularity", "metrics.names=[rmse,rmse/ips,rmse/snips]")
    assert call("run", tmp_path, *asked, "model=additive") == 0
    shown = " ".join(capsys.readouterr().err.split())
    assert (
        "synthetic, split leave_last: no rmse/ips, rmse/snips: the test rows of split=leave_last are no random" in shown
    )
    assert call("run", tmp_path, *asked, "model=popularity", "metrics.names=[rmse/snips,ndcg@5]") == 0
    assert "no rmse/snips" not in capsys.readouterr().err, "that popularity predicts no ratings is no news"


def test_a_metric_that_was_asked_for_by_name_is_told_if_it_is_no_usual_one():
    absent = {"ece": "it needs chances", "rmse": "it needs ratings"}
    assert [*evidence.unmeasured("mine", absent, "rating", False, True)] == ["mine: no ece: it needs chances"]
    assert [*evidence.unmeasured("mine", absent, "rating", False)] == []

"""ML-100K through the command line: who causes most, as published (Sato et al. 2020, 2021); accuracy isn't it."""

from itertools import pairwise

import pytest
from shell import records

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.evaluation.evaluation import Evaluation, from_arrays
from upliftlens.benchmarks.reports.comparison import compare
from upliftlens.benchmarks.runs.store import Store, load_per_user, load_record
from upliftlens.causal.intervals import Resampling

ESTIMATES = ("uplift@10/snips", "uplift@10/dr", "uplift@10/ips")


@pytest.mark.slow
def test_recommending_what_people_take_anyway_causes_less_than_recommending_at_random(tmp_path, cache, ml_100k):
    words = ["data=uplift-ml-100k", "split=draws", "metrics=uplift", f"store={tmp_path}", f"cache={cache}"]
    names = ",".join(("cp@10", "cdcg", "recall@10", "uplift@10/true", *ESTIMATES))
    words += ["metrics.interval.resamples=200", f"metrics.names=[{names}]", "progress=false"]
    assert main(["sweep", *words, "model=oracle,cubn,random,popularity,logged_propensity,ials"]) == 0
    assert main(["sweep", *words, "model=mf", "objective=dlce,blce"]) == 0
    # Stopped by the estimated uplift like the others, which is soon: eight epochs only save time.
    assert main(["run", *words, "model=mf", "loss=bpr", "objective=naive", "train.epochs=8"]) == 0
    # A gradient learner goes by its objective, BPR on all positives by its loss.
    name_of = {"dlce": "dlce", "blce": "blce", "naive": "bpr"}
    result = {
        name_of[record["objective"]] if record["model"] == "mf" else record["model"]: record
        for record in records(tmp_path)
    }

    def evaluation(name: str) -> Evaluation:
        done = load_record(Store(tmp_path), result[name]["key"])
        assert done is not None
        return from_arrays(load_per_user(Store(tmp_path), done), {})

    order = [
        *pairwise(("oracle", "cubn", "dlce", "blce", "random")),
        *(("random", w) for w in ("popularity", "logged_propensity", "ials", "bpr")),
    ]
    pairs = {f"{a} against {b}": ([evaluation(a)], [evaluation(b)]) for a, b in order}
    for label, item in compare(pairs, "cdcg", Resampling(0.95, 1000, 0)).items():
        assert item.differs and item.lo > 0, label  # of single runs: these fits differ, in this order
    value = {name: {m: item["metrics"][m]["value"] for m in item["metrics"]} for name, item in result.items()}
    assert value["cubn"]["cp@10"] >= 0.75 * value["oracle"]["cp@10"]
    assert value["dlce"]["cp@10"] >= 0.65 * value["oracle"]["cp@10"]
    assert value["ials"]["recall@10"] > 3 * value["oracle"]["recall@10"]
    for name, item in result.items():
        for estimate in ESTIMATES:
            summary, truth = item["metrics"][estimate], value[name]["uplift@10/true"]
            assert abs(summary["value"] - truth) < summary["hi"] - summary["lo"], (name, estimate)

"""ML-100K through the command line: who causes most, as published (Sato et al. 2020, 2021); accuracy isn't it."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf
from shell import records

from upliftlens import configs
from upliftlens.benchmarks import data
from upliftlens.benchmarks.cli import main
from upliftlens.benchmarks.compare import compare
from upliftlens.benchmarks.evaluation import Evaluation, statistics_from
from upliftlens.benchmarks.store import Store, load_per_user
from upliftlens.causal.intervals import Resampling


@pytest.mark.slow
def test_recommending_what_people_take_anyway_causes_less_than_recommending_at_random(tmp_path):
    cache = Path(OmegaConf.load(Path(configs.__file__).parent / "config.yaml").cache).expanduser()
    try:
        data.load(data.configure("ml-100k"), cache)
    except data.DataUnavailable as error:
        pytest.skip(str(error))
    words = ["data=uplift-ml-100k", "split=draws", "metrics=uplift", f"store={tmp_path}", f"cache={cache}"]
    models = "model=oracle,cubn,random,popularity,logged_propensity,ials"
    assert main(["sweep", *words, models, "metrics.interval.resamples=200", "progress=false"]) == 0
    found = {one["model"]: one for one in records(tmp_path)}

    def evaluation(name: str) -> Evaluation:
        arrays = load_per_user(Store(tmp_path), found[name]["key"])
        return Evaluation(arrays["users"], statistics_from(arrays), {}, {}, {})

    order = [
        ("oracle", "cubn"),
        ("cubn", "random"),
        *(("random", w) for w in ("popularity", "logged_propensity", "ials")),
    ]
    pairs = {f"{a} against {b}": ([evaluation(a)], [evaluation(b)]) for a, b in order}
    for label, one in compare(pairs, "cdcg", Resampling(0.95, 1000, 0)).items():
        assert one.better == "first" and one.lo > 0, label
    value = {name: {m: one["metrics"][m]["value"] for m in one["metrics"]} for name, one in found.items()}
    assert value["cubn"]["cp@10"] >= 0.75 * value["oracle"]["cp@10"]
    assert value["ials"]["recall@10"] > 3 * value["oracle"]["recall@10"]
    for name, one in found.items():
        for estimate in ("uplift@10/snips", "uplift@10/dr", "uplift@10/ips"):
            summary, truth = one["metrics"][estimate], value[name]["uplift@10/true"]
            assert abs(summary["value"] - truth) < summary["hi"] - summary["lo"], (name, estimate)

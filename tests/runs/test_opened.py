"""A finished run is opened again, also one from before an option of its data."""

from dataclasses import replace

from shell import TINY

import upliftlens as ul
from upliftlens.benchmarks.runs.opened import opened
from upliftlens.benchmarks.system.talk import quiet


def test_a_record_of_before_there_were_tables(tmp_path):
    (tmp_path / "x.csv").write_text(
        "user,item,rating\n" + "".join(f"u{n % 9},i{n % 7},{1 + n % 5}\n" for n in range(63))
    )
    fast = [word for word in TINY if not word.startswith("data")]
    lab = ul.Lab(tmp_path / "runs", tmp_path / "cache")
    run = lab.run(*fast, "data=csv", f"data.path={tmp_path}/x.csv", "model=popularity", "split.folds=2")
    data = {name: value for name, value in run.record.config["data"].items() if name not in ("items", "item_columns")}
    assert len(data) < len(run.record.config["data"])
    record = replace(run.record, config={**run.record.config, "data": data})
    again = opened(record, {"store": str(lab.store), "cache": str(lab.cache)}, quiet)
    assert again.prepared.fit_key == run.record.fit_key

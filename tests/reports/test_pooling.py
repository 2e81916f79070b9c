"""What is averaged are repetitions of one experiment: never several data sets, nor several ways to split."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from stored import METRICS, record

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.reports.figures import figure_of
from upliftlens.benchmarks.reports.methods import one_per_pairing, pairing
from upliftlens.benchmarks.reports.pooling import (
    of_worlds,
    require_one_configuration,
    require_one_experiment,
    require_one_world,
)
from upliftlens.benchmarks.reports.repeats import once_per_fit
from upliftlens.benchmarks.reports.selection import query
from upliftlens.benchmarks.reports.sheet import summarise
from upliftlens.benchmarks.runs.records import Record, Summary
from upliftlens.benchmarks.runs.store import open_store, save_run
from upliftlens.causal.errors import UpliftlensError

RUN = record("a0")
ARRAYS = {"users": np.arange(5, dtype=np.int32), "rmse": np.ones((5, 2))}


def of_split(one: Record, name: str, **options: Any) -> Record:
    config = {**one.config, "split": {"name": name, "fold": 0, "seed": 0, **options}}
    return replace(
        one,
        key=f"{one.key}{name}{options}",
        config=config,
        split={**one.split, "name": name, "fingerprint": f"{name}{options}"},
    )


def test_folds_of_one_split_are_averaged_and_two_splits_never_are() -> None:
    folds = [of_split(RUN, "kfold", fold=fold) for fold in (0, 1)]
    mixed = [*folds, of_split(RUN, "u1"), of_split(RUN, "kfold", validation=0.2)]
    sheet = summarise(mixed, ["split.fold"], ["rmse"], lambda this_name: ARRAYS)
    assert sorted((row.cells["split"], row.cells["runs"]) for row in sheet.rows) == [
        ("kfold", "1"),
        ("kfold", "2"),
        ("u1", "1"),
    ]
    for name in ("split", "split.name", "split.validation"):
        with pytest.raises(UpliftlensError, match=f"--over {name} would average .* --over split.fold split.seed"):
            summarise(mixed, ["seed", name], ["rmse"], lambda this_name: ARRAYS)


@pytest.mark.parametrize(
    ("change", "fix"),
    [
        ({"data": {"name": "other", "fingerprint": "e" * 8}}, "2 data sets and 1 way .* --where data=toy$"),
        (
            {
                "config": {**RUN.config, "data": {"name": "toy", "size": 4}},
                "data": {"name": "toy", "fingerprint": "e"},
            },
            "--where data.size=3$",
        ),
        ({"data": {"name": "toy", "fingerprint": "e" * 8}}, "--where data.fingerprint=dddddddd$"),
        ({"split": {"name": "u1", "fingerprint": "u"}}, "1 data set and 2 ways to split.* --where split=kfold$"),
    ],
)
def test_two_worlds_or_two_protocols_are_not_compared_as_one(change, fix, tmp_path, capsys) -> None:
    store = open_store(tmp_path / "runs")
    for model in ("mf", "ease"):
        save_run(store, record(f"{model}0", model=model), {})
        save_run(store, record(f"{model}1", model=model, **change), {})
    assert main(["compare", "mf", "ease", "--metric", "rmse", f"--store={store.root}"]) == 1
    assert re.search(fix, capsys.readouterr().err, re.MULTILINE)
    require_one_experiment([of_split(RUN, "kfold", fold=fold, seed=seed) for fold in (0, 1) for seed in (0, 1)])


def test_runs_of_two_versions_of_a_split_are_not_pooled_as_repetitions() -> None:
    """Such as u1 before and after its test rows were known to be no random sample."""
    old, new = of_split(RUN, "u1"), replace(of_split(RUN, "u1"), key="b0", seed=1)
    new = replace(new, split={"name": "u1", "fingerprint": "v2"}, config={**new.config, "seed": 1})
    words = r"runs a0u1.* and b0 are of different versions of split=u1.*--where split.fingerprint=v2$"
    with pytest.raises(UpliftlensError, match=words):
        require_one_experiment([old, new])
    with pytest.raises(UpliftlensError, match=words):
        summarise([old, new], ["split.fold", "seed"], ["rmse"], lambda this_name: ARRAYS)
    require_one_experiment([old, replace(new, split=old.split)])
    sample = replace(new, config={**new.config, "propensity": {"name": "naive_bayes"}})  # takes rows of the test set
    require_one_experiment([old, sample])


@pytest.mark.parametrize(
    ("section", "fix"),
    [
        (
            {"metrics": {**METRICS, "interval": {**METRICS["interval"], "over": "users-items"}}},
            "interval.over!=users-items",
        ),
        ({"propensity": {"name": "popularity", "trim": 0.1}}, "'propensity.trim!=0.1'"),
    ],
)
def test_two_ways_to_measure_a_fit_are_two_experiments(section, fix) -> None:
    """The conditions also find records from before there was a choice, which lack the option."""
    new = replace(RUN, key="b0", created="2025", config={**RUN.config, **section}, fit_key=RUN.fit_key)
    assert once_per_fit([RUN, new], ["rmse/snips"]) == [RUN, new]
    with pytest.raises(UpliftlensError, match=f"2 ways to split or measure.* --where .*{fix}"):
        require_one_experiment([RUN, new], ["rmse/snips"])
    name, other = fix.strip("'").split("!=")
    name = name if name.startswith("propensity") else "config.metrics.interval.over"
    assert query([RUN, new], [f"{name}!={other}"]) == [RUN] and query([RUN, new], [f"{name}={other}"]) == [new]
    rows = summarise([RUN, new], ["split.fold"], ["rmse"], lambda this_name: ARRAYS).rows
    assert [row.cells["runs"] for row in rows] == ["1", "1"]
    with pytest.raises(UpliftlensError, match="average different ways to measure"):
        summarise([RUN, new], ["config.propensity.trim"], ["rmse"], lambda this_name: ARRAYS)


def with_options(one: Record, seed: int, **sections: dict[str, Any]) -> Record:
    """A run of another seed, with changed sections of its configuration."""
    changed = {name: {**one.config.get(name, {}), **section} for name, section in sections.items()}
    key = f"{one.model}{seed}{changed}"
    return replace(one, key=key, fit_key=key, seed=seed, config={**one.config, "seed": seed, **changed})


@pytest.mark.parametrize(
    ("later", "fix"),
    [
        ({"model": {"dim": 2}, "train": {"lr": 0.06}}, "--where 'model.dim!=2' 'train.lr!=0.06'"),
        ({"model": {"dim": 8.0}, "metrics": {"names": ["rmse"]}, "data": {"size": 4}}, None),
        ({"model": {"added": 1}, "split": {"fold": 1}, "propensity": {"trim": 0.1, "held_out": 0.1}}, None),
    ],
)
def test_runs_of_several_configurations_are_not_one_method(later, fix) -> None:
    """What says nothing about the fit, an option that joined later, and 8.0 for 8 are no other configuration."""
    runs = [with_options(RUN, seed, **(later if seed > 1 else {})) for seed in range(4)]
    shared = list(map(pairing, runs))
    if fix is None:
        assert one_per_pairing(runs, shared, "mf") == runs
    else:
        with pytest.raises(UpliftlensError, match=f"'mf' means runs of several configurations.*{re.escape(fix)}$"):
            one_per_pairing(runs, shared, "mf")
        left = query(runs, re.findall("'(.*?)'", fix))
        assert left == runs[:2] and one_per_pairing(left, shared[:2], "mf") == left


def test_code_and_what_a_method_reads_make_its_configuration() -> None:
    code = [replace(RUN, diagnostics={"model": {"version": 1, "source": source}}) for source in ("ab", "cd")]
    require_one_configuration(code[:1] * 2, "mf")
    with pytest.raises(UpliftlensError, match=r"--where 'source!=cd'$"):
        require_one_configuration(code[:2], "mf")
    other = with_options(RUN, 1, train={"lr": 0.06})
    require_one_configuration([replace(run, loss=None, objective="") for run in (RUN, other)], "ease")
    with pytest.raises(UpliftlensError, match=r"\(objective is naive or ips\).*--where 'objective!=ips'$"):
        require_one_configuration([RUN, replace(RUN, objective="ips")], "mf")


def test_different_intervals_are_neither_mixed_nor_left_to_the_order_of_runs(tmp_path, capsys) -> None:
    store = open_store(tmp_path / "runs")
    narrow = {"interval": {**METRICS["interval"], "level": 0.5}}
    for run in (RUN, with_options(record("b", model="ease"), 0, metrics=narrow)):
        save_run(store, run, ARRAYS)
    for names in (("mf", "ease"), ("ease", "mf")):
        assert main(["compare", *names, "--metric", "rmse", f"--store={store.root}"]) == 1
        assert (
            "nothing is trained anew, or choose one, e.g. --where metrics.interval.level=0." in capsys.readouterr().err
        )
    assert main(["plot", "scatter", "--x=rmse", "--y=rmse", f"--store={store.root}", f"--out={tmp_path}/f.png"]) == 1
    assert "have different intervals" in capsys.readouterr().err
    for over in ([], ["--over", "seed"]):
        assert main(["results", "--format", "md", *over, f"--store={store.root}"]) == 0
        assert re.search("metrics.interval.level", capsys.readouterr().out.splitlines()[0])
    rows = summarise([RUN, with_options(RUN, 1, metrics=narrow)], ["seed"], ["rmse"], lambda this_name: ARRAYS).rows
    assert [row.cells["runs"] for row in rows] == ["1", "1"]
    with pytest.raises(UpliftlensError, match="average different ways to measure"):
        summarise([RUN], ["metrics.interval.level"], ["rmse"], lambda this_name: ARRAYS)


def test_trimming_is_of_weighted_metrics_only() -> None:
    new = replace(RUN, key="b0", created="2025", config={**RUN.config, "propensity": {"trim": 0.1}})
    assert once_per_fit([RUN, new], ["rmse"]) == [new] and once_per_fit([RUN, new], ["no metric"]) == [RUN, new]
    require_one_experiment([RUN, new], ["rmse"])


def in_world(one: Record, key: str, effects: str | None, **options: Any) -> Record:
    """A run with a metric of a semi-synthetic world; ``effects`` None: of before records named their world."""
    semi = Summary(0.1, 0.0, 0.2, 5)
    diagnostics = {} if effects is None else {"semi_world": {"version": options.pop("version", 1), "effects": effects}}
    seed = options.pop("seed", 0)
    config = {**one.config, "seed": seed, "metrics": {**METRICS, "world": {"per_user": 6, "seed": 0, **options}}}
    return replace(
        one, key=key, fit_key=key, seed=seed, config=config, metrics={"cp@10/semi": semi}, diagnostics=diagnostics
    )


@pytest.mark.parametrize(
    ("other", "choice"),
    [
        (in_world(RUN, "b", "f2"), "diagnostics.semi_world.effects=f1"),  # another fit
        (in_world(RUN, "b", "f1", version=2), "diagnostics.semi_world.version=1"),
        (in_world(RUN, "b", "f1", per_user=7), "metrics.world.per_user=6"),
        (of_split(in_world(RUN, "b", "f2", version=2), "kfold", fold=1), "diagnostics.semi_world.version=1"),
    ],
)
def test_values_of_different_worlds_are_not_pooled(other: Record, choice: str) -> None:
    this = in_world(RUN, "a", "f1")
    with pytest.raises(UpliftlensError, match=f"cp@10/semi: .* different semi-synthetic worlds.* --where {choice}$"):
        require_one_world([this, other], ["rmse", "cp@10/semi"])
    require_one_world([this, other], ["rmse"])  # which doesn't depend on a world
    assert choice in of_worlds([this, other], ["cp@10/semi"])[0]


def test_what_is_of_several_worlds_or_of_one_without_a_name_is_told() -> None:
    folds = [of_split(in_world(RUN, f"a{fold}", f"f{fold}"), "kfold", fold=fold) for fold in (0, 1)]
    require_one_world(folds, ["cp@10/semi"])
    assert of_worlds(folds, ["cp@10/semi"]) == [
        "cp@10/semi: a world is fitted to each split, so the values are of 2 worlds."
    ]
    before = [in_world(RUN, "a", "f1"), in_world(RUN, "b", None)]
    require_one_world(before, ["cp@10/semi"])
    assert of_worlds(before, ["cp@10/semi", "rmse"]) == [
        "cp@10/semi: 1 of 2 records don't name their world: it may be another one."
    ]
    assert of_worlds([before[0], in_world(RUN, "c", "f1")], ["cp@10/semi"]) == []
    assert of_worlds(before, ["rmse"]) == []


def test_results_and_compare_say_what_they_do_with_several_worlds(tmp_path, capsys) -> None:
    store = open_store(tmp_path / "runs")
    semi = {"users": np.arange(5, dtype=np.int32), "cp@10/semi": np.ones((5, 2))}
    for name, effects, seed in (("mf", "f1", 0), ("mf", "f2", 1), ("ease", "f1", 0), ("ease", "f1", 1)):
        save_run(store, in_world(replace(RUN, model=name), f"{name}{seed}", effects, seed=seed), semi)
    flags = ["--metric", "cp@10/semi", f"--store={store.root}"]
    assert main(["compare", "mf", "ease", *flags]) == 1
    assert "different semi-synthetic worlds" in capsys.readouterr().err
    with pytest.raises(UpliftlensError, match="different semi-synthetic worlds"):
        figure_of(store, "scatter", ["mf", "ease"], [], "rmse", "cp@10/semi")
    assert main(["compare", "mf", "ease", *flags, "--where", "diagnostics.semi_world.effects=f1"]) == 0
    assert "worlds" not in capsys.readouterr().out
    for model in ("mf", "ease"):
        fold = of_split(in_world(replace(RUN, model=model), f"{model}1", "f3"), "kfold", fold=1)
        save_run(store, replace(fold, fit_key=fold.key), semi)
    assert main(["compare", "mf", "ease", *flags, "--where", "key!=mf1"]) == 0
    assert "a world is fitted to each split, so the values are of 2 worlds." in capsys.readouterr().out
    assert main(["results", f"--store={store.root}"]) == 0
    assert "different semi-synthetic worlds" in capsys.readouterr().err
    assert main(["results", "--over", "seed", f"--store={store.root}"]) == 1
    assert "different semi-synthetic worlds" in capsys.readouterr().err
    assert (
        main(["results", "--over", "seed", "--where", "model=ease", "--where", "split.fold=0", f"--store={store.root}"])
        == 0
    )
    assert "worlds" not in capsys.readouterr().err

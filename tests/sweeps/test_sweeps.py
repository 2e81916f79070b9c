"""Sweeps: compiled once, continued after a kill, shared between processes, whole when one job fails."""

import json
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from plugin_sources import BACKBONE
from shell import call, programs, records, spawn
from wandb_reader import read_run

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.training.programs import compilations


def test_a_combination_that_does_not_go_together_is_left_out_if_asked(tmp_path, capsys):
    several = ("model=mf,popularity", "loss=squared,logistic", "objective=naive,cvib")
    assert call("sweep", tmp_path, *several) == 1
    shown = capsys.readouterr().err
    assert "Nothing was started. This is combination 2 of 8: model=mf loss=squared objective=cvib. With inc" in shown
    assert not records(tmp_path)
    assert call("sweep", tmp_path, *several, "incompatible=leave_out") == 0
    shown = capsys.readouterr().err
    assert "left out  model=mf loss=squared objective=cvib: objective=cvib makes no sense with loss=squared" in shown
    assert {(record["loss"], record["objective"]) for record in records(tmp_path)} == {
        ("squared", "naive"), ("logistic", "naive"), ("logistic", "cvib"), (None, "")
    }  # fmt: skip
    assert call("sweep", tmp_path, "model=mf", "loss=squared,bpr", "objective=cvib", "incompatible=leave_out") == 1
    assert "no combination is left. objective=cvib makes no sense" in capsys.readouterr().err
    assert call("sweep", tmp_path, *several, "incompatible=drop") == 1
    assert "unknown value of incompatible 'drop'" in capsys.readouterr().err


def test_an_option_that_a_swept_model_lacks_makes_a_combination_that_does_not_go_together(tmp_path, capsys):
    """Also one with a single value, which the default model need not have."""
    several, lacks = ("model=mf,popularity", "model.dim=2,3"), "model=popularity has no 'dim': there is: name"
    assert call("sweep", tmp_path, *several) == 1
    shown = capsys.readouterr().err
    assert lacks in shown and "This is combination 3 of 4: model=popularity model.dim=2. With incompatible=" in shown
    assert call("sweep", tmp_path, *several, "hydra/launcher=basic") == 1
    assert lacks in capsys.readouterr().err and not records(tmp_path)
    assert call("sweep", tmp_path, *several, "incompatible=leave_out") == 0
    assert f"left out  model=popularity model.dim=3: unknown option 'model.dim': {lacks}" in capsys.readouterr().err
    assert [record["model"] for record in records(tmp_path)] == ["mf", "mf"]
    assert call("sweep", tmp_path, "model=mf,popularity", "model.dmi=2", "incompatible=leave_out") == 1
    assert (
        "no combination is left. unknown option 'model.dmi': model=mf has no 'dmi': did you" in capsys.readouterr().err
    )
    assert call("sweep", tmp_path, "model=mf,eas", "incompatible=leave_out") == 1, "a wrong name is no combination"
    assert "unknown model choice 'eas': did you mean 'ease'" in capsys.readouterr().err
    solvers = ("model=ease,item_knn", "model.history=binary", "train.patience=1", "metrics.names=[ndcg@10]")
    assert call("sweep", tmp_path, *solvers) == 0 and len(records(tmp_path)) == 4


def test_a_run_that_a_sweep_found_belongs_to_it_and_lines_count(tmp_path, capsys):
    assert call("run", tmp_path, "model=popularity") == 0
    assert call("sweep", tmp_path, "model=popularity", "seed=0,1", "group=mine") == 0
    assert call("sweep", tmp_path, "model=popularity", "seed=0,1", "group=mine") == 0
    shown = capsys.readouterr().err
    assert "done  1 of 2  " in shown and "done  2 of 2  " in shown and "(found)" in shown

    said = []

    def listed(where):
        assert main(["results", "--where", where, "--format", "csv", f"--store={tmp_path}"]) == 0
        shown = capsys.readouterr()
        said.append(" ".join(shown.err.split()))
        return shown.out.count("popularity")

    conditions = ("sweep=mine", "sweep!=mine", "sweep=null", "group=mine", "group!=mine", "group=null")
    assert [listed(where) for where in conditions] == [2, 0, 0, 2, 0, 0]
    assert call("sweep", tmp_path, "model=popularity", "seed=0,1", "group=all_found") == 0
    assert listed("group=all_foun") == 0
    assert "No run has sweep=all_foun: did you mean 'all_found'? there is: all_found, mine." in said[-1]
    assert call("sweep", tmp_path, "model=popularity", "metrics.interval.level=0.9,0.8") == 0
    assert "metrics.interval.level=0.9  " in capsys.readouterr().err
    assert listed("sweep=mine") == 2


def test_three_seeds_and_three_learning_rates_compile_one_program(tmp_path):
    store = tmp_path / "runs"
    words = ("model=mf", "model.dim=7")
    assert call("sweep", store, *words, "seed=0,1,2", "train.lr=0.01,0.02,0.05", "train.l2=3") == 0
    assert call("run", store, *words, "train.l2=4") == 0
    stored = records(store)
    assert len(stored) == 10
    result = sorted(programs(item["diagnostics"]) for item in stored)
    assert result[-1] > 0
    assert result[:-1] == [0] * 9
    assert len({item["metrics"]["rmse"]["value"] for item in stored}) == 10
    assert call("run", store, "model=mf", "model.dim=6") == 0  # another structure is another program
    (other,) = [record for record in records(store) if record["config"]["model"]["dim"] == 6]
    assert programs(other["diagnostics"]) > 0


def test_the_counter_counts():
    import jax

    before = compilations()
    jax.jit(lambda x: x * 3.25)(np.float32(1.0))
    result = compilations().since(before)
    assert result.compiled + result.read == 1 and result.seconds > 0


DROPPING_OUT = ("model=mlp", "model.layers=[8]", "model.dim=4", "train.epochs=2")


def same_bits(*stores):
    """That the only runs of two stores are the same, to the last bit; the record of the second."""
    values = []
    for store in stores:
        (record,) = records(store)
        with np.load(store / "fits" / record["fit_key"] / "state.npz") as state:
            values.append((record["key"], record["metrics"], {key: state[key] for key in state.files}))
    (*first, arrays), (*second, others) = values
    assert first == second and arrays.keys() == others.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, others[name])
    return record


def test_the_same_key_gives_the_same_bits(tmp_path):
    for name in ("a", "b"):
        assert call("run", tmp_path / name, *DROPPING_OUT) == 0
    same_bits(tmp_path / "a", tmp_path / "b")


@pytest.mark.slow
def test_another_process_that_compiles_for_itself_gets_the_same_bits(tmp_path, monkeypatch, quick_compilation):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "programs"))  # this process has read it already
    process = spawn("run", tmp_path / "b", *DROPPING_OUT)
    assert call("run", tmp_path / "a", *DROPPING_OUT) == 0
    said = process.communicate(timeout=240)[1]
    assert process.returncode == 0, said
    diagnostics = same_bits(tmp_path / "a", tmp_path / "b")["diagnostics"]
    assert diagnostics["programs_compiled"] > 0 == diagnostics["programs_read"]


def test_a_new_metric_evaluates_again_without_training(tmp_path, capsys):
    assert call("run", tmp_path, "model=popularity") == 0
    assert call("run", tmp_path, "model=popularity", "metrics.names=[recall@3]") == 0
    first, second = records(tmp_path)
    assert first["key"] != second["key"] and first["fit_key"] == second["fit_key"]
    assert len(list(tmp_path.glob("fits/*"))) == 1
    assert first["epochs"] == second["epochs"]


def test_running_again_is_a_lookup(tmp_path, capsys):
    assert call("sweep", tmp_path, "model=popularity,random", "seed=0,1") == 0
    before = records(tmp_path)
    assert call("sweep", tmp_path, "model=popularity,random", "seed=0,1,2") == 0
    assert capsys.readouterr().err.count("(found)") == 4
    after = records(tmp_path)
    assert len(after) == 6
    assert all(item in after for item in before)


@pytest.mark.slow  # test_store_claims kills a process that holds a run
def test_a_killed_sweep_continues_where_it_was(tmp_path):
    store = tmp_path / "runs"
    jobs = ("model=additive", "seed=range(0,40)", "train.epochs=20", "train.patience=20")
    process = spawn("sweep", store, *jobs)
    while len(list(store.glob("runs/*/record.json"))) < 2:  # however long a busy machine takes
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    before = records(store)
    assert 2 <= len(before) < 40
    jobs = (jobs[0], f"seed=range(0,{len(before) + 2})", *jobs[2:])
    assert call("sweep", store, *jobs) == 0
    after = records(store)
    assert len(after) == len(before) + 2 and all(item["status"] == "done" for item in after)
    assert all(item in after for item in before), "a finished run was repeated"


@pytest.mark.slow  # in test_store_claims three processes share a store
def test_two_sweeps_share_a_store(tmp_path):
    store = tmp_path / "runs"
    jobs = ("model=popularity,random", "seed=0,1,2")
    processes = [spawn("sweep", store, *jobs) for _ in range(2)]
    outputs = [process.communicate(timeout=240)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    stored = records(store)
    assert len(stored) == 6 and all(item["status"] == "done" for item in stored)
    assert sum(output.count("(found)") for output in outputs) == 6, "each run was computed once and looked up once"


def test_one_failed_job_leaves_the_others_whole(tmp_path, capsys):
    jobs = ("model=mf", "train.optimizer=sgd", "train.schedule=constant", "train.epochs=30", "train.lr=0.01,1e8")
    assert call("sweep", tmp_path, *jobs, "seed=0,1") == 1
    shown = capsys.readouterr().err
    assert shown.count("done ") == 2 and shown.count("failed ") >= 2 and "2 of 4 runs failed" in shown
    assert "diverged" in shown and "train.lr" in shown
    stored = records(tmp_path)
    assert sorted(item["status"] for item in stored) == ["done", "done", "failed", "failed"]
    failed = next(item for item in stored if item["status"] == "failed")
    assert failed["error"]["traceback"] in shown
    assert "Traceback" in Path(failed["error"]["traceback"]).read_text()
    assert not [item for item in stored if item["status"] == "done" and item["error"]]


def test_a_model_that_breaks_leaves_its_traceback(tmp_path, capsys):
    path = tmp_path / "broken.py"
    path.write_text(
        BACKBONE.replace("return jnp.sum(", "raise RuntimeError('no such tensor') or (").replace(", axis=-1", "")
    )
    assert call("run", tmp_path, f"model.file={path}") == 1
    shown = capsys.readouterr().err
    assert "RuntimeError: no such tensor" in shown and len(shown.strip().splitlines()) <= 2
    (record,) = records(tmp_path)
    assert record["status"] == "failed"


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_store_that_cannot_be_written_is_a_clear_error(place, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert call("run", tmp_path / place, "model=popularity") == 1
    shown = capsys.readouterr().err
    assert "store" in shown and len(shown.strip().splitlines()) <= 2 and "Traceback" not in shown


def test_a_sweep_of_three_jobs_is_three_wandb_runs(tmp_path, capsys):
    jobs = ("model=mf", "train.optimizer=sgd", "train.schedule=constant", "train.lr=0.01,0.02,1e9", "logger=wandb")
    assert call("sweep", tmp_path, *jobs, "train.epochs=12") == 1
    runs = [read_run(path) for path in tmp_path.glob("wandb/offline-run-*/*.wandb")]
    assert len(runs) == 3
    by_rate = {run["config"]["train"]["lr"]: run for run in runs}
    assert sorted(by_rate) == [0.01, 0.02, 1e9]
    assert [by_rate[rate]["exit_code"] for rate in (0.01, 0.02, 1e9)] == [0, 0, 1]
    stored = {this_record["config"]["train"]["lr"]: this_record for this_record in records(tmp_path)}
    for rate in (0.01, 0.02):
        run, record = by_rate[rate], stored[rate]
        assert run["config"]["key"] == record["key"] and run["group"] == record["sweep"]
        assert {"synthetic", "mf", "naive"} <= set(run["tags"])
        losses = [line["loss"] for line in record["epochs"]]
        assert [row["train/loss"] for row in run["history"]] == pytest.approx(losses)
        assert run["summary"]["rmse"] == pytest.approx(record["metrics"]["rmse"]["value"])
        assert run["summary"]["rmse/lo"] == pytest.approx(record["metrics"]["rmse"]["lo"])
    assert "rmse" not in by_rate[1e9]["summary"]


def test_tuning_selects_on_validation_and_shows_no_trial_the_test_set(tmp_path, capsys):
    assert call("tune", tmp_path, "model=mf", "budget=4", "tune_seed=3") == 0
    trials = [record for record in records(tmp_path) if record["config"]["trial"]]
    (final,) = [record for record in records(tmp_path) if not record["config"]["trial"]]
    assert len(trials) == 4 and all(list(trial["metrics"]) == ["validation/rmse"] for trial in trials)
    best = min(trials, key=lambda trial: trial["diagnostics"]["validation"])
    for group in ("model", "train"):
        assert final["config"][group] == best["config"][group]
    assert len({json.dumps(trial["config"]["train"]) for trial in trials}) == 4
    assert "rmse" in final["metrics"]
    assert call("tune", tmp_path, "model=mf", "budget=5", "tune_seed=3") == 0
    assert len([record for record in records(tmp_path) if record["config"]["trial"]]) == 5, (
        "a larger budget repeats no trial"
    )

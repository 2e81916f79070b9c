"""W&B without a server: the offline files are decoded and compared with what was tracked."""

import math
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import wandb
import yaml
from stored import record
from wandb_reader import read_run

from upliftlens.benchmarks.runs import tracking
from upliftlens.benchmarks.runs.records import Failure, Summary
from upliftlens.benchmarks.runs.tracking import LoggerConfig, WandbConfig, track, wandb_login

LOSSES = {"a": [3.0, 1.0, 2.0], "b": [5.0, 4.0, 4.5], "c": [9.0, 8.0, math.nan]}


def quiet(sentence: str) -> None:
    raise AssertionError(sentence)


@pytest.fixture(autouse=True)
def no_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def config(folder: Path, **changes: Any) -> WandbConfig:
    return WandbConfig(
        **{"name": "wandb", "mode": "offline", "dir": str(folder), "project": "p", "entity": None, **changes}
    )


def job(logger: LoggerConfig, key: str, say: Any = quiet) -> None:
    """A run of three epochs; "c" fails."""
    start = record(
        f"key-{key}", status="running", sweep="night", seed=ord(key), metrics={}, timing={}, model=f"model-{key}"
    )
    with track(logger, start, say) as tracker:
        for epoch, loss in enumerate(LOSSES[key], start=1):
            tracker.log_epoch(
                epoch, {"epoch": epoch, "train/loss": loss, "validation/ndcg@10": -loss, "validation/mine": loss}
            )
        if key == "c":
            tracker.finish(replace(start, status="failed", error=Failure("ValueError", "loss is NaN")))
            return
        metrics = {"rmse": Summary(ord(key) / 100, 0.5, 1.5, 7), "recall@10": Summary(0.1, math.nan, math.nan, 1)}
        tracker.finish(replace(start, status="done", metrics=metrics, timing={"train": 2.5}))


def offline_runs(folder: Path) -> dict[str, dict[str, Any]]:
    """By key; W&B's own process writes in the background, and the end of the process (here: teardown) waits for it."""
    wandb.teardown()
    runs = [read_run(path) for path in (folder / "wandb").glob("offline-run-*/run-*.wandb")]
    return {run["config"]["key"]: run for run in runs}


def test_three_jobs_of_one_process_are_three_runs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logger = config(tmp_path / "new")
    for key in LOSSES:
        job(logger, key)
    assert wandb.run is None
    runs = offline_runs(tmp_path / "new")
    assert len(list((tmp_path / "new").rglob("*.wandb"))) == 3
    assert runs.keys() == {"key-a", "key-b", "key-c"}
    for key, losses in LOSSES.items():
        run = runs[f"key-{key}"]
        assert run["group"] == "night"
        assert run["tags"] == {"toy", f"model-{key}", "naive"}
        assert run["name"].startswith(f"model-{key}-toy-seed{ord(key)}")
        assert run["config"]["seed"] == ord(key)
        assert run["config"]["model"] == {"name": f"model-{key}", "dim": 8}
        assert run["config"]["train"] == {"lr": 0.01}
        assert [row["epoch"] for row in run["history"]] == [1, 2, 3]
        assert [row["train/loss"] for row in run["history"]] == pytest.approx(losses, nan_ok=True)
        assert run["exit_code"] == (1 if key == "c" else 0)
    done, failed = runs["key-a"]["summary"], runs["key-c"]["summary"]
    assert (done["rmse"], done["rmse/lo"], done["rmse/hi"], done["rmse/n"]) == (0.97, 0.5, 1.5, 7)
    assert (done["recall@10"], done["recall@10/lo"]) == (0.1, None)
    assert (done["status"], done["timing/train"]) == ("done", 2.5)
    assert done["train/loss"] == {"min": 1.0}, "the best, not the last"
    assert done["validation/ndcg@10"] == {"max": -1.0}
    assert done["validation/mine"] == {"last": 2.0}, "which way is better isn't known"
    assert (failed["status"], failed["error"]) == ("failed", "ValueError: loss is NaN")
    assert "rmse" not in failed
    for name in ("train/loss", "validation/ndcg@10", "*"):
        assert runs["key-b"]["metrics"][name].step_metric == "epoch"
    assert capfd.readouterr() == ("", "")


def test_a_run_that_ends_without_a_record_has_failed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), track(config(tmp_path), record(), quiet) as tracker:
        tracker.log_epoch(1, {"train/loss": 1.0})
        raise KeyboardInterrupt
    (run,) = offline_runs(tmp_path).values()
    assert run["exit_code"] == 1 and len(run["history"]) == 1


def test_a_run_that_somebody_left_open_is_not_written_into(tmp_path: Path) -> None:
    wandb.init(mode="offline", dir=tmp_path, config={"key": "stranger"}, settings=wandb.Settings(silent=True))
    job(config(tmp_path), "a")
    runs = offline_runs(tmp_path)
    assert runs["stranger"]["history"] == [] and len(runs["key-a"]["history"]) == 3


def test_without_a_logger_the_interface_is_the_same_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(wandb, "init", lambda **options: quiet("wandb was started"))
    for key in LOSSES:
        job(LoggerConfig("none"), key)
    assert list(tmp_path.iterdir()) == []


def test_online_without_a_login_is_offline_with_a_remark(tmp_path: Path) -> None:
    said: list[str] = []
    job(config(tmp_path, mode="online"), "a", said.append)
    assert said == [
        "W&B: not logged in, so this run is tracked offline. Run `wandb login` once, or set logger.mode=offline"
    ]
    assert offline_runs(tmp_path)["key-a"]["exit_code"] == 0


def test_online_without_a_network_is_offline_with_a_remark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(tracking, "_CONNECT", 1.0)
    wandb.teardown()  # reads the environment again
    said: list[str] = []
    try:
        job(config(tmp_path, mode="online"), "a", said.append)
    finally:
        wandb.teardown()
    assert len(said) == 1 and said[0].startswith("W&B can't be reached, so this run is tracked offline (")
    assert offline_runs(tmp_path)["key-a"]["exit_code"] == 0


@pytest.mark.parametrize("step", ["init", "define_metric", "log", "finish"])
def test_an_error_of_wandb_is_told_once_and_never_ends_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("no space left\nstack")

    monkeypatch.setattr(wandb if step == "init" else wandb.Run, step, fail)
    said: list[str] = []
    job(config(tmp_path), "a", said.append)
    assert len(said) == 1
    assert said[0].startswith("W&B could not ") and "no space left. The run goes on" in said[0] and "\n" not in said[0]
    monkeypatch.undo()
    wandb.teardown()


def test_where_a_login_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert wandb_login() is None
    path = tmp_path / "netrc"
    path.write_text("machine example.org login user password secret\n")
    assert wandb_login() is None
    path.write_text("machine api.wandb.ai login user password secret\n")
    assert wandb_login() == str(path)
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org:8080")
    assert wandb_login() is None
    path.write_text("machine wandb.example.org:8080 login user password secret\n")
    assert wandb_login() == str(path)
    path.write_text("machine\n")
    assert wandb_login() is None
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    assert wandb_login() == "WANDB_API_KEY"


def test_the_configuration_states_every_option() -> None:
    folder = files("upliftlens.configs.logger")
    both = {name: yaml.safe_load(folder.joinpath(f"{name}.yaml").read_text()) for name in ("none", "wandb")}
    assert both["none"] == {"name": "none"}
    assert both["wandb"].keys() == WandbConfig.__dataclass_fields__.keys()
    assert WandbConfig(**both["wandb"]).mode == "offline"


def test_a_folder_that_cannot_be_made_is_said_and_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    said: list[str] = []
    job(config(tmp_path / "file" / "below"), "a", said.append)
    (sentence,) = said
    assert sentence.startswith("W&B could not start")
    assert f"{tmp_path}/file/below can't be written (Not a directory): choose logger.dir=FOLDER" in sentence
    assert "The run goes on" in sentence

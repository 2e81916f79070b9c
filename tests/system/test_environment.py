"""Provenance of a run, and what the doctor finds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from upliftlens.benchmarks.cli.verbs import doctor
from upliftlens.benchmarks.cli.verbs.doctor import Check, diagnose, report
from upliftlens.benchmarks.runs.store import open_store
from upliftlens.benchmarks.system import environment
from upliftlens.causal.errors import UpliftlensError


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_environment_is_plain_data_and_names_what_matters() -> None:
    content = environment.collect()
    assert json.loads(json.dumps(content)) == content
    assert content["packages"].keys() == set(environment.PACKAGES)
    assert content["packages"]["numpy"] == __import__("numpy").__version__
    assert content["device"]["count"] >= 1 and content["device"]["backend"] in ("cpu", "gpu", "tpu")
    assert environment.installed("surely-not-a-package") is None


def test_variables_of_jax_change_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    import jax

    others = {"jax_random_seed_offset": 7, "jax_disable_jit": True, "jax_default_matmul_precision": "bfloat16"}
    try:
        for name, value in others.items():
            jax.config.update(name, value)
        environment.fix_numerics()
        assert {name: jax.config.values[name] for name in others} == {
            "jax_random_seed_offset": 0, "jax_disable_jit": False, "jax_default_matmul_precision": None
        }  # fmt: skip
    finally:
        environment.fix_numerics()
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    environment.fix_numerics()
    refused = (
        *("xla_cpu_enable_fast_math=true", "xla_backend_optimization_level=1", "xla_backend_optimization_level=0"),
        *("xla_cpu_max_isa=SSE4_2", "xla_allow_excess_precision=false", "xla_cpu_prefer_vector_width=0"),
    )
    for flag in refused:
        monkeypatch.setenv("XLA_FLAGS", f"--xla_dump_to=/tmp/x --{flag}")
        with pytest.raises(UpliftlensError, match=f"XLA_FLAGS holds --{flag.partition('=')[0]}.*unset XLA_FLAGS"):
            environment.fix_numerics()
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false --xla_backend_optimization_level=3")
    environment.fix_numerics()
    monkeypatch.setenv("XLA_FLAGS", "flags.txt")
    with pytest.raises(UpliftlensError, match=r"XLA_FLAGS=flags\.txt names a file of flags"):
        environment.fix_numerics()
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=/tmp/SSE4_2")
    environment.collect.cache_clear()
    assert environment.collect()["variables"]["XLA_FLAGS"].endswith("SSE4_2")
    environment.collect.cache_clear()


@pytest.mark.parametrize(
    ("variable", "allowed"),
    [
        ("JAX_ENABLE_X64=maybe", "true or false"),
        ("JAX_RANDOM_SEED_OFFSET=jax_x", "a number"),
        ("JAX_COMPILER_DETAILED_LOGGING_MIN_OPS=x", "a number"),
        ("JAX_DEFAULT_PRNG_IMPL=x", "threefry2x32 or threefry4x32 or rbg or unsafe_rbg or philox2x32 or philox4x32"),
        ("JAX_NUMPY_DTYPE_PROMOTION=x", "standard or strict"),
    ],
)
def test_a_variable_that_jax_refuses_is_one_sentence(variable: str, allowed: str, tmp_path: Path) -> None:
    name, _, value = variable.partition("=")
    command = [sys.executable, "-m", "upliftlens.benchmarks.cli", "doctor"]
    result = subprocess.run(command, env={**os.environ, name: value}, capture_output=True, text=True, cwd=tmp_path)
    sentence = f"error: JAX refuses {variable}: set it to {allowed}, or unset it\n"
    assert (result.returncode, result.stderr) == (1, sentence)


def test_a_device_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "upliftlens.benchmarks.cli", "run", "data=synthetic", f"store={tmp_path}"]
    variables = {**os.environ, "JAX_PLATFORMS": "tpu"}
    result = subprocess.run(command, env=variables, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: JAX can't start with JAX_PLATFORMS=tpu (")


def test_data_are_loaded_whatever_variables_of_jax_say(tmp_path: Path) -> None:
    import jax

    from upliftlens.benchmarks.data import configure, load

    try:
        jax.config.update("jax_random_seed_offset", 7)
        load(configure("synthetic"), tmp_path)
        assert jax.config.values["jax_random_seed_offset"] == 0
    finally:
        environment.fix_numerics()


def test_the_commit_is_that_of_the_checkout_that_holds_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (environment._ROOT / "pyproject.toml").is_file() and (environment._ROOT / "causal").is_dir()
    checkout = (tmp_path / "checkout").resolve()
    (checkout / "models").mkdir(parents=True)
    (checkout / "models" / "mf.py").write_text("x = 1\n")
    monkeypatch.setattr(environment, "_ROOT", checkout)
    assert environment._git() is None, "no repository"
    git(checkout, "init", "-q")
    assert environment._git() is None, "no commit"
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "one")
    clean = {"commit": git(checkout, "rev-parse", "HEAD"), "dirty": False}
    assert environment._git() == clean
    (checkout / "notes.txt").write_text("not code")
    assert environment._git() == clean
    (checkout / "models" / "new.py").write_text("")
    assert environment._git() == {**clean, "dirty": True}
    (checkout / "models" / "new.py").unlink()
    (checkout / "models" / "mf.py").write_text("x = 2\n")
    assert environment._git() == {**clean, "dirty": True}
    installed = checkout / "models" / ".venv" / "site-packages" / "upliftlens"
    installed.mkdir(parents=True)
    monkeypatch.setattr(environment, "_ROOT", installed)
    assert environment._git() is None, "an environment inside somebody else's checkout"
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(environment, "_ROOT", checkout)
    assert environment._git() is None, "no git"


def test_peak_memory_grows_by_what_is_allocated() -> None:
    code = (
        "from upliftlens.benchmarks.system.environment import peak_memory as p; a = p(); "
        "b = bytearray(b'x') * 200_000_000; print(p() - a)"
    )
    grown = int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    assert 150e6 < grown < 500e6


def test_available_memory_is_that_of_the_container_where_it_is_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if environment.collect()["device"]["backend"] != "cpu":
        pytest.skip("the accelerator's memory counts here")
    monkeypatch.setattr(environment, "_CGROUP", tmp_path)
    whole = environment.available_memory()
    assert 0 < whole <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    (tmp_path / "memory.max").write_text("5000000\n")
    (tmp_path / "memory.current").write_text("2000000\n")
    assert environment.available_memory() == 3_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert environment.available_memory() > 3_000_000


def test_a_healthy_place_is_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_store(tmp_path / "runs")
    checks = list(diagnose(tmp_path / "cache", tmp_path / "runs"))
    assert [check for check in checks if check.state == "broken"] == []
    assert {"python", "jax", "wandb", "devices", "home", "cache", "store", "W&B"} <= {check.name for check in checks}
    assert not (tmp_path / "cache").exists(), "to look is not to make"
    assert report(checks) == 0
    assert "Ready to run" in capsys.readouterr().out


def test_what_is_broken_is_named_with_its_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    wrong = {"jax": "0.1.0", "rich": None}
    monkeypatch.setattr(doctor, "installed", lambda name: wrong.get(name, environment.installed(name)))
    monkeypatch.setattr(doctor, "requires", lambda name: ["jax>=0.10", "rich>=13", "numpy>=2.0", "rax; extra == 'dev'"])
    checks = {check.name: check for check in diagnose(tmp_path / "file" / "cache", tmp_path / "file")}
    broken = {name: check for name, check in checks.items() if check.state == "broken"}
    assert broken.keys() == {"jax", "rich", "cache", "store"}
    assert (
        "0.1.0 is installed, >=0.10 is needed" in broken["jax"].finding
        and broken["jax"].fix == "pip install 'jax>=0.10'"
    )
    assert "cache=FOLDER" in broken["cache"].fix and "store=FOLDER" in broken["store"].fix
    assert report(list(checks.values())) == 1
    assert "broken: jax, rich, cache, store" in capsys.readouterr().out


def test_little_room_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_LITTLE", 2**62)
    checks = {check.name: check for check in diagnose(tmp_path, tmp_path)}
    assert checks["cache"].state == "note" and "free some space" in checks["cache"].fix
    assert report([Check("x", "note", "[brackets]", "[fix]")]) == 0


def test_reading_verbs_start_without_heavy_imports() -> None:
    reading = (
        *("runs.records", "runs.store", "reports.selection", "reports.sheet"),
        *("system.environment", "runs.tracking", "cli.verbs.doctor", "cli.verbs.list"),
        *("config.installed", "config.chosen", "tables.table", "tables.ledger"),
    )
    line = "import upliftlens.benchmarks.{0}; print('{0}', *heavy & sys.modules.keys())"
    code = "\n".join(["import sys; heavy = {'jax', 'flax', 'pandas', 'wandb'}", *map(line.format, reading)])
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == list(reading)

"""What is stored comes back, what is damaged is said, and states fit their templates."""

import json
import zipfile
from collections import namedtuple
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stored import record

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.runs.records import to_json
from upliftlens.benchmarks.runs.store import (
    Store,
    claim,
    list_records,
    load_fit,
    load_per_user,
    load_record,
    load_state,
    open_store,
    save_failure,
    save_fit,
    save_run,
)
from upliftlens.benchmarks.system import npz as arrays
from upliftlens.causal.errors import UpliftlensError

Pair = namedtuple("Pair", "first second")


def no_wait(sentence: str) -> None:
    raise AssertionError(sentence)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "runs")


def equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one.dtype == other.dtype and np.array_equal(one, other)


def test_a_run_comes_back(store: Store) -> None:
    per_user = {"users": np.arange(3, dtype=np.int32), "cp@k/semi": np.array([[1.0, np.nan]]), "file": np.ones(2, bool)}
    assert load_record(store, "k0") is None
    save_run(store, record(), per_user)
    assert load_record(store, "k0") == record()
    back = load_per_user(store, record())
    assert back.keys() == per_user.keys()
    for name, values in per_user.items():
        assert back[name].dtype == values.dtype
        np.testing.assert_array_equal(back[name], values)
    assert list_records(store) == ([record()], [])


def test_a_failure_has_its_traceback_and_is_replaced_by_the_next_attempt(store: Store) -> None:
    failed = save_failure(store, record(status="running"), ValueError("loss is NaN"), "Traceback ...")
    assert failed.status == "failed" and failed.error is not None
    assert (failed.error.type, failed.error.message) == ("ValueError", "loss is NaN")
    assert Path(str(failed.error.traceback)).read_text() == "Traceback ..."
    assert load_record(store, "k0") == failed
    save_run(store, record(), {})
    assert [this_record.status for this_record in list_records(store).records] == ["done"]


STATE = {
    "params": [jnp.arange(6, dtype=jnp.float32).reshape(2, 3), np.array([1, 2], np.int64)],
    "pair": Pair(jnp.zeros((0, 4), jnp.float16), jnp.array(True)),
    "count": jnp.int32(7),
    "key": jax.random.key(3),
    "raw": jax.random.PRNGKey(3),
    "none": None,
}


def test_a_state_comes_back_in_structure_shape_dtype_and_value(store: Store) -> None:
    save_fit(store, "f0", STATE, {"best_epoch": 3, "epochs": [{"loss": float("nan")}]})
    assert load_fit(store, "f0") == {"best_epoch": 3, "epochs": [{"loss": None}]}
    with np.load(store.folder("fits", "f0") / "state.npz", allow_pickle=False) as archive:
        assert all(archive[name].dtype.kind in "biuf" for name in archive.files)
    for template in (
        STATE,
        jax.tree.map(lambda leaf: leaf if isinstance(leaf, np.ndarray) else jax.eval_shape(lambda: leaf), STATE),
    ):
        back = load_state(store, "f0", template)
        assert jax.tree.structure(back) == jax.tree.structure(STATE)
        assert jax.random.normal(back["key"]) == jax.random.normal(STATE["key"])
        rest = [(x, y) for x, y in zip(jax.tree.leaves(back), jax.tree.leaves(STATE)) if not arrays._is_key(y)]
        assert len(rest) == 6 and all(equal(x, y) for x, y in rest)


def test_equal_states_are_equal_files(store: Store) -> None:
    for key in ("f0", "f1"):
        save_fit(store, key, STATE, {})
    item, other = ((store.folder("fits", key) / "state.npz").read_bytes() for key in ("f0", "f1"))
    assert item == other


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"count": jnp.float32(7)}, r"leaf \['count'\] is int32\[\], not float32\[\]"),
        (
            {"params": [jnp.zeros((3, 2)), np.zeros(2, np.int64)]},
            r"\['params'\]\[0\] is float32\[2, 3\], not float32\[3, 2\]",
        ),
        ({"extra": jnp.ones(1)}, r"leaf \['extra'\] is not in the file"),
        ({"count": None}, r"leaf \['count'\] is only in the file"),
    ],
)
def test_a_state_of_another_model_is_refused(store: Store, change: dict[str, Any], said: str) -> None:
    save_fit(store, "f0", STATE, {})
    with pytest.raises(UpliftlensError, match=said):
        load_state(store, "f0", {**STATE, **change})


def test_arrays_that_a_file_cannot_keep_are_refused(store: Store) -> None:
    for bad in (np.array([object()]), np.asarray(jnp.ones(2, jnp.bfloat16))):
        with pytest.raises(TypeError, match="convert it first"):
            save_run(store, record(), {"x": bad})
    assert load_record(store, "k0") is None


def test_damaged_and_foreign_files_are_named_and_skipped(store: Store) -> None:
    for key in ("good", "torn", "empty", "list", "other"):
        save_run(store, record(key), {"users": np.arange(100)})
    runs = store.root / "runs"
    whole = (runs / "torn" / "record.json").read_bytes()
    (runs / "torn" / "record.json").write_bytes(whole[: len(whole) // 2])
    (runs / "empty" / "record.json").write_bytes(b"")
    (runs / "list" / "record.json").write_text("[1]")
    (runs / "other" / "record.json").write_text(json.dumps(to_json(record("elsewhere"))))
    (runs / "notes.txt").write_text("mine")
    (runs / "folder").mkdir()
    (store.root / "locks" / "runs-foreign.lock").write_text("{}")
    records, problems = list_records(store)
    assert [this_record.key for this_record in records] == ["good"]
    assert len(problems) == 4
    for key in ("torn", "empty", "list", "other"):
        assert sum(f"/{key}/record.json is skipped" in problem for problem in problems) == 1
    assert load_record(store, "torn") is None
    save_run(store, record("torn"), {})
    assert load_record(store, "torn") == record("torn")


def test_damaged_arrays_are_named(store: Store) -> None:
    save_fit(store, "f0", STATE, {})
    path = store.folder("fits", "f0") / "state.npz"
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        first = archive.infolist()[0]
    content[first.header_offset + 30 + len(first.filename.encode()) + 60 + first.file_size // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(UpliftlensError, match=r"state\.npz is damaged.*delete its folder"):
        load_state(store, "f0", STATE)
    path.write_bytes(b"PK")
    with pytest.raises(UpliftlensError, match="is damaged"):
        load_state(store, "f0", STATE)
    path.unlink()
    with pytest.raises(UpliftlensError, match="is missing"):
        load_state(store, "f0", STATE)
    path.with_name("fit.json").write_text("{")
    assert load_fit(store, "f0") is None


def test_a_claimed_run_is_running_for_as_long_as_the_claim(store: Store) -> None:
    running = record("k1", status="running", created="2025-01-01T00:00:00+00:00")
    save_run(store, record(), {})
    with claim(store, "runs", "k1", no_wait, running), claim(store, "fits", "k1", no_wait):
        assert list_records(store).records == [record(), running]
        save_run(store, record("k1"), {})
        assert [this_record.status for this_record in list_records(store).records] == ["done", "done"]
    assert list((store.root / "locks").iterdir()) == []
    with pytest.raises(RuntimeError), claim(store, "runs", "k2", no_wait, running):
        raise RuntimeError
    assert [this_record.status for this_record in list_records(store).records] == ["done", "done"]


def test_a_failed_run_that_is_tried_again_is_running(store: Store) -> None:
    save_failure(store, record(), ValueError("x"), "trace")
    with claim(store, "runs", "k0", no_wait, record(status="running")):
        assert [this_record.status for this_record in list_records(store).records] == ["running"]
    assert [this_record.status for this_record in list_records(store).records] == ["failed"]


def test_a_store_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert list_records(Store(tmp_path / "nothing")) == ([], [])
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("words", ["results", "compare mf ease", "plot uplift --out f.png", "recommend abc --user 1"])
def test_a_verb_that_reads_says_that_the_store_is_not_there(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "nothing"
    assert main([*words.split(), "--store", str(root)]) == 1
    assert f"the results folder {root} does not exist: start a run" in capsys.readouterr().err


def test_records_come_oldest_first(store: Store) -> None:
    times = {"a": "2024-03", "b": "2024-01", "c": "2024-02"}
    for key, created in times.items():
        save_run(store, record(key, created=created), {})
    assert [this_record.key for this_record in list_records(store).records] == ["b", "c", "a"]

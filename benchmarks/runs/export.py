"""A finished run as a folder that scores without Upliftlens: JAX programs, arrays, tables of ids, and ``scorer.py``.

A program is ``score(arrays, user i32[B], items i32[B, L], values f32[B, L], positive f32[B, L]) -> f32[B, n_items]``, B
and L fixed, in StableHLO as ``jax.export`` serialises it, for CPU, CUDA and TPU. ``known`` scores the users that
the model was trained on; ``new``, of a model that can, somebody of whom only a history is known. Arrays that a program
does not read (the state of an optimizer, most columns of the log) are left out.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export as jax_export

from upliftlens.benchmarks.evaluation.scoring import Moments, moments, width
from upliftlens.benchmarks.runs.fit import Trained
from upliftlens.benchmarks.runs.opened import Known, Opened
from upliftlens.benchmarks.system.talk import Reporter
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import take
from upliftlens.models.contract import Query

PLATFORMS = ("cpu", "cuda", "tpu")


class _Program(NamedTuple):
    """A serialised program, the ``arrays`` that it is called with, by name, and L."""

    serialised: bytearray
    arrays: Mapping[str, np.ndarray]
    length: int


def export(opened: Opened, folder: Path, batch: int, reporter: Reporter) -> None:
    """Writes the scoring function of a run into a new ``folder``, which is there whole or not at all; ``batch``: B.

    Raises:
        UpliftlensError: for a folder that is not empty or can't be written, or where flatbuffers is not installed.
    """
    if find_spec("flatbuffers") is None:  # jax.export serialises by it
        raise UpliftlensError("an export needs flatbuffers: pip install 'upliftlens[export]'")
    if batch < 1:
        raise UpliftlensError(f"batch={batch}: a program scores at least one user at once")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UpliftlensError(f"{folder} is there and not empty: name a new folder with --out")
    trained = opened.trained(reporter)
    users = np.arange(len(opened.prepared.dataset.users))
    groups = {"known" if known.shown is None else "new": known for known in opened.known(trained, users)}
    told = {kind: _told(opened, trained, kind, groups.get(kind)) for kind in _kinds(trained)}
    programs = {kind: _program(trained, batch, of_kind.length) for kind, of_kind in told.items()}
    part = folder.with_name(f".{folder.name}-{os.getpid()}")
    try:
        part.mkdir(parents=True)
        _write(part, opened, batch, programs, {**_histories(told), **_of_users(groups, len(users))})
        part.rename(folder)
    except OSError as error:
        raise UpliftlensError(f"--out {folder} can't be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _kinds(trained: Trained) -> tuple[str, ...]:
    return ("known",) if trained.method.new_users is None else ("known", "new")


def _told(opened: Opened, trained: Trained, kind: str, group: Known | None) -> Moments:
    """What the model is told of the users of a kind; L of "new" is enough for the longest history it was trained on."""
    data, nobody = trained.data, np.zeros(0, np.int64)
    if kind == "known":
        return moments(trained.method, data, nobody if group is None else group.users, None, None)
    shown = take(data.log, np.zeros(0, np.int64)) if group is None or group.shown is None else group.shown
    users = nobody if group is None else group.users
    told = moments(trained.method, data, users, shown, opened.positive(shown))
    if trained.method.new_users != "all":
        return told
    rows = np.asarray(data.log.user)[np.asarray(data.log.weight) > 0]
    return told._replace(length=max(told.length, width(int(np.bincount(rows).max(initial=1)))))


def _program(trained: Trained, batch: int, length: int) -> _Program:
    """The scoring function for ``batch`` histories of ``length`` interactions, with the arrays that it reads."""
    leaves, tree = jax.tree.flatten(jax.device_put((trained.state, trained.data)))
    shapes: list[tuple[tuple[Any, ...], Any]] = [((batch,), jnp.int32), ((batch, length), jnp.int32)]
    shapes += [((batch, length), jnp.float32)] * 2
    asked = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in shapes]

    def score(arrays: Sequence[Any], *query: Any) -> jax.Array:
        state, data = jax.tree.unflatten(tree, arrays)
        return trained.method.score(state, data, Query(*query))

    traced = jax.make_jaxpr(score)([jax.ShapeDtypeStruct(x.shape, x.dtype) for x in leaves], *asked).jaxpr
    used = {id(read) for equation in traced.eqns for read in equation.invars} | {id(out) for out in traced.outvars}
    places = [place for place, variable in enumerate(traced.invars[: len(leaves)]) if id(variable) in used]

    def score_kept(arrays: Sequence[Any], *query: Any) -> jax.Array:
        filled = list(leaves)  # those that are not read leave no trace in the program
        for place, array in zip(places, arrays, strict=True):
            filled[place] = array
        return score(filled, *query)

    kept = [leaves[place] for place in places]
    structures = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in kept]
    program = jax_export.export(jax.jit(score_kept), platforms=PLATFORMS)(structures, *asked)
    names = [f"array_{place}" for place in places]  # one array that both programs read is stored once
    return _Program(program.serialize(), dict(zip(names, map(np.asarray, kept), strict=True)), length)


def _histories(told: Mapping[str, Moments]) -> dict[str, np.ndarray]:
    """By kind the rows [begin, end) of each user in the columns of what the model is told."""
    return {
        f"{kind}_{name}": np.asarray(getattr(of_kind, name))
        for kind, of_kind in told.items()
        for name in ("begin", "end", "item", "value", "positive")
    }


def _of_users(groups: Mapping[str, Known], n_users: int) -> dict[str, np.ndarray]:
    """``is_new`` bool[U]: not trained on; ``seen_item[seen_begin[u] : seen_begin[u + 1]]``: what no list of u holds."""
    is_new = np.zeros(n_users, bool)
    if "new" in groups:
        is_new[groups["new"].users] = True
    rows = [take(known.seen, np.isin(known.seen.user, known.users)) for known in groups.values()]
    user = np.concatenate([np.asarray(part.user) for part in rows])
    item = np.concatenate([np.asarray(part.item) for part in rows])[np.argsort(user, kind="stable")]
    begin = np.append(0, np.cumsum(np.bincount(user, minlength=n_users)))
    return {"is_new": is_new, "seen_begin": begin, "seen_item": item}


def _write(
    folder: Path, opened: Opened, batch: int, programs: Mapping[str, _Program], arrays: Mapping[str, np.ndarray]
) -> None:
    dataset, record = opened.prepared.dataset, opened.record
    for kind, program in programs.items():
        (folder / f"{kind}.jaxexport").write_bytes(program.serialised)
    read = {name: array for program in programs.values() for name, array in program.arrays.items()}
    with open(folder / "arrays.npz", "wb") as file:
        np.savez(file, allow_pickle=False, **read, **arrays)
    for name, table in (("users", dataset.users), ("items", dataset.items)):
        table[[column for column in ("id", "title") if column in table]].to_csv(folder / f"{name}.csv", index=False)
    about = {
        "run": record.key,
        "data": record.data["name"],
        "model": record.model,
        "liked": float(max(dataset.scale[1], dataset.relevance)),  # the value of an item that somebody new liked
        "versions": {name: version(name) for name in ("upliftlens", "jax")},
        "platforms": PLATFORMS,
        "batch": batch,
        "programs": {
            kind: {"arrays": list(program.arrays), "length": program.length} for kind, program in programs.items()
        },
    }
    (folder / "about.json").write_text(json.dumps(about, indent=1) + "\n")
    (folder / "scorer.py").write_text(Path(__file__).with_name("scorer.py").read_text(encoding="utf-8"))

"""The way of an option's value from the command line to the compiled step: it is never handed up, only given back.

The path of calls to the compiled step passes every room once. `config` lies beside it: `sweeps` asks it for typed
configurations before anything is planned, and nobody asks it again. Hydra is a library here, and so is the shell in
which it finds us: in a sweep it calls the jobs back. The trials of `tune` and the rows of a table are configurations
that `config` changes by values, so there it is asked again for each of them.
"""

import dataclasses
import sys
from collections.abc import Mapping

import pytest
from omegaconf import DictConfig, OmegaConf
from rooms import ROOMS, TOPS

import upliftlens.models.gradient as gradient
from upliftlens.benchmarks.cli.main import main

VALUES = {  # each occurs once only, as text and as a number
    "train.lr": 0.01234, "train.l2": 3.21, "model.dim": 37, "split.seed": 31337, "split.folds": 17, "seed": 271828,
    "propensity.floor": 0.0771, "metrics.interval.level": 0.9137,
}  # fmt: skip
WORDS = (
    *("data=synthetic", "data.n_users=40", "data.n_items=30", "data.ratings_per_user=5", "model=mf", "train.epochs=1"),
    *("objective=ips", "propensity=popularity", "metrics.names=[rmse]", "progress=false"),
)


MAIN = ("cli", "lab", "sweeps", "config", "runs", "training")


def level(top, room):
    """Where a room stands, bottom up (tests/test_structure.py)."""
    return TOPS.index(top), ROOMS[top].split().index(room)


def holds(thing, number, text, depth=6):
    """Whether the value is in a thing, also deep inside of mappings, lists and records."""
    match thing:
        case str():
            return text in thing
        case bool() | None:
            return False
        case int() | float():
            return thing == number
        case DictConfig():
            inside = OmegaConf.to_container(thing, resolve=False).values()
        case Mapping():
            inside = thing.values()
        case list() | tuple():
            inside = thing
        case _ if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
            inside = [getattr(thing, field.name, None) for field in dataclasses.fields(thing)]
        case _:
            return False
    return depth > 0 and any(holds(part, number, text, depth - 1) for part in list(inside)[:200])


def place(frame):
    """(package, room) of a function of ours, or None. A record's own constructor is no step of the way."""
    name = frame.f_globals.get("__name__", "")
    if not name.startswith("upliftlens.") or frame.f_code.co_name in ("__init__", "__post_init__"):
        return None
    return tuple(name.split(".")[1:3])


def callers(frame):
    """The rooms of ours that called a frame, nearest first."""
    while (frame := frame.f_back) is not None:
        if (room := place(frame)) is not None:
            yield room


def without_repeats(rooms):
    return [room for number, room in enumerate(rooms) if not number or room != rooms[number - 1]]


@pytest.fixture(scope="module", params=["run", "sweep"])
def walked(request, tmp_path_factory):
    """By option: the (caller, room) of every call that got its value; the rooms above the compiled step."""
    folder, calls, stacks = tmp_path_factory.mktemp("way"), {name: [] for name in VALUES}, []
    values = {**VALUES, "model.dim": {"run": 37, "sweep": 38}[request.param]}  # else nothing is compiled a second time

    def follow(frame, event, _):
        if event != "call" or (room := place(frame)) is None:
            return
        code = frame.f_code
        if code is gradient._step.__code__:  # it runs while it is compiled
            stacks.append(without_repeats(list(callers(frame))[::-1]))
        count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)
        given = [frame.f_locals[name] for name in code.co_varnames[:count] if name in frame.f_locals]
        for name, value in values.items():
            if holds(given, value, f"{name}={value}"):
                calls[name].append((next(callers(frame), None), room))

    options = [f"{name}={value}" for name, value in values.items()]
    sys.setprofile(follow)
    try:
        assert main([request.param, *WORDS, *options, f"store={folder}", f"cache={folder}/cache"]) == 0
    finally:
        sys.setprofile(None)
    return calls, stacks


def test_the_compiled_step_is_called_through_every_room_once(walked):
    _, stacks = walked
    rooms = [("benchmarks", room) for room in ("cli", "lab", "sweeps", "runs", "training")]
    assert stacks and all(stack == rooms for stack in stacks)


@pytest.mark.parametrize("option", VALUES)
def test_no_room_hands_a_value_up(option, walked):
    """Nor is one entered anew from below: what a call gives back, its caller hands on."""
    calls, _ = walked
    steps = calls[option]
    climbs = {(caller, room) for caller, room in steps if caller is not None and level(*caller) < level(*room)}
    assert not climbs


@pytest.mark.parametrize("option", VALUES)
def test_config_is_passed_once_between_sweeps_and_runs(option, walked):
    """It is entered from `sweeps` alone, and all of that comes before `runs` has met the value."""
    calls, _ = walked
    steps = [(caller and caller[1], room) for caller, (top, room) in calls[option] if room in MAIN]
    entered = without_repeats([(caller, room) for caller, room in steps if caller != room])
    assert entered[:3] == [(None, "cli"), ("cli", "lab"), ("lab", "sweeps")]
    assert entered[3:5] == [("sweeps", "config"), ("sweeps", "runs")]
    assert without_repeats([room for _, room in steps]).count("config") == 1, "visited again, after another room"

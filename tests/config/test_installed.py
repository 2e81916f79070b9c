"""What is installed by other packages: a choice like the built-in ones, or a clear error that names it."""

import re
from importlib import import_module
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
from plugin_sources import DATA, LOSS, METRIC, OBJECTIVE, PROPENSITY, SOLVER, SPLIT, TABLE, WORLD
from shell import TINY, call, records

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.cli.verbs.doctor import _plugins
from upliftlens.benchmarks.config import plugins as registry
from upliftlens.benchmarks.config.choices import groups
from upliftlens.benchmarks.config.compose import configured

PLUGINS = {  # of every group: name, attribute, source, what chooses it, what its configuration then states
    "models": ("shrunken_mean", "model", SOLVER, "model=shrunken_mean", {"shrink": 5.0}),
    "losses": ("doubled", "loss", LOSS, "loss=doubled", {}),
    "objectives": ("scaled", "objective", OBJECTIVE, "objective=scaled", {"factor": 1.0}),
    "propensities": (
        "by_user",
        "kind",
        PROPENSITY,
        "propensity=by_user",
        {"floor": 0.001, "normalise": False, "power": 1.0, "held_out": 0.0, "trim": 0.0},
    ),
    "splits": ("every_nth", "kind", SPLIT, "split=every_nth", {"validation": 0.1, "seed": 0, "n": 4}),
    "data": ("borrowed", "source", DATA, "data=borrowed", {"draw": 0, "span": [1.0, 2.0]}),
    "worlds": ("flat", "source", WORLD, "data=flat", {"p": 0.5}),
    "metrics": ("seven", "metric", METRIC, "metrics.names=[seven]", None),
    "tables": ("tiny", "kind", TABLE, None, None),
}
CHOICES = [group for group, (*_, chosen, _) in PLUGINS.items() if chosen]


def started(store, *words):
    """A run on the tiny world, or on other data where the words choose them; the exit code."""
    elsewhere = any(word.startswith("data=") for word in words)
    tiny = [word for word in TINY if not (elsewhere and word.startswith("data"))]
    return main(["run", *tiny, *words, f"store={store}", f"cache={store}/cache"])


def test_every_group_is_tested_here():
    assert PLUGINS.keys() == registry.GROUPS.keys()


@pytest.mark.parametrize("group", CHOICES)
def test_a_plugin_of_every_group_is_a_choice_with_its_defaults(group, install, tmp_path, capsys):
    name, attribute, text, chosen, options = PLUGINS[group]
    install(group, name, attribute, text)
    assert started(tmp_path, chosen, *([] if group == "models" else ["model=mf"])) == 0
    (record,) = records(tmp_path)
    if options is None:
        assert record["metrics"]["seven"]["value"] == 7.0
    else:
        config = registry.GROUPS[group].config
        assert record["config"][config] == {"name": name, **options}
    capsys.readouterr()
    assert main(["list", {"worlds": "data"}.get(group, group)]) == 0
    assert name in capsys.readouterr().out.split()
    assert _plugins().finding == f"{group}: {name}"


def test_an_installed_world_has_its_propensity_behind_the_door(install, tmp_path):
    install("worlds", "flat", "source", WORLD)
    words = ["data=flat", "data.p=0.125", "split=given", "model=mf", "propensity=oracle", "objective=ips"]
    assert started(tmp_path, *words) == 0
    (record,) = records(tmp_path)
    assert record["diagnostics"]["propensity"]["largest_weight"] == 8


def test_an_installed_table_is_computed_and_listed(install, tmp_path, capsys):
    install("tables", "tiny", "kind", TABLE)
    assert main(["table", "tiny", "number=0.25", "--store", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "**Tiny (number=0.25)**" in shown and "0.250 [0.000, 1.000]" in shown and "- 1 cell" in shown
    assert main(["list"]) == 0
    assert "robustness, same-method, schnabel-1, schnabel-2, surprise-ml-100k, tiny" in capsys.readouterr().out
    assert _plugins().finding == "tables: tiny"


def test_the_definition_of_an_installed_table_is_checked(install, tmp_path, capsys):
    install("tables", "tiny", "kind", TABLE.replace('"title": "Tiny", ', ""))
    assert main(["table", "tiny", "number=1.5", "--store", str(tmp_path)]) == 1
    assert "the table tiny: title is missing" in capsys.readouterr().err
    assert _plugins().state == "broken" and "the table tiny: title is missing" in _plugins().finding
    assert main(["table", "tiny", "number=1.5", "title=Mine", "--store", str(tmp_path)]) == 1
    assert "the table tiny: number must lie in [0, 1], got 1.5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("starts", "line", "expected"),
    [
        ("    return [Cell", '    return [("row", 0.5)]', "cells must give a list of Cell, not [('row', 0.5)]"),
        ("    return [Cell", "    return None", "cells must give a list of Cell, not None"),
        ("    return [f", '    return "a cell"', "remarks must give a list of sentences, not 'a cell'"),
        ("    return [Cell", "    return [1 / 0]", "line 15): ZeroDivisionError: division by zero"),
    ],
)
def test_what_an_installed_table_gives_is_checked(starts, line, expected, install, tmp_path, capsys):
    install("tables", "tiny", "kind", "\n".join(line if old.startswith(starts) else old for old in TABLE.splitlines()))
    assert main(["table", "tiny", "--store", str(tmp_path)]) == 1
    shown = capsys.readouterr().err
    assert "error: the table tiny (" in shown and expected in shown


@pytest.mark.parametrize(
    ("name", "definition", "expected"),
    [
        ("tiny", "3", "the table tiny: its definition must be a mapping, got 3"),
        ("coat", '{"title": "Coat"}', "the table coat of"),
    ],
)
def test_the_name_and_the_kind_of_an_installed_definition_are_checked(name, definition, expected, install, capsys):
    text = TABLE.replace('{"title": "Tiny", "number": 0.5}', definition).replace(
        'TableKind("tiny"', f'TableKind("{name}"'
    )
    install("tables", name, "kind", text)
    assert main(["table", name]) == 1
    assert expected in capsys.readouterr().err
    assert _plugins().state == "broken" and expected in _plugins().finding


def test_a_world_can_not_take_the_name_of_a_data_set(install, capsys):
    install("worlds", "csv", "source", "source = 1")
    assert main(["list", "data"]) == 1
    assert "another entry point has this name: rename or uninstall it" in capsys.readouterr().err


def test_a_kind_of_tables_without_a_definition_is_no_table(install, capsys):
    install("tables", "tiny", "kind", TABLE.replace(', {"title": "Tiny", "number": 0.5}', ""))
    assert main(["table", "tiny"]) == 1
    assert "unknown table 'tiny'" in capsys.readouterr().err


def test_a_plugin_is_listed_with_the_first_sentence_of_its_module(install, capsys):
    install("losses", "doubled", "loss", LOSS)
    assert main(["list", "losses"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.rstrip().endswith("Twice the squared error, of nobody (Nemo 1870)") for line in lines)


def test_the_source_of_an_installed_loss_is_part_of_the_key(install, tmp_path):
    for factor in ("2", "3"):
        install("losses", "doubled", "loss", LOSS.replace("2 *", f"{factor} *"))
        assert call("run", tmp_path, "model=mf", "loss=doubled") == 0
    assert len({record["fit_key"] for record in records(tmp_path)}) == 2


def test_the_source_of_an_installed_metric_is_part_of_the_key(install, tmp_path):
    """Of the run's, and of the fit's where the metric selects; a run that doesn't name it keeps its key."""
    for count in ("7", "7.0"):
        install("metrics", "seven", "metric", METRIC.replace("7 *", f"{count} *"))
        assert call("sweep", tmp_path, "model=mf", "train.monitor=rmse,seven", "metrics.names=[rmse],[seven]") == 0
    first = {key: record["fit_key"] for record in records(tmp_path) if (key := record["key"])}
    fits = [record["fit_key"] for record in records(tmp_path)]
    monitors = [record["config"]["train"]["monitor"] for record in records(tmp_path)]
    assert len(first) == 1 + 2 * 3, "the run that reads rmse alone is the same one"
    assert len({fit for fit, monitor in zip(fits, monitors) if monitor == "rmse"}) == 1
    assert len({fit for fit, monitor in zip(fits, monitors) if monitor == "seven"}) == 2


def test_a_name_that_is_taken_is_refused(install, capsys):
    install("losses", "squared", "loss", LOSS.replace("doubled", "squared"))
    assert main(["run", *TINY, "model=mf"]) == 1
    said = capsys.readouterr().err
    assert "upliftlens.losses: 'squared' (installed_" in said and "another entry point has this name" in said


def test_every_contract_and_config_group_exists():
    for group, kind in registry.GROUPS.items():
        assert kind.config is None or kind.config in groups(), group
        for path in kind.contract:
            module, _, name = path.rpartition(".")
            contract = getattr(import_module(module), name)
            assert f"{contract.__module__}.{contract.__qualname__}" == path
            assert {"name", *kind.calls} <= set(dir(contract)) | {*contract.__annotations__}
        assert registry.names(group), f"no built-in of {group} comes through the door"


def test_contributing_has_a_row_for_every_group():
    """Group, contract and config group stand in the table of extension points as in ``GROUPS``."""
    text = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| `upliftlens\.(\w+)` \| (.*?) \| (.*?) \|", text, re.MULTILINE)
    assert [group for group, *_ in rows] == list(registry.GROUPS)
    for group, config, contract in rows:
        kind = registry.GROUPS[group]
        assert config == ("–" if kind.config is None else f"`{kind.config}=`"), group
        assert re.findall("`(.*?)`", contract) == list(kind.contract), group


def test_an_installed_objective_is_a_choice_with_its_options(install, tmp_path, capsys):
    install("objectives", "scaled", "objective", OBJECTIVE)
    assert call("sweep", tmp_path, "model=mf", "objective=naive,scaled", "train.l2=0") == 0
    assert call("run", tmp_path, "model=mf", "objective=scaled", "objective.factor=3", "train.l2=0") == 0
    naive, plain, scaled = records(tmp_path)
    assert [item["objective"] for item in (naive, plain, scaled)] == ["naive", "scaled", "scaled"]
    assert plain["config"]["objective"] == {"name": "scaled", "factor": 1.0}
    assert plain["epochs"][0]["loss"] == pytest.approx(naive["epochs"][0]["loss"])
    assert scaled["epochs"][0]["loss"] == pytest.approx(3 * naive["epochs"][0]["loss"], rel=0.05)
    capsys.readouterr()
    assert call("run", tmp_path, "model=mf", "objective=scaled", "objective.facto=3") == 1
    assert "did you mean 'factor'" in capsys.readouterr().err


WEIGHED = ("model=additive", "train.optimizer=adam", "objective=ips", "propensity=popularity")


def test_an_installed_split_is_a_choice_and_says_which_parts_have_a_propensity(install, tmp_path, capsys):
    install("splits", "every_nth", "kind", SPLIT)
    assert call("run", tmp_path, *WEIGHED, "split=every_nth") == 0
    assert call("run", tmp_path, *WEIGHED, "split=every_nth", "split.n=6") == 0
    install("splits", "every_nth", "kind", SPLIT.replace("fit=True, validation=True, test=True", ""))
    assert call("run", tmp_path, *WEIGHED, "split=every_nth") == 0
    fourth, sixth, unsaid = records(tmp_path)
    rows = sum(fourth["split"]["leak"][part] for part in ("train", "validation", "test"))
    assert (fourth["split"]["leak"]["test"], sixth["split"]["leak"]["test"]) == (-(-rows // 4), -(-rows // 6))
    assert fourth["config"]["split"] == {"name": "every_nth", "validation": 0.1, "seed": 0, "n": 4}
    assert "rmse/snips" in fourth["metrics"] and fourth["diagnostics"]["monitor"] == "rmse/snips"
    assert "test rows of split=every_nth are no random share" in unsaid["diagnostics"]["absent"]["rmse/snips"]
    assert unsaid["diagnostics"]["monitor"] == "rmse"
    assert unsaid["split"]["leak"] == fourth["split"]["leak"]
    assert unsaid["split"]["fingerprint"] != fourth["split"]["fingerprint"], "other code is another split"
    capsys.readouterr()
    assert call("run", tmp_path, *WEIGHED, "split=every_nth", "propensity=oracle") == 1
    assert "split=every_nth doesn't draw the training rows from it at random" in capsys.readouterr().err
    assert call("run", tmp_path, "split=every_nth", "split.m=6") == 1
    assert "split=every_nth has no 'm': there is: n, name" in capsys.readouterr().err
    assert main(["list", "splits"]) == 0 and "every_nth" in capsys.readouterr().out.split()


def test_an_installed_propensity_is_a_choice_whose_code_is_in_the_key(install, tmp_path, capsys):
    words = ("model=additive", "train.optimizer=adam", "objective=ips", "propensity=by_user")
    install("propensities", "by_user", "kind", PROPENSITY)
    assert call("run", tmp_path, *words) == 0
    assert "propensity by_user: " in (said := capsys.readouterr().err) and "depends on the user only" in said
    assert call("run", tmp_path, *words, "propensity.power=0.5") == 0
    install("propensities", "by_user", "kind", PROPENSITY.replace("0.001", "0.001  # edited"))
    assert call("run", tmp_path, *words) == 0
    plain, root, edited = records(tmp_path)
    assert plain["config"]["propensity"] == {"name": "by_user", **PLUGINS["propensities"][-1]}
    assert len({item["fit_key"] for item in (plain, root, edited)}) == 3
    assert plain["metrics"] == edited["metrics"] != root["metrics"]
    assert plain["diagnostics"]["propensity"]["inverse_ratio"] == pytest.approx(1, abs=0.1)


def test_composing_again_reads_no_metadata_of_packages(monkeypatch):
    configured(["model=mf"])
    read = []
    monkeypatch.setattr(PathDistribution, "read_text", lambda package, name: read.append(name))
    configured(["model=mf"])
    assert not read

"""What is wrong with what other packages install is said in a line or two, with the plugin's name."""

import re

import pytest
from plugin_sources import BACKBONE, DATA, LOSS, METRIC, PROPENSITY, SPLIT, TABLE, WORLD
from shell import TINY, call

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.cli.verbs.doctor import _plugins

DEFAULTS = SPLIT[SPLIT.index("name: str") : SPLIT.index(" = 4") + 4]


@pytest.mark.parametrize(
    ("group", "name", "old", "new", "expected"),
    [
        ("splits", "every_nth", "% options.n == 0", "% options.n", r"held_out must give bool\[\d+\], got int64"),
        ("splits", "every_nth", "Options(SplitOptions)", "Options", "'every_nth': derive Options from SplitOptions"),
        ("splits", "every_nth", DEFAULTS, "n: int", r"give its options defaults \(name, validation, seed, n\)"),
        ("propensities", "by_user", "(PropensityOptions)", "", "'by_user': derive Options from PropensityOptions"),
    ],
)
def test_a_broken_split_or_propensity_is_refused_in_a_sentence(
    group, name, old, new, expected, install, tmp_path, capsys
):
    text = SPLIT if group == "splits" else PROPENSITY
    install(group, name, "kind", text.replace(old, new))
    assert call("run", tmp_path, "model=additive", f"{group.replace('ies', 'y').rstrip('s')}={name}") == 1
    shown = " ".join(capsys.readouterr().err.split())
    assert re.search(expected, shown) and "Traceback" not in shown, shown


@pytest.mark.parametrize(
    ("group", "name", "text", "expected"),
    [
        ("models", "gone", "raise SystemExit(0)", "ends the program (exit code 0) when it is imported"),
        ("models", "gone", "import nowhere_at_all", "No module named 'nowhere_at_all'"),
        ("models", "gone", BACKBONE, "is called 'mine': the entry point and the object need one name"),
        (
            "models",
            "mine",
            BACKBONE.replace("dim: int = 4", "dim: object = jnp"),
            "defaults of its options can't be used",
        ),
        ("objectives", "gone", "model = 1", "is a int: it must be an Objective"),
        ("losses", "gone", "model = 1", "is a int: it must be a Loss"),
        ("losses", "doubled", LOSS.replace("loss =", "model =").replace("score, target:", "score:"), "error is called"),
        ("data", "gone", "model = 1", "is a int: it must be a DataSource"),
        ("data", "borrowed", DATA.replace("source =", "model =").replace("True", "False"), "@dataclass(frozen=True)"),
        (
            "data",
            "borrowed",
            DATA.replace("source =", "model =").replace(' = "borrowed"', ""),
            "give its options defaults (name)",
        ),
        ("data", "borrowed", DATA.replace("source =", "model =").replace('str = "b', 'str = "c'), "make it 'borrowed'"),
        ("worlds", "flat", WORLD.replace("source =", "model =").replace(", say)", ")"), "load is called with"),
        ("worlds", "float", WORLD.replace("source =", "model ="), "is called 'flat': the entry point and the object"),
        ("metrics", "seven", METRIC.replace("metric =", "model =").replace(", cutoff", ""), "sums is called with"),
        *(
            ("metrics", "seven", METRIC.replace("metric =", "model =").replace(right, wrong), expected)
            for right, wrong, expected in (
                ('"pairs"', '"pair"', "evidence must be one of pairs, imputed, ranks,"),
                ('"pooled"', '"median"', "kind must be one of mean, pooled, recomputed, got 'median'"),
                ('"never"', '"no"', "at must be one of required, optional, never, got 'no'"),
                ("True", "1", "higher_is_better must be True or False, got 1"),
                ('"never")', '"never", version="2")', "version must be a whole number, got '2'"),
                ('"never")', '"never", without=2)', "without must be callable as without(sums), got 2"),
                ('Metric("seven"', 'Metric("seven@3"', "letters, digits and any of _ - /, as in"),
            )
        ),
        *(
            ("propensities", "by_user", PROPENSITY.replace("kind =", "model =").replace(right, wrong), expected)
            for right, wrong, expected in (
                ("fit(options, known)", "fit(options)", "fit is called with (options, known)"),
                ("Options, fit)", "Options, fit, take_sample=fit)", "take_sample is called with (dataset, split, "),
                ("Options, fit)", 'Options, fit, whole_log="no")', "whole_log must be True or False, got 'no'"),
            )
        ),
        ("data", "borrowed", DATA.replace("source =", "model =").replace(", make)", ", make, make)"), "read is called"),
        ("tables", "gone", "model = 1", "is a int: it must be a TableKind"),
        ("tables", "tiny", TABLE.replace("kind =", "model =").replace("n, where", "n"), "cells is called with"),
        (
            "tables",
            "tiny",
            TABLE.replace("kind =", "model =").replace("remarks(definition, cells)", "remarks(cells)"),
            "remarks is called with (definition, cells)",
        ),
    ],
)
def test_what_is_wrong_with_an_installed_plugin_is_said(group, name, text, expected, install, tmp_path, capsys):
    assert _plugins().state == "good"
    install(group, name, "model", text)
    assert _plugins().state == "broken" and expected in _plugins().finding
    verb = ["list", "tables"] if group == "tables" else ["run", *TINY, f"store={tmp_path}/runs"]
    assert main(verb) == 1
    shown = capsys.readouterr().err
    assert expected in shown and f"'{name}'" in shown and len(shown.strip().splitlines()) <= 2

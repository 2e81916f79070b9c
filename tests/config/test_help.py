"""Every verb says what it takes, and takes nothing that it does not say."""

import re

import pytest

from upliftlens.benchmarks.cli.main import VERBS, main

HELP = {  # what each verb takes, written down a second time: an option that is lost, or comes undocumented, shows
    "quickstart": "upliftlens run --help",
    "run": "data= model= loss= objective= propensity= train= metrics= seed= store= model.file=",
    "sweep": "data= model= loss= objective= propensity= train= metrics= seed= model.file= incompatible= group=NAME",
    "tune": "budget= tune_seed= model.space",
    "results": "--sort --top --store --cache --where --format --metrics --over",
    "benchmark": "budget= seeds= metric= baseline= margin= space format=",
    "compare": "--store --cache --metric --where --format --baseline --margin METHOD",
    "report": "--store --cache --where --metrics --out",
    "ledger": "--source --format --check",
    "table": "--store --cache --format --run --estimate --out --trace --from --check name KEY=VALUE",
    "effects": "--format --plot OPTION=VALUE",
    "plot": "--store --cache --out --where --x --y kind METHOD",
    "recommend": "--store --cache --user --history -k --format --out run",
    "groups": "--store --cache --by --metrics --where --format",
    "predict": "--store --cache --pairs --out run",
    "export": "--store --cache --out --batch run",
    "data": "list prepare check card save",
    "list": "models losses objectives propensities metrics tables data splits sweeps",
    "doctor": "--store --cache",
}


def helped(words, capsys):
    """What a call for help prints; Hydra returns, argparse leaves."""
    try:
        code = main([*words, "--help"])
    except SystemExit as stop:
        code = stop.code
    assert code in (0, None)
    return capsys.readouterr().out


def offers(shown, word):
    """Whether a help text states ``--option``, ``option=`` (as Hydra does, ``option:`` or ``group:``) or a word."""
    if word.endswith("="):
        name = re.escape(word[:-1])
        return re.search(rf"(^|[\s`[])({name}=|{name}:)", shown, re.MULTILINE)
    return re.search(rf"(^|[^\w-]){re.escape(word)}($|[^\w-])", shown, re.MULTILINE)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb, capsys):
    """Its own name and all that it takes; for verbs with flags, also that no flag is missing above."""
    shown = helped([verb], capsys)
    assert f"upliftlens {verb}" in shown
    assert [word for word in HELP[verb].split() if not offers(shown, word)] == []
    if "usage:" in shown:
        assert set(re.findall(r"(?<!\w)--[a-z-]+", shown)) - {"--help"} <= set(HELP[verb].split())


@pytest.mark.parametrize("action", ["list", "prepare", "check", "card"])
def test_every_action_on_data_has_help(action, capsys):
    shown = helped(["data", action], capsys)
    assert f"upliftlens data {action}" in shown and offers(shown, "--store") and offers(shown, "--cache")
    assert bool(offers(shown, "OPTION=VALUE")) == (action != "list")


@pytest.mark.parametrize("verb", ["run", "sweep"])
def test_help_says_what_the_options_of_the_choices_may_be(verb, capsys):
    words = [verb, "model=ials", "data=grid", "metrics.block=64"]
    values, _, shown = helped(words, capsys).partition("== Allowed values ==")
    assert "\n  levels: [1, 2, 3, 4, 5]\n" in values and "\n  block: 64\n" in values and "hydra:" not in values
    lines = dict(line.split(None, 1) for line in shown.splitlines() if re.match(r"[\w.]+  +\w", line))
    assert lines["model.nu"] == "number, at least 0" and "model.bias_penalty" not in lines
    assert lines["seed"] == "whole number, in [0, 4294967295]"
    assert lines["train.optimizer"] == "adam, adagrad, sgd, lbfgs"
    assert lines["metrics.interval.level"] == "number, in (0, 1)" and "metrics.uplift.chi" not in lines
    assert lines["data.prediction"] == "numbers, in [0, 1]"
    assert lines["data.misspecification"] == "number, in [0, 2], or null"
    assert "bias_penalty" in helped([verb], capsys).partition("== Allowed values ==")[2]


def test_help_beside_a_name_that_does_not_exist_says_so(capsys):
    shown = helped(["run", "objective.name=ipz"], capsys)
    assert "\nunknown objective 'ipz': did you mean 'ips'?" in shown and "data: " in shown


def test_help_shows_no_part_of_a_configuration_as_a_choice(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["run", "--help"])
    assert stop.value.code in (0, None)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("data: ")]
    assert "ml-100k" in line and "_files" not in line

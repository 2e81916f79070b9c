"""``upliftlens list WHAT``: every choice says what it is, and which paper it is from where there is one."""

import re

import pytest

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.cli.verbs.list import CHOICES
from upliftlens.benchmarks.config.choices import about, first_sentence, packaged
from upliftlens.benchmarks.metrics.registry import abouts, registry

PLAIN = {  # those that no paper is cited for
    "model": {"additive", "logged_propensity", "oracle", "popularity", "random"},
    "loss": {"absolute", "logistic", "squared"},
    "objective": {"naive"},
    "propensity": {"constant", "given", "logistic_mf", "none", "oracle"},
}


@pytest.mark.parametrize("group", PLAIN)
def test_every_method_names_its_paper(group):
    without = {name for name in packaged(group) if not re.search(r"\b(19|20)\d\d\b", about(group, name))}
    assert without == PLAIN[group]


@pytest.mark.parametrize("kind", CHOICES)
def test_a_line_for_every_name_says_what_it_is(kind, capsys):
    assert main(["list", kind]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    names = [line.split()[0] for line in lines]
    assert names == sorted(names) and all(len(line.split()) > 2 for line in lines)
    if CHOICES[kind]:
        assert names == packaged(CHOICES[kind])


def test_every_metric_has_a_sentence_from_its_definition_or_its_familys_table():
    texts = abouts()
    assert texts.keys() == registry().keys()
    assert texts["recall"] == "recall@k = h_k / R"
    assert texts["rmse/snips"] == "√(Σ_O (e/p) / Σ_O (1/p))" and texts["mae/dr"].startswith("as rmse/*")
    assert texts["cp/semi"] == "causal precision: mean over users of the mean τ of their first k (Sato et al. 2020)"
    families = ("Metrics of ", "Debiased values of ", "The conventions behind ", "Metrics beyond ")
    assert not [name for name, text in texts.items() if text.startswith(families)]


def test_a_sentence_ends_at_a_stop_before_a_capital_letter():
    assert first_sentence("Of Sato et al. (2020), see\nu.data. No more.") == "Of Sato et al. (2020), see u.data"
    assert first_sentence("Yahoo! R3 is one\n\nAnother paragraph.") == "Yahoo! R3 is one"

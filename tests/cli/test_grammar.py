"""Words that are no options."""

import pytest

from upliftlens.benchmarks.cli.main import main


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "mf"], "mf is no option: write option=value"),
        (["run", "data.separator=,"], "in quotes of its own"),
        (["tune", "--modle=mf"], "--modle=mf is no option: write option=value, without the dashes"),
        (["benchmark", "-k", "model=mf,ease"], "-k is no option"),
        (["sweep", "seed=interval(0,1)"], "interval(…) is no list of values"),
        (["benchmark", "seeds=0,1", "model=mf,ease"], "seeds=0,1 has several values, one is wanted here"),
    ],
)
def test_a_word_that_is_no_option_gets_one_line_that_says_how_to_write_it(words, expected, capsys):
    assert main(words) == 1
    error = capsys.readouterr().err
    assert expected in error and len(error.splitlines()) == 1


def test_two_flags_that_exclude_each_other_are_no_typo(capsys):
    with pytest.raises(SystemExit):
        main(["recommend", "abc", "--user", "1", "--history", "Heat"])
    said = capsys.readouterr().err
    assert "not allowed with argument --user" in said and "did you mean" not in said

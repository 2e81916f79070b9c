"""What is said where a list does not rest on what is known of a user: no training row of the user, or of an item."""

import pytest
from shell import TINY, records

from upliftlens.benchmarks.cli.main import main


@pytest.fixture
def recommend(tmp_path, capsys):
    """What ``recommend`` says, beside its lists, of a run with these options."""

    def say(words, *flags):
        if not records(tmp_path):
            assert main(["run", *words, "model=ease", f"store={tmp_path}", f"cache={tmp_path}/cache"]) == 0, (
                capsys.readouterr().err
            )
        (record,) = records(tmp_path)
        capsys.readouterr()
        assert main(["recommend", record["key"], "--store", str(tmp_path), "--cache", f"{tmp_path}/cache", *flags]) == 0
        return capsys.readouterr().err

    return say


@pytest.fixture
def words(tmp_path):
    """A log of three users, and a test file with a fourth user and a fourth item."""
    for name, text in {
        "train.txt": "ann alien heat\nben heat up\ncem up\n",
        "test.txt": "ann jaws\nzoe alien up\n",
        "items.csv": "id,title\nalien,Alien (1979)\njaws,Jaws (1975)\n",
    }.items():
        (tmp_path / name).write_text(text)
    files = [f"data.train={tmp_path}/train.txt", f"data.test={tmp_path}/test.txt", f"data.items={tmp_path}/items.csv"]
    return ["data=files", *files, "split.validation=0", "metrics.names=[ndcg@5]"]


def test_users_without_a_training_row_are_named(recommend, words, tmp_path):
    said = recommend(words, "--user", "zoe")
    assert "user zoe has no training row: the list does not rest on anything that this user did\n" in said
    assert "no training row" not in recommend(words, "--user", "ann")
    said = recommend(words, "--user", "all", "--out", f"{tmp_path}/lists.csv")
    assert "1 of 4 users have no training row ('zoe'): their lists do not rest on anything that these users did" in said


def test_items_of_a_history_without_a_training_row_are_named(recommend, words):
    said = recommend(words, "--history", "jaws;heat")
    assert "the history names items without a training row, which the list cannot rest on: 'Jaws (1975)'\n" in said
    assert "training row" not in recommend(words, "--history", "alien;heat")


def test_new_users_are_known_by_what_is_shown_of_them(recommend, tmp_path):
    """Of 18 users who are held out; one user has no row at all."""
    words = [*TINY, "data.n_users=60", "data.n_items=40", "split=new_users", "split.share=0.3"]
    said = recommend(words, "--user", "all", "--out", f"{tmp_path}/lists.csv")
    assert "1 of 60 users have no training row ('30')" in said


def test_a_run_of_other_data_or_code_says_which(recommend, words, tmp_path, capsys):
    recommend(words, "--user", "ann")
    (record,) = records(tmp_path)
    ask = ["recommend", record["key"], "--user", "ann", "--store", str(tmp_path), "--cache", f"{tmp_path}/cache"]
    (tmp_path / "train.txt").write_text("ann alien up\nben heat up\ncem up\n")
    assert main(ask) == 1
    assert "was made from other data than files holds now: run it again" in capsys.readouterr().err
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from upliftlens.models.solvers.popularity import model as base\nmodel = base._replace(name='mine')\n"
    )
    assert main(["run", *TINY, f"model.file={plugin}", f"store={tmp_path}/b", f"cache={tmp_path}/cache"]) == 0
    (record,) = records(tmp_path / "b")
    plugin.write_text(plugin.read_text() + "# edited\n")
    capsys.readouterr()
    ask = ["recommend", record["key"], "--user", "1", "--store", f"{tmp_path}/b", "--cache", f"{tmp_path}/cache"]
    assert main(ask) == 1
    assert "a model file of other content, or another version of Upliftlens: run it" in capsys.readouterr().err

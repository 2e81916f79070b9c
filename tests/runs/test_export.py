"""What `upliftlens export` writes scores as the run does, in a process that can't import Upliftlens."""

import json
import subprocess
import sys

import numpy as np
import pytest
from shell import call, records

import upliftlens as ul
from upliftlens.benchmarks.cli.main import main

WITHOUT = """
import sys
sys.path.insert(0, sys.argv[1])
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("upliftlens", "flax", "optax", "pandas", "hydra"):
            raise ImportError(name)
sys.meta_path.insert(0, Refused())
"""
SCORES = f"""{WITHOUT}
import numpy as np
from scorer import Scorer
scorer = Scorer(sys.argv[1])
assert not any(name.startswith("upliftlens") for name in sys.modules)
new = scorer.scores_of(scorer.items[:3]) if "new" in scorer.about["programs"] else np.zeros(0)
best = [item for item, _, _ in scorer.recommend(scorer.users[0], 5)]
np.savez(sys.argv[2], known=scorer.scores(scorer.users), new=new, best=best)
"""
# A table of factors, a network, a matrix of items, factors that are folded in, neighbours among users, counts.
MODELS = ("mf", "mlp", "ease", "ials", "user_knn", "popularity")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    assert call("sweep", folder, f"model={','.join(MODELS)}", "seed=0") == 0
    assert call("run", folder, "model=ease", "split=new_users") == 0
    return folder


def exported(run, folder):
    """The scores of every user, of somebody new, and a list, by the folder alone."""
    run.export(folder, batch=7)
    subprocess.run([sys.executable, "-c", SCORES, str(folder), str(folder) + ".npz"], check=True)
    return np.load(str(folder) + ".npz")


@pytest.mark.parametrize("number", range(len(MODELS) + 1))
def test_an_export_scores_as_the_run_does(number, store, tmp_path):
    record = records(store)[number]
    run = ul.Lab(store, store / "cache").open(record["key"])
    got = exported(run, tmp_path / "out")
    users = list(run._opened.prepared.dataset.users["id"].astype(str))
    np.testing.assert_allclose(got["known"], run.score(users).to_numpy(), atol=1e-6, rtol=1e-6)
    ranked = run.recommend(users[0], 5)
    if ranked["score"].is_unique:  # equal scores have another order
        np.testing.assert_array_equal(got["best"], ranked["item"])
    if got["new"].size:
        items = run._opened.prepared.dataset.items["id"].astype(str)
        of_list = run.recommend(history=list(items[:3]), k=99).set_index("item")["score"]
        np.testing.assert_allclose(got["new"][3:], of_list[items[3:]].to_numpy(), atol=1e-6, rtol=1e-6)
    about = json.loads((tmp_path / "out" / "about.json").read_text())
    assert about["run"] == record["key"] and about["batch"] == 7


def listed(folder, *flags):
    """What the exported script prints."""
    return subprocess.run([sys.executable, folder / "scorer.py", *flags], capture_output=True, text=True)


def test_the_verb_writes_a_folder_that_prints_a_list(store, tmp_path, capsys):
    key = next(record["key"] for record in records(store) if record["model"] == "ease")
    words = ["export", key, "--store", str(store), "--cache", str(store / "cache"), "--out", str(tmp_path / "out")]
    assert main(words) == 0
    printed = listed(tmp_path / "out", "--user", "0", "-k", "3")
    assert printed.returncode == 0 and len(printed.stdout.splitlines()) == 3
    wrong = listed(tmp_path / "out", "--user", "nobody")
    assert wrong.returncode == 1 and "unknown user 'nobody': users.csv lists them" in wrong.stderr
    assert main(words) == 1
    assert "is there and not empty: name a new folder" in capsys.readouterr().err
    assert main([*words[:-1], "/proc/nowhere/out"]) == 1
    assert "can't be written" in capsys.readouterr().err
    assert main([*words[:-1], str(tmp_path / "other"), "--batch", "0"]) == 1
    assert "at least one user" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"], "no part is left behind"

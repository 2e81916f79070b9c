"""Effects simulated beside a test on plain ratings: in a world that does not know the test rows, or in none."""

import numpy as np
import pytest
from shell import records

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.worlds.frozen import VERSION, memorised
from upliftlens.causal.interactions import interactions

WORLD = ("metrics=uplift_semi", "metrics.world.per_user=6", "metrics.interval.resamples=50", "split.folds=3")


def run(folder, *options, words):
    return main(["run", *words, *options, f"store={folder}", f"cache={folder}/cache"])


@pytest.fixture(scope="module")
def rated(tmp_path_factory):
    """Two kinds of users, who mostly watch two kinds of items; all models measured in the world of the split."""
    folder, rng = tmp_path_factory.mktemp("rated"), np.random.default_rng(0)
    alike = (np.arange(200)[:, None] + np.arange(60)) % 2 == 0
    users, items = np.nonzero(rng.random(alike.shape) < np.where(alike, 0.5, 0.02))
    lines = [f"{user},{item},{rng.integers(1, 6)}" for user, item in zip(users, items, strict=True)]
    (folder / "log.csv").write_text("\n".join(["user,item,rating", *lines]))
    words = ["data=csv", f"data.path={folder}/log.csv", "progress=false", *WORLD]
    words += ["metrics.world.ratings.dim=4", "metrics.world.ratings.steps=4000"]
    words += [f"metrics.world.watched.{option}" for option in ("dim=2", "rate=0.03", "steps=320000")]
    assert main(["sweep", *words, "model=random,popularity,oracle", f"store={folder}", f"cache={folder}/cache"]) == 0
    return folder, words


def test_a_world_fitted_without_the_test_rows_stands_beside_the_accuracy_of_plain_ratings(rated):
    folder, words = rated
    (world,) = (folder / "cache" / "worlds").glob("*.npz")
    with np.load(world) as file:
        tau = 1 / (1 + np.exp(5.0 - file["ratings"])) - file["watched"]
    values, worlds = {}, set()
    for record in records(folder):
        worlds.add(tuple(record["diagnostics"]["semi_world"].items()))
        assert {"cp@10/semi", "cp@100/semi", "cdcg/semi", "recall@10"} <= set(record["metrics"])
        semi = record["metrics"]["cp@10/semi"]
        assert tau.min() < semi["lo"] <= semi["value"] <= semi["hi"] < tau.max()
        values[record["model"]] = semi["value"]
    assert values["oracle"] > max(values["random"], values["popularity"]), "the best that a list can reach"
    ((version, (_, effects)),) = worlds
    assert version == ("version", VERSION) and len(effects) == 16, "all name the same world"
    before = world.stat().st_mtime_ns
    assert run(folder, "model=additive", "train.optimizer=adam", "train.epochs=1", words=words) == 0
    assert world.stat().st_mtime_ns == before
    assert run(folder, "model=popularity", "split.fold=1", words=words) == 0
    assert len(list((folder / "cache" / "worlds").glob("*.npz"))) == 2, "another split, another world"
    assert records(folder)[-1]["diagnostics"]["semi_world"]["effects"] != effects


def test_a_world_that_learned_the_ratings_by_heart_is_refused(rated, capsys):
    folder, words = rated
    capsys.readouterr()
    by_heart = ["metrics.world.watched.dim=16", "metrics.world.watched.rate=0.1"]
    assert run(folder, "model=popularity", *by_heart, words=words) == 0
    assert "no cp@10/semi, cp@100/semi, cdcg/semi" in (shown := capsys.readouterr().err)
    assert "of these ratings is refused: " in shown
    assert run(folder, "model=popularity", "metrics.world.watched.steps=100", words=words) == 0
    assert "is no better than activity × popularity" in capsys.readouterr().err
    assert run(folder, "model=oracle", "metrics.world.watched.steps=100", words=words) == 1
    assert "ranks by effects that are not known: the semi-synthetic world" in capsys.readouterr().err
    assert all(not any("/semi" in name for name in record["metrics"]) for record in records(folder)[-2:])
    assert all("semi_world" not in record["diagnostics"] for record in records(folder)[-2:])


def test_the_gates_of_a_world_by_hand():
    def log(pairs):
        users, items = np.array(pairs).T
        return interactions(users, items, np.ones(len(pairs)), 4, 4)

    fitted, test = log([(u, u) for u in range(4)]), log([(u, (u + 1) % 4) for u in range(4)])
    know = np.full((4, 4), 0.1, np.float32)
    know[np.arange(4), np.arange(4)] = know[np.arange(4), (np.arange(4) + 1) % 4] = 0.9
    assert memorised(know, fitted, test) == ""
    for share in (0.0, 0.012, 0.25, 0.5, 1.0):
        flat = np.full((4, 4), share, np.float32)  # it knows nothing
        assert "is no better than activity × popularity" in memorised(flat, fitted, test)
    assert "no tested cell is new to it" in memorised(know, fitted, fitted)


def test_a_gap_between_fitted_and_tested_cells_is_a_fit_by_heart():
    n, users = 10, np.arange(10)
    fitted, test = (interactions(users, (users + step) % n, np.ones(n), n, n) for step in (0, 1))
    watched = np.full((n, n), 0.02, np.float32)
    watched[users, users], watched[users, (users + 1) % n] = 0.95, 0.4
    assert memorised(watched, fitted, test) == ""
    watched[users[:8], (users[:8] + 2) % n] = 0.45  # a tenth of the empty cells
    assert "AUC is 1.000 on the cells that it was fitted to and 0.900 on held-out ones" in memorised(
        watched, fitted, test
    )

"""Runs of every kind, by name: what the command line is given. Their keys are pinned in ``pinned_keys.json``."""

from pathlib import Path

import numpy as np
from plugin_sources import BACKBONE, SOLVER

WORLD = ("data=synthetic", "data.n_users=40", "data.n_items=30", "data.ratings_per_user=8", "data.test_per_user=4")
UPLIFT = ("data=uplift-synthetic", "data.n_users=30", "data.n_items=20", "data.per_user=4")
GRID = ("data=grid", "data.n_users=40", "data.n_items=30", "data.test_per_user=5")
IPS = ("objective=ips", "propensity=popularity")

RUNS: dict[str, tuple[str, ...]] = {
    **{
        f"model {name}": (*WORLD, f"model={name}") for name in ("random", "popularity", "additive", "mf", "mf_features")
    },
    **{f"model {name}": (*WORLD, f"model={name}") for name in ("mlp", "two_tower", "ials", "ease", "item_knn")},
    **{f"model {name}": (*UPLIFT, f"model={name}") for name in ("cubn", "cibn", "logged_propensity", "oracle")},
    **{f"loss {name}": (*WORLD, f"loss={name}") for name in ("absolute", "logistic", "bpr")},
    **{
        f"objective {name}": (*WORLD, f"objective={name}", "propensity=popularity")
        for name in ("ips", "snips", "eib", "dr", "dr_jl", "mrdr", "stable_dr")
    },
    "objective cvib": (*WORLD, "objective=cvib", "loss=logistic"),
    "objective escm2_dr": (*WORLD, "objective=escm2_dr", "model=mlp", "loss=logistic"),
    **{
        f"objective {name}": (*WORLD, f"objective={name}", *more)
        for name, more in {
            "rel_mf": ("loss=logistic", "propensity=popularity"),
            "ubpr": ("loss=bpr", "propensity=popularity"),
            "macr": ("loss=logistic", "model=mlp"),
        }.items()
    },
    **{
        f"objective {name}": (*UPLIFT, f"objective={name}")
        for name in ("dlce", "blce", "dlto", "ulbpr", "ulrmf", "s_learner", "t_learner", "dr_learner")
    },
    **{
        f"propensity {name}": (*WORLD, "objective=ips", f"propensity={name}")
        for name in ("constant", "logistic", "logistic_mf", "oracle")
    },
    "propensity naive_bayes": (*WORLD, "objective=ips", "propensity=naive_bayes", "split=given"),
    "propensity given": (*WORLD, "data.misspecification=0.3", "objective=ips", "propensity=given"),
    "propensity of metrics only": (*WORLD, "propensity=popularity", "metrics.names=[rmse,rmse/ips,rmse/snips,rmse/dr]"),
    **{f"split {name}": (*WORLD, f"split={name}") for name in ("leave_last", "temporal", "given")},
    "split new_users": (*WORLD, "split=new_users", "model=ease"),
    "split temporal, each moment": (*WORLD, "split=temporal", "split.moments=each", "model=item_knn"),
    "split files": (
        "data=files",
        "data.train=train.txt",
        "data.test=test.txt",
        "data.layout=adjacency",
        "split=files",
        "model=ease",
    ),
    "model user_knn": (*WORLD, "model=user_knn", "model.history=graded"),
    "model rp3beta": (*WORLD, "model=rp3beta"),
    **{
        f"model {name}": (*WORLD, f"model={name}")
        for name in ("normal", "baseline", "knn_baseline", "nmf", "svd", "svdpp")
    },
    "objective stable_dr_given": (*WORLD, "objective=stable_dr_given", "propensity=popularity"),
    "objective escm2_dr_given": (
        *WORLD,
        "objective=escm2_dr_given",
        "model=mlp",
        "loss=logistic",
        "propensity=popularity",
    ),
    "data csv, tables": ("data=csv", "data.path=ratings.csv", "data.items=films.csv", "model=two_tower"),
    "metrics uplift, all candidates": (*UPLIFT, "model=ials", "metrics=uplift", "metrics.uplift.candidates=all"),
    "split kfold, other fold": (*WORLD, "split.fold=3", "split.seed=7"),
    "data grid": (*GRID, *IPS),
    "data uplift-synthetic": (*UPLIFT, "loss=bpr"),
    "data csv": ("data=csv", "data.path=ratings.csv"),
    "data csv, filtered": ("data=csv", "data.path=ratings.csv", "data.filter.user_core=6", "data.relevance=3"),
    "data recbole": ("data=recbole", "data.path=toy.inter", "model=two_tower"),
    "data uplift-log": ("data=uplift-log", "data.path=log.csv", "objective=ulrmf"),
    "data uplift-log, estimated": (
        "data=uplift-log",
        "data.path=log.csv",
        "data.columns.propensity=null",
        "objective=ulrmf",
    ),
    "data coat": ("data=coat", "data.path=coat", "propensity=given", "objective=ips", "split=given"),
    "trial": (*WORLD, "trial=true", "train.lr=0.02", "model.dim=4"),
    "trial of a solver": (*WORLD, "trial=true", "model=ials", "model.dim=4"),
    "trial, weighed": (*WORLD, "trial=true", *IPS, "train.monitor=rmse/snips"),
    "monitor debiased": (*WORLD, *IPS, "train.monitor=rmse/dr"),
    "options of training": (*WORLD, "train.optimizer=sgd", "train.layout=pairs", "train.batch_size=64", "seed=3"),
    "metrics uplift": (*UPLIFT, "model=ials", "metrics=uplift", "metrics.uplift.chi=0.02"),
    "metrics uplift_semi": (*WORLD, "metrics=uplift_semi"),
    "plugin backbone": (*WORLD, "model.file=backbone.py", "model.dim=3", "loss=logistic"),
    "plugin solver": (*WORLD, "model.file=solver.py"),
}

REAL: dict[str, tuple[str, ...]] = {
    "ml-100k": ("data=ml-100k",),
    "ml-100k u1": ("data=ml-100k", "split=u1", *IPS),
    "ml-100k ua": ("data=ml-100k", "split=ua", "model=ials"),
    "ml-100k leave_last": ("data=ml-100k", "split=leave_last", "model=mlp", "loss=bpr"),
    "ml-100k temporal": ("data=ml-100k", "split=temporal", "model=ease"),
}
"""Of real data, which take longer to read."""


def write_files(folder: Path) -> None:
    """What the runs read: files of ratings, of recommendations, a folder in Coat's layout, two plugins."""
    rng = np.random.default_rng(0)
    rated = [(u, i, int(rng.integers(1, 6)), 1000 + 7 * u + i) for u in range(20) for i in rng.permutation(15)[:8]]
    lines = [f"u{u},i{i},{r},{t}" for u, i, r, t in rated]
    (folder / "ratings.csv").write_text("\n".join(["user,item,rating,time", *lines]) + "\n")
    lines = [f"{u}\t{i}\t{r}\t{t}" for u, i, r, t in rated]
    head = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    (folder / "toy.inter").write_text("\n".join([head, *lines]) + "\n")
    users = [f"{u}\t{'FM'[u % 2]}\t{20 + u}" for u in range(20)]
    (folder / "toy.user").write_text("\n".join(["user_id:token\tgender:token\tage:float", *users]) + "\n")
    logged = []
    for u in range(25):
        for i in rng.permutation(15)[:12]:
            e = round(0.2 + 0.05 * (u % 5) + 0.02 * int(i), 4)
            z = int(rng.random() < e)
            logged.append(f"u{u},i{i},{z},{int(rng.random() < 0.2 + 0.3 * z)},{e}")
    (folder / "log.csv").write_text("\n".join(["user,item,treated,outcome,propensity", *logged]) + "\n")
    coat = folder / "coat"
    coat.mkdir()
    seen = rng.random((12, 10)) < 0.5
    for name, chosen in (("train", seen), ("test", rng.random((12, 10)) < 0.4)):
        np.savetxt(
            coat / f"{name}.ascii",
            np.where(chosen & (seen == (name == "train")), rng.integers(1, 6, (12, 10)), 0),
            "%d",
        )
    np.savetxt(coat / "propensities.ascii", np.where(seen, 0.6, 0.4), "%.2f")
    (folder / "backbone.py").write_text(BACKBONE)
    (folder / "solver.py").write_text(SOLVER)
    for name, rows in (("train", rated[::2]), ("test", rated[1::2])):
        lists = [" ".join(str(i) for u, i, _, _ in rows if u == user) for user in range(20)]
        (folder / f"{name}.txt").write_text("".join(f"{user} {items}\n" for user, items in enumerate(lists)))
    films = [f"i{i},Film {i},{'ab'[i % 2]},{1990 + i}" for i in range(15)]
    (folder / "films.csv").write_text("\n".join(["item,title,genre,year", *films]) + "\n")

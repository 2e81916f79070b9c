"""Every verb as a new user would call it, with its help and with typos."""

import json
import subprocess
import sys
from contextlib import nullcontext

import pytest
from shell import TINY, call, records

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.config.compose import configured
from upliftlens.benchmarks.runs.plan import plan
from upliftlens.benchmarks.runs.tracking import Tracker
from upliftlens.causal.errors import UpliftlensError


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with one finished run of mf and one of popularity."""
    path = tmp_path_factory.mktemp("cli") / "runs"
    assert call("sweep", path, "model=mf,popularity", "model.space=null") == 0
    return path


def reading(verb, store, *words):
    return main([verb, *words, "--store", str(store)])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["rnu"], "unknown verb 'rnu': did you mean 'run'?"),
        (["run", "model=mff"], "unknown model choice 'mff': did you mean 'mf'?"),
        (["run", "data=ml100k"], "did you mean 'ml-100k'?"),
        (["run", "model=mf", "model.dmi=8"], "did you mean 'dim'?"),
        (["run", "trainn.lr=8"], "did you mean 'train'?"),
        (["run", "model.dim=many"], "model.dim must be a whole number, got many"),
        (["run", "train.lr=0"], "train.lr must be above 0"),
        (["run", "train.monitor=rsme"], "did you mean 'rmse'?"),
        (["run", "seed=-1"], "seed must lie in [0, 4294967295], got -1"),
        (["run", "model.dim=0"], "model.dim must be at least 1, got 0"),
        (["run", "model=mlp", "model.dropout=1.0"], "dropout must lie in [0, 1)"),
        (["run", "model=ials", "model.cg_steps=0"], "cg_steps must be at least 1"),
        (["run", "metrics.block=0"], "metrics.block must be at least 1"),
        (["run", "metrics.interval.level=2"], "metrics.interval.level must lie in (0, 1), got 2"),
        (["run", "train.optimizer=adm"], "did you mean 'adam'?"),
        (["run", "loss=bpr", "train.optimizer=lbfgs"], "negatives anew: use train.optimizer=adam"),
        (["run", "loss=bprr"], "did you mean 'bpr'?"),
        (["run", "metrics.names=[recal@10]"], "unknown metric 'recal': did you mean 'recall'?"),
        (["run", "metrics.names=[recall]"], "needs a cut-off"),
        (["run", "split.name=kfolds"], "did you mean 'kfold'?"),
        (["run", "split=u1"], "ml-100k"),
        (["run", "~model"], "a run needs a choice of model"),
        (["run", "model=null"], "a run needs a choice of model"),
        (["run", "~model.name"], "states no model.name"),
        (["run", "data=_files"], "unknown data choice '_files'"),
        (["run", "store="], "store= is empty"),
        (["sweep", "cache=' '"], "cache= is empty: name a path"),
        (
            ["run", "metrics.names=[]"],
            "metrics.names is empty, so there would be nothing to compute: name at least one",
        ),
        (["run", "metrics.names=[recall@5,rmse,recall@5]"], "metrics.names lists recall@5 more than once"),
        (["run", "split.fold=5"], "split.fold=5 is out of range"),
        (["run", "split.folds=100000000"], "split.folds=100000000 is more than synthetic's"),
        (["run", "sweep=quickstart"], "`upliftlens sweep sweep=quickstart`"),
        (["run", "model=mf,mlp"], "one is wanted here: `upliftlens sweep` takes several"),
        (["run", "objective=escm2_dr", "model=mlp"], "no sense with loss=squared: use loss=logistic"),
        (["run", "objective=escm2_dr", "loss=logistic"], "needs embed, tower of the model's module"),
        (["run", "train.layout=tiles", "model=mlp"], "train.layout=tiles needs score_all"),
        (["run", "data.feedback=implicit"], "positives only"),
        (["run", "data.feedback=implicit", "objective=ips", "propensity=popularity"], "positives only"),
        (["run", "model.file=nowhere.py"], "nowhere.py: there is no such file"),
        (["sweep", "model=mf,mff"], "did you mean 'mf'?"),
        (["sweep", "seed=0,x"], "seed"),
        (["tune", "model=popularity"], "no search space"),
        (["tune", "model=mf", "budget=0"], "budget must be at least 1, got 0"),
        (["tune", "model=mf", "budget=null"], "budget must be a whole number, got null"),
        (["tune", "model=mf", "trial=true"], "trial=true is for a search to set"),
        (["tune", "model=mf", "model.space={dim:3}"], "must state choices, or low and high"),
        (["tune", "model=mf", "model.space={dim:{choices:[]}}"], "at least one value"),
        (["tune", "model=mf", "model.space={train.lr:{low:0,high:1,log:true}}"], "low must be above 0"),
        (["tune", "model=mf", "model.space=3"], "must be a mapping"),
        (["data", "card", "ml-100"], "did you mean 'ml-100k'?"),
        (["list", "model"], "did you mean 'models'?"),
    ],
)
def test_typos_get_one_or_two_lines_that_name_the_fix(words, expected, tmp_path, capsys):
    compute = words[0] in ("run", "sweep", "tune")
    code = main([words[0], *([*TINY, f"store={tmp_path}"] if compute else []), *words[1:]])
    shown = capsys.readouterr().err.strip()
    assert code == 1
    assert expected in shown
    assert len(shown.splitlines()) <= 2 and "Traceback" not in shown
    assert not list(tmp_path.glob("runs/*"))


def test_flags_that_do_not_exist_are_usage_errors(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["results", "--formt", "json"])
    assert stop.value.code == 2
    assert "--formt json: did you mean '--format'?" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["data", "list", "--chace", "x"])
    assert "did you mean '--cache'?" in capsys.readouterr().err


def test_losses_that_see_what_was_not_observed_take_implicit_data():
    for words in (["loss=bpr"], ["loss=logistic", "objective=rel_mf", "propensity=popularity"], ["model=ials"]):
        assert plan(configured(["data.feedback=implicit", *words])).data.feedback == "implicit"


def test_output_that_cannot_be_written_is_said(store):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "upliftlens.benchmarks.cli", "results", "--store", str(store)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: the output can't be written: No space left on device"


def test_results_in_every_format(store, capsys):
    for form in ("table", "md", "csv"):
        assert reading("results", store, "--format", form) == 0
        assert "popularity" in capsys.readouterr().out
    assert reading("results", store, "--where", "model=mf", "--format", "json") == 0
    (record,) = json.loads(capsys.readouterr().out)
    whence = {"key", "status", "config", "data", "split", "model", "loss", "objective", "seed", "environment"}
    assert whence | {"timing"} <= set(record)
    assert set(record["metrics"]["rmse"]) == {"value", "lo", "hi", "n"}
    assert record["metrics"]["rmse"]["lo"] <= record["metrics"]["rmse"]["value"] <= record["metrics"]["rmse"]["hi"]
    assert {"prepare", "compile", "train", "evaluate"} <= set(record["timing"])
    assert record["environment"]["packages"]["jax"] and record["peak_memory"] > 10**7


def test_results_of_an_empty_store_and_of_unknown_fields(store, tmp_path, capsys):
    assert reading("results", tmp_path) == 0
    assert "upliftlens run" in capsys.readouterr().err
    for words in (("--where", "modle=mf"), ("--over", "modle")):
        assert reading("results", store, *words) == 1
        assert "did you mean 'model'" in capsys.readouterr().err
    assert reading("results", store, "--where", "model=mff") == 0
    assert "No run has model=mff: did you mean 'mf'?" in capsys.readouterr().err
    assert reading("compare", store, "mf", "popularity", "--where", "model=mff") == 1
    assert "did you mean 'mf'?" in capsys.readouterr().err


def test_a_model_that_ranks_has_no_rmse_and_says_why(store):
    (popularity,) = [record for record in records(store) if record["model"] == "popularity"]
    assert "rmse" not in popularity["metrics"] and "rmse" in popularity["diagnostics"]["absent"]
    assert popularity["loss"] is None


def test_recommend_excludes_what_the_run_was_fitted_on_and_nothing_else(store, capsys):
    key = next(record["key"] for record in records(store) if record["model"] == "mf")
    flags = ("--user", "3", "-k", "50", "--format", "json", "--cache", str(store / "cache"))
    assert reading("recommend", store, key[:6], *flags) == 0
    lines = json.loads(capsys.readouterr().out)
    scores = [line["score"] for line in lines]
    assert scores == sorted(scores, reverse=True) and len({line["item"] for line in lines}) == len(lines) < 30
    from upliftlens.benchmarks.config.sections import configuration_of
    from upliftlens.benchmarks.runs.plan import plan
    from upliftlens.benchmarks.runs.prepare import prepare
    from upliftlens.benchmarks.system.talk import quiet

    config = next(record["config"] for record in records(store) if record["model"] == "mf")
    parts = prepare(plan(configuration_of(config)), quiet).split
    seen = {int(item) for part in (parts.train, parts.validation) for item in part.item[part.user == 3]}
    assert seen and len(lines) == 30 - len(seen)
    shown = {int(line["item"]) for line in lines}
    assert not seen & shown and {*parts.test.item[parts.test.user == 3].tolist()} <= shown | seen


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["zzz", "--user", "3"], "unknown run"),
        (["{key}", "--user", "ann"], "no user 'ann'"),
        (["{key}", "--user", "3", "-k", "0"], "k=0: ask"),
        (
            ["{key}", "--history", "3;4"],
            "model=mf has no score for users whom it was not trained on",
        ),
        (["{key}", "--history", "3;none"], "synthetic has no item 'none'"),
        (["{key}", "--history", " ; "], "the history names no item"),
        (["{key}", "--history", "3;3"], "names '3' twice"),
    ],
)
def test_recommend_says_what_is_wrong(words, expected, store, capsys):
    key = next(record["key"] for record in records(store) if record["model"] == "mf")
    assert reading("recommend", store, *[word.format(key=key) for word in words], "--cache", str(store / "cache")) == 1
    assert expected in capsys.readouterr().err


def test_compare_pairs_the_runs(store, capsys):
    assert reading("compare", store, "mf", "popularity", "--metric", "ndcg@10", "--format", "json") == 0
    content = json.loads(capsys.readouterr().out)
    by_model = {record["model"]: record["metrics"]["ndcg@10"]["value"] for record in records(store)}
    assert content["difference"] == pytest.approx(by_model["mf"] - by_model["popularity"])
    assert content["lo"] <= content["difference"] <= content["hi"]
    assert (content["about"], content["better"]) == ("fits", "undecided"), "one run of mf, which the seed changes"
    assert reading("compare", store, "mf", "popularity", "--metric", "ndcg@10") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert content["verdict"] in shown and "what other seeds would give, one run can't say" in shown
    assert "p: how often chance alone" in shown and "effect size: the difference" in shown
    flags = {record["model"]: record["diagnostics"]["random"] for record in records(store)}
    assert flags["mf"] is True and flags["popularity"] is False
    assert reading("compare", store, "mf", "poplarity") == 1
    assert "did you mean 'popularity'" in capsys.readouterr().err


def test_lists(capsys):
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    for name in ("two_tower", "bpr", "naive", "ndcg", "ml-25m", "leave_last", "quickstart"):
        assert name in shown
    assert main(["list", "models"]) == 0
    assert "ials" in capsys.readouterr().out.split()


def test_data_verbs_on_a_file_of_ones_own(tmp_path, capsys):
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("user,item,rating\n" + "".join(f"u{k % 7},i{k % 11},{1 + k % 5}\n" for k in range(77)))
    bad.write_text("user,item,rating\nu1,i1,4\nu1,i2,high\n")
    assert main(["data", "check", str(good)]) == 0
    assert "no problems" in capsys.readouterr().out
    assert main(["data", "check", str(bad)]) == 1
    shown = capsys.readouterr()
    assert "bad.csv" in shown.out and "3" in shown.out and "high" in shown.out
    assert main(["data", "card", "csv", f"data.path={good}"]) == 0
    assert "77" in capsys.readouterr().out
    assert main(["data", "prepare", "synthetic", "data.n_users=90", "data.n_items=200"]) == 0
    assert main(["data", "list"]) == 0
    assert "yahoo-r3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "=3"], "=3 names no option"),
        (["sweep", "seed=range(0,3,0)"], "arg 3 must not be zero"),
        (["sweep", "seed=range(0,0)"], "holds no value, so nothing would run"),
        (["sweep", "seed=range(0,1000000000)"], "more than 100,000 jobs"),
        (["run", f"model={'a' * 100_000}"], "unknown model choice 'aaaa"),
        (
            ["run", "model=ials", "loss=bpr", "train.lr=1"],
            "model=ials learns by a rule of its own and does not read loss",
        ),
        (["tune", "model=ials", "objective=ips"], "does not read objective: leave that out"),
        (["tune", "+model.space={split.seed:{choices:[0,1]}}"], "trials must share their data, split and criterion"),
        (["tune", "+model.space={train.monitor:{choices:[rmse]}}"], "model.space names train.monitor"),
        (["tune", "+model.space={train.lrr:{choices:[1]}}"], "train has no 'lrr': did you mean 'lr'"),
        (["run", "metrics.names=[[rmse]]"], "metrics.names[0] must be text, got ['rmse']"),
        (["run", "metrics.interval.resamples=1"], "resamples must be at least 40"),
        (["run", "data.n_users=100000000000"], "GiB are free: choose a smaller data.n_users"),
    ],
)
def test_what_hydra_would_stumble_over_is_an_error_of_a_line(words, message, tmp_path, capsys):
    assert main([*words, f"store={tmp_path}/runs"]) == 1
    said = capsys.readouterr().err
    assert message in said and len(said) < 1000 and not records(tmp_path / "runs")


def test_a_run_that_measures_nothing_fails_with_the_reason(tmp_path, capsys):
    assert call("run", tmp_path, "model=popularity", "metrics.names=[rmse]") == 1
    said = capsys.readouterr().err
    assert "nothing could be measured. rmse: rmse is for methods that predict a rating" in said
    assert [record["status"] for record in records(tmp_path)] == ["failed"]


def test_a_finished_run_is_found_in_a_store_that_can_not_be_written(tmp_path, monkeypatch, capsys):
    assert call("run", tmp_path, "model=popularity") == 0

    def full(root):
        raise UpliftlensError(f"the results folder {root} is on a full disk")

    monkeypatch.setattr("upliftlens.benchmarks.runs.store.open_store", full)
    assert call("run", tmp_path, "model=popularity") == 0
    assert "(found)" in capsys.readouterr().err
    for words in ([f"store={tmp_path}", "model=random"], [f"store={tmp_path}/new", "model=popularity"]):
        assert main(["run", *TINY, f"cache={tmp_path}/cache", *words]) == 1
        assert "is on a full disk" in capsys.readouterr().err


def test_a_run_that_could_not_be_stored_is_no_finished_run_for_its_tracker(tmp_path, monkeypatch, capsys):
    ended = []

    class Recorder(Tracker):
        def finish(self, record):
            ended.append(record.status)

    def full(*_):
        raise UpliftlensError("the disk is full")

    monkeypatch.setattr("upliftlens.benchmarks.runs.run.track", lambda *_: nullcontext(Recorder()))
    assert call("run", tmp_path, "model=popularity") == 0
    for name in ("save_run", "save_failure"):
        monkeypatch.setattr(f"upliftlens.benchmarks.runs.store.{name}", full)
    assert call("run", tmp_path, "model=random") == 1
    assert ended == ["done", "failed"] and "the disk is full" in capsys.readouterr().err

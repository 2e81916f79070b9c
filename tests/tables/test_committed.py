"""Committed tables: written, traced to commands that repeat their runs, and checked; one changed digit is noticed."""

import json
import shlex
import shutil

import pytest
from test_tables import WORLD

from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.config.plugins import entry
from upliftlens.benchmarks.runs.store import Store, load_record
from upliftlens.benchmarks.tables import table as tables
from upliftlens.benchmarks.tables.committed import check as checks
from upliftlens.benchmarks.tables.committed import files as commits
from upliftlens.benchmarks.tables.committed.files import read
from upliftlens.benchmarks.tables.run import fits

CHANGES = {
    "common": [*WORLD, "split=given", "propensity=oracle", "train.optimizer=adam", "metrics.interval.resamples=40"],
    "budgets": {"": 2}, "refining": 0, "validation_seeds": [0], "seeds": [0, 1], "objectives": ["naive", "ips"],
    "interval": {"level": 0.95, "resamples": 100, "seed": 0}, "backbones": ["mf"], "compared": ["mse"],
    "blocks": {"": [], "other/": ["data.draw=1"]},
    "training": {
        "ratings": {
            "options": ["loss=squared", "train.epochs=3"], "columns": {"mse": "mse", "ndcg@5": "ndcg@5/test-items"},
        },
    },
    "backbone": {"mf": {"options": ["model=additive"], "space": {"train.l2": {"choices": [0.5]}}}},
}  # fmt: skip
WORDS = [f"{key}={json.dumps(value)}" for key, value in CHANGES.items()]


def table(folder, *words):
    """The exit code of the verb on the small table, with a store below a folder."""
    return main(["table", "coat", *words, "--store", str(folder / "store"), "--cache", str(folder / "cache")])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("committed")
    assert table(folder, *WORDS, "--out", str(folder / "results")) == 0
    return folder


@pytest.fixture
def copy(made, tmp_path):
    """A copy of the committed files, to be changed."""
    return shutil.copytree(made / "results", tmp_path / "results")


def checked(folder, *words):
    return main(["table", "--check", str(folder), *words])


def test_what_is_committed_is_right_and_small(made, capsys):
    assert checked(made / "results") == 0
    said = capsys.readouterr().out
    assert "10 cells follow from 8 runs, whose keys are those of today's code; not verified: intervals" in said
    assert said.startswith("coat: computed with common=[") and "not as its definition states: 10 cells" in said
    committed = read(made / "results", "coat")
    assert len(committed.lines) == 8 and all(cell.rule for cell in committed.cells)
    assert committed.text.startswith("**Coat, test pairs at random")
    assert str(made) not in "".join(path.read_text() for path in (made / "results").iterdir()), "no path of a machine"


def edited(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def digit(text):
    """A number as it is written, and with another last digit."""
    return text, text[:-1] + ("1" if text[-1] != "1" else "2")


@pytest.mark.parametrize("field", ["value", "lo", "hi"])
def test_a_digit_of_a_cell_is_missed(field, copy, capsys):
    cell = read(copy, "coat").cells[0]
    number = json.dumps(getattr(cell, field))
    edited(copy / "coat.json", f'"{field}": {number}', f'"{field}": {digit(number)[1]}')
    assert checked(copy) == 1
    assert "coat, row mf/naive, column mse: the cell in coat.json was changed" in capsys.readouterr().out


def test_a_digit_of_the_text_is_missed(copy, capsys):
    cell = read(copy, "coat").cells[1]
    edited(copy / "coat.md", *digit(f"{cell.value:.3f}"))
    assert checked(copy) == 1
    said = capsys.readouterr().out
    assert "coat, line 5 of coat.md, row mf/naive, column ndcg@5 §: it says" in said and said.count("\n") == 1


def test_a_digit_of_a_record_is_missed_and_the_key_is_said(copy, capsys):
    key, line = next(iter(read(copy, "coat").lines.items()))
    edited(copy / "coat.records.jsonl", *digit(json.dumps(line["metrics"]["mse"][0])))
    assert checked(copy) == 1
    assert f"coat, key {key}: line 2 of coat.records.jsonl was changed" in capsys.readouterr().out


def resealed(folder, change):
    """Changes the records by a function of a list of lines, each with a checksum that fits."""
    path = folder / "coat.records.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    sealed = (commits._sealed({name: of for name, of in line.items() if name != "checksum"}) for line in lines)
    path.write_text("\n".join(map(json.dumps, sealed)) + "\n")
    return lines[1]["key"]


def other_value(lines):
    lines[1]["metrics"]["mse"][0] += 1e-6


def one_less(lines):
    del lines[1]


def one_more(lines):
    lines.append({**lines[-1], "key": "f" * 16})


def other_seed(lines):
    lines[1]["seed"] = 77


def no_seconds(lines):
    del lines[1]["seconds"]


def other_definition(lines):
    lines[0]["definition"] = "0" * 16


def other_trials(lines):
    for line in lines[1:3]:
        line["trials"] = 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (other_value, "coat, row mf/naive, column mse: the cell is"),
        (one_less, "its record is missing, and cells rest on it"),
        (one_more, "coat, key ffffffffffffffff: stale: with today's code its configuration has the key"),
        (other_seed, "stale: with today's code its configuration has the key"),
        (no_seconds, "its record lacks something (KeyError: 'seconds')"),
        (other_definition, "coat, its definition: it was changed since the table was computed"),
        (other_trials, "coat, row mf/naive, column mse: marked as nothing, its runs budget"),
    ],
)
def test_records_that_are_changed_with_their_checksums_do_not_fit(change, says, copy, capsys):
    resealed(copy, change)
    assert checked(copy) == 1
    assert says in capsys.readouterr().out


def test_a_run_that_two_searches_chose_keeps_the_trials_of_each(tmp_path):
    words = [*WORDS, 'budgets={"": 2, "more/": 3}', 'objectives=["naive"]', 'blocks={"": []}', "seeds=[0]"]
    assert table(tmp_path, *words, "--out", str(tmp_path / "results")) == 0
    trials = [line.get("trials") for line in read(tmp_path / "results", "coat").lines.values()]
    assert trials == [{"mf/naive": 2, "more/mf/naive": 3}]
    assert "| mf/naive † |" in (tmp_path / "results" / "coat.md").read_text()
    assert checked(tmp_path / "results") == 0


def test_a_wrong_definition_is_a_fault_of_its_table_and_hides_no_other(copy, capsys, monkeypatch):
    shutil.copy(copy / "coat.json", copy / "schnabel-2.json")
    definition = commits.definition

    def broken(name):
        if name == "coat":
            raise commits.UpliftlensError("the table coat: unknown metric 'mea'")
        return definition(name)

    monkeypatch.setattr(commits, "definition", broken)
    assert checked(copy) == 1
    said = capsys.readouterr().out
    assert "unknown metric 'mea'" in said and "schnabel-2.records.jsonl is missing" in said


@pytest.mark.parametrize("file", ["coat.json", "coat.records.jsonl"])
def test_what_stands_twice_is_named(file, copy, capsys):
    lines = (copy / file).read_text().splitlines()
    twice = lines[1] if file.endswith("jsonl") else f"{lines[1].rstrip(',')},"
    (copy / file).write_text("\n".join([lines[0], twice, *lines[1:]]))
    assert checked(copy) == 1
    assert f"stands twice in {file}" in capsys.readouterr().out


def test_a_record_that_no_cell_rests_on_is_extra(copy, capsys):
    cells = json.loads((copy / "coat.json").read_text())
    kept = [cell for cell in cells if cell["row"] != "mf/ips"]
    (copy / "coat.json").write_text(json.dumps(kept))
    assert checked(copy) == 1
    said = capsys.readouterr().out
    assert "a record that no cell rests on" in said and "of coat.md" in said


def test_another_version_of_a_model_makes_records_stale(made, capsys, monkeypatch):
    additive = entry("models", "additive")
    newer = additive.value._replace(version=99)
    monkeypatch.setattr("upliftlens.benchmarks.config.chosen.entry", lambda group, name: (
        additive._replace(value=newer) if name == "additive" else entry(group, name)
    ))  # fmt: skip
    assert checked(made / "results") == 1
    assert capsys.readouterr().out.count("stale") == 8


def test_another_published_number_is_missed(made, capsys, monkeypatch):
    monkeypatch.setattr(checks, "judged", lambda definition, row, column, lo, hi: (1.0, "differs"))
    assert checked(made / "results") == 1
    assert "row mf/naive, column mse: published 1.202, " in capsys.readouterr().out


def test_what_is_missing_is_named_with_what_writes_it(made, tmp_path, capsys):
    shutil.copy(made / "results" / "coat.json", tmp_path / "schnabel-2.json")
    assert checked(tmp_path) == 1
    said = "schnabel-2, schnabel-2.records.jsonl is missing: `upliftlens table schnabel-2 --out"
    assert said in capsys.readouterr().out
    assert main(["table", "coat", "--check", str(tmp_path)]) == 1
    assert "holds no coat.json: `upliftlens table coat --out" in capsys.readouterr().err
    assert main(["table", "caot", "--check", str(tmp_path)]) == 1
    assert "did you mean 'coat'" in capsys.readouterr().err
    assert checked(tmp_path / "nowhere") == 1 and "there is no folder" in capsys.readouterr().err


@pytest.mark.parametrize("source", ["store", "committed"])
@pytest.mark.parametrize("cell", [("mf/ips", "mse"), ("mf/ips", "mse vs own naive")])
def test_the_printed_commands_repeat_the_runs(source, cell, made, tmp_path, capsys):
    words = [*WORDS] if source == "store" else ["--from", str(made / "results")]
    capsys.readouterr()
    assert table(made, *words, "--trace", *cell, "--format", "json") == 0
    trace = json.loads(capsys.readouterr().out)
    assert len(trace["runs"]) == (4 if "vs" in cell[1] else 2) and trace["cell"]["row"] == cell[0]
    for run in trace["runs"]:
        assert main([*shlex.split(run["command"])[1:], f"store={tmp_path}", f"cache={made}/cache"]) == 0
        record = load_record(Store(tmp_path), run["key"])
        assert record is not None, "the same key"
        assert record.metrics["mse"].value == pytest.approx(run["metrics"]["mse"]["value"], rel=1e-11)
        assert record.split["fingerprint"] == run["split"]["fingerprint"]
    values = [run["metrics"]["mse"]["value"] for run in trace["runs"]]
    follows = sum(values[:2]) / 2 - sum(values[2:]) / 2
    assert trace["cell"]["value"] == pytest.approx(follows, rel=1e-7)


def test_a_trace_is_printed_for_people_and_unknown_places_get_the_nearest_name(made, capsys):
    folder = str(made / "results")
    assert table(made, "--from", folder, "--trace", "mf/ips", "mse vs own naive") == 0
    said = capsys.readouterr().out
    assert "the mean of mse over the first 2 runs − that over the last 2." in said
    assert said.count("\n  upliftlens run ") == 4
    assert table(made, "--from", folder, "--trace", "mf/isp", "mse") == 1
    assert "unknown row of the table 'mf/isp': did you mean 'mf/ips'" in capsys.readouterr().err
    assert table(made, "--from", folder, "--trace", "mf/ips", "mes") == 1
    assert "unknown column of the table 'mes': did you mean 'mse'" in capsys.readouterr().err
    assert table(made, "--from", folder, "--trace", "mf/naive", "mse vs own naive") == 1
    assert "row mf/naive has no column mse vs own naive" in capsys.readouterr().err
    assert table(made, "--from", folder) == 1 and "--trace ROW COLUMN" in capsys.readouterr().err
    assert table(made, "--check", folder, "--out", folder) == 1 and "--check reads" in capsys.readouterr().err


def test_a_folder_that_can_not_be_written_is_answered(made, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert table(made, *WORDS, "--out", str(tmp_path / "file")) == 1
    assert "choose another folder with --out FOLDER" in capsys.readouterr().err


def test_marks_of_runs_stand_in_the_table(made):
    text = (made / "results" / "coat.md").read_text()
    assert "|  | mse | ndcg@5 § |" in text and "| other/mf/naive ¶ |" in text and "| mf/naive |" in text
    assert "§ ranks the test items of a user only" in text and "¶ of other data, another split" in text


def test_a_misspelt_column_of_a_definition_is_answered(made, capsys, monkeypatch):
    assert table(made, *WORDS, 'compared=["mes"]') == 1
    assert "unknown compared column 'mes': did you mean 'mse'" in capsys.readouterr().err
    content = {**tables.definition("robustness"), "draws": 2, "published": {"propensity=0": {"nave": {"value": 1.0}}}}
    monkeypatch.setattr(tables, "definition", lambda name: content)
    assert main(["table", "robustness", "--store", str(made / "store")]) == 1
    assert "unknown published column 'nave': did you mean 'naive'" in capsys.readouterr().err


def test_what_an_objective_allows_is_read_from_words_as_from_a_composition():
    assert fits(["loss=squared", "objective=dr"]) and not fits(["loss=squared", "objective=cvib"])
    assert fits([]) and fits(["loss=logistic", "objective=cvib"])

"""Models that were defined in Python: their code is in the key, and what can't be put into a key is refused."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from shell import TINY

import upliftlens as ul
from upliftlens.benchmarks.config.definitions import definition_hash

SOURCE = """
from dataclasses import dataclass
import jax.numpy as jnp
from flax import nnx
import upliftlens as ul

SCALE = 0.1
TABLE = [1, 2]
state = object()

@dataclass(frozen=True)
class Options:
    dim: int = 3

def start(rngs, shape):
    return nnx.initializers.normal(SCALE)(rngs.params(), shape)

class Cell(nnx.Module):
    def __init__(self, options: Options, data: ul.TrainingData, rngs: nnx.Rngs):
        self.user = nnx.Param(start(rngs, (data.n_users, options.dim)))
        self.item = nnx.Param(start(rngs, (data.n_items, options.dim)))

    def __call__(self, users, items):
        return (self.user[users] * self.item[items]).sum(-1)
"""


@dataclass(frozen=True)
class Options:
    dim: int = 3


class Dots(nnx.Module):
    def __init__(self, options: Options, data: ul.TrainingData, rngs: nnx.Rngs) -> None:
        self.user = nnx.Param(jnp.full((data.n_users, options.dim), 0.1))
        self.item = nnx.Param(jnp.full((data.n_items, options.dim), 0.1))

    def __call__(self, users, items):
        return (self.user[users] * self.item[items]).sum(-1)


@pytest.fixture
def cell(monkeypatch):
    """Runs source as a notebook cell does: in a module without a file, its lines where tracebacks look for them."""
    import linecache
    import sys
    from types import ModuleType

    def run(source, name):
        module = ModuleType("notebook")
        monkeypatch.setitem(sys.modules, "notebook", module)
        file = f"<ipython-input-{name}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        exec(compile(source, file, "exec"), module.__dict__)
        return module

    return run


def hashed(module):
    return definition_hash(module.Options, module.Cell)


def test_a_class_trains_and_is_compared_and_found_again(tmp_path):
    lab = ul.Lab(tmp_path / "runs", tmp_path / "cache")
    first = lab.run(*TINY, model=Dots)
    assert (first.record.model, first.record.config["model"]["dim"]) == ("dots", 3) and len(
        first.recommend(user=1)
    ) == 10
    assert (
        first.recommend(user=np.int64(1), k=np.int64(10)).equals(first.recommend(user=1))
        and len(first.score(np.int64(1))) == 1
    )
    assert lab.run(*TINY, model=Dots).record.created == first.record.created
    assert lab.run(*TINY, model=ul.Backbone("dots", Options, Dots)).key == first.key
    assert lab.run(*TINY, model=Dots, **{"model.dim": 2}).key != first.key
    lab.sweep(*TINY, model=[Dots, "popularity"], seed=range(2))
    assert len(lab.compare("dots", "popularity", where="config.model.dim!=2").to_pandas()) == 1
    table = repr(lab.benchmark(*TINY, "seeds=2", "budget=1", model=[Dots, "popularity"]))
    assert (
        "dots/squared/naive again, where its class is: lab.sweep('data=synthetic'," in table
        and "model=CLASS, seed=range(2))" in table
    )
    assert "popularity again: upliftlens sweep" in table


def test_a_cell_is_another_model_after_any_edit_that_it_reads(cell):
    first = hashed(cell(SOURCE, "a"))
    assert hashed(cell(SOURCE, "b")) == first
    for name in (
        "state",
        "users",
        "options",
        "data",
        "user",
        "shape",
    ):  # arguments and attributes of that name are no globals
        assert hashed(cell(SOURCE.replace("state = object()", f"{name} = object()"), name)) == first, name
    edits = {
        "SCALE = 0.1": "SCALE = 0.2",
        "rngs.params(), shape": "rngs.params(), shape[:2]",
        "dim: int = 3": "dim: int = 4",
        ".sum(-1)": ".mean(-1)",
        "return nnx.initializers": "return TABLE[0] * nnx.initializers",
    }
    keys = {hashed(cell(SOURCE.replace(old, new), str(number))) for number, (old, new) in enumerate(edits.items())}
    assert len(keys) == len(edits) and first not in keys
    reads = SOURCE.replace("return nnx.initializers", "return TABLE[0] * nnx.initializers")
    assert hashed(cell(reads, "d")) != hashed(cell(reads.replace("[1, 2]", "[1, 3]"), "e"))


def test_an_edit_of_what_a_class_reads_is_trained_anew_though_the_class_is_the_same(cell, tmp_path):
    """Compiled programs are kept by what built them: one that was traced with the old value must not be used again."""
    lab = ul.Lab(tmp_path / "runs", tmp_path / "cache")
    module = cell(SOURCE, "p")
    first = lab.run(*TINY, model=module.Cell)
    module.SCALE = 1.5
    second = lab.run(*TINY, model=module.Cell)
    fresh = cell(SOURCE.replace("SCALE = 0.1", "SCALE = 1.5"), "q")
    other = ul.Lab(tmp_path / "other", tmp_path / "cache").run(*TINY, model=fresh.Cell)
    assert first.key != second.key and first.metrics["rmse"].value != second.metrics["rmse"].value
    assert second.metrics["rmse"].value == other.metrics["rmse"].value
    module.SCALE = 0.1
    assert lab.run(*TINY, model=module.Cell).key == first.key


def test_two_classes_of_one_name_are_told_apart_and_so_is_what_was_set_later(cell):
    twice = SOURCE + SOURCE[SOURCE.index("class Cell") :].replace(".sum(-1)", ".mean(-1)")
    assert hashed(cell(twice, "r")) != hashed(cell(SOURCE, "s"))
    module = cell(SOURCE + "    width = 3\n", "t")
    before = hashed(module)
    module.Cell.width = 4
    assert hashed(module) != before
    module.Cell.width = 3
    assert hashed(module) == before
    module.Cell.__call__ = module.start
    assert hashed(module) != before
    heir = cell(SOURCE + "\nclass Heir(Cell):\n    pass\n", "u")
    other = cell(SOURCE.replace(".sum(-1)", ".mean(-1)") + "\nclass Heir(Cell):\n    pass\n", "v")
    assert definition_hash(heir.Heir) != definition_hash(other.Heir)


def test_what_no_key_can_hold_is_refused(cell, tmp_path):
    lab = ul.Lab(tmp_path / "runs", tmp_path / "cache")
    reads = SOURCE.replace("return nnx.initializers", "return (state is None) + nnx.initializers")
    with pytest.raises(ul.UpliftlensError, match=r"start reads state, a object: .* Make it an option, or a constant"):
        lab.run(*TINY, model=cell(reads, "x").Cell)
    module = cell(SOURCE, "y")
    import linecache

    del linecache.cache["<ipython-input-y>"]
    with pytest.raises(ul.UpliftlensError, match=r"the source of .* can't be read here.*model.file=FILE"):
        lab.run(*TINY, model=module.Cell)

    for text in (SOURCE, SOURCE.replace(".sum(-1)", ".mean(-1)")):  # as of `python -c`: no file, and no lines of a cell
        known = {"__name__": "__main__"}
        exec(compile(text, "<string>", "exec"), known)
        with pytest.raises(ul.UpliftlensError, match=r"the source of .* can't be read here.*model.file=FILE"):
            lab.run(*TINY, model=known["Cell"])
    nowhere = {"__name__": "gone"}
    exec("class Gone:\n    pass", nowhere)
    with pytest.raises(ul.UpliftlensError, match=r"the source of Gone can't be read here"):
        definition_hash(nowhere["Gone"])

    class Plain:
        pass

    class Odd(nnx.Module):
        def __init__(self, size: int) -> None:
            pass

    with pytest.raises(ul.UpliftlensError, match="Plain is no Flax module"):
        lab.run(*TINY, model=Plain)
    with pytest.raises(ul.UpliftlensError, match=r"Odd.__init__ must be \(self, options: OPTIONS.*it has \(size\)"):
        lab.run(*TINY, model=Odd)
    with pytest.raises(ul.UpliftlensError, match="an installed model is called 'mf' too"):
        lab.run(*TINY, model=ul.Backbone("mf", Options, Dots))


def test_an_installed_model_may_be_given_as_an_object(tmp_path):
    from upliftlens.models.solvers.popularity import model

    lab = ul.Lab(tmp_path / "runs", tmp_path / "cache")
    assert lab.run(*TINY, model=model).key == lab.run(*TINY, model="popularity").key


def test_a_file_that_was_edited_after_it_was_imported_is_refused(tmp_path, monkeypatch):
    """The old code would run, under a key of the new one."""
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "edited_model.py"
    file.write_text(SOURCE)
    import edited_model  # type: ignore[import-not-found]

    first = hashed(edited_model)
    for edit in (SOURCE.replace(".sum(-1)", ".mean(-1)"), SOURCE.replace("SCALE)", "2)"), "# one line more\n" + SOURCE):
        file.write_text(edit)
        with pytest.raises(ul.UpliftlensError, match=r"was edited in .* after it was imported.* reload the module"):
            hashed(edited_model)
    file.write_text(SOURCE)
    assert hashed(edited_model) == first


def test_defaults_that_a_factory_makes_are_in_the_key_and_the_key_is_the_same_in_every_process(cell):
    source = SOURCE.replace("dim: int = 3", "dim: int\n    sizes: tuple = field(default_factory=lambda: (1, 2))")
    source = source.replace("import dataclass\n", "import dataclass, field\n")
    first = hashed(cell(source, "f"))
    assert hashed(cell(source, "g")) == first != hashed(cell(source.replace("(1, 2)", "(1, 3)"), "h"))
    assert first == "b8bad276ec54109ba75faee19cc5bc8a410f4a317660752f6693840e55dc10db"


READS = """
import edited_helper as helper
from edited_helper import Base
from functools import partial
from upliftlens.models.contract import Traced as Traced
BY = partial(helper.scaled, by=2)

class Heir(Base):
    kept = [1]

    @property
    def width(self):
        return WIDTH[0]

    @staticmethod
    def depth():
        return DEPTH[0]

    def __call__(self, users, sizes=[3]):
        return BY(helper.TABLE["a"])

WIDTH, DEPTH = [1], [1]
"""
HELPER = """
import logging
log, OWN, TABLE = logging.getLogger("x"), [1], {"a": 1}

def scaled(x, by):
    log.debug("x")
    return x * by * OWN[0]

class Base:
    def start(self):
        return OWN[0]
"""


def test_what_parents_properties_defaults_and_helpers_read_is_in_the_key(cell, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "edited_helper.py").write_text(HELPER)
    module = cell(READS, "n")
    helper = module.helper
    keys = [definition_hash(module.Heir)]
    changes = (
        (helper.OWN, "append", 2),
        (module.WIDTH, "append", 2),
        (module.DEPTH, "append", 2),
        (module.Heir.kept, "append", 2),
        (module.Heir.__call__.__defaults__[0], "append", 2),
        (helper.TABLE, "update", {"a": 2}),
    )
    for thing, change, value in changes:
        getattr(thing, change)(value)
        keys.append(definition_hash(module.Heir))
    module.BY = module.partial(helper.scaled, by=3)
    assert len({*keys, definition_hash(module.Heir)}) == len(keys) + 1

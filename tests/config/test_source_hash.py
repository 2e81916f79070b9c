"""What of a plugin's code is in the key of its runs: its own modules, whatever else is loaded or lies beside them."""

import sys

import pytest

from upliftlens.benchmarks.config.source_hash import file_hash, source_hash


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder such as a clone: a plugin, what it imports, what it does not, and an environment."""
    files = {
        "mine.py": "import json\nimport near_one\nfrom near_package import deep\nimport far_one\n"
        "def late():\n    import near_late\n",
        "near_one.py": "import near_two\nimport sys\n",
        "near_two.py": "import near_one\n",
        "near_late.py": "",
        "near_other.py": "",
        "near_package/__init__.py": "",
        "near_package/deep.py": "from . import deeper\nfrom .deeper import something\n",
        "near_package/deeper.py": "something = 1\n",
        "near_package/unused.py": "",
        ".venv/lib/site-packages/far_one.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path / ".venv/lib/site-packages"))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith(("near_", "far_one"))]:
        del sys.modules[name]


OWN = ["mine.py", "near_one.py", "near_two.py", "near_late.py",
       "near_package/__init__.py", "near_package/deep.py", "near_package/deeper.py"]  # fmt: skip
OTHERS = ["near_other.py", "near_package/unused.py", ".venv/lib/site-packages/far_one.py"]


@pytest.mark.parametrize("name", [*OWN, *OTHERS])
def test_an_edit_changes_the_hash_if_the_file_is_the_plugins_own(project, name):
    before = source_hash(project / "mine.py", "")
    with (project / name).open("a") as file:
        file.write("\n# edited\n")
    assert (source_hash(project / "mine.py", "") != before) == (name in OWN)


def test_what_is_loaded_meanwhile_changes_nothing(project):
    before = source_hash(project / "mine.py", "")
    for name in ("near_one", "near_late", "near_other", "near_package.deep", "near_package.unused", "far_one"):
        __import__(name)
    assert source_hash(project / "mine.py", "") == before


def test_a_file_alone_is_its_own_hash(tmp_path):
    import hashlib

    path = tmp_path / "mine.py"
    path.write_text("import numpy\nfrom upliftlens.models import mf\n")
    assert source_hash(path, "") == hashlib.sha256(f"mine.py {file_hash(path)}".encode()).hexdigest()


def test_a_package_is_hashed_through_its_relative_imports(project):
    (project / "near_package" / "entry.py").write_text("from .deep import deeper\n")
    before = source_hash(project / "near_package" / "entry.py", "near_package")
    (project / "near_package" / "deeper.py").write_text("something = 2\n")
    assert source_hash(project / "near_package" / "entry.py", "near_package") != before

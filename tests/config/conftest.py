"""Plugins as other packages install them."""

from importlib.metadata import EntryPoint, entry_points

import pytest

from upliftlens.benchmarks.config import plugins as registry
from upliftlens.benchmarks.metrics.registry import registry as metrics


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs ``text`` as a module of its own whose ``attribute`` an entry point of ``group`` names."""

    def installed(group, name, attribute, text):
        module = f"installed_{group}_{name}_{abs(hash(text))}"
        (tmp_path / f"{module}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        point = EntryPoint(name, f"{module}:{attribute}", f"upliftlens.{group}")

        def points(group):
            return [*entry_points(group=group), *([point] if group == point.group else [])]

        monkeypatch.setattr(registry, "entry_points", points)
        clear()

    yield installed
    clear()


def clear():
    registry.entry.cache_clear()
    metrics.cache_clear()

"""Names, options and the door for plugins."""

import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from rich.console import Console

from upliftlens import configs
from upliftlens.benchmarks import data
from upliftlens.benchmarks.config import plugins as installed_registry
from upliftlens.benchmarks.config.choices import packaged
from upliftlens.benchmarks.data import registry
from upliftlens.benchmarks.data.card import rows_of
from upliftlens.benchmarks.data.dataset import Dataset, Features
from upliftlens.benchmarks.lab.answers import of_card, of_listing
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import interactions

BUILT_IN = [
    *(
        "coat",
        "csv",
        "files",
        "grid",
        "ml-100k",
        "ml-10m",
        "ml-1m",
        "ml-20m",
        "ml-25m",
        "ml-32m",
        "ml-latest-small",
        "recbole",
    ),
    *("schnabel-ml-100k", "synthetic", "uplift-log", "uplift-ml-100k", "uplift-synthetic", "yahoo-r3"),
]


@dataclass(frozen=True)
class TinyOptions:
    name: str = "tiny"
    rows: int = 2
    path: str | None = None


def load_tiny(options: TinyOptions, cache: Path, say: registry.Say | None) -> Dataset:
    n = options.rows
    ids, none = pd.DataFrame({"id": [str(i) for i in range(n)]}), Features((), np.zeros((n, 0), np.float32))
    log = interactions(np.arange(n), np.arange(n), np.ones(n), n, n)
    return data.sealed(Dataset("tiny", log, ids, ids, none, none, (0, 1), 1, "implicit", "", "here", ""))


TINY = data.DataSource("tiny", TinyOptions, load_tiny)
NOT_A_SOURCE = 3


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest):
    def points(group: str) -> list[EntryPoint]:
        point = EntryPoint("tiny", getattr(request, "param", "tiny_plugin:TINY"), "upliftlens.data")
        return [*entry_points(group=group), *([point] if group == point.group else [])]

    monkeypatch.setitem(sys.modules, "tiny_plugin", sys.modules[__name__])
    monkeypatch.setattr(installed_registry, "entry_points", points)
    installed_registry.entry.cache_clear()
    yield
    installed_registry.entry.cache_clear()


configured = cache(data.configure)


def test_every_data_set_of_the_specification_is_there() -> None:
    assert packaged("data") == BUILT_IN


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_file_states_every_option_and_its_own_name(name: str) -> None:
    config = configured(name)
    assert config.name == name and config.terms and hash(config)
    text = (Path(configs.__file__).parent / "data" / f"{name}.yaml").read_text()
    assert text.startswith("# ") and yaml.safe_load(text)["name"] == name


@pytest.mark.parametrize("name", [n for n in BUILT_IN if n.startswith("ml-") or n == "coat"])
def test_every_download_is_by_https_and_pinned_where_upstream_is_fixed(name: str) -> None:
    for source in configured(name).sources:
        assert (source.url is None) != (source.requirement is None)
        assert source.url is None or source.url.startswith("https://")
        assert source.sha256 or source.md5 or name == "ml-latest-small"


@pytest.mark.parametrize(
    ("name", "override", "message"),
    [
        ("ml-100", None, "unknown data set 'ml-100': did you mean 'ml-100k'"),
        (
            "csv",
            "data.filter.usr_core=2",
            "unknown option 'data.filter.usr_core': data.filter has no 'usr_core': did you mean 'user_core'",
        ),
        ("csv", "+data.pth=x", "unknown option of data 'pth': did you mean 'path'"),
        ("csv", "data.filter.user_core=two", "data.filter.user_core must be a whole number, got two"),
        ("csv", "data.filter.user_core=-1", "data.filter.user_core must be at least 0, got -1"),
        ("csv", "data.filter.duplicates=lst", "did you mean 'last'"),
        ("csv", "data.feedback=explict", "did you mean 'explicit'"),
        ("csv", "data.separator=tabs", "did you mean 'tab'"),
        ("csv", "data.scale=[5,1]", "data.scale must be"),
        ("csv", "data.relevance=6", "data.relevance=6.0 lies outside"),
        ("csv", "data.format=cvs", "unknown data.format 'cvs': did you mean 'csv'"),
        ("coat", "data.header=true", "unknown option 'data.header'"),
        ("csv", "user_core=2", "unknown option 'user_core': did you mean 'data.filter.user_core'"),
        ("csv", "split.fold=2", "unknown option 'split.fold': "),
        ("csv", "data.filter.user_core=2,3", "has several values"),
    ],
)
def test_typos_are_named(name: str, override: str | None, message: str) -> None:
    with pytest.raises(UpliftlensError, match=message) as raised:
        data.configure(name, [override] if override else [])
    assert len(str(raised.value).splitlines()) == 1


def test_a_run_of_hydra_may_ask_for_another_data_set() -> None:
    with initialize_config_module("upliftlens.configs", version_base="1.3"):
        running = GlobalHydra.instance().hydra
        assert data.configure("csv", ["data.filter.user_core=2"]).filter.user_core == 2
        with pytest.raises(UpliftlensError, match="did you mean"):
            data.configure("csv", ["data.filter.usr_core=2"])
        assert GlobalHydra.instance().hydra is running is not None


def test_a_plugin_is_a_data_set_like_any_other(installed: None, tmp_path: Path) -> None:
    assert "tiny" in data.names()
    config = data.configure("tiny", ["data.rows=3"])
    assert config == TinyOptions(rows=3)
    loaded = data.load(config, tmp_path)
    assert len(loaded.log) == 3 and len(loaded.fingerprint) == 64
    assert [row.ready for row in data.listing(tmp_path) if row.name == "tiny"] == ["plugin"]
    with pytest.raises(UpliftlensError, match="has no 'row': did you mean 'rows'"):
        data.configure("tiny", ["data.row=3"])


@pytest.mark.parametrize(
    ("installed", "message"),
    [("tiny_plugin:NOT_A_SOURCE", "must be a DataSource"), ("no_such_module:TINY", "can't be imported")],
    indirect=["installed"],
)
def test_a_broken_plugin_is_named(installed: None, message: str) -> None:
    with pytest.raises(UpliftlensError, match=f"upliftlens.data: 'tiny' .*{message}"):
        data.configure("tiny")


def test_tables_render(tmp_path: Path) -> None:
    console = Console(width=200, record=True, file=StringIO())
    console.print(of_listing(data.listing(tmp_path)).render("table"))
    config = data.configure(
        "synthetic", ["data.n_users=30", "data.n_items=20", "data.ratings_per_user=5", "data.test_per_user=2"]
    )
    card = data.card(data.load(config, tmp_path))
    console.print(of_card(card).render("table"))
    text = console.export_text()
    assert "32,000,204" in text and "generated (draw 0)" in text and "60 rows, missing at random" in text


def test_implicit_logs_have_no_relevance_threshold(tmp_path: Path) -> None:
    card = data.card(load_tiny(TinyOptions(), tmp_path, None))
    assert card.relevant == 1 and card.span is None and card.data.test is None
    assert card.per_user.gini == 0 and card.density == 0.5
    assert "any interaction" in dict(rows_of(card))["scale"]

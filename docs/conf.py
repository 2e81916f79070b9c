"""The site of the documents (`make docs`): these pages, every YAML file of configs/, API pages from docstrings."""

from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

project = "Upliftlens"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_theme = "furo"
autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "undoc-members": False, "no-value": True}
# Docstrings are written for people who read the source; a field's name may stand in several records.
suppress_warnings = ["docutils", "ref.python"]


def files(_: Any) -> None:
    """Writes the page of all YAML files, as they are."""
    groups = sorted(path for path in (HERE.parent / "configs").iterdir() if path.is_dir() and path.name[0] not in "_.")
    parts = ["# All choices, file by file"]
    for group in groups:
        parts.append(f"## {group.name}")
        for path in sorted(group.glob("[!_]*.yaml")):
            parts.append(f"### `{group.name}={path.stem}`\n```yaml\n{path.read_text()}```")
    (HERE / "files.md").write_text("\n\n".join(parts) + "\n")


_kept: dict[str, list[str]] = {}


def keep(_: Any, what: str, name: str, __: Any, ___: Any, lines: list[str]) -> None:
    """Before napoleon, which takes what stands before a colon for the type of an attribute."""
    if what in ("attribute", "data"):
        _kept[name] = list(lines)


def as_written(_: Any, __: str, name: str, ___: Any, ____: Any, lines: list[str]) -> None:
    """After napoleon: attributes as they are written, and the bars of |D| and |x − y| as bars, not as links."""
    lines[:] = _kept.pop(name, lines)
    for number, line in enumerate(lines):
        parts = line.split("``")
        parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
        lines[number] = "``".join(parts)


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("builder-inited", files, priority=1)
    app.connect("autodoc-process-docstring", keep, priority=400)
    app.connect("autodoc-process-docstring", as_written, priority=600)

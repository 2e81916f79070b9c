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
autodoc_default_options = {"members": True, "undoc-members": False}
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


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("builder-inited", files, priority=1)

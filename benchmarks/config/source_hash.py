"""The hash of a plugin's code, part of the key of its runs: its file, and the modules of its folder that it imports."""

import ast
import hashlib
import sys
from collections.abc import Iterator
from importlib.util import find_spec, resolve_name
from itertools import accumulate
from pathlib import Path

_SITES = frozenset(("site-packages", "dist-packages"))


def file_hash(path: Path) -> str:
    """sha256 of a source file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def source_hash(path: Path, package: str) -> str:
    """sha256 over a plugin's file and what it imports, directly or indirectly, from its folder.

    ``package``: what the file's relative imports are relative to, "" where it is in no package. All import statements
    in the files count, not what happens to be loaded. Upliftlens, and an environment (site-packages) in the folder,
    are left out.
    """
    folder, hashed, todo = path.parent, {path}, [(path, package)]
    while todo:
        file, inside = todo.pop()
        for name in _imports(file, inside):
            origin = _origin(name, folder)
            if origin is not None and origin not in hashed:
                hashed.add(origin)
                todo.append((origin, name if origin.name == "__init__.py" else name.rpartition(".")[0]))
    parts = sorted(f"{file.relative_to(folder)} {file_hash(file)}" for file in hashed)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _imports(file: Path, package: str) -> Iterator[str]:
    """Names in a file's import statements that are, or may be, modules."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_packages(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = resolve_name("." * node.level + base, package) if package else ""
            if base:
                yield from _with_packages(base)
                yield from (f"{base}.{alias.name}" for alias in node.names)


def _with_packages(name: str) -> Iterator[str]:
    """a.b.c as a, a.b, a.b.c."""
    return accumulate(name.split("."), "{}.{}".format)


def _origin(name: str, folder: Path) -> Path | None:
    """The source file of a module below ``folder``; None for any other name."""
    top = name.partition(".")[0]
    if top == "upliftlens" or folder.name in _SITES or not any(_inside(place, folder) for place in _places(top)):
        return None
    return next((place for place in _places(name) if place.suffix == ".py" and _inside(place, folder)), None)


def _inside(place: Path, folder: Path) -> bool:
    return place.is_relative_to(folder) and not _SITES & set(place.relative_to(folder).parts)


def _places(name: str) -> list[Path]:
    """The file and the folders of a module, loaded or not; empty if it is built in or does not exist."""
    try:
        spec = sys.modules[name].__spec__ if name in sys.modules else find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return []
    if spec is None:
        return []
    file = [spec.origin] if spec.has_location and spec.origin else []
    return [Path(place) for place in (*file, *(spec.submodule_search_locations or ())) if Path(place).exists()]

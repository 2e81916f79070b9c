"""Data sets saved under a name: the YAML files of configs/data below the working directory."""

import re
from collections.abc import Collection, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from hydra.core.config_store import ConfigStore

from upliftlens.benchmarks.config.choices import CONFIGS, packaged
from upliftlens.benchmarks.system.atomic import whole
from upliftlens.causal.errors import UpliftlensError, located, unknown

FOLDER = Path("configs/data")
_PROVIDER = "saved"  # in Hydra's store


def saved() -> dict[str, Path]:
    """The file of each saved data set, by its name, sorted.

    Raises:
        UpliftlensError: for a file that has the name of a packaged data set.
    """
    paths = {path.stem: path for path in sorted(FOLDER.glob("[!_]*.yaml"))}
    for name in paths:
        with located(str(paths[name])):
            check_name(name)
    for name in paths.keys() & set(packaged("data")):
        if paths[name].read_bytes() != files(f"{CONFIGS}.data").joinpath(f"{name}.yaml").read_bytes():
            raise UpliftlensError(f"{paths[name]}: a data set of Upliftlens is called '{name}', too: rename the file")
        del paths[name]  # the working directory is a checkout of Upliftlens
    return paths


def check_name(name: str) -> None:
    """Refuses what can't be a data set's name in ``data=NAME``, where 7, true and 1e5 would be values of other types.

    Raises:
        UpliftlensError: with what a name may be.
    """
    if not re.fullmatch(r"[A-Za-z][\w-]*", name) or name.lower() in ("true", "false", "null", "nan", "inf"):
        raise UpliftlensError(f"'{name}' can't be a name: begin with a letter, then letters, digits, - and _")


def register_saved(taken: Collection[str]) -> None:
    """Makes the saved data sets choices of ``data``, and those of a working directory of before no choices any more.

    ``taken``: the names of installed data sets.

    Raises:
        UpliftlensError: for a file that can't be read, is no mapping, states another name than its file's or no kind
            of data that there is, or has a name that is taken.
    """
    choices = ConfigStore.instance().repo.get("data", {})
    for file in [file for file, node in choices.items() if node.provider == _PROVIDER]:
        del choices[file]
    paths = saved()
    known = {*packaged("data"), *taken, *paths}
    for name, path in paths.items():
        if name in taken:
            raise UpliftlensError(f"{path}: an installed data set is called '{name}', too: rename the file")
        node = {"name": name, **_content(path)}
        if node["name"] != name:
            raise UpliftlensError(f"{path}: it states the name '{node['name']}': make it '{name}', as the file's")
        bases = [base for base in node.get("defaults") or () if isinstance(base, str) and base[0] != "_"]
        if not bases and "format" not in node:
            raise UpliftlensError(f"{path}: state what kind of data it is, as in `defaults: [csv, _self_]`")
        if strange := [base for base in bases if base not in known]:
            raise UpliftlensError(f"{path}: {unknown('data choice', strange[0], known)}")
        ConfigStore.instance().store(group="data", name=name, node=node, provider=_PROVIDER)


def write(name: str, base: str, changes: Mapping[str, Any]) -> Path:
    """Saves what ``changes`` of the data set ``base`` as NAME; the path of the file.

    Raises:
        UpliftlensError: if it can't be written.
    """
    path = FOLDER / f"{name}.yaml"
    content = {"defaults": [base, "_self_"], "name": name, **{key: changes[key] for key in changes if key != "name"}}
    head = (
        f"# A data set of your own, saved by `upliftlens data save {name}`; what is not stated is as in data={base}.\n"
    )
    try:
        with whole(path) as part:
            part.write_text(head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    except OSError as error:
        raise UpliftlensError(f"{path} can't be written: {error.strerror or error}") from error
    return path


def _content(path: Path) -> dict[str, Any]:
    mend = "mend it or delete it"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f", line {error.problem_mark.line + 1}"
        raise UpliftlensError(f"{path}{line}: this is no YAML ({error.problem}): {mend}") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UpliftlensError(f"{path} can't be read ({str(error).splitlines()[0]}): {mend}") from None
    if not isinstance(content, dict):
        raise UpliftlensError(f"{path} holds no options: {mend}")
    return {str(option): value for option, value in content.items()}

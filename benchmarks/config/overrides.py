"""The user's arguments made ready for Hydra: model files registered, paths quoted, invalid choices refused."""

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException

from upliftlens.benchmarks.config.choices import NEEDED, groups, packaged
from upliftlens.benchmarks.config.chosen import from_file
from upliftlens.benchmarks.config.installed import as_choice
from upliftlens.benchmarks.system.keys import canonical_key
from upliftlens.causal.errors import UpliftlensError, unknown

FILES = ("data.path", "data.items", "data.users", "data.item_vectors", "data.user_vectors")
"""Options that name what a run reads."""

PATHS = (*FILES, "store", "cache", "logger.dir")
"""Options that hold a path: every character is allowed, and the user needs no Hydra quotes."""

MOST_JOBS = 100_000
"""The largest sweep: Hydra composes all jobs before the first starts."""

_FILE = "model.file="
_NAME = re.compile(r"[\w.-]*")  # what Hydra reads as it is
_SAFE = re.compile(r"[\w./@+-]+")  # what needs no quotes in a value
_LONG = 100  # characters; no choice has so long a name, and a file system refuses much longer ones
_PART = re.compile(r"""'[^']*'(?=,|$)|"[^"]*"(?=,|$)|[^,]+""")  # of values with commas between them


def with_model_files(arguments: Sequence[str]) -> list[str]:
    """Arguments without ``model.file=PATH[,PATH]``: each file's model becomes a choice of ``model``, by its name.

    Without ``model=…`` the models of the files run. With it, it has to name them too:
    ``model=mf,mine model.file=mine.py``.

    Raises:
        UpliftlensError: for a file that defines no model, two models of one name, or a model that isn't named.
    """
    rest = [argument for argument in arguments if not argument.startswith(_FILE)]
    if len(rest) == len(arguments):
        return rest
    path_of: dict[str, str] = {}
    for path in _paths([argument.removeprefix(_FILE) for argument in arguments if argument.startswith(_FILE)]):
        path = str(Path(path).expanduser().resolve())
        model = from_file(Path(path)).value
        as_choice("model", model, path)
        if other := path_of.get(model.name):
            raise UpliftlensError(f"{path} and {other} both define '{model.name}': rename one of the models")
        path_of[model.name] = path
    chosen = [argument for argument in rest if argument.startswith("model=")]
    if not chosen:
        return [f"model={','.join(path_of)}", *rest]
    named = chosen_of(chosen[-1])
    for name, path in path_of.items():
        if named and name not in named:
            raise UpliftlensError(
                f"model.file={path} defines '{name}', which {chosen[-1]} does not name: "
                f"write model={name}, or in a sweep model={','.join([*named, name])}"
            )
    return rest


def quoted(argument: str) -> str:
    """An override whose path, if its option holds one, is in Hydra's quotes; that of ``FILES`` becomes absolute.

    Commas separate the files of a sweep, unless a file of that whole name exists. A value that is in Hydra's quotes
    already, or holds an interpolation ``${…}``, stays as it is.

    Raises:
        UpliftlensError: for an empty path.
    """
    name, sign, value = argument.partition("=")
    option = name.lstrip("+")
    if not sign or "${" in value:
        return argument
    if option.startswith("data.columns.") and not _NAME.fullmatch(value):
        return f"{name}={_quoted(_unquoted(value))}"
    if option not in PATHS:
        return argument
    if not value.strip("'\" "):
        raise UpliftlensError(f"{option}= is empty: name a path, or leave it out")
    if option not in FILES:
        return f"{name}={_quoted(_unquoted(value))}"
    if value == "null":
        return argument
    paths = (str(Path(path).expanduser().resolve()) for path in _paths([value]))
    return f"{name}={','.join(map(_quoted, paths))}"


def text(name: str, value: Any) -> str:
    """A value as it is written in a command.

    Raises:
        UpliftlensError: for a value that no option can have.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str | Path):
        plain = str(value)
        return plain if _SAFE.fullmatch(plain) else "'" + re.sub(r"(\\*)'", r"\1\1\'", plain) + "'"
    if isinstance(value, list | tuple | range | np.ndarray):
        return f"[{','.join(text(name, item) for item in value)}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{text(name, item)}" for key, item in value.items()) + "}"
    raise UpliftlensError(f"{name}: {type(value).__name__} is no value of an option: give text, a number or a list")


def refuse_no_choice(argument: str) -> None:
    """Refuses a needed group without a choice (``~model``, ``model=null``), and a shared part (``_name``) as a choice.

    Raises:
        UpliftlensError: in both cases.
    """
    group = argument.lstrip("~").partition("=")[0]
    if group not in groups():
        return
    chosen = chosen_of(argument)
    if group in NEEDED and (argument.startswith("~") or "None" in chosen):
        raise UpliftlensError(f"{argument}: a run needs a choice of {group}. There is: {', '.join(packaged(group))}")
    for name in chosen:
        if name.startswith("_") or len(name) > _LONG:
            name = name if len(name) <= _LONG else f"{name[:_LONG]}…"
            raise unknown(f"{group} choice", name, packaged(group))


def refuse_unreadable(arguments: Sequence[str]) -> None:
    """Refuses overrides that Hydra parses but then fails on, and sweeps of no jobs or too many.

    Raises:
        UpliftlensError: for an override without an option's name, an invalid range, a sweep of no or too many jobs.
    """
    parser, jobs = OverridesParser.create(), 1
    for argument in arguments:
        if argument.startswith("-"):
            continue
        try:
            parsed = parser.parse_override(argument)
            values = _number_of_values(parsed)
        except HydraException as error:
            if "missing EQUAL" in str(error):
                raise UpliftlensError(f"{argument} is no option: write option=value, as in seed=3") from None
            if not any(sign in str(error) for sign in ("LexerNoViableAlt", "extraneous input", "mismatched input")):
                continue  # Hydra explains the others itself
            raise UpliftlensError(
                f"{argument} holds a sign that can't stand where it does: name options as in model.dim=8, "
                "put a value with odd signs in quotes of its own ('option=\"a:b\"')"
            ) from None
        except (ValueError, TypeError, OverflowError) as error:
            raise UpliftlensError(f"{argument}: {error}") from None
        if not parsed.key_or_group:
            raise UpliftlensError(f"{argument} names no option: write option=value, as in seed=3")
        if not values:
            raise UpliftlensError(f"{argument} holds no value, so nothing would run")
        jobs *= values
    if jobs > MOST_JOBS:
        raise UpliftlensError(f"this sweep has more than {MOST_JOBS:,} jobs: start it in parts")


def sweep_name(verb: str, overrides: Sequence[str]) -> str:
    """The name of a sweep or search: the same command has the same name, however often it is continued."""
    return f"{verb}-{canonical_key({'overrides': sorted(overrides)})[:8]}"


def read_with_jobs(overrides: Sequence[str]) -> list[str]:
    """The overrides of a sweep, written so that Hydra reads options with the jobs only if a group has several choices.

    Hydra composes the command itself, too, with the group's default: ``model=mlp,two_tower model.layers=[8]`` with mf,
    which has no ``layers``. It leaves options with several values to the jobs, so each becomes a choice among one. Text
    in quotes and null stay as they are: in a choice Hydra writes them otherwise or refuses them.
    """
    if not any(swept(text) and text.partition("=")[0] in groups() for text in overrides):
        return list(overrides)
    read = []
    for text in overrides:
        name, _, value = text.partition("=")
        single = "." in name and not name.startswith(("-", "~", "hydra.", "+hydra.")) and not swept(text)
        choice = f"{name}=choice({value})"
        read.append(choice if single and value[:1] not in ("'", '"') and swept(choice) else text)
    return read


def _number_of_values(parsed: Override) -> int:
    """How many values an override has, at most one more than ``MOST_JOBS``.

    Raises:
        ValueError: for a pattern among the choices of what is no group, or that no choice fits.
    """
    if not parsed.is_sweep_override():
        return 1
    pattern, group = parsed.value(), parsed.key_or_group
    if not isinstance(pattern, Glob):
        return sum(1 for _ in islice(parsed.sweep_iterator(), MOST_JOBS + 1))
    if group not in groups():
        raise ValueError(
            f"glob chooses among the files of a group, and {group} is none: name its values, as in seed=0,1"
        )
    if not (fitting := pattern.filter(choices_of(group))):
        raise ValueError(f"no choice of {group} fits. There is: {', '.join(choices_of(group))}")
    return len(fitting)


def choices_of(group: str) -> list[str]:
    """The choices of a config group, packaged and installed ones; Hydra's own list would include the shared parts."""
    installed = (file.removesuffix(".yaml") for file in ConfigStore.instance().repo.get(group, {}))
    return sorted({*packaged(group), *installed})


def swept(override: str) -> bool:
    """Whether an override gives its option several values."""
    try:
        return OverridesParser.create().parse_override(override).is_sweep_override()
    except (HydraException, ValueError, TypeError):
        return False


def chosen_of(override: str) -> list[str]:
    """The values of an override as text, several in a sweep; empty if Hydra's parser can't read it here."""
    try:
        parsed = OverridesParser.create().parse_override(override)
        return list(map(str, parsed.sweep_iterator() if parsed.is_sweep_override() else [parsed.value()]))
    except (HydraException, ValueError, TypeError):
        return []


def _paths(values: Sequence[str]) -> list[str]:
    """The paths that a user typed: each value is one path, or several with commas between them, as in a sweep."""
    paths = []
    for value in map(_unquoted, values):
        parts = [_unquoted(part) for part in _PART.findall(value)]
        several = not Path(value).expanduser().exists() and any(Path(part).expanduser().exists() for part in parts)
        paths += parts if several else [value]
    return paths


def _unquoted(value: str) -> str:
    for mark in "'\"":
        if len(value) > 1 and value[0] == value[-1] == mark and mark not in value[1:-1].replace(f"\\{mark}", ""):
            return value[1:-1].replace(f"\\{mark}", mark)
    return value


def _quoted(path: str) -> str:
    """In Hydra's single quotes: backslashes are doubled before a quote, and literal elsewhere."""
    inside = re.sub(r"(\\*)'", r"\1\1\'", path)
    return "'" + re.sub(r"(\\+)$", r"\1\1", inside) + "'"

"""What a call of the Lab states as the words of one command: words, keywords, data frames and classes among them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from upliftlens.benchmarks.config.choices import groups as config_groups
from upliftlens.benchmarks.lab.frames import Frame, refuse_frame
from upliftlens.benchmarks.lab.models import defined
from upliftlens.benchmarks.lab.words import refuse_flags, words_of
from upliftlens.causal.errors import UpliftlensError


def stated_words(words: Sequence[str], options: Mapping[str, Any], several: bool, cache: Path) -> list[str]:
    """The words of a command that states ``options`` and ``words``; tables are written to the ``cache``.

    Raises:
        UpliftlensError: for a value that no option can have, a flag, an option that is stated twice, and a model that
            can't be a choice.
    """
    for word in words:
        if not isinstance(word, str):
            raise UpliftlensError(f'{word!r} stands among the words: give options by name, or as text, "train.lr=0.1"')
    refuse_flags(words)
    refuse_frame(options.get("data"))
    for folder in options.keys() & {"store", "cache"}:
        raise UpliftlensError(f"{folder} is the Lab's own: make another, ul.Lab({folder}={str(options[folder])!r})")
    if isinstance(path := options.get("data"), Path):
        raise UpliftlensError(
            f"data is a file: say what kind it is, data='csv', and data.path='{path}' among the words"
        )
    plain, models = dict(options), options.get("model")
    files: list[str] = []
    if isinstance(data := plain.get("data"), Frame):
        files = data.words(cache)
        del plain["data"]
    elif isinstance(data, list | tuple) and any(isinstance(each, Frame) for each in data):
        raise UpliftlensError("data takes one dataset(…): call it once for each")
    if models is not None and not isinstance(models, Mapping):
        names = [model if isinstance(model, str) else defined(model) for model in _several_models(models)]
        if twice := [name for name in names if names.count(name) > 1]:
            raise UpliftlensError(f"two of the models are called '{twice[0]}': rename one, or name each once")
        plain["model"] = names if type(models) in (list, tuple) else names[0]
    if not several:
        for name in plain.keys() & config_groups():
            if isinstance(plain[name], list | tuple):
                raise UpliftlensError(f"{name} takes one choice in a run, not {plain[name]}: sweep takes several")
    by_name = [*files, *words_of(plain, several)]
    stated = [word.partition("=")[0] for word in (*by_name, *words)]
    # Words alone may repeat an option, as on the command line: the last counts.
    if twice := [name for name in stated[: len(by_name)] if stated.count(name) > 1]:
        raise UpliftlensError(f"{twice[0]} is stated twice: state it once")
    return [*by_name, *words]


def _several_models(value: Any) -> list[Any]:
    """Several models as they are; one, which may be a NamedTuple itself, as a list."""
    return list(value) if type(value) in (list, tuple) else [value]

"""Data sets without a run: their list, loading, problems, cards, and options that are kept under a name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from upliftlens.benchmarks.config.overrides import quoted
from upliftlens.benchmarks.data import BadData, card, check, configure, guess, listing, load, names, save
from upliftlens.benchmarks.data.card import Card
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.data.registry import Listed
from upliftlens.benchmarks.lab.answers import Answer, of_card, of_check, of_listing
from upliftlens.benchmarks.lab.frames import Frame, refuse_frame
from upliftlens.benchmarks.lab.words import words_of
from upliftlens.benchmarks.system import talk
from upliftlens.causal.errors import UpliftlensError


class Data:
    """What `upliftlens data` does, with the downloads of a lab: ``lab.data.card("ml-100k")``.

    ``data`` is a name, a file or folder whose layout is guessed, or a ``dataset(frame, …)``. Options are those of the
    group data, by name, ``check("csv", path="my.csv", filter={"user_core": 5})``, or as words, ``"data.path=my.csv"``.
    """

    def __init__(self, cache: Path) -> None:
        self._cache = cache

    def listing(self) -> Answer[Sequence[Listed]]:
        """Every known data set: its size, and whether it lies in the cache."""
        return of_listing(listing(self._cache))

    def prepare(self, data: str | Path | Frame, /, *words: str, **options: Any) -> Dataset:
        """The data set, fetched, verified and read: ``.log`` holds the interactions, ``.items`` and ``.users`` tables.

        Raises:
            UpliftlensError: for an unknown name or option, and data that can't be loaded or are wrong.
        """
        return load(self._configured(data, words, options), self._cache, talk.say)

    def card(self, data: str | Path | Frame, /, *words: str, **options: Any) -> Answer[Card]:
        """Counts, distributions, terms of use and fingerprint.

        Raises:
            UpliftlensError: as ``prepare``.
        """
        return of_card(card(self.prepare(data, *words, **options)))

    def check(
        self, data: str | Path | Frame, /, *words: str, say: talk.Say = talk.say, **options: Any
    ) -> Answer[BadData | None]:
        """What is wrong with a file, line by line; ``content`` is None where nothing is. ``say`` takes remarks.

        Raises:
            UpliftlensError: for an unknown name or option, and data that can't be loaded.
        """
        config = self._configured(data, words, options)
        if path := getattr(config, "path", None):
            return of_check(check(Path(path), config, say), path, f"{path} reads as {config.name}: no problems found")
        try:
            dataset = load(config, self._cache, talk.say)
        except BadData as report:
            return of_check(report, config.name)
        return of_check(None, config.name, summary(dataset, "no problems found"))

    def save(self, name: str, base: str, /, *words: str, **options: Any) -> Path:
        """Keeps ``data=BASE`` with options as ``data=NAME``, for this directory; the file that was written.

        Raises:
            UpliftlensError: as ``prepare``, for data that are no files of your own, and for a name that is taken.
        """
        if not isinstance(base, str):
            raise UpliftlensError(
                "save keeps the options of a file: give a kind of data, as in save('mine', 'csv', path=FILE)"
            )
        return save(name, base, _words(words, options))

    def _configured(self, data: str | Path | Frame, words: Sequence[str], options: Mapping[str, Any]) -> Any:
        """The typed options of data."""
        given = _words(words, options)
        if isinstance(data, Frame):
            return configure("csv", [*data.words(self._cache)[1:], *given])
        refuse_frame(data)
        name, path = str(data), Path(data).expanduser()
        if name not in names() and path.exists():
            name, given = guess(path), [*given, quoted(f"data.path={path}")]
        if name not in names() and ("/" in name or path.suffix):
            raise UpliftlensError(f"{name}: there is no such file (or data set: see `upliftlens data list`)")
        return configure(name, given)


def _words(words: Sequence[str], options: Mapping[str, Any]) -> list[str]:
    return list(map(quoted, [*words, *words_of({"data": options}, several=False)]))


def summary(dataset: Dataset, state: str) -> str:
    """What was read, in a line."""
    rows = f"{len(dataset.log):,} rows from {dataset.source}"
    return f"{dataset.name} {state}: {rows}, fingerprint {dataset.fingerprint[:16]}"

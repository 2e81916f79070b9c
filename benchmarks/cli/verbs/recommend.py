"""``upliftlens recommend``: a user's top list, or those of all users."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from upliftlens.benchmarks.system.atomic import whole
from upliftlens.benchmarks.system.talk import console, out
from upliftlens.causal.errors import UpliftlensError

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = {".csv": ",", ".tsv": "\t"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens recommend``."""
    parser.add_argument("run", help="key of a finished run, or its beginning")
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--user", help="raw id, as in the data; all: every user, with --out")
    who.add_argument("--history", help='what a new user liked, oldest first: ids or titles, as in "Toy Story;Heat"')
    parser.add_argument("-k", type=int, default=10, help="length of the list (default: 10)")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    parser.add_argument("--out", help="write user, rank, item, title and score to a .csv or .tsv file")


def run(flags: argparse.Namespace) -> int:
    """``upliftlens recommend RUN --user U -k K``: titles and scores, without the items known of the user."""
    from upliftlens.benchmarks.lab.lab import Lab

    file = None if flags.out is None else out_file(flags.out)
    if flags.user == "all" and file is None and flags.format != "json":
        raise UpliftlensError("the lists of all users need a file: --out lists.csv")
    opened = Lab(flags.store, flags.cache).open(flags.run)
    if flags.history is None:
        lines, whom = opened.recommend(None if flags.user == "all" else flags.user, flags.k), f"user {flags.user}"
    else:
        history = [name.strip() for name in flags.history.split(";") if name.strip()]
        lines = opened.recommend(k=flags.k, history=history)
        whom = f"a new user with {'; '.join(opened.titles(history))}"
    if file is not None:
        write(lines, file)
        console.print(f"{len(lines)} lines written to {file}", markup=False)
        return 0
    if flags.format == "json":
        print(json.dumps(lines.to_dict("records"), ensure_ascii=False, indent=1))
        return 0
    table = Table("", "item", "title", "score", box=None, pad_edge=False)
    for line in lines.itertuples():
        table.add_row(*(escape(str(part)) for part in (line.rank, line.item, line.title, f"{line.score:.3f}")))
    of = f"{opened.record.model} ({opened.key})"
    console.print(f"{of} for {whom} of {opened.record.data['name']}:", markup=False)
    out.print(table)
    return 0


def out_file(name: str) -> Path:
    """The file of a flag ``--out``.

    Raises:
        UpliftlensError: for a name that ends in neither .csv nor .tsv.
    """
    file = Path(name).expanduser()
    if file.suffix not in _SEPARATORS:
        raise UpliftlensError(f"--out {file}: the file's name must end in .csv or .tsv")
    return file


def write(lines: "pd.DataFrame", file: Path) -> None:
    """The lines as a table with a header.

    Raises:
        UpliftlensError: if the file can't be written.
    """
    try:
        with whole(file) as part:
            lines.to_csv(part, sep=_SEPARATORS[file.suffix], index=False)
    except OSError as error:
        raise UpliftlensError(f"--out {file} can't be written: {error.strerror or error}") from error

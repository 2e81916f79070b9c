"""``upliftlens recommend``: a user's top list, or those of all users."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from upliftlens.benchmarks.runs.store import Store, readable_records
from upliftlens.benchmarks.system.atomic import whole
from upliftlens.benchmarks.system.talk import console, out, quiet
from upliftlens.causal.errors import UpliftlensError

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
    from upliftlens.benchmarks.runs.recommend import find_run, recommend, recommend_for

    file = None if flags.out is None else Path(flags.out).expanduser()
    if file is not None and file.suffix not in _SEPARATORS:
        raise UpliftlensError(f"--out {file}: the file's name must end in .csv or .tsv")
    if flags.user == "all" and file is None and flags.format != "json":
        raise UpliftlensError("the lists of all users need a file: --out lists.csv")
    store = Store(Path(flags.store).expanduser())
    record = find_run(readable_records(store), flags.run)
    folders = {"store": flags.store, "cache": flags.cache}
    if flags.history is None:
        user = None if flags.user == "all" else flags.user
        lines, whom = recommend(record, folders, user, flags.k, quiet), f"user {flags.user}"
    else:
        history = [name.strip() for name in flags.history.split(";") if name.strip()]
        lines, whom = recommend_for(record, folders, history, flags.k, quiet), f"a new user with {'; '.join(history)}"
    if file is not None:
        _write(lines, file)
        console.print(f"{len(lines)} lines written to {file}", markup=False)
        return 0
    if flags.format == "json":
        print(json.dumps([line._asdict() for line in lines], ensure_ascii=False, indent=1))
        return 0
    table = Table("", "item", "title", "score", box=None, pad_edge=False)
    for line in lines:
        table.add_row(*map(escape, (str(line.rank), line.item, line.title, f"{line.score:.3f}")))
    console.print(f"{record.model} ({record.key}) for {whom} of {record.data['name']}:", markup=False)
    out.print(table)
    return 0


def _write(lines: Sequence[tuple[object, ...]], file: Path) -> None:
    """The lines as a table with a header.

    Raises:
        UpliftlensError: if the file can't be written.
    """
    import pandas as pd

    try:
        with whole(file) as part:
            pd.DataFrame(lines).to_csv(part, sep=_SEPARATORS[file.suffix], index=False)
    except OSError as error:
        raise UpliftlensError(f"--out {file} can't be written: {error.strerror or error}") from error

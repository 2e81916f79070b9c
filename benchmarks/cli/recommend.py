"""``upliftlens recommend``: a user's top list."""

import argparse
import json
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from upliftlens.benchmarks.runs.store import Store, list_records
from upliftlens.benchmarks.system.talk import console, out, quiet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens recommend``."""
    parser.add_argument("run", help="key of a finished run, or its beginning")
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--user", help="raw id, as in the data")
    who.add_argument("--history", help='what a new user liked, oldest first: ids or titles, as in "Toy Story;Heat"')
    parser.add_argument("-k", type=int, default=10, help="length of the list (default: 10)")
    parser.add_argument("--format", choices=("table", "json"), default="table")


def run(flags: argparse.Namespace) -> int:
    """``upliftlens recommend RUN --user U -k K``: titles and scores, without the items known of the user."""
    from upliftlens.benchmarks.runs.recommend import find_run, recommend, recommend_for

    store = Store(Path(flags.store).expanduser())
    record = find_run(list_records(store).records, flags.run)
    folders = {"store": flags.store, "cache": flags.cache}
    if flags.history is None:
        lines, whom = recommend(record, folders, flags.user, flags.k, quiet), f"user {flags.user}"
    else:
        history = [name.strip() for name in flags.history.split(";") if name.strip()]
        lines, whom = recommend_for(record, folders, history, flags.k, quiet), f"a new user with {'; '.join(history)}"
    if flags.format == "json":
        print(json.dumps([line._asdict() for line in lines], ensure_ascii=False, indent=1))
        return 0
    table = Table("", "item", "title", "score", box=None, pad_edge=False)
    for line in lines:
        table.add_row(*map(escape, (str(line.rank), line.item, line.title, f"{line.score:.3f}")))
    console.print(f"{record.model} ({record.key}) for {whom} of {record.data['name']}:", markup=False)
    out.print(table)
    return 0

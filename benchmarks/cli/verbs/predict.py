"""``upliftlens predict``: a run's predictions of pairs that a file lists."""

import argparse
from pathlib import Path

from upliftlens.benchmarks.system.talk import console
from upliftlens.causal.errors import UpliftlensError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``upliftlens predict``."""
    parser.add_argument("run", help="key of a finished run, or its beginning")
    parser.add_argument(
        "--pairs", required=True, metavar="FILE", help="a .csv or .tsv file with the columns user and item, raw ids"
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="FILE",
        help="the same columns and prediction, not clipped to the scale of ratings: .csv or .tsv",
    )


def run(flags: argparse.Namespace) -> int:
    """``upliftlens predict RUN --pairs FILE --out FILE``: a rating, a probability, or of a model that ranks a score."""
    import pandas as pd

    from upliftlens.benchmarks.cli.verbs.recommend import out_file, write
    from upliftlens.benchmarks.lab.lab import Lab

    file, pairs = out_file(flags.out), Path(flags.pairs).expanduser()
    try:
        with pairs.open(encoding="utf-8") as file_of_pairs:
            header = file_of_pairs.readline()
        separator = next((sign for sign in "\t;," if sign in header), ",")
        table = pd.read_csv(pairs, sep=separator, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UpliftlensError(f"--pairs {pairs} can't be read: {error}") from None
    if missing := [name for name in ("user", "item") if name not in table]:
        raise UpliftlensError(
            f"--pairs {pairs} has no column {' and no column '.join(missing)}; it has {', '.join(map(str, table))}"
        )
    if "prediction" in table:
        raise UpliftlensError(f"--pairs {pairs} has a column prediction, which the result needs: rename it")
    if file.resolve() == pairs.resolve():
        raise UpliftlensError(f"--out {file} is the file of --pairs: give another name")
    opened = Lab(flags.store, flags.cache).open(flags.run)
    table["prediction"] = opened.predict(list(table["user"]), list(table["item"]))
    write(table, file)
    console.print(f"{len(table)} lines written to {file}", markup=False)
    return 0

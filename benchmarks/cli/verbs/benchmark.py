"""``upliftlens benchmark``: methods tuned with equal trials, run with several seeds, compared."""

from collections.abc import Sequence

HELP = """upliftlens benchmark OPTION=VALUE ... [budget=20] [seeds=5] [metric=ndcg@10] [baseline=NAME] [margin=X]

Options with several values make the methods, as in a sweep. Each is searched over its own space with `budget` trials,
selected by `metric` on validation rows; none reads the test set. Its best trial is run with `seeds` seeds, and the
methods are compared, all with all or each with the `baseline`, p corrected for the number of pairs (Holm). Run again to
continue; a plugin's own `space` is searched like any other. format=latex or json instead of md. Options are those of
`upliftlens run --help`.

  upliftlens benchmark data=ml-100k model=mf,mlp,ease budget=20 seeds=5"""


def run(arguments: Sequence[str]) -> int:
    """Searches, runs and compares; prints the table, the verdicts, and the command that repeats each row."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(HELP)
        return 0
    from upliftlens.benchmarks.lab.lab import Lab

    print(Lab().benchmark(*arguments).text)
    return 0

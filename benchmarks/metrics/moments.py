"""Metrics of ranks as the mean over moments, where a user is asked for at several (``split.moments=each``).

Without a suffix a user's value is the mean over the user's moments with a relevant item, so every user weighs the same:

    */moments  the mean over all moments with a relevant item: a user with more of them weighs more

Users stay the unit of resampling. With one moment per user both are equal.
"""

from upliftlens.benchmarks.metrics import ranking

METRICS = tuple(whole._replace(name=f"{whole.name}/moments", kind="pooled") for whole in ranking.METRICS)

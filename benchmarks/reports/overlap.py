"""The overlap plot of propensities, from the histograms that records keep (``benchmarks.propensities.diagnostics``)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from upliftlens.benchmarks.reports.plots import Histogram, histogram_plot
from upliftlens.benchmarks.runs.records import Record
from upliftlens.causal.errors import UpliftlensError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def overlap_figure(records: Sequence[Record]) -> "Figure":
    """Shares of the observed and of all pairs by propensity, a panel for each propensity that the runs used.

    Where a bin holds a share of all pairs and none of the observed ones, pairs like those are never seen.

    Raises:
        UpliftlensError: if no run has a propensity that is known for all pairs.
    """
    panels: dict[str, Histogram] = {}
    for record in records:
        result = record.diagnostics.get("propensity")
        if result and result["overlap"]:
            title = f"{record.data['name']}, propensity {result['name']}: {result['verdict']} ({result['reason']})"
            edges, *counts = (np.asarray(result["overlap"][side], float) for side in ("edges", "observed", "all"))
            shares = [count / max(count.sum(), 1) for count in counts]
            panels.setdefault(f"{title} {counts}", Histogram(title, edges, *shares))
    if not panels:
        raise UpliftlensError(
            "no finished run here has a propensity that is known for all pairs: run one, e.g. propensity=popularity; "
            "that of naive_bayes depends on the rating, which is unknown where a pair was not rated"
        )
    return histogram_plot(list(panels.values()), "propensity P(the pair is observed)")

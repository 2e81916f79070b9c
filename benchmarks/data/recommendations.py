"""Logs of recommendations, read from files."""

from dataclasses import replace

import numpy as np
import pandas as pd

from upliftlens.benchmarks.data.build import Raw, build, ids_only, sealed
from upliftlens.benchmarks.data.config import UpliftLogConfig
from upliftlens.benchmarks.data.contract import file_source
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.data.delimited import only
from upliftlens.benchmarks.data.files import Files
from upliftlens.benchmarks.data.logged_rows import check_log, estimated, one_row_each, with_absent
from upliftlens.benchmarks.data.problems import Problem, refuse
from upliftlens.benchmarks.data.ratings import SEPARATORS, Checks, Layout, as_text, read_ratings
from upliftlens.benchmarks.data.scan import cells_of
from upliftlens.benchmarks.system.talk import Say
from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.interactions import interactions
from upliftlens.causal.propensities.treatment import one_arm


def read_log(files: Files, config: UpliftLogConfig) -> Raw:
    """One file of recommendations and outcomes, a row for each pair; every check is of the rows that are left.

    Propensities that the file does not hold are estimated from all of these rows. A run estimates them again without
    its test rows (``splits.uplift_parts.estimated_without_test``); for the card and for ``effects`` these stay.

    Raises:
        BadData: with every finding in the file.
        UpliftlensError: as ``check_log``, if propensities can't be estimated, absent pairs can't be rows, or a filter
            makes no sense of a log of recommendations.
    """
    if config.filter.duplicates == "mean":
        raise UpliftlensError("data.filter.duplicates=mean: a treatment has no mean, use error, first or last")
    if config.filter.min_value is not None:
        raise UpliftlensError(
            f"data.filter.min_value={config.filter.min_value:g}: of rows chosen by their outcome none can say what "
            "recommending changes. Fix: data.filter.min_value=null"
        )
    path = files.chosen or only(files, (".csv", ".tsv", ".txt", ".dat"))
    data, file, columns = files.read(path), files.label(path), config.columns
    separator = None if config.separator == "auto" else SEPARATORS[config.separator]

    roles = {role: name for role, name in vars(columns).items() if name not in (None, "auto")}
    for role, name in roles.items():
        if other := next((this_role for this_role in roles if roles[this_role] == name and this_role != role), None):
            raise UpliftlensError(f"data.columns.{role} and data.columns.{other} are both {name}: name another column")

    def column(name: str, holds: str, distinct: bool = False) -> pd.DataFrame:
        layout = Layout(separator, config.header, columns.user, columns.item, name, columns.time, False, True, holds)
        return read_ratings(data, file, config.encoding, layout, Checks((0.0, 1.0), distinct))

    log = column(columns.outcome, "outcome", config.filter.duplicates == "error")
    treated = column(columns.treated, "treated")["value"].to_numpy()
    refuse(
        Problem(
            file, int(row) + 1 + config.header, columns.treated, f"treated {treated[row]:g} is not 0 or 1", "correct it"
        )
        for row in np.flatnonzero(~np.isin(treated, (0, 1)))
    )
    log["treated"] = treated > 0
    given = columns.propensity
    if given == "auto":
        first = as_text(data, file, config.encoding).split("\n", 1)[0].rstrip("\r")
        mark = separator or next((mark for mark in SEPARATORS.values() if mark in first), ",")
        given = "propensity" if config.header and "propensity" in cells_of(first, mark, mark in ",;") else None
    if given is not None:
        log["treatment_propensity"] = column(given, "propensity")["value"]
    log = one_row_each(log, config.filter.duplicates)
    if config.absent == "zero":
        if given is not None or columns.time is not None:
            raise UpliftlensError(
                f"data.absent=zero: an absent pair has no row in {file} that could give its propensity or time. "
                "Fix: data.columns.propensity=null estimates all propensities, data.columns.time=null"
            )
        log = with_absent(log, file)
    user, item = (pd.factorize(log[side])[0].astype(np.int32) for side in ("user", "item"))
    rows = interactions(user, item, log["value"].to_numpy(), int(user.max()) + 1, int(item.max()) + 1)
    recorded = None if given is None else log["treatment_propensity"].to_numpy()
    columns_to_check = "data.columns.treated" if given is None else "data.columns.treated and data.columns.propensity"
    check_log(rows, log["treated"].to_numpy(), recorded, file, f"check {columns_to_check}")
    if given is None:
        every = np.ones(len(rows), bool)
        log["treatment_propensity"] = estimated(rows, log["treated"].to_numpy(), every, config, file)
    return Raw(log, ids_only(), ids_only(), estimated=given is None)


def load_log(files: Files, config: UpliftLogConfig, origin: str, say: Say | None) -> Dataset:
    """The data set of a user's log, and a line about its propensities for the user.

    Raises:
        BadData, UpliftlensError: as ``read_log``, of the file and again of the rows that data.filter leaves.
    """
    raw = read_log(files, config)
    result = build(raw, config, origin)
    if len(result.log) < len(raw.log):
        result = _refitted(result, config)
    treatment = result.treatment
    assert treatment is not None
    if say is not None and result.log.n_users == 1:
        say(f"{result.name} has one user: nothing gets an interval, for intervals redraw users")
    if say is not None and result.log.n_items == 1:
        say(f"{result.name} has one item: every model ranks alike")
    if say is not None and treatment.estimated:
        say(
            f"{result.name} records no propensities: they are estimated from its {len(result.log):,} rows "
            f"(logistic in user and item, data.propensity_l2={config.propensity_l2:g}). {_one_sided(result)}"
        )
    return result


def _refitted(made: Dataset, config: UpliftLogConfig) -> Dataset:
    """The data set of which a filter left only some rows: checked, and estimated, as if the file held no others."""
    treatment = made.treatment
    assert treatment is not None
    where, mine = f"{made.name}, of which data.filter leaves {len(made.log):,} rows", None
    if not treatment.estimated:
        mine = treatment.propensity
    check_log(made.log, treatment.treated, mine, where, "lower data.filter.user_core and data.filter.item_core")
    if mine is None:
        mine = estimated(made.log, treatment.treated, np.ones(len(made.log), bool), config, where)
    return sealed(replace(made, treatment=treatment._replace(propensity=mine)))


def _one_sided(made: Dataset) -> str:
    """How many rows are of items whose overlap is the model's word alone."""
    assert made.treatment is not None
    item = np.asarray(made.log.item)
    alone, _ = one_arm(item, made.treatment.treated, made.log.n_items)
    if not alone.any():
        return "Every item was both recommended and not"
    return (
        f"{int(alone[item].sum()):,} of the rows are of {int(alone.sum()):,} items that were always or never "
        "recommended: their propensities are the model's word alone"
    )


uplift_log = file_source("uplift-log", UpliftLogConfig, read_log, load_log)

"""The user's own log of recommendations, read from a file: rows, checks, estimated propensities."""

from dataclasses import replace

import numpy as np
import pandas as pd

from upliftlens.benchmarks.data.build import Raw, build, ids_only, merged, sealed
from upliftlens.benchmarks.data.config import UpliftLogConfig
from upliftlens.benchmarks.data.contract import file_source
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.data.delimited import only
from upliftlens.benchmarks.data.files import Files
from upliftlens.benchmarks.data.problems import Problem, refuse
from upliftlens.benchmarks.data.ratings import as_text, read_columns
from upliftlens.benchmarks.data.scan import SEPARATORS, Checks, Layout, cells_of
from upliftlens.benchmarks.data.tables import with_tables
from upliftlens.benchmarks.system.talk import Say
from upliftlens.causal.effects.treatment import action_propensity, checked_log, overlap, treatment_propensity
from upliftlens.causal.errors import UpliftlensError, located
from upliftlens.causal.interactions import Interactions, interactions
from upliftlens.causal.propensities.treatment import additive_logistic, one_arm

MOST_ROWS = 100_000_000  # that absent=zero may make: some 4 GB
_UNKNOWN = 0.5  # stands for propensities that are estimated only after the checks


def read_log(files: Files, config: UpliftLogConfig) -> Raw:
    """One file of recommendations and outcomes, a row for each pair; the checks see the rows left after merging.

    Propensities that the file does not hold are estimated from all of these rows. A run estimates them again without
    its test rows (``splits.uplift_parts.estimated_without_test``); for the card and for ``effects`` these stay.

    Raises:
        BadData: with every problem of the file.
        UpliftlensError: as ``check_log``, if propensities can't be estimated, absent pairs can't become rows, or a
            filter makes no sense for a log of recommendations.
    """
    if config.filter.duplicates == "mean":
        raise UpliftlensError("data.filter.duplicates=mean: a treatment has no mean, use error, first or last")
    if config.filter.min_value is not None:
        raise UpliftlensError(
            f"data.filter.min_value={config.filter.min_value:g}: rows chosen by their outcome can't show what "
            "recommending changes. Fix: data.filter.min_value=null"
        )
    path = files.chosen or only(files, (".csv", ".tsv", ".txt", ".dat"))
    data, file, columns = files.read(path), files.label(path), config.columns
    separator, names = SEPARATORS.get(config.separator, ""), (columns.user, columns.item, columns.outcome, columns.time)
    layout = Layout(separator, config.header, *names, integer_ids=False, adjustable=True)

    def column(name: str, holds: str, repeats: str | None = None) -> pd.DataFrame:
        checks = Checks((0.0, 1.0), repeats)
        return read_columns(data, file, config.encoding, layout._replace(value=name, holds=holds), checks, files.say)

    beside = [("treated", columns.treated)]
    if columns.propensity not in (None, "auto"):
        beside.append(("propensity", columns.propensity))
    layout = layout._replace(beside=tuple(beside))
    repeats = "delete one, or data.filter.duplicates=last (or first)"  # a treatment has no mean
    log = column(columns.outcome, "outcome", repeats if config.filter.duplicates == "error" else None)
    treated = column(columns.treated, "treated")["value"].to_numpy()
    refuse(
        Problem(file, log.index[row], columns.treated, f"treated {treated[row]:g} is not 0 or 1", "correct it")
        for row in np.flatnonzero(~np.isin(treated, (0, 1))).tolist()
    )
    log["treated"] = treated > 0
    given = columns.propensity
    if given == "auto":
        first = as_text(data, file, config.encoding).split("\n", 1)[0]
        free = config.header and "propensity" not in vars(columns).values()
        given = "propensity" if free and "propensity" in cells_of(first, layout.of(first)) else None
    if given is not None:
        log["propensity"] = action_propensity(
            log["treated"].to_numpy(), column(given, "propensity")["value"].to_numpy()
        )
    log = one_row_each(log, config.filter.duplicates)
    if config.absent == "zero":
        if given is not None or columns.time is not None:
            raise UpliftlensError(
                f"data.absent=zero: an absent pair has no row in {file} that could give its propensity or time. "
                "Fix: data.columns.propensity=null estimates all propensities, data.columns.time=null"
            )
        log = with_absent(log, file)
    user, item = (pd.factorize(log[side])[0].astype(np.int32) for side in ("user", "item"))
    action_p = np.full(len(log), _UNKNOWN) if given is None else log["propensity"].to_numpy()
    size = (int(user.max()) + 1, int(item.max()) + 1)
    rows = interactions(user, item, log["value"].to_numpy(), *size, None, log["treated"].to_numpy(), action_p)
    columns_to_check = "data.columns.treated" if given is None else "data.columns.treated and data.columns.propensity"
    check_log(rows, file, f"check {columns_to_check}")
    if given is None:
        log["propensity"] = estimated(rows, np.ones(len(rows), bool), config, file)
    return with_tables(Raw(log, ids_only(), ids_only(), estimated=given is None), config, files.say)


def load_log(files: Files, config: UpliftLogConfig, origin: str, say: Say | None) -> Dataset:
    """The data set of a user's log, and a line about its propensities for the user.

    Raises:
        BadData, UpliftlensError: as ``read_log``, of the file and again of the rows that data.filter leaves.
    """
    raw = read_log(files, config)
    dataset = build(raw, config, origin)
    if len(dataset.log) < len(raw.log):
        dataset = _refitted(dataset, config)
    if say is not None and dataset.log.n_users == 1:
        say(f"{dataset.name} has one user: nothing gets an interval, for intervals redraw users")
    if say is not None and dataset.log.n_items == 1:
        say(f"{dataset.name} has one item: every model ranks alike")
    if say is not None and raw.estimated:
        say(
            f"{dataset.name} records no propensities: they are estimated from its {len(dataset.log):,} rows "
            f"(logistic in user and item, data.propensity_l2={config.propensity_l2:g}). {_one_sided(dataset)}"
        )
    return dataset


def _refitted(dataset: Dataset, config: UpliftLogConfig) -> Dataset:
    """The data set after a filter removed rows: checked, and its propensities estimated, by the remaining rows."""
    log = dataset.log
    if dataset.estimated:
        log = replace(log, propensity=np.full(len(log), _UNKNOWN))
    where = f"{dataset.name}, of which data.filter leaves {len(log):,} rows"
    check_log(log, where, "lower data.filter.user_core and data.filter.item_core")
    if not dataset.estimated:
        return dataset
    return sealed(replace(dataset, log=replace(log, propensity=estimated(log, np.ones(len(log), bool), config, where))))


def _one_sided(dataset: Dataset) -> str:
    """How many rows are of items that were always or never recommended, so that no row supports their overlap."""
    item = np.asarray(dataset.log.item)
    alone, _ = one_arm(item, np.asarray(dataset.log.treated), dataset.log.n_items)
    if not alone.any():
        return "Every item was both recommended and not"
    return (
        f"{int(alone[item].sum()):,} of the rows are of {int(alone.sum()):,} items that were always or never "
        "recommended: their propensities are the model's word alone"
    )


def one_row_each(log: pd.DataFrame, duplicates: str) -> pd.DataFrame:
    """The log with one row for each pair, by the policy of data.filter.duplicates (``build.merged``)."""
    user, item = (pd.factorize(log[side])[0] for side in ("user", "item"))
    time = log["time"].to_numpy() if "time" in log else None
    return log.iloc[merged(user, item, log["value"].to_numpy(), time, duplicates).kept].reset_index(drop=True)


def check_log(rows: Interactions, where: str, fix: str) -> None:
    """Refuses a log from which no effect can be estimated.

    Raises:
        UpliftlensError: if nothing, or everything, was recommended, a propensity contradicts its treatment, no row has
            overlap (each with ``fix``), or no outcome is above 0.
    """
    columns = (rows.user, rows.item, np.asarray(rows.treated), rows.value, treatment_propensity(rows))
    try:
        overlap(checked_log(*columns, rows.n_users, rows.n_items))
    except UpliftlensError as error:
        raise UpliftlensError(f"{where}: {error}. Fix: {fix}") from error
    if not (rows.value > 0).any():
        raise UpliftlensError(
            f"{where}: all {len(rows):,} outcomes are 0: nothing was ever taken, so there is no effect to learn or "
            "measure. Fix: check data.columns.outcome"
        )


def estimated(rows: Interactions, fitted: np.ndarray, config: UpliftLogConfig, where: str) -> np.ndarray:
    """f64[N], P(what was done), as ``additive_logistic`` estimates it from the ``fitted`` rows with the data's options.

    Raises:
        UpliftlensError: if they can't be estimated.
    """
    treated, size = np.asarray(rows.treated), (rows.n_users, rows.n_items)
    options = (config.propensity_l2, config.propensity_iterations)
    with located(where):
        return action_propensity(treated, additive_logistic(rows.user, rows.item, treated, *size, *options, fitted))


def with_absent(log: pd.DataFrame, file: str) -> pd.DataFrame:
    """The rows, followed by every pair of a user and an item without a row: untreated, outcome 0.

    Raises:
        UpliftlensError: if that would be more than ``MOST_ROWS`` rows.
    """
    (user, users), (item, items) = (pd.factorize(log[side]) for side in ("user", "item"))
    if (n := len(users) * len(items)) > MOST_ROWS:
        raise UpliftlensError(
            f"data.absent=zero: {len(users):,} users × {len(items):,} items of {file} would be {n:,} rows, more than "
            f"{MOST_ROWS:,}. Fix: data.absent=drop, or a file of fewer users or items"
        )
    missing = np.ones((len(users), len(items)), bool)
    missing[user, item] = False
    u, i = np.nonzero(missing)
    absent = {"user": users[u], "item": items[i], "value": np.zeros(len(u), np.float32), "treated": False}
    return pd.concat([log, pd.DataFrame(absent)], ignore_index=True)


uplift_log = file_source("uplift-log", UpliftLogConfig, read_log, load_log)

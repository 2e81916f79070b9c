"""``run`` and ``sweep`` as Hydra applications."""

import errno
import os
import sys
from collections.abc import Sequence

from hydra import initialize_config_module
from hydra import main as hydra_main
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from upliftlens.benchmarks.config.choices import CONFIGS
from upliftlens.benchmarks.config.compose import explained, in_yaml, plain
from upliftlens.benchmarks.config.typed import allowed
from upliftlens.benchmarks.runs.plan import options_of
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.sweeps.jobs import Jobs
from upliftlens.benchmarks.system.keys import canonical_key
from upliftlens.causal.errors import UpliftlensError


def run_app(verb: str, overrides: Sequence[str]) -> list[Record]:
    """Runs ``upliftlens run`` or ``upliftlens sweep`` with overrides that are ready (``prepare_overrides``).

    Returns the records of all jobs, computed or looked up. In a sweep a failed job is printed when it fails.

    Raises:
        UpliftlensError: for a configuration that can't be composed, and for a run that failed; in a sweep after its
            last job.
    """
    jobs = Jobs(sweep=verb == "sweep")
    OmegaConf.register_new_resolver("upliftlens.allowed", _allowed, replace=True)  # for --help
    OmegaConf.register_new_resolver("upliftlens.options", lambda *, _root_: in_yaml(plain(_root_)), replace=True)
    if jobs.sweep and not any(override.startswith("group=") for override in overrides):
        overrides = [f"group={sweep_name('sweep', overrides)}", *overrides]  # first: a flag such as --help may follow
    try:
        _launch(jobs, overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise explained(error, overrides) from None
    except OSError as error:  # not of a job: Hydra makes the sweep's folder and writes its configuration there
        if not jobs.sweep or error.errno == errno.EPIPE:
            raise
        store = next((override for override in reversed(overrides) if override.startswith("store=")), "store=runs")
        raise UpliftlensError(
            f"the sweep can't write {error.filename or 'into the folder sweeps'} of its store ({store}; "
            f"{error.strerror}): free some space there, or choose another with store=FOLDER.\n"
            "Nothing was started; finished runs are safe"
        ) from None
    return jobs.finished()


def _allowed(*, _root_: DictConfig) -> str:
    """A line per option of a composed configuration that has a range or a fixed set of values, or what is wrong."""
    config = plain(_root_)
    try:
        kinds = options_of(config)
    except UpliftlensError as error:
        return str(error)
    lines = [line for group in kinds for line in allowed(kinds[group], config[group] if group else config, group)]
    width = max(len(option) for option, _ in lines)
    return "\n".join(f"{option:<{width}}  {words}" for option, words in lines)


def _launch(jobs: Jobs, overrides: Sequence[str]) -> None:
    """Has Hydra compose the configuration of the command and of each job of a sweep, and hand them to ``jobs``."""
    if any(text.startswith(("-", "hydra.mode=")) for text in overrides):  # --help, --cfg job, ...
        os.environ["HYDRA_FULL_ERROR"] = "1"  # else Hydra prints an error of its own and exits
        sys.argv = [f"upliftlens {'sweep' if jobs.sweep else 'run'}", *["--multirun"] * jobs.sweep, *overrides]
        hydra_main(version_base="1.3", config_path=f"pkg://{CONFIGS}", config_name="config")(jobs)()
        return
    with initialize_config_module(CONFIGS, version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        # Hydra's own command line would compose once more, to decide between run and multirun.
        (hydra.multirun if jobs.sweep else hydra.run)("config", jobs, list(overrides))


def sweep_name(verb: str, overrides: Sequence[str]) -> str:
    """The name of a sweep or search: the same command has the same name, however often it is continued."""
    return f"{verb}-{canonical_key({'overrides': sorted(overrides)})[:8]}"

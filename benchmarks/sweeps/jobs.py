"""``run`` and ``sweep``: the jobs of a command, from its words to plans, runs, and the lines printed of them.

What plans and runs is imported where it is called: to show the options takes no JAX, which is slow to load.
"""

import errno
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hydra import initialize_config_module
from hydra import main as hydra_main
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from hydra_plugins.upliftlens.launcher import node
from upliftlens.benchmarks.config.choices import CONFIGS
from upliftlens.benchmarks.config.compose import configured, explained, of_job, plain, prepare_overrides
from upliftlens.benchmarks.config.overrides import read_with_jobs, sweep_name
from upliftlens.benchmarks.config.sections import Configuration, configuration_of
from upliftlens.benchmarks.runs.records import Record
from upliftlens.benchmarks.runs.store import Store, add_to_sweep
from upliftlens.benchmarks.system.talk import say_styled
from upliftlens.causal.errors import UpliftlensError, unknown

if TYPE_CHECKING:
    from upliftlens.benchmarks.runs.plan import Plan


@dataclass
class Jobs:
    """The jobs of a command that are done or failed so far. It is Hydra's task function, too.

    ``ready(plans)`` is called before the first of them starts. ``lenient``: combinations that don't go together are
    left out, with a line of each.
    """

    sweep: bool
    ready: "Callable[[Sequence[Plan]], object]"
    lenient: bool = False
    done: list[Record] = field(default_factory=list)
    failed: list[UpliftlensError] = field(default_factory=list)

    configured = staticmethod(of_job)  # what our launcher, which lies below config, composes a job by

    def planned(self, configuration: Configuration) -> "Plan":
        """The plan of a job. Options that its model does not read are an error of a run, a remark of a sweep."""
        from upliftlens.benchmarks.runs.plan import plan, refuse_ignored

        job = plan(configuration)
        return job if self.sweep else refuse_ignored(job)

    def plans(self, jobs: Mapping[tuple[str, ...], Callable[[], Configuration]]) -> "list[Plan]":
        """The plans of all jobs, whose configurations are given by their overrides.

        Raises:
            UpliftlensError: for the first job that is wrong; if ``lenient``, only if all are.
        """
        plans, errors = [], []
        shared = set.intersection(*map(set, jobs))
        for number, (overrides, configuration) in enumerate(jobs.items(), 1):
            try:
                plans.append(self.planned(configuration()))
            except UpliftlensError as error:
                which = " ".join(text for text in overrides if text not in shared)
                if not self.lenient:
                    place = (
                        f". This is combination {number} of {len(jobs)}: {which}. With incompatible=leave_out, "
                        "combinations that don't go together are left out"
                    )
                    raise UpliftlensError(f"{error}\nNothing was started{place if which else ''}") from None
                errors.append(error)
                say_styled(("left out", "yellow"), f"  {which}: {error}")
        if errors and not plans:
            raise UpliftlensError(f"no combination is left. {errors[0]}")
        return plans

    def run(self, plans: "Sequence[Plan]") -> list[float]:
        """Runs jobs and prints a line of each; their validation values, NaN for a job without one.

        Jobs that are the same run (of a solver, with options that it does not read) are done once.
        """
        from upliftlens.benchmarks.runs.plan import ignored, repeated

        names = [repeated(job) for job in plans]
        distinct = [job for number, job in enumerate(plans) if names[number] not in names[:number]]
        for sentence in dict.fromkeys(filter(None, map(ignored, plans))):
            say_styled(("note", "yellow"), f"  {sentence}: combinations that differ in that only are one run")
        by_name = dict(zip(dict.fromkeys(names), self._each(distinct), strict=True))
        return [by_name[name] for name in names]

    def _each(self, plans: "Sequence[Plan]") -> list[float]:
        from upliftlens.benchmarks.runs.many import run_many
        from upliftlens.benchmarks.sweeps.tell import differing, tell_done

        self.ready(plans)
        values: list[float] = []
        for number, (job, outcome, options) in enumerate(
            zip(plans, run_many(plans, watched=True), differing(plans), strict=True), 1
        ):
            value, place = None, f"{number} of {len(plans)}" if len(plans) > 1 else ""
            if outcome.status in ("computed", "stored"):
                record = tell_done(job, outcome, place, options)
                self.done.append(record)
                if self.sweep and job.group and record.sweep != job.group and job.group not in record.sweeps:
                    add_to_sweep(Store(job.store), job.group, record.key)
                value = self.done[-1].diagnostics["validation"]
            else:
                self.failed.append(UpliftlensError(outcome.message))
                if self.sweep:
                    say_styled(
                        ("failed", "red"),
                        f"  {'  '.join(filter(None, (place, job.label, options)))}: {outcome.message}",
                    )
            values.append(float("nan") if value is None else float(value))
        return values

    def __call__(self, config: DictConfig) -> float:
        """Runs a job that Hydra composed: that of a launcher that is not ours, or of a ``run`` with Hydra's flags.

        Raises:
            UpliftlensError: if it failed in another launcher, whose job may be in another process. In a ``run`` Hydra
                would add a line of its own to the error, so there ``finished`` raises it.
        """
        hydra, failures, value = HydraConfig.get(), len(self.failed), float("nan")
        try:
            (value,) = self.run([self.planned(configuration_of(plain(config), hydra.overrides.task))])
        except UpliftlensError as error:
            self.failed.append(error)
        if self.failed[failures:] and hydra.launcher._target_ != node["_target_"]:
            raise self.failed[-1]
        return value

    def finished(self) -> list[Record]:
        """The records of all jobs, once the last one has ended.

        Raises:
            UpliftlensError: the error of a ``run``; of a sweep, how many of its jobs failed.
        """
        if self.failed and not self.sweep:
            raise self.failed[0]
        if self.failed:
            kept = "The others are stored; the same command retries the failed ones only" if self.done else ""
            jobs = len(self.failed) + len(self.done)
            raise UpliftlensError(f"{len(self.failed)} of {jobs} runs failed, see the lines above. {kept}".strip())
        return self.done


def run_jobs(
    verb: str, arguments: Sequence[str], ready: "Callable[[Sequence[Plan]], object]" = lambda plans: None
) -> list[Record]:
    """Runs ``upliftlens run`` or ``upliftlens sweep`` with the words of a command; ``ready``: see ``Jobs``.

    Returns the records of all jobs, computed or looked up. In a sweep a failed job is printed when it fails.

    Raises:
        UpliftlensError: for a configuration that can't be composed, and for a run that failed; in a sweep after its
            last job.
    """
    lenient, arguments = _lenient(_with_values(arguments))
    jobs = Jobs(verb == "sweep", ready, lenient)
    flags = any(text.startswith(("-", "hydra.mode=")) for text in arguments)  # --help, --cfg job, ...
    if not (jobs.sweep or flags):
        jobs.run([jobs.planned(configured(arguments))])
        return jobs.finished()
    overrides = prepare_overrides(arguments)
    if jobs.sweep and not any(override.startswith("group=") for override in overrides):
        overrides = [f"group={sweep_name('sweep', overrides)}", *overrides]  # first: a flag such as --help may follow
    try:
        if flags:
            os.environ["HYDRA_FULL_ERROR"] = "1"  # else Hydra prints an error of its own and exits
            sys.argv = [f"upliftlens {verb}", *["--multirun"] * jobs.sweep, *overrides]
            hydra_main(version_base="1.3", config_path=f"pkg://{CONFIGS}", config_name="config")(jobs)()
        else:
            with initialize_config_module(CONFIGS, version_base="1.3"):
                hydra = GlobalHydra.instance().hydra
                assert hydra is not None
                # Hydra's own command line would compose once more.
                hydra.multirun("config", jobs, read_with_jobs(overrides))
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


def _with_values(arguments: Sequence[str]) -> list[str]:
    """The words with Hydra's flags and their values in one: ``--cfg job`` as ``--cfg=job``."""
    joined: list[str] = []
    for text in arguments:
        if joined and joined[-1] in ("--cfg", "-c", "--info", "-i", "--package", "-p") and "=" not in text:
            joined[-1] = f"{joined[-1]}{'=' if joined[-1].startswith('--') else ''}{text}"
        else:
            joined.append(text)
    return joined


def _lenient(arguments: Sequence[str]) -> tuple[bool, list[str]]:
    """Whether ``incompatible=leave_out`` is among the words, and the others.

    Raises:
        UpliftlensError: for another value.
    """
    stated = [text.partition("=")[2] for text in arguments if text.startswith("incompatible=")]
    for value in stated:
        if value not in ("refuse", "leave_out"):
            raise unknown("value of incompatible", value, ("refuse", "leave_out"))
    return "leave_out" in stated[-1:], [text for text in arguments if not text.startswith("incompatible=")]

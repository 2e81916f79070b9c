"""Tracking a run while it runs: Weights & Biases, or nothing. The record in the store never depends on it.

If W&B fails (no network, no login, a full disk, an error inside W&B), the run goes on and the user reads a sentence.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from upliftlens.benchmarks.runs.records import Record, plain
from upliftlens.benchmarks.system.talk import Say, say
from upliftlens.causal.errors import UpliftlensError

_CONNECT = 20.0  # seconds to reach the W&B server, after which the run is tracked offline
_UPLOAD = 300.0  # seconds to upload a run's rest at its end, after which `wandb sync` has to


@dataclass(frozen=True)
class LoggerConfig:
    """Config group ``logger/``: where a run's progress goes; ``none`` has no other option."""

    name: str


@dataclass(frozen=True)
class WandbConfig(LoggerConfig):
    """``logger=wandb``: see configs/logger/wandb.yaml."""

    mode: Literal["offline", "online"]
    dir: str
    project: str
    entity: str | None


KINDS: dict[str, type[LoggerConfig]] = {"none": LoggerConfig, "wandb": WandbConfig}


class Tracker:
    """Follows one run. This one does nothing: it is ``logger=none``, and the interface of the others."""

    def log_epoch(self, epoch: int, values: Mapping[str, float | None]) -> None:
        """Adds an epoch to the history; names such as ``validation/ndcg@10`` keep their best value in the summary."""

    def finish(self, record: Record) -> None:
        """Puts the record's values into the summary and ends the run, as failed unless its status is done."""


@contextmanager
def track(config: LoggerConfig, record: Record, say: Say = say) -> Iterator[Tracker]:
    """The tracker of a run. ``record`` is the run as it starts: its configuration, key, names and sweep.

    Call ``finish`` with the final record once that is stored; a block that ends without it is a failed run.
    """
    if not isinstance(config, WandbConfig):
        yield Tracker()
        return
    tracker = _Wandb(config, record, say)
    try:
        yield tracker
    finally:
        tracker.end(exit_code=1)  # does nothing after ``finish``


def wandb_login() -> str | None:
    """Where W&B credentials are (never what they are), or None. Reads files and variables; uses no network."""
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        if os.environ.get(name):
            return name
    server = urlsplit(os.environ.get("WANDB_BASE_URL", "")).netloc
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        known = netrc(path).hosts
    except (OSError, NetrcParseError):
        return None
    return str(path) if known.keys() & ({server} if server else {"api.wandb.ai", "api.forge.coreweave.com"}) else None


class _Wandb(Tracker):
    """One W&B run. After an error it is silent, and ``_run`` is None."""

    def __init__(self, config: WandbConfig, record: Record, say: Say) -> None:
        self._say = say
        self._run: Any = None
        self._named: set[str] = set()
        modes: list[Literal["offline", "online"]] = ["offline"]
        if config.mode == "online" and wandb_login() is None:
            say(
                "W&B: not logged in, so this run is tracked offline. Run `wandb login` once, or set logger.mode=offline"
            )
        elif config.mode == "online":
            modes = ["online", "offline"]
        for mode in modes:
            try:
                self._run = _start(config, mode, record)
                return
            except Exception as error:
                if mode == "offline":
                    self._fail("start", error)
                else:
                    say(f"W&B can't be reached, so this run is tracked offline ({_line(error)})")

    def log_epoch(self, epoch: int, values: Mapping[str, float | None]) -> None:
        known = {name: value for name, value in values.items() if value is not None and name != "epoch"}
        for name in sorted(known.keys() - self._named):
            self._named.add(name)
            define = partial(lambda of: self._run.define_metric(of, step_metric="epoch", summary=_best(of)), name)
            self._guard("define a metric", define)
        self._guard("log an epoch", lambda: self._run.log({"epoch": epoch, **known}))

    def finish(self, record: Record) -> None:
        summary: dict[str, Any] = {"status": record.status}
        for name, metric in record.metrics.items():
            summary |= {name: metric.value, f"{name}/lo": metric.lo, f"{name}/hi": metric.hi, f"{name}/n": metric.n}
        summary |= {f"timing/{stage}": seconds for stage, seconds in record.timing.items()}
        if record.error is not None:
            summary["error"] = f"{record.error.type}: {record.error.message}"
        self._guard("write the summary", lambda: self._run.summary.update(plain(summary)))
        self.end(exit_code=0 if record.status == "done" else 1)

    def end(self, exit_code: int) -> None:
        """Ends the W&B run, once."""
        self._guard("finish", lambda: self._run.finish(exit_code=exit_code))
        self._run = None

    def _guard(self, what: str, do: Callable[[], Any]) -> None:
        if self._run is None:
            return
        try:
            do()
        except Exception as error:
            self._fail(what, error)

    def _fail(self, what: str, error: Exception) -> None:
        self._run = None
        self._say(f"W&B could not {what}: {_line(error)}. The run goes on; its record is in the store")


def _start(config: WandbConfig, mode: Literal["offline", "online"], record: Record) -> Any:
    import wandb

    folder = Path(config.dir).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:  # W&B would go to a temporary folder without a word
            probe.write(b"writable")
    except OSError as error:
        raise UpliftlensError(f"{folder} can't be written ({error.strerror}): choose logger.dir=FOLDER") from error
    run = wandb.init(
        mode=mode,
        dir=str(folder.resolve()),
        project=config.project,
        entity=config.entity,
        group=record.sweep,
        name=f"{record.model}-{record.data['name']}-seed{record.seed}-{record.key[:6]}",
        tags=[tag[:64] for tag in dict.fromkeys((record.data["name"], record.model, record.objective)) if tag],
        config=plain({**record.config, "key": record.key, "fit_key": record.fit_key}),
        reinit="finish_previous",
        settings=wandb.Settings(silent=True, console="off", init_timeout=_CONNECT, finish_timeout=_UPLOAD),
    )
    run.define_metric("epoch")
    run.define_metric("*", step_metric="epoch")
    return run


def _best(name: str) -> str:
    """What W&B shows of a history in its summary: the best value, where it is known which way is better."""
    from upliftlens.benchmarks.metrics.registry import choose  # imports jax, which commands that only read don't need

    metric = name.partition("/")[2] or name
    if metric == "loss":
        return "min"
    try:
        return "max" if choose(metric).metric.higher_is_better else "min"
    except UpliftlensError:
        return "last"


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

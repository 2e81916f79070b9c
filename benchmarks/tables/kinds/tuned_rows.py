"""The definition of a tuned table (``tables.tuned``), and its rows: backbone × objective × way of training."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Annotated, Any, NamedTuple

from upliftlens.benchmarks.metrics.registry import choose
from upliftlens.benchmarks.tables.run import NamedChanges, Names, RunsOptions, Seeds, fits
from upliftlens.benchmarks.tables.table import Where
from upliftlens.causal.errors import UpliftlensError, unknown
from upliftlens.causal.options import AtLeast, Distinct, Within


@dataclass(frozen=True)
class Component:
    """A backbone or an objective: its options and search space; ``backbones``: those of an objective, None: all."""

    options: tuple[str, ...]
    space: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    backbones: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Training:
    """A way of training: its ``options``, the metric of each of its ``columns``, and its ``objectives``, None: all.

    ``alone``: more columns, for objectives that can't be trained in the first way.
    """

    options: tuple[str, ...]
    columns: Mapping[str, str]
    objectives: tuple[str, ...] | None = None
    alone: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (*self.columns.values(), *self.alone.values()):
            choose(name)  # raises for one that is no metric


@dataclass(frozen=True, kw_only=True)
class Options(RunsOptions):
    """How the rows are searched (see above), ``searched_on`` more options; which rows there are; what is ``compared``.

    ``alike``: groups of objectives that minimise the same function here.

    ``search_seeds``: each row is searched once for each; with several the searches are a source of spread.
    ``budgets``: numbers of trials, named by a prefix of the row; with ``refining`` 0 a larger one repeats the trials of
    a smaller one.
    ``variants``: options of all runs, trials too (of what is known of the propensities, for instance), by a prefix.
    ``blocks``: the options of variants of the final runs (with and without the training rows whose pair is tested, for
    instance), named by a prefix of the row. ``everywhere``: the columns are over all pairs of a world with known
    ratings, not over the test set.
    """

    budgets: Annotated[Mapping[str, Annotated[int, AtLeast(1)]], Distinct()]
    variants: NamedChanges
    refining: Annotated[int, AtLeast(0)]
    narrow: Annotated[float, Within(0, 1, "()")]
    search_seeds: Seeds
    validation: Annotated[float, Within(0, 1, "()")]
    validation_seeds: Seeds
    searched_on: tuple[str, ...]
    blocks: NamedChanges
    everywhere: bool
    baseline: str
    compared: tuple[str, ...]
    alike: tuple[tuple[str, ...], ...]
    backbones: Names
    objectives: Names
    training: Annotated[Mapping[str, Training], Distinct()]
    backbone: Mapping[str, Component]
    objective: Mapping[str, Component]

    @property
    def column_names(self) -> Iterable[str]:
        """The columns of values; those of differences, which have no published numbers, stand beside them."""
        return {column for way in self.training.values() for column in (*way.columns, *way.alone)}

    def __post_init__(self) -> None:
        for column in sorted(set(self.compared).difference(self.column_names)):
            raise unknown("compared column", column, self.column_names)
        if self.refining >= (least := min(self.budgets.values(), default=0)):
            raise UpliftlensError(
                f"refining={self.refining} of {least} trials: set refining below every budget, or raise budgets"
            )


class Row(NamedTuple):
    """A row trained in one way: its options, its search space, the metric of each column, and the way as a remark."""

    name: str
    options: tuple[str, ...]
    space: Mapping[str, Any]
    columns: Mapping[str, str]
    remark: str


def rows(definition: Options, variant: Sequence[str], where: Where) -> Iterator[Row]:
    """The rows of a definition with a variant's options, each once per way of training that its objective allows."""
    for kind, names, known in (
        ("backbone", definition.backbones, definition.backbone),
        ("objective", definition.objectives, definition.objective),
    ):
        for name in sorted(set(names).difference(known)):
            raise unknown(kind, name, known)
    first = next(iter(definition.training))
    for backbone, objective in product(definition.backbones, definition.objectives):
        parts = definition.backbone[backbone], definition.objective[objective]
        if backbone not in (parts[1].backbones or definition.backbone):
            continue
        options_of = {
            way: (*definition.common, *variant, *parts[0].options, *parts[1].options, *training.options)
            for way, training in definition.training.items()
            if objective in (training.objectives or [objective])
        }
        fitting = {way: options for way, options in options_of.items() if fits(options)}
        for way, options in fitting.items():
            training = definition.training[way]
            if columns := {**({} if first in fitting else training.alone), **training.columns}:
                space = {**parts[0].space, **parts[1].space}
                yield Row(f"{backbone}/{objective}", options, space, columns, f"trained on {way}")

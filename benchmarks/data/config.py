"""The options of a data set as types. No field has a default: the files in configs/data state every one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from upliftlens.causal.errors import UpliftlensError
from upliftlens.causal.options import Above, AtLeast


@dataclass(frozen=True)
class SourceConfig:
    """One place to get an archive from: ``url``, or ``requirement`` (a pinned wheel, read as an archive).

    ``file`` is its name in the cache; a null ``bytes``, ``sha256`` or ``md5`` is not verified.
    """

    file: str
    url: str | None
    requirement: str | None
    bytes: Annotated[int, AtLeast(1)] | None
    sha256: str | None
    md5: str | None


@dataclass(frozen=True)
class FilterConfig:
    """Which rows of the log are kept; see ``build``. The test set is never filtered by value or core."""

    duplicates: Literal["error", "first", "last", "mean"]
    min_value: float | None
    user_core: Annotated[int, AtLeast(0)]
    item_core: Annotated[int, AtLeast(0)]


@dataclass(frozen=True)
class FactsConfig:
    """Numbers that are known before the data is loaded; for ``data list`` only."""

    users: int | None
    items: int | None
    rows: int | None


@dataclass(frozen=True)
class BaseConfig:
    """What every data set states, wherever its rows come from.

    ``recommendations``: whether the data record what was recommended (a plugin's options may state it in the same way).
    """

    recommendations: ClassVar[bool] = False

    name: str
    format: str
    scale: tuple[float, float]
    relevance: float
    feedback: Literal["explicit", "implicit"]
    facts: FactsConfig
    terms: str

    def __post_init__(self) -> None:
        if not self.scale[0] < self.scale[1]:
            raise UpliftlensError(f"data.scale must be [lowest, highest], got {list(self.scale)}")
        if self.feedback == "explicit" and not self.scale[0] <= self.relevance <= self.scale[1]:
            raise UpliftlensError(f"data.relevance={self.relevance} lies outside of data.scale={list(self.scale)}")


@dataclass(frozen=True)
class DataConfig(BaseConfig):
    """A data set read from files. ``where`` tells a user without network how to get it; ``asks`` is the option that
    names a user's file, where there is no source."""

    asks: ClassVar[str] = "data.path="

    path: str | None
    encoding: str
    sources: tuple[SourceConfig, ...]
    filter: FilterConfig
    where: str


def _refuse_a_column_in_two_roles(section: str, roles: Mapping[str, str | tuple[str, ...] | None]) -> None:
    """``roles``: the column, or the columns, that each option of ``data.SECTION`` names."""
    role_of: dict[str, str] = {}
    for role, names in roles.items():
        for name in (names,) if isinstance(names, str) else names or ():
            if name != "auto" and (other := role_of.setdefault(name, role)) != role:
                raise UpliftlensError(
                    f"data.{section}.{other} and data.{section}.{role} are both {name}: name another column"
                )


@dataclass(frozen=True)
class UserColumns:
    """The columns of a table of users, by their names in its header; see configs/data/_tables.yaml.

    ``numbers``, ``tags`` and ``categories`` become features; auto among them: those columns whose cells look so.
    """

    id: str
    numbers: tuple[str, ...]
    tags: tuple[str, ...]
    categories: tuple[str, ...]


@dataclass(frozen=True)
class ItemColumns(UserColumns):
    """As ``UserColumns``, with the column that holds titles."""

    title: str


@dataclass(frozen=True)
class TablesConfig(DataConfig):
    """A log of the user's own, and paths to tables of its items and users; ``*_vectors``: arrays of shape [rows, d]."""

    items: str | None
    users: str | None
    item_vectors: str | None
    user_vectors: str | None
    item_columns: ItemColumns
    user_columns: UserColumns
    tag_separator: Literal["colons", "tab", "semicolon", "comma", "pipe", "space"]
    max_categories: Annotated[int, AtLeast(0)]

    def __post_init__(self) -> None:
        super().__post_init__()
        for side in ("item", "user"):
            _refuse_a_column_in_two_roles(f"{side}_columns", vars(getattr(self, f"{side}_columns")))
            if getattr(self, f"{side}_vectors") is not None and getattr(self, f"{side}s") is None:
                raise UpliftlensError(
                    f"data.{side}_vectors has a row for each row of a table: give that, too, with data.{side}s=FILE"
                )


@dataclass(frozen=True)
class CsvColumns:
    """Header names, or positions from 0 in a file without header; null where there is no such column."""

    user: str
    item: str
    value: str | None
    time: str | None


@dataclass(frozen=True)
class ColumnsConfig(DataConfig):
    """A file whose columns the user can name."""

    columns: CsvColumns

    def __post_init__(self) -> None:
        super().__post_init__()
        columns = self.columns
        _refuse_a_column_in_two_roles("columns", vars(columns))
        if columns.value is None and self.feedback == "explicit":
            raise UpliftlensError(
                "data.columns.value=null: a file without ratings holds implicit feedback, so add data.feedback=implicit"
            )


@dataclass(frozen=True)
class CsvConfig(ColumnsConfig, TablesConfig):
    """Any delimited file; ``separator`` auto takes the first of the others that the first line holds."""

    separator: Literal["auto", "colons", "tab", "semicolon", "comma", "pipe", "space"]
    header: bool


@dataclass(frozen=True)
class FilesConfig(TablesConfig):
    """Two or three files that are a split already, in one layout. The columns are those of a delimited file or of
    RecBole's; ``user`` and ``item``: auto takes the usual names of the layout. ``path``: see configs/data/files.yaml.
    """

    asks: ClassVar[str] = "data.train= data.test="

    train: str | None
    validation: str | None
    test: str | None
    layout: Literal["auto", "delimited", "recbole", "adjacency"]
    separator: Literal["auto", "colons", "tab", "semicolon", "comma", "pipe", "space"]
    header: bool
    columns: CsvColumns

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_a_column_in_two_roles("columns", vars(self.columns))
        if self.feedback == "explicit" and self.columns.value is None:
            raise UpliftlensError(
                "data.feedback=explicit reads ratings: name their column, e.g. data.columns.value=rating"
            )


@dataclass(frozen=True)
class RecboleColumns(CsvColumns):
    """``title``: the column of the .item file that ``recommend`` prints."""

    title: str | None


@dataclass(frozen=True)
class RecboleConfig(ColumnsConfig):
    """An .inter file and, beside it, .user and .item.

    Token columns with more than ``max_categories`` values are not encoded as features.
    """

    columns: RecboleColumns
    max_categories: Annotated[int, AtLeast(0)]


@dataclass(frozen=True)
class UpliftColumns:
    """Header names, or positions from 0 in a file without header. ``propensity``: auto, null, or a column's name."""

    user: str
    item: str
    treated: str
    outcome: str
    propensity: str | None
    time: str | None


@dataclass(frozen=True)
class UpliftLogConfig(TablesConfig):
    """A user's own log of recommendations.

    ``absent`` pairs (without a row) are dropped, or count as not recommended with outcome 0 (zero).
    ``propensity_l2`` penalises the propensities that have to be estimated, in at most ``propensity_iterations``.
    """

    recommendations: ClassVar[bool] = True

    separator: Literal["auto", "colons", "tab", "semicolon", "comma", "pipe", "space"]
    header: bool
    columns: UpliftColumns
    absent: Literal["drop", "zero"]
    propensity_l2: Annotated[float, Above(0)]
    propensity_iterations: Annotated[int, AtLeast(1)]

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_a_column_in_two_roles("columns", vars(self.columns))

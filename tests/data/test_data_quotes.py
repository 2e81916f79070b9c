"""Quotes, line ends and numbers of delimited files: each file is read as it is meant, or refused with its line."""

from pathlib import Path

import pytest

from upliftlens.benchmarks import data
from upliftlens.benchmarks.cli.main import main
from upliftlens.benchmarks.data import BadData
from upliftlens.benchmarks.data.dataset import Dataset
from upliftlens.benchmarks.system.talk import Say
from upliftlens.causal.errors import UpliftlensError

PLAIN = [f"u{k % 50},i{k // 50},{1 + k % 5}" for k in range(400)]
HEAD = "user,item,rating"
IMPLICIT = ("data.columns.value=null", "data.feedback=implicit")


def read(tmp_path: Path, content: str, *options: str, say: Say | None = None) -> Dataset:
    path = tmp_path / "f.csv"
    path.write_bytes(content.encode())
    return data.load(data.configure("csv", (f"data.path={path}", *options)), tmp_path, say)


def refused(tmp_path: Path, content: str, *options: str) -> data.Problem:
    with pytest.raises(BadData) as raised:
        read(tmp_path, content, *options)
    return raised.value.problems[0]


def opened_and_closed(first: int, last: int) -> list[str]:
    """The rows, with a quote before the user of row ``first`` and another behind that of row ``last``."""
    rows = list(PLAIN)
    rows[first], rows[last] = '"' + rows[first], rows[last].replace(",", '",', 1)
    return rows


@pytest.mark.parametrize(
    ("header", "rows", "end"),
    [
        ('user,item,"rating', [*PLAIN[:200], PLAIN[200] + '"', *PLAIN[201:]], 202),
        ('user,item,rating,"note', [f"{row}," for row in PLAIN[:200]] + [PLAIN[200] + '"'], 202),
        ('"user', [*PLAIN[:200], PLAIN[200] + '",item,rating', *PLAIN[201:]], 202),
        ('"user,item,rating', PLAIN, 401),
    ],
)
def test_a_quote_that_opens_in_the_header_swallows_no_row(
    header: str, rows: list[str], end: int, tmp_path: Path
) -> None:
    problem = refused(tmp_path, "\n".join([header, *rows]))
    assert (problem.line, problem.what) == (1, f"a quote opens here and the header runs on to line {end}")
    assert "stray quotes" in problem.fix


@pytest.mark.parametrize("ends", [("\n", "\r", "\r"), ("\n", "\n", "\r"), ("\r\n", "\r", "\n"), ("\r", "\r", "\r")])
def test_rows_between_two_stray_quotes_are_not_lost_however_lines_end(
    ends: tuple[str, str, str], tmp_path: Path
) -> None:
    def text(rows: list[str]) -> str:
        head, outside, inside = ends
        return HEAD + head + outside.join([*rows[:100], inside.join(rows[100:301]), *rows[301:]]) + outside

    problem = refused(tmp_path, text(opened_and_closed(100, 300)))
    assert problem.line == 102 and "closes on line 302: 201 lines would be one user" in problem.what
    fingerprint = read(tmp_path, text(PLAIN)).fingerprint
    assert fingerprint == read(tmp_path, "\n".join([HEAD, *PLAIN])).fingerprint


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ('u0,i0,"a, b"\nu1,i1,c\n', ""),
        (
            'u0,i0,\nu1,i1,"a\nb, b"\nu2,i2,"c\r\nd\ne"\n',
            "2 of 3 rows take several lines, the first from line 3, the longest 3. ",
        ),
        (
            'u0,i0,\nu1,i1,"a, b\nu2,i2,"c"\nu3,i3,d\n',
            "1 of 3 rows take several lines, the first from line 3, the longest 2. ",
        ),
        (
            'u0,i0,"a, b\nu1,i1,""c, d""\nu2,i2,e, f"\n',
            "1 of 1 rows take several lines, the first from line 2, the longest 3. ",
        ),
    ],
)
def test_rows_over_several_lines_are_counted_as_stray_quotes_may_have_taken_them_in(
    rows: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """RFC 4180 allows both a note of several lines and what stray quotes make of several rows."""
    said = list[str]()
    read(tmp_path, f"user,item,note\n{rows}", *IMPLICIT, say=said.append)
    assert len(said) == bool(words) and all(words in line and "delete the stray quotes" in line for line in said)
    assert main(["data", "check", str(tmp_path / "f.csv"), *IMPLICIT]) == 0
    checked = capsys.readouterr().out
    assert words in checked and "no problems found" in checked


@pytest.mark.parametrize("row", ['"u\rx",i1,3', '"u\nx",i1,3', '"u\r\nx",i1,3', '"ux\n",i1,3'])
def test_an_id_holds_no_line_break(row: str, tmp_path: Path) -> None:
    problem = refused(tmp_path, "\n".join([HEAD, row, *PLAIN]))
    assert problem.line == 2 and "2 lines would be one user" in problem.what


def test_a_field_longer_than_the_csv_module_takes_by_default_is_said_with_its_line(tmp_path: Path) -> None:
    rows = [f"u{k // 20},i{k % 20},{k % 5 + 1}" for k in range(20_000)]
    rows[100] = '"' + rows[100]
    problem = refused(tmp_path, "\n".join([HEAD, *rows]))
    assert problem.line == 102 and "the row runs on to line 20001" in problem.what


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " ", ", ", "; "])
@pytest.mark.parametrize("head", [True, False])
def test_quotes_quote_under_every_separator_of_a_character(separator: str, head: bool, tmp_path: Path) -> None:
    def text(quote: str) -> str:
        lines = [row.split(",") for row in PLAIN]
        lines[1::2] = [[f"{quote}{cell}{quote}" for cell in line] for line in lines[1::2]]
        lines = [[f"{quote if head else ''}{cell}{quote if head else ''}" for cell in HEAD.split(",")], *lines]
        return "\n".join(separator.join(line) for line in lines)

    assert read(tmp_path, text('"')).fingerprint == read(tmp_path, text("")).fingerprint


def test_an_id_may_hold_quotes_and_separators(tmp_path: Path) -> None:
    held = ['"a ""b""";i;3', '"""c""" ; i;3', '"d;e";i;3', "5' 3\";i;3"]
    assert read(tmp_path, "\n".join([HEAD.replace(",", ";"), *held])).users["id"].tolist() == [
        '"c"',
        "5' 3\"",
        'a "b"',
        "d;e",
    ]


@pytest.mark.parametrize(
    ("separator", "cell", "what", "fix"),
    [
        ("::", '"u1"', "user '\"u1\"' begins with a quote that does not enclose it", "commas"),
        ("::", '"u1', "user '\"u1' begins", "commas"),
        (",", '\t"u1"', r"user '\t\"u1\"' begins".replace(r"\"", '"'), "delete it"),
        ("\t", '\u00a0"u1"', r"user '\xa0", "delete it"),
        ("\t", '"Weird Al" Yankovic', "user '\"Weird Al\" Yankovic' begins", "double the quotes"),
        (" ", '""u1"', 'user \'""u1"\' begins', "double the quotes"),
        ("|", '"a|b"c', "user '\"a|b\"c' begins", "double the quotes"),
    ],
)
def test_a_quote_that_does_not_enclose_an_id_is_no_part_of_it(
    separator: str, cell: str, what: str, fix: str, tmp_path: Path
) -> None:
    rows = [HEAD, *PLAIN[:10], f"{cell},i99,3"]
    problem = refused(tmp_path, "\n".join(row.replace(",", separator) for row in rows))
    assert (problem.line, problem.column) == (12, "user") and what in problem.what and fix in problem.fix


def test_a_tab_inside_of_a_field_separates_nothing_between_colons(tmp_path: Path) -> None:
    loaded = read(tmp_path, "user::item::rating\na\tb::i::3\nc::i::4\n")
    assert loaded.users["id"].tolist() == ["a\tb", "c"]
    assert refused(tmp_path, "user::item::rating\na\tb::3\nc::i::4\n").what == "2 fields where the first line has 3"


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_row_that_lacks_a_field_is_not_shifted(quote: str, tmp_path: Path) -> None:
    problem = refused(tmp_path, f"user,item,rating,a,b\n1,2,3,4,{quote}5{quote}\n7,3,4,5\n")
    assert problem.line == 3 and "4 fields where the first line has 5" in problem.what
    assert len(read(tmp_path, f"user,item,rating,a,b\n1,2,3,4,{quote}{quote}\n7,3,4,5,\n").log) == 2


@pytest.mark.parametrize(
    ("cell", "what"),
    [
        ("３", "'３' is not a number"),
        ("٣", "'٣' is not a number"),
        ("3\u00a0", r"'3\xa0' is not a number"),
        ("1e400", "1e400 is too large for a float32"),
        ("-1e39", "-1e39 is too large for a float32"),
        ('"3\n"', r"'3\n' is not a number"),
    ],
)
def test_a_number_is_written_in_ascii_and_fits(cell: str, what: str, tmp_path: Path) -> None:
    for options in ((), ("data.feedback=implicit",)):
        problem = refused(tmp_path, f"{HEAD}\nu,i,4\nu,j,{cell}\n", *options)
        assert (problem.line, problem.column, problem.what) == (3, "rating", what) and "inf" not in problem.fix


def test_an_integer_id_is_written_in_ascii(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_text("1\t2\t3\t5\n３\t2\t3\t5\n")
    config = data.configure("ml-100k", (f"data.path={tmp_path / 'u.data'}", "data.encoding=utf-8"))
    with pytest.raises(BadData, match="line 2, column user: user '３' is not a whole number"):
        data.load(config, tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("data.columns.user=item",), "user and data.columns.item are both item"),
        (("data.columns.value=item", "data.filter.duplicates=first"), "item and data.columns.value are both item"),
        (("data.columns.time=rating",), "value and data.columns.time are both rating"),
    ],
)
@pytest.mark.parametrize("name", ["csv", "recbole"])
def test_a_column_has_one_role(name: str, options: tuple[str, ...], words: str) -> None:
    if name == "recbole":
        options = tuple(option.replace("=item", "=item_id") for option in options)
        words = words.replace("both item", "both item_id")
    with pytest.raises(UpliftlensError, match=words):
        data.configure(name, options)


def test_a_position_without_header_is_written_in_a_single_way(tmp_path: Path) -> None:
    options = ("data.header=false", "data.columns.user=0", "data.columns.item=00", *IMPLICIT)
    assert "no such column" in refused(tmp_path, "a,b\nc,d\n", *options).what


def test_tables_of_features_are_read_as_the_log_is(tmp_path: Path) -> None:
    def loaded(items: str) -> Dataset:
        log = "user_id:token\titem_id:token\trating:float\n" + 'u\t"i1"\t3\nu\ti2\t4\n'
        (tmp_path / "x.inter").write_text(log)
        (tmp_path / "x.item").write_bytes(f"item_id:token\tkind:token\n{items}".encode())
        return data.load(data.configure("recbole", (f"data.path={tmp_path}", "data.columns.time=null")), tmp_path)

    assert loaded('"i1"\t"a"\ni2\ta\n').item_features.matrix.tolist() == [[1], [1]]
    assert loaded("i1\ta\ri2\tb\r").item_features.names == ("kind=a", "kind=b")
    with pytest.raises(BadData, match="line 2: a quote opens here and closes on line 3: 2 of its lines look like rows"):
        loaded('i1\t"a\ni2\tb"\n')

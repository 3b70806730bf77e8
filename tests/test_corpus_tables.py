import csv
import io
import re
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nmt.corpus import SentencePair, load_numbered_pairs, load_pairs
from nmt.errors import DataError
from nmt.recipe import CsvSet, TsvSet

PAIRS = [SentencePair("a cat", "eine Katze"), SentencePair("", ""), SentencePair('say "no"', "'")]

# What other readers take for line ends or for marks of a table.
ODD_CHARACTERS = "\0\t\x0b\x0c\r\x1c\x85\u2028\u2029\ufeff\"',;\\ "
TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\n") | st.sampled_from(ODD_CHARACTERS)
)


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8", newline="")
    return str(path)


def assert_refused(corpus_set: TsvSet | CsvSet, message: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        load_pairs(corpus_set)


def test_columns_are_counted_from_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "7\teine Katze\ta cat\n8\t\t\n")
    pairs, line_numbers = load_numbered_pairs(TsvSet(tsv=path, source=3, target=2))
    assert pairs == PAIRS[:2]
    assert list(line_numbers) == [1, 2]
    # the first two by default, whatever stands behind them
    assert load_pairs(TsvSet(tsv=path))[0] == SentencePair("7", "eine Katze")


@pytest.mark.parametrize(("source", "target"), [("en", "de"), (3, "de"), ("en", 2)])
def test_a_column_by_name_makes_the_first_line_a_header(
    source: int | str, target: int | str, tmp_path: Path
) -> None:
    rows = [("id", "de", "en"), ("7", "eine Katze", "a cat"), ("8", "", "")]
    tsv = write(tmp_path / "a.tsv", "".join("\t".join(row) + "\r\n" for row in rows))
    table = write(tmp_path / "a.csv", "".join(",".join(row) + "\r\n" for row in rows))
    for corpus_set in (
        TsvSet(tsv=tsv, source=source, target=target),
        CsvSet(csv=table, source=source, target=target),
    ):
        pairs, line_numbers = load_numbered_pairs(corpus_set)
        assert pairs == PAIRS[:2]
        assert list(line_numbers) == [2, 3]


def test_nothing_is_quoted_between_tabs(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", '"a\t"b"\n""\t"\n')
    assert load_pairs(TsvSet(tsv=path)) == [SentencePair('"a', '"b"'), SentencePair('""', '"')]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_commas_may_be_quoted(suffix: str, tmp_path: Path) -> None:
    text = 'a cat,eine Katze\n"",\n"say ""no""",\'\n"a, b","c"\n5" pipe,x\n'
    path = tmp_path / f"a.csv{suffix}"
    if suffix:
        import gzip

        path.write_bytes(gzip.compress(text.encode()))
    else:
        write(path, text)
    expected = [*PAIRS, SentencePair("a, b", "c"), SentencePair('5" pipe', "x")]
    assert load_pairs(CsvSet(csv=str(path))) == expected


def test_another_delimiter_may_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'a cat;"eine Katze"\na, b;"c; d"\n')
    expected = [PAIRS[0], SentencePair("a, b", "c; d")]
    assert load_pairs(CsvSet(csv=path, delimiter=";")) == expected


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_quoted_line_break_becomes_a_space(
    end: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="nmt")
    text = f'a,b{end}"two{end}lines","and{end}{end}three"{end}c,d{end}"e{end}",f{end}'
    path = write(tmp_path / "a.csv", text)
    pairs, line_numbers = load_numbered_pairs(CsvSet(csv=path))
    assert pairs == [
        SentencePair("a", "b"),
        SentencePair("two lines", "and  three"),
        SentencePair("c", "d"),
        SentencePair("e ", "f"),
    ]
    assert list(line_numbers) == [1, 2, 6, 7]
    assert caplog.messages == [
        f"{path}: made a space of the line breaks inside 2 sources",
        f"{path}: made a space of the line breaks inside 1 targets",
    ]


@given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1))
@example(rows=[(ODD_CHARACTERS, f"x{ODD_CHARACTERS}y"), ('"', '""'), ("\r", "\r\r")])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_what_is_written_as_csv_comes_back(
    line_end: str,
    quoting: Literal[0, 1],
    rows: list[tuple[str, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    # a CR at the end of an unquoted line would be half of a line end
    rows = [(source, f"{target}x") for source, target in rows]
    text = io.StringIO()
    csv.writer(text, lineterminator=line_end, quoting=quoting).writerows([("en", "de"), *rows])
    path = write(tmp_path_factory.mktemp("corpus") / "a.csv", text.getvalue())
    loaded = load_pairs(CsvSet(csv=path, source="en", target="de"))
    assert [(pair.source, pair.target) for pair in loaded] == rows


@given(
    rows=st.lists(
        st.tuples(*[TEXT.map(lambda text: text.replace("\t", " ") + "x")] * 2), min_size=1
    )
)
def test_what_is_joined_by_tabs_comes_back(
    rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = "".join(f"{source}\t{target}\n" for source, target in [("en", "de"), *rows])
    path = write(tmp_path_factory.mktemp("corpus") / "a.tsv", text)
    loaded = load_pairs(TsvSet(tsv=path, source="en", target="de"))
    assert [(pair.source, pair.target) for pair in loaded] == rows


@pytest.mark.parametrize(
    ("line", "num_columns"), [("one", 1), ("", 1), ("one\teins\t", 3), ("1\tone\teins\tx", 4)]
)
def test_every_line_has_as_many_columns_as_the_first(
    tmp_path: Path, line: str, num_columns: int
) -> None:
    path = write(tmp_path / "a.tsv", f"zero\tnull\n{line}\n")
    message = "line 2 must have 2 columns parted by tabs, as the first line has, got"
    assert_refused(TsvSet(tsv=path), f"{path}: {message} {num_columns}")
    table = write(tmp_path / "a.csv", "zero;null\n" + line.replace("\t", ";") + "\n")
    message = "line 2 must have 2 columns parted by ';', as the first line has, got"
    assert_refused(
        CsvSet(csv=table, delimiter=";"), f"{table}: {message} {num_columns if line else 0}"
    )


@pytest.mark.parametrize("corpus_set", [TsvSet(tsv="a.tsv"), CsvSet(csv="a.csv")])
@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("fr", "no column 'fr'; the first line has 'en', 'de', 'de'"),
        (4, "no column 4; the first line has 3: 'en', 'de', 'de'"),
        ("de", "column 'de' must stand once in the first line"),
    ],
)
def test_a_column_that_is_not_there_is_an_error_that_names_those_that_are(
    corpus_set: TsvSet | CsvSet,
    source: str | int,
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    name, delimiter = ("a.tsv", "\t") if isinstance(corpus_set, TsvSet) else ("a.csv", ",")
    write(Path(name), delimiter.join(["en", "de", "de"]) + "\n")
    assert_refused(corpus_set.model_copy(update={"source": source}), f"{name}: {complaint}")


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('a,b\nc,"d\ne,f\n', 2, "unexpected end of data"),
        ('a,b\n"c\nd",e\n"f,g\nh,i\nj,"k"\n', 4, "',' expected after '\"'"),
        ('a,b\n"c" d,e\n', 2, "',' expected after '\"'"),
        ('a,5" b\n5" c,"d\n', 2, "unexpected end of data"),
        ('a,b\n"say ""no""\n"",c\n', 2, "unexpected end of data"),
        ('"a\nb","c\nd,e\n', 2, "unexpected end of data"),
    ],
)
def test_an_open_quote_is_an_error_with_the_line_that_opens_it(
    text: str, line: int, reason: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.csv", text)
    message = (
        f"{path}: line {line}: the quote opened here must be closed, and a ',' or the line's end "
        f"must follow it ({reason})"
    )
    assert_refused(CsvSet(csv=path), message)


def test_an_open_quote_does_not_swallow_a_whole_corpus(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'a,b\n"c,d\n' + "some words,einige Worte\n" * 10_000)
    with pytest.raises(DataError, match=r"line 2: the quote .* \(field larger than field limit"):
        load_pairs(CsvSet(csv=path))

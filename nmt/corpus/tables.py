"""Sentence pairs in tables: columns parted by tabs, or by commas and quoted.

Knows how the two forms are written, and which of a table's columns are wanted.
"""

import csv
from collections.abc import Iterable, Iterator
from itertools import chain, count

from nmt.corpus.files import stream_lines
from nmt.corpus.pairs import Entry
from nmt.corpus.wording import listed
from nmt.errors import DataError
from nmt.recipe import CsvSet, TsvSet

# What complaints call a delimiter that cannot be seen.
_NAMES = {"\t": "tabs"}
# The csv module ends a row at a lone CR too. This stands for one while a row is taken apart: half a
# character, which no text read from a file can hold.
_CARRIAGE_RETURN = "\udc0d"


def read_tsv(corpus_set: TsvSet) -> Iterator[Entry]:
    """Yield what is in a file whose columns are parted by tabs; quotes are like any character.

    Raises:
        DataError: It cannot be read, a column is not there, or a line has more or fewer columns
            than the first.
    """
    rows = (line.split("\t") for line in stream_lines(corpus_set.tsv))
    return _pick(zip(rows, count(1), strict=False), corpus_set)


def read_csv(corpus_set: CsvSet) -> Iterator[Entry]:
    """Yield what is in a file whose columns are parted by commas and may be quoted (RFC 4180).

    A quoted column may hold the delimiter, quotes written twice, and line breaks.

    Raises:
        DataError: It cannot be read, a column is not there, a line has more or fewer columns than
            the first, or a quote is out of place.
    """
    return _pick(_parse_csv(stream_lines(corpus_set.csv), corpus_set), corpus_set)


def _parse_csv(lines: Iterable[str], corpus_set: CsvSet) -> Iterator[tuple[list[str], int]]:
    """Yield the rows, and the line in which each begins."""
    lines_of_row: list[str] = []

    def ended() -> Iterator[str]:
        for line in lines:
            lines_of_row.append(line)
            yield f"{line}\n".replace("\r", _CARRIAGE_RETURN)

    reader = csv.reader(ended(), delimiter=corpus_set.delimiter, strict=True)
    number = 1
    try:
        for row in reader:
            yield [column.replace(_CARRIAGE_RETURN, "\r") for column in row], number
            number = reader.line_num + 1
            lines_of_row.clear()
    except csv.Error as error:
        opened = _opening_line(lines_of_row, corpus_set.delimiter)
        raise DataError(
            f"{corpus_set.csv}: line {number + opened}: the quote opened here must be closed, and "
            f"a {corpus_set.delimiter!r} or the line's end must follow it ({error})"
        ) from error


def _opening_line(lines: Iterable[str], delimiter: str) -> int:
    """Return which of the lines of a broken row, from 0 on, opens the quote that is at fault."""
    opened, is_open = 0, False
    for number, line in enumerate(lines):
        text = line.replace('""', "")  # quotes inside a quoted column, or an empty one
        for place in (place for place, character in enumerate(text) if character == '"'):
            before, behind = text[:place][-1:], text[place + 1 :][:1]
            if is_open and behind not in ("", delimiter):
                return opened
            if is_open or before in ("", delimiter):
                is_open = not is_open
                opened = number if is_open else opened
    return opened


def _pick(rows: Iterable[tuple[list[str], int]], corpus_set: TsvSet | CsvSet) -> Iterator[Entry]:
    """Take the wanted columns out of rows that must be of equal length."""
    if isinstance(corpus_set, TsvSet):
        name, delimiter = corpus_set.tsv, "\t"
    else:
        name, delimiter = corpus_set.csv, corpus_set.delimiter
    wanted = corpus_set.source, corpus_set.target
    rest = iter(rows)
    head = next(rest, None)
    if head is None:
        return
    num_columns = len(head[0])
    source, target = (_place(column, head[0], name=name) for column in wanted)
    has_header = any(isinstance(column, str) for column in wanted)
    for row, number in rest if has_header else chain([head], rest):
        if len(row) != num_columns:
            raise DataError(
                f"{name}: line {number} must have {num_columns} columns parted by "
                f"{_NAMES.get(delimiter, repr(delimiter))}, as the first line has, got {len(row)}"
            )
        yield row[source], row[target], number


def _place(column: int | str, first_row: list[str], *, name: str) -> int:
    """Return where in a row a column is, from 0 on."""
    if isinstance(column, int):
        if column > len(first_row):
            raise DataError(
                f"{name}: no column {column}; the first line has {len(first_row)}: "
                f"{listed(first_row)}"
            )
        return column - 1
    if column not in first_row:
        raise DataError(f"{name}: no column {column!r}; the first line has {listed(first_row)}")
    if first_row.count(column) > 1:
        raise DataError(f"{name}: column {column!r} must stand once in the first line")
    return first_row.index(column)

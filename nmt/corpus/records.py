"""Sentence pairs in records: JSON objects, one a line, and whatever else maps names to values."""

import json
from collections.abc import Iterator, Mapping

from nmt.corpus.files import stream_lines
from nmt.corpus.pairs import Entry
from nmt.corpus.wording import clipped, listed, shortened
from nmt.errors import DataError
from nmt.recipe import JsonlSet


def read_jsonl(corpus_set: JsonlSet) -> Iterator[Entry]:
    """Yield what is in a file with a JSON object a line.

    Where an object has no key `a.b`, it stands for the key `b` of the object under `a`.

    Raises:
        DataError: It cannot be read, or a line is no object with both keys, of strings.
    """
    for number, line in enumerate(stream_lines(corpus_set.jsonl), start=1):
        place = f"{corpus_set.jsonl}: line {number}"
        record = _parse_object(line, place)
        source = text_of(record, corpus_set.source, place)
        yield source, text_of(record, corpus_set.target, place), number


def text_of(record: Mapping[str, object], key: str, place: str) -> str:
    """Return the string under a key; JSON can hold other things, and half a character.

    Args:
        record: What has the key.
        key: A name, or several with dots in between that lead into records within records.
        place: What complaints begin with.

    Raises:
        DataError: There is no such key, or no text under it.
    """
    value = record[key] if key in record else _look_inside(record, key, place)
    if not isinstance(value, str):
        raise DataError(f"{place}: {key!r} must be a string, got {clipped(repr(value))}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        half = value[error.start]
        raise DataError(f"{place}: {key!r} must be text, got half a character {half!r}") from error
    return value


def _look_inside(record: Mapping[str, object], key: str, place: str) -> object:
    outer, dot, inner = key.partition(".")
    inside = record.get(outer)
    if dot and isinstance(inside, Mapping) and inner in inside:
        return inside[inner]
    raise DataError(f"{place}: no key {key!r}; it has {listed(_keys(record))}")


def _keys(record: Mapping[str, object]) -> list[str]:
    """Return the names that lead to a value, those within records with their dot."""
    return [
        name
        for outer, value in record.items()
        for name in (
            [f"{outer}.{inner}" for inner in value] if isinstance(value, Mapping) else [outer]
        )
    ]


def _parse_object(line: str, place: str) -> dict[str, object]:
    try:
        record: object = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(
            f"{place} must be a JSON object, got {shortened(line)} ({error})"
        ) from error
    if not isinstance(record, dict):
        raise DataError(f"{place} must be a JSON object, got {shortened(line)}")
    return record

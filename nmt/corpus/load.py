"""Sentence pairs from wherever a recipe says they are: files, a table, JSON lines or the hub.

Knows the forms a corpus comes in. Every line that is there becomes a pair, blank ones included;
what is unfit for training is for `clean` to say.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, assert_never

from nmt.corpus.files import read_lines
from nmt.corpus.pairs import SentencePair
from nmt.errors import DataError
from nmt.recipe import CorpusSet, FileSet, HubSet, JsonlSet, TsvSet

if TYPE_CHECKING:
    from datasets import Dataset


def load_pairs(corpus_set: CorpusSet, *, reverse: bool = False) -> list[SentencePair]:
    """Load all sentence pairs of a set, in their order.

    Args:
        corpus_set: Where the pairs are.
        reverse: Swap the sides: what the set calls target becomes the source.

    Returns:
        One pair for each line or row, at least one.

    Raises:
        DataError: The set cannot be read, is not parallel or is empty.
    """
    pairs = [SentencePair(source, target) for source, target in _load(corpus_set)]
    if not pairs:
        raise DataError(
            f"{describe_set(corpus_set)} must have at least one sentence pair, got none"
        )
    if reverse:
        return [SentencePair(source=pair.target, target=pair.source) for pair in pairs]
    return pairs


def describe_set(corpus_set: CorpusSet) -> str:
    """Name a set in a few words, for messages and reports."""
    match corpus_set:
        case FileSet():
            return f"{corpus_set.source} + {corpus_set.target}"
        case TsvSet():
            return corpus_set.tsv
        case JsonlSet():
            return corpus_set.jsonl
        case HubSet():
            parts = [corpus_set.hub, corpus_set.config, corpus_set.split]
            return " ".join(part for part in parts if part is not None)
        case _:
            assert_never(corpus_set)


def _load(corpus_set: CorpusSet) -> Iterable[tuple[str, str]]:
    match corpus_set:
        case FileSet():
            return _load_files(corpus_set)
        case TsvSet():
            return _load_tsv(corpus_set)
        case JsonlSet():
            return _load_jsonl(corpus_set)
        case HubSet():
            return _load_hub(corpus_set)
        case _:
            assert_never(corpus_set)


def _load_files(corpus_set: FileSet) -> Iterable[tuple[str, str]]:
    sources = read_lines(corpus_set.source)
    targets = read_lines(corpus_set.target)
    if len(sources) != len(targets):
        raise DataError(
            f"{corpus_set.source} has {len(sources)} lines, "
            f"{corpus_set.target} has {len(targets)}; "
            "parallel files must have equal numbers of lines"
        )
    return zip(sources, targets, strict=True)


def _load_tsv(corpus_set: TsvSet) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(read_lines(corpus_set.tsv), start=1):
        columns = line.split("\t")
        if len(columns) != 2:
            raise DataError(
                f"{corpus_set.tsv}: line {number} must have 2 columns separated by a tab, "
                f"got {len(columns)}"
            )
        yield columns[0], columns[1]


def _load_jsonl(corpus_set: JsonlSet) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(read_lines(corpus_set.jsonl), start=1):
        place = f"{corpus_set.jsonl}: line {number}"
        record = _parse_object(line, place)
        yield _text(record, corpus_set.source, place), _text(record, corpus_set.target, place)


def _parse_object(line: str, place: str) -> dict[str, object]:
    try:
        record: object = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{place} must be a JSON object, got {_shortened(line)} ({error})"
        ) from error
    if not isinstance(record, dict):
        raise DataError(f"{place} must be a JSON object, got {_shortened(line)}")
    return record


def _text(record: dict[str, object], key: str, place: str) -> str:
    """Return the string under a key; JSON can hold other things, and half a character."""
    if key not in record:
        raise DataError(f"{place}: no key {key!r}; it has {_listed(record)}")
    value = record[key]
    if not isinstance(value, str):
        raise DataError(f"{place}: {key!r} must be a string, got {value!r}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        half = value[error.start]
        raise DataError(f"{place}: {key!r} must be text, got half a character {half!r}") from error
    return value


def _load_hub(corpus_set: HubSet) -> Iterator[tuple[str, str]]:
    name = describe_set(corpus_set)
    # A record such as {"translation": {"en": ..., "de": ...}} becomes columns "translation.en", ...
    dataset = _fetch(corpus_set).flatten()
    for column in (corpus_set.source, corpus_set.target):
        if column not in dataset.column_names:
            raise DataError(f"{name}: no column {column!r}; it has {_listed(dataset.column_names)}")
    columns = dataset.select_columns([corpus_set.source, corpus_set.target])
    for number, row in enumerate(columns, start=1):
        place = f"{name}: row {number}"
        yield _text(row, corpus_set.source, place), _text(row, corpus_set.target, place)


def _fetch(corpus_set: HubSet) -> "Dataset":
    # Slow to import, and only training from the hub needs it.
    import datasets

    # The hub's client tells of each of its attempts; the last one's failure is what counts.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        return datasets.load_dataset(corpus_set.hub, corpus_set.config, split=corpus_set.split)
    except Exception as error:  # network, hub client and reader each have a tree of their own
        reason = " ".join(str(error).split())
        raise DataError(
            f"{describe_set(corpus_set)}: cannot be loaded from the hub ({reason}); "
            "check name, config and split, or use local files: {source: FILE, target: FILE}"
        ) from error


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names) or "nothing"


def _shortened(line: str, limit: int = 40) -> str:
    return repr(line if len(line) <= limit else line[:limit] + "…")

import gzip
import json
import re
from pathlib import Path

import pytest

from nmt.corpus import SentencePair, describe_set, load_numbered_pairs, load_pairs
from nmt.errors import DataError
from nmt.recipe import BuiltinSet, CorpusSet, CsvSet, FileSet, HubSet, JsonlSet, TsvSet

PAIRS = [
    SentencePair("a cat", "eine Katze"),
    SentencePair("", ""),
    SentencePair("no\u2028one", " "),
]
SWAPPED = [
    SentencePair("eine Katze", "a cat"),
    SentencePair("", ""),
    SentencePair(" ", "no\u2028one"),
]


def write_lines(path: Path, lines: list[str]) -> str:
    content = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return str(path)


def write_files(folder: Path, suffix: str = "") -> FileSet:
    return FileSet(
        source=write_lines(folder / f"text.en{suffix}", [pair.source for pair in PAIRS]),
        target=write_lines(folder / f"text.de{suffix}", [pair.target for pair in PAIRS]),
    )


def write_tsv(folder: Path) -> TsvSet:
    lines = [f"{pair.source}\t{pair.target}" for pair in PAIRS]
    return TsvSet(tsv=write_lines(folder / "text.tsv", lines))


def write_jsonl(folder: Path) -> JsonlSet:
    records = [{"id": 7, "source": pair.source, "target": pair.target} for pair in PAIRS]
    lines = [json.dumps(record) for record in records]
    return JsonlSet(jsonl=write_lines(folder / "text.jsonl", lines))


def assert_refused(corpus_set: CorpusSet, message: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        load_pairs(corpus_set)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_two_files_are_read_line_by_line(tmp_path: Path, suffix: str) -> None:
    corpus_set = write_files(tmp_path, suffix)
    assert load_pairs(corpus_set) == PAIRS
    assert load_pairs(corpus_set, reverse=True) == SWAPPED


def test_a_table_has_a_pair_in_each_line(tmp_path: Path) -> None:
    corpus_set = write_tsv(tmp_path)
    assert load_pairs(corpus_set) == PAIRS
    assert load_pairs(corpus_set, reverse=True) == SWAPPED


def test_json_lines_have_a_pair_in_each_line(tmp_path: Path) -> None:
    corpus_set = write_jsonl(tmp_path)
    assert load_pairs(corpus_set) == PAIRS
    assert load_pairs(corpus_set, reverse=True) == SWAPPED


def test_the_keys_of_json_lines_can_be_named(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "text.jsonl", ['{"source": 1, "en": "a cat", "de": "eine Katze"}']
    )
    assert load_pairs(JsonlSet(jsonl=path, source="en", target="de")) == PAIRS[:1]


def test_the_built_in_set_is_drawn() -> None:
    pairs, line_numbers = load_numbered_pairs(
        BuiltinSet(builtin="grammar", split="train", sentences=7)
    )
    assert len(set(pairs)) == 7
    assert list(line_numbers) == [1, 2, 3, 4, 5, 6, 7]
    again = BuiltinSet(builtin="grammar", split="train", sentences=7, seed=2)
    assert load_pairs(again) != pairs


def test_unequal_files_are_an_error(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "train.en", ["one", "two", "three"])
    target = write_lines(tmp_path / "train.de", ["eins", "zwei"])
    assert_refused(
        FileSet(source=source, target=target),
        f"{source} has 3 lines, {target} has 2; parallel files must have equal numbers of lines",
    )


def test_a_set_without_a_pair_is_an_error(tmp_path: Path) -> None:
    empty = write_lines(tmp_path / "empty", [])
    complaint = "must have at least one sentence pair, got none"
    assert_refused(FileSet(source=empty, target=empty), f"{empty} + {empty} {complaint}")
    assert_refused(TsvSet(tsv=empty), f"{empty} {complaint}")
    assert_refused(TsvSet(tsv=empty, source="en"), f"{empty} {complaint}")
    assert_refused(CsvSet(csv=empty), f"{empty} {complaint}")
    header = write_lines(tmp_path / "header", ["en\tde"])
    assert_refused(TsvSet(tsv=header, source="en", target="de"), f"{header} {complaint}")
    assert_refused(JsonlSet(jsonl=empty), f"{empty} {complaint}")


@pytest.mark.parametrize(
    ("corpus_set", "words"),
    [
        (FileSet(source="a.en", target="a.de"), "a.en + a.de"),
        (TsvSet(tsv="a.tsv"), "a.tsv"),
        (CsvSet(csv="a.csv"), "a.csv"),
        (JsonlSet(jsonl="a.jsonl"), "a.jsonl"),
        (
            BuiltinSet(builtin="grammar", split="train", sentences=30000),
            "built-in grammar, train, 30000 artificial sentences, seed 1",
        ),
        (
            BuiltinSet(builtin="grammar", split="test", sentences=5, seed=2, distance=0),
            "built-in grammar, test, 5 artificial sentences, seed 2, distance 0",
        ),
        (HubSet(hub="a/b", config=None, split="test", source="en", target="de"), "a/b test"),
        (HubSet(hub="a/b", config="c", split="test", source="en", target="de"), "a/b c test"),
    ],
)
def test_a_set_is_named_in_a_few_words(corpus_set: CorpusSet, words: str) -> None:
    assert describe_set(corpus_set) == words

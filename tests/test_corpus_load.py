import gzip
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import datasets
import pytest

from nmt.corpus import SentencePair, describe_set, load_pairs
from nmt.errors import DataError
from nmt.recipe import CorpusSet, FileSet, HubSet, JsonlSet, TsvSet

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


def offer_on_hub(monkeypatch: pytest.MonkeyPatch, rows: Sequence[Mapping[str, object]]) -> HubSet:
    """Stand in for the hub: its only data set holds these rows."""

    def load_dataset(path: str, name: str | None, *, split: str) -> datasets.Dataset:
        assert (path, name, split) == ("someone/captions", "en-de", "train")
        return datasets.Dataset.from_list(list(rows))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return HubSet(hub="someone/captions", config="en-de", split="train", source="en", target="de")


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


def test_a_data_set_on_the_hub_has_a_pair_in_each_row(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"id": 7, "en": pair.source, "de": pair.target} for pair in PAIRS]
    corpus_set = offer_on_hub(monkeypatch, rows)
    assert load_pairs(corpus_set) == PAIRS
    assert load_pairs(corpus_set, reverse=True) == SWAPPED


def test_columns_inside_a_column_are_named_with_a_dot(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"translation": {"en": pair.source, "de": pair.target}} for pair in PAIRS]
    corpus_set = offer_on_hub(monkeypatch, rows).model_copy(
        update={"source": "translation.en", "target": "translation.de"}
    )
    assert load_pairs(corpus_set) == PAIRS


def test_both_sides_may_come_from_one_column(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus_set = offer_on_hub(monkeypatch, [{"en": "a cat"}]).model_copy(update={"target": "en"})
    assert load_pairs(corpus_set) == [SentencePair("a cat", "a cat")]


def test_a_folder_takes_the_place_of_a_name_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "captions").mkdir()
    write_jsonl(tmp_path / "captions")
    corpus_set = HubSet(
        hub=str(tmp_path / "captions"), config=None, split="train", source="source", target="target"
    )
    assert load_pairs(corpus_set) == PAIRS


def test_unequal_files_are_an_error(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "train.en", ["one", "two", "three"])
    target = write_lines(tmp_path / "train.de", ["eins", "zwei"])
    assert_refused(
        FileSet(source=source, target=target),
        f"{source} has 3 lines, {target} has 2; parallel files must have equal numbers of lines",
    )


@pytest.mark.parametrize(
    ("line", "num_columns"), [("one", 1), ("", 1), ("one\teins\t", 3), ("1\tone\teins\tx", 4)]
)
def test_a_table_has_two_columns_exactly(tmp_path: Path, line: str, num_columns: int) -> None:
    path = write_lines(tmp_path / "train.tsv", ["zero\tnull", line])
    assert_refused(
        TsvSet(tsv=path),
        f"{path}: line 2 must have 2 columns separated by a tab, got {num_columns}",
    )


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", " must be a JSON object, got '' (Expecting value: line 1 column 1 (char 0))"),
        ('["one"]', """ must be a JSON object, got '["one"]'"""),
        ("7" * 50, f" must be a JSON object, got '{'7' * 40}…'"),
        ('{"source": "one"}', ": no key 'target'; it has 'source'"),
        ("{}", ": no key 'source'; it has nothing"),
        ('{"source": "one", "target": null}', ": 'target' must be a string, got None"),
        ('{"source": 7, "target": "eins"}', ": 'source' must be a string, got 7"),
        (
            r'{"source": "x\ud83d", "target": "x"}',
            r": 'source' must be text, got half a character '\ud83d'",
        ),
    ],
)
def test_json_lines_hold_objects_with_two_strings(
    tmp_path: Path, line: str, complaint: str
) -> None:
    path = write_lines(tmp_path / "train.jsonl", ['{"source": "zero", "target": "null"}', line])
    assert_refused(JsonlSet(jsonl=path), f"{path}: line 2{complaint}")


def test_a_column_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus_set = offer_on_hub(monkeypatch, [{"en": "one", "de": "eins"}])
    assert_refused(
        corpus_set.model_copy(update={"source": "fr"}),
        "someone/captions en-de train: no column 'fr'; it has 'en', 'de'",
    )


def test_a_row_without_text_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[dict[str, str | None]] = [{"en": "one", "de": "eins"}, {"en": "two", "de": None}]
    assert_refused(
        offer_on_hub(monkeypatch, rows),
        "someone/captions en-de train: row 2: 'de' must be a string, got None",
    )


def test_a_hub_out_of_reach_is_an_error_that_says_what_else_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load_dataset(path: str, name: str | None, *, split: str) -> None:
        raise ConnectionError(f"Couldn't reach {path!r}\non the Hub ({name}, {split})")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert_refused(
        HubSet(hub="someone/captions", config=None, split="train", source="en", target="de"),
        "someone/captions train: cannot be loaded from the hub "
        "(Couldn't reach 'someone/captions' on the Hub (None, train)); "
        "check name, config and split, or use local files: {source: FILE, target: FILE}",
    )


def test_a_set_without_a_pair_is_an_error(tmp_path: Path) -> None:
    empty = write_lines(tmp_path / "empty", [])
    complaint = "must have at least one sentence pair, got none"
    assert_refused(FileSet(source=empty, target=empty), f"{empty} + {empty} {complaint}")
    assert_refused(TsvSet(tsv=empty), f"{empty} {complaint}")
    assert_refused(JsonlSet(jsonl=empty), f"{empty} {complaint}")


@pytest.mark.parametrize(
    ("corpus_set", "words"),
    [
        (FileSet(source="a.en", target="a.de"), "a.en + a.de"),
        (TsvSet(tsv="a.tsv"), "a.tsv"),
        (JsonlSet(jsonl="a.jsonl"), "a.jsonl"),
        (HubSet(hub="a/b", config=None, split="test", source="en", target="de"), "a/b test"),
        (HubSet(hub="a/b", config="c", split="test", source="en", target="de"), "a/b c test"),
    ],
)
def test_a_set_is_named_in_a_few_words(corpus_set: CorpusSet, words: str) -> None:
    assert describe_set(corpus_set) == words

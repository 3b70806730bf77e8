import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.corpus import SentencePair, load_numbered_pairs, load_pairs
from nmt.errors import DataError
from nmt.recipe import JsonlSet

ODD_CHARACTERS = '\0\t\x0b\x0c\r\x1c\x85\u2028\u2029\ufeff"\\/'
TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\n") | st.sampled_from(ODD_CHARACTERS)
)


def write_lines(path: Path, lines: list[str]) -> str:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    return str(path)


def test_a_key_may_lead_into_a_record(tmp_path: Path) -> None:
    lines = [
        '{"translation": {"en": "a cat", "de": "eine Katze"}}',
        # a key with a dot of its own comes first
        '{"translation": {"en": "x", "de": "eine Katze"}, "translation.en": "a cat"}',
    ]
    path = write_lines(tmp_path / "a.jsonl", lines)
    corpus_set = JsonlSet(jsonl=path, source="translation.en", target="translation.de")
    pairs, line_numbers = load_numbered_pairs(corpus_set)
    assert pairs == [SentencePair("a cat", "eine Katze")] * 2
    assert list(line_numbers) == [1, 2]


def test_a_line_break_becomes_a_space(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="nmt")
    path = write_lines(tmp_path / "a.jsonl", [r'{"source": "a\ncat\r\n", "target": "eine\rKatze"}'])
    assert load_pairs(JsonlSet(jsonl=path)) == [SentencePair("a cat ", "eine\rKatze")]
    assert caplog.messages == [f"{path}: made a space of the line breaks inside 1 sources"]


@given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1))
@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_what_is_written_as_json_comes_back(
    ensure_ascii: bool, rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = [
        json.dumps({"en": source, "de": target}, ensure_ascii=ensure_ascii)
        for source, target in rows
    ]
    path = write_lines(tmp_path_factory.mktemp("corpus") / "a.jsonl", lines)
    loaded = load_pairs(JsonlSet(jsonl=path, source="en", target="de"))
    assert [(pair.source, pair.target) for pair in loaded] == rows


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", " must be a JSON object, got '' (Expecting value: line 1 column 1 (char 0))"),
        (
            '{"source": "one", "tar',
            ' must be a JSON object, got \'{"source": "one", "tar\' '
            "(Unterminated string starting at: line 1 column 19 (char 18))",
        ),
        ('["one"]', """ must be a JSON object, got '["one"]'"""),
        ("7" * 50, f" must be a JSON object, got '{'7' * 40}…'"),
        ('{"source": "one"}', ": no key 'target'; it has 'source'"),
        ('{"source": "one", "t": {"en": ""}}', ": no key 'target'; it has 'source', 't.en'"),
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
    path = write_lines(tmp_path / "a.jsonl", ['{"source": "zero", "target": "null"}', line])
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}: line 2{complaint}')}$"):
        load_pairs(JsonlSet(jsonl=path))


def test_of_many_keys_some_are_named(tmp_path: Path) -> None:
    record = json.dumps({f"key{number:02}" + "x" * 50: "" for number in range(30)})
    path = write_lines(tmp_path / "a.jsonl", [record])
    with pytest.raises(DataError, match=r"it has 'key00x{35}…', .*, 'key19x{35}…', …$"):
        load_pairs(JsonlSet(jsonl=path))

"""Glossaries and avoided phrases: how they are read, and where their words stand in a text."""

from pathlib import Path

import pytest

from nmt.errors import DataError
from nmt.translator import Phrase, Term, Wishes, read_avoided, read_glossary
from nmt.translator.wishes import TermFinder, stands_in


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def term(source: str, target: str = "x") -> Term:
    return Term(source, Phrase(target, "somewhere"))


def sources(terms: list[Term]) -> list[str]:
    return [one.source for one in terms]


def test_a_glossary_is_read_line_by_line(tmp_path: Path) -> None:
    path = write(tmp_path / "g", "dog\tHund\n\n the  house \tdas   Haus\r\ndog\tHund\n")
    assert read_glossary(path) == (
        Term("dog", Phrase("Hund", f"{path}: line 1")),
        Term("the house", Phrase("das Haus", f"{path}: line 3")),
    )


@pytest.mark.parametrize("line", ["dog", "dog\t", "\tHund", "dog\tHund\tKöter", "dog Hund"])
def test_a_line_of_another_form_is_refused(tmp_path: Path, line: str) -> None:
    path = write(tmp_path / "g", f"cat\tKatze\n{line}\n")
    with pytest.raises(DataError) as caught:
        read_glossary(path)
    assert str(caught.value) == (
        f"{path}: line 2 must be a source phrase, a tab and a target phrase, got {line!r}"
    )


def test_rows_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "g", "the dog\tHund\ncat\tKatze\nthe  dog\tKöter\n")
    with pytest.raises(DataError) as caught:
        read_glossary(path)
    assert str(caught.value) == (
        f"{path}: line 3: 'the dog' must have one target phrase, got 'Köter' here and 'Hund' in "
        "line 1"
    )


def test_terms_of_a_program_must_not_contradict_each_other_either() -> None:
    terms = [Term("Hund", Phrase("dog", "a")), Term("Hund", Phrase("cat", "b"))]
    Wishes(terms=(terms[0], terms[0]))
    with pytest.raises(
        DataError, match=r"^b: 'Hund' must have one target phrase, got 'cat' here and 'dog' in a$"
    ):
        Wishes(terms=tuple(terms))
    with pytest.raises(DataError, match=r"^a: source phrase must have a word, got ' '$"):
        Wishes(terms=(Term(" ", Phrase("dog", "a")),))


def test_avoided_phrases_are_read_line_by_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a", "Köter\n\n das  Vieh\n")
    assert read_avoided(path) == (
        Phrase("Köter", f"{path}: line 1"),
        Phrase("das Vieh", f"{path}: line 3"),
    )


@pytest.mark.parametrize(
    ("phrase", "text", "is_there"),
    [
        ("dog", "a dog, a cat", True),
        ("dog", "dogs", False),
        ("dog", "hotdog", False),
        ("dog", "(dog)", True),
        ("dog", "Dog", False),
        ("hot dog", "a hot \u00a0 dog", True),
        ("hot dog", "hotdog", False),
        ("hot dog", "hot, dog", False),
        ("U.S.", "the U.S. army", True),
        ("U.S.", "the U. S. army", False),
        ("C++", "C++.", True),
        # one character for Unicode, written in two ways
        ("caf\u00e9", "the cafe\u0301", True),
    ],
)
def test_a_source_phrase_is_found_as_whole_words(phrase: str, text: str, is_there: bool) -> None:
    assert sources(TermFinder([term(phrase)]).find(text)) == [phrase] * is_there


def test_of_phrases_that_begin_at_one_place_the_longest_is_found() -> None:
    finder = TermFinder([term("hot"), term("hot dog"), term("dog"), term("hot dog stand")])
    assert sources(finder.find("a hot dog and a hot dog")) == ["hot dog"]
    assert sources(finder.find("a dog, a hot hot dog stand")) == ["dog", "hot", "hot dog stand"]
    assert sources(finder.find("hot dogs")) == ["hot"]


def test_no_glossary_finds_nothing() -> None:
    assert TermFinder([]).find("a dog") == []


@pytest.mark.parametrize(
    ("text", "stands"),
    [
        ("ein Hund.", True),
        ("Hund", True),
        ("Hunde und Hund", True),
        ("Hunde", False),
        ("Wachhund Wach-Hund", True),
        ("WachHund", False),
        ("Hund1", False),
    ],
)
def test_a_phrase_stands_in_a_text_as_whole_words(text: str, stands: bool) -> None:
    assert stands_in(text, "Hund") is stands


def test_signs_of_patterns_are_but_signs() -> None:
    assert stands_in("in C++ und so", "C++")
    assert not stands_in("in CCC", "C+")
    assert stands_in("zwei  Wörter", "zwei Wörter")

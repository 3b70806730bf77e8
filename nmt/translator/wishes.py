"""What users want to see in translations, and what not: glossaries, avoided phrases. Text only."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nmt.errors import DataError

# A word, or one sign that is none; whether white space stands before it, says the group.
_WORD = re.compile(r"(\s*)(\w+|[^\w\s])")

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words in the target language.

    Attributes:
        text: The words, parted by single spaces.
        place: What complaints call the place where the user wrote it.
    """

    text: str
    place: str


@dataclass(frozen=True, slots=True)
class Term:
    """A row of a glossary: where the source phrase stands, the target phrase is wanted."""

    source: str
    target: Phrase


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What holds for every line that is translated.

    Attributes:
        terms: The glossary.
        are_terms_required: Whether its phrases must be in the translation, or are preferred only.
        avoided: Phrases that no translation may hold.

    Raises:
        DataError: Two terms give one source phrase different target phrases, or one is without
            words.
    """

    terms: tuple[Term, ...] = ()
    are_terms_required: bool = True
    avoided: tuple[Phrase, ...] = ()

    def __post_init__(self) -> None:
        _distinct(self.terms)


def read_glossary(path: Path) -> tuple[Term, ...]:
    """Read a glossary: on each line a source phrase, a tab and a target phrase; or nothing.

    Raises:
        DataError: The file cannot be read, a line is of another form, or two lines give one source
            phrase different target phrases.
    """
    terms = []
    for place, line in _numbered_lines(path):
        columns = [_spaced(column) for column in line.split("\t")]
        if len(columns) != 2 or not all(columns):
            raise DataError(
                f"{place} must be a source phrase, a tab and a target phrase, got {line!r}"
            )
        source, target = columns
        terms.append(Term(source, Phrase(target, place)))
    return _distinct(terms)


def read_avoided(path: Path) -> tuple[Phrase, ...]:
    """Read phrases to avoid: one on each line, or nothing.

    Raises:
        DataError: The file cannot be read.
    """
    return tuple(Phrase(_spaced(line), place) for place, line in _numbered_lines(path))


class TermFinder:
    """Finds the terms of a glossary in text, in time that does not grow with the glossary."""

    def __init__(self, terms: Iterable[Term]) -> None:
        """Take the terms."""
        self._starting_with: defaultdict[str, list[tuple[Words, Term]]] = defaultdict(list)
        for term in terms:
            words = _words(term.source)
            self._starting_with[words[0]].append((words, term))
        for candidates in self._starting_with.values():
            candidates.sort(key=lambda candidate: -len(candidate[0]))

    def find(self, text: str) -> list[Term]:
        """Return the terms whose source phrases stand in the text as whole words, each once.

        Where several begin at one place the longest is taken, and its words are used up. Case
        counts; forms of a character that Unicode holds for one (NFKC) are one, and so is all white
        space.
        """
        if not self._starting_with:
            return []
        words = _words(text)
        found: dict[str, Term] = {}
        place = 0
        while place < len(words):
            term, size = self._longest_at(words, place)
            if term is not None:
                found[term.source] = term
            place += size
        return list(found.values())

    def _longest_at(self, words: Words, place: int) -> tuple[Term | None, int]:
        first = words[place].lstrip(" ")  # what stands before a phrase is no part of it
        for phrase, term in self._starting_with.get(first, []):
            size = len(phrase)
            if phrase[1:] == words[place + 1 : place + size]:
                return term, size
        return None, 1


def stands_in(text: str, phrase: str) -> bool:
    """Tell whether a phrase stands in a text as whole words; all white space is one space."""
    return re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", _spaced(text)) is not None


def _distinct(terms: Iterable[Term]) -> tuple[Term, ...]:
    """Return the terms without those that only say again what an earlier one says.

    Raises:
        DataError: They contradict each other, or a source phrase is without words.
    """
    found: dict[Words, Term] = {}
    for term in terms:
        target, words = term.target, _words(term.source)
        if not words:
            raise DataError(f"{target.place}: source phrase must have a word, got {term.source!r}")
        earlier = found.setdefault(words, term).target
        if earlier.text != target.text:
            raise DataError(
                f"{target.place}: {term.source!r} must have one target phrase, got "
                f"{target.text!r} here and {earlier.text!r} in {earlier.place.rpartition(': ')[2]}"
            )
    return tuple(found.values())


def _numbered_lines(path: Path) -> Iterable[tuple[str, str]]:
    """Yield each line that is not blank, and its place."""
    from nmt.corpus.files import read_lines  # who has no wishes need not wait for it

    for number, line in enumerate(read_lines(path), start=1):
        if line.strip():
            yield f"{path}: line {number}", line


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _words(text: str) -> Words:
    """Return the words and signs of a text, a space before those that white space stands before.

    The first of all has none.
    """
    matches = _WORD.findall(unicodedata.normalize("NFKC", text).strip())
    return tuple(f"{' ' if space else ''}{word}" for space, word in matches)

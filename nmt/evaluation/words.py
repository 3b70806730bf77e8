"""Words as a report counts them: what people would call words, without signs. Knows plain text."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

# Written without spaces between words: here each character counts as a word.
_UNSPACED = frozenset({"zh", "zho", "cmn", "yue", "ja", "jpn", "th", "tha", "lo", "km", "my"})

_WORD = re.compile(r"\w+(?:[-'’]\w+)*")
_CHARACTER = re.compile(r"\w")
# Everything that a text is made of, white space included.
_PARTS = re.compile(r"\s+|\w+(?:[-'’]\w+)*|[^\w\s]")
_CHARACTER_PARTS = re.compile(r"\s+|\w|[^\w\s]")


def is_unspaced(lang: str) -> bool:
    """Tell whether a language is written without spaces between words."""
    return lang.replace("_", "-").split("-")[0].lower() in _UNSPACED


def words_of(text: str, lang: str) -> list[str]:
    """Return the words of a text as they stand; of unspaced languages the characters."""
    return (_CHARACTER if is_unspaced(lang) else _WORD).findall(text)


def parts_of(text: str, lang: str) -> list[str]:
    """Return words, signs and the spaces between them: joined, they are the text again."""
    return (_CHARACTER_PARTS if is_unspaced(lang) else _PARTS).findall(text)


def count_scripts(texts: Iterable[str]) -> Counter[str]:
    """Count letters by their script, as Unicode's names begin: LATIN, CYRILLIC, ARABIC, CJK."""
    letters = Counter(character for text in texts for character in text if character.isalpha())
    scripts = Counter[str]()
    for letter, count in letters.items():
        scripts[unicodedata.name(letter, "UNNAMED").split(" ")[0].split("-")[0]] += count
    return scripts

"""Regular English word forms, and the rest of the words where the first one changes."""

from typing import NamedTuple

_VOWELS = "aeiou"


class VerbForms(NamedTuple):
    """The forms of a verb that are not built with another verb."""

    base: str
    third: str
    past: str


def plural_of(noun: str) -> str:
    """Return the regular plural of a noun."""
    return _with_s(noun)


def verb_forms(base: str, *, third: str = "", past: str = "") -> VerbForms:
    """Return the forms of a verb; of several words the first one changes.

    Args:
        base: As after "to": "stand up".
        third: As after "he", if it is not regular.
        past: The past participle, if it is not regular.
    """
    first, space, rest = base.partition(" ")
    return VerbForms(
        base, third or f"{_with_s(first)}{space}{rest}", past or f"{_with_ed(first)}{space}{rest}"
    )


def with_article(phrase: str) -> str:
    """Put "a" or "an" before a phrase; the words of the grammar sound as they are spelled."""
    return f"an {phrase}" if phrase[0] in _VOWELS else f"a {phrase}"


def _ends_in_consonant_and_y(word: str) -> bool:
    return word.endswith("y") and word[-2] not in _VOWELS


def _with_s(word: str) -> str:
    if _ends_in_consonant_and_y(word):
        return f"{word[:-1]}ies"
    if word.endswith(("s", "sh", "ch", "x", "o")) and not word.endswith("io"):
        return f"{word}es"
    return f"{word}s"


def _with_ed(word: str) -> str:
    if _ends_in_consonant_and_y(word):
        return f"{word[:-1]}ied"
    return f"{word}d" if word.endswith("e") else f"{word}ed"

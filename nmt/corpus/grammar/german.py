"""German word forms: nouns, articles, adjectives and verbs, from the tables of a lexicon."""

from typing import NamedTuple

from nmt.corpus.grammar.lexicon import (
    Adjective,
    ArticleKind,
    Case,
    Lexicon,
    Noun,
    Preposition,
    Verb,
)

CASES: tuple[Case, ...] = ("nominative", "accusative", "dative")


class VerbForms(NamedTuple):
    """The forms of a German verb; `present` is for subjects like "er", "sie" (they), "ich"."""

    infinitive: str
    present: tuple[str, str, str]
    prefix: str
    participle: str
    auxiliary: str

    @property
    def prefixed(self) -> tuple[str, str, str]:
        """The present at the end of a subordinate clause, where the prefix joins it."""
        he, they, i = (self.prefix + form for form in self.present)
        return he, they, i


def noun_form(noun: Noun, *, plural: bool, case: Case) -> str:
    """Return a noun in its number and case: "Hunden" of "Hund"."""
    if not plural:
        return noun.de_plural if noun.weak and case != "nominative" else noun.de
    if case == "dative" and not noun.de_plural.endswith(("n", "s")):
        return f"{noun.de_plural}n"
    return noun.de_plural


def noun_phrase(
    lexicon: Lexicon,
    noun: Noun,
    article: ArticleKind,
    *,
    plural: bool,
    case: Case,
    adjective: Adjective | None = None,
    number: str = "",
) -> str:
    """Return article, number, adjective and noun, all agreeing: "dem alten Hund".

    Args:
        lexicon: Has the articles and endings.
        noun: The noun.
        article: Which article; after a number it is `bare`.
        plural: Whether it is the plural.
        case: Which case.
        adjective: Stands before the noun.
        number: A number word; it never changes.
    """
    column = "plural" if plural else noun.gender
    row = CASES.index(case)
    words = [lexicon.articles[article][column][row], number]
    if adjective is not None:
        stem = adjective.stem or adjective.de
        words.append(stem + lexicon.endings[article][column][row])
    words.append(noun_form(noun, plural=plural, case=case))
    return " ".join(filter(None, words))


def prepositional_phrase(lexicon: Lexicon, preposition: Preposition, phrase: str) -> str:
    """Put a preposition before a noun phrase, contracted with its article where that is usual."""
    article, space, rest = phrase.partition(" ")
    contracted = lexicon.contractions.get(f"{preposition.de} {article}") if space else None
    return f"{contracted} {rest}" if contracted else f"{preposition.de} {phrase}"


def verb_forms(verb: Verb) -> VerbForms:
    """Return the forms of a verb, of a separable one with its prefix apart."""
    he, _, prefix = verb.er.partition(" ")
    they = verb.de.removeprefix(prefix)
    stem = they.removesuffix("n").removesuffix("e")
    auxiliary, _, participle = verb.perfect.partition(" ")
    return VerbForms(verb.de, (he, they, verb.ich or f"{stem}e"), prefix, participle, auxiliary)

"""Noun phrases, phrases of place and verbs as numbered choices, with what is held out for tests."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from nmt.corpus.grammar import english, german
from nmt.corpus.grammar.lexicon import (
    RELATIVES,
    Adjective,
    Case,
    Lexicon,
    Modal,
    Noun,
    Preposition,
    Verb,
    WordPair,
)
from nmt.corpus.grammar.ranking import Choice, Product, Space, Union

# One noun in so many is held out from each adjective and each verb.
HELD_OUT_SHARE = 8

# Which verb form follows a pronoun, or a noun: places in lists of three forms.
AGREEMENTS = ("he", "they", "I")

# The forms of verbs and modal verbs, in the order in which the entries have them.
VERB_SLOTS = (
    *("en_present", "en_base", "past", "de_present", "prefix", "prefixed", "infinitive"),
    *("participle", "hat", "has", "does", "is", "was", "ist", "war"),
)
MODAL_SLOTS = ("modal", "modal_asks", "modal_asked", "de_modal")

Pairs = frozenset[tuple[str, str]]
Names = tuple[str, ...]


class Words(NamedTuple):
    """A phrase that never changes."""

    en: str
    de: str


class NounPhrase(NamedTuple):
    """A noun phrase in one case; the fields after `agreement` are its relative pronouns."""

    en: str
    de: str
    agreement: int
    who: str = ""
    whom: str = ""
    nominative: str = ""
    accusative: str = ""
    dative: str = ""


class Phrases:
    """The phrases of a lexicon; each is made once.

    A shape is one of the lexicon's, alone or with " adjective" behind it, or "pronoun".

    Args:
        lexicon: The words and what goes together.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.adjectives = adjectives_by_noun(lexicon)
        self.held_out_adjectives = held_out_adjectives(lexicon)
        self.held_out_verbs = held_out_verbs(lexicon)
        self.modals = Choice([modal_entry(modal) for modal in lexicon.modals])
        self.negated_modals = Choice([modal_entry(modal) for modal in lexicon.negated_modals])
        self.pronouns = Choice(
            [NounPhrase(one.en, one.de, AGREEMENTS.index(one.like)) for one in lexicon.pronouns]
        )
        self._by_name = {noun.en: noun for noun in lexicon.nouns}
        self.names = cache(self._names)
        self.noun = cache(self._noun)
        self.nouns = cache(self._nouns)
        self.predicates = cache(self._predicates)
        self.belonging = cache(self._belonging)
        self.verb = cache(self._verb)
        self._turn = cache(self._phrases_of_turn)

    def _names(self, names: Names) -> Names:
        return tuple(noun.en for noun in self.lexicon.nouns_of(names))

    def _nouns(self, nouns: Names, held_out: Names, shape: str, case: Case) -> Space:
        """Return the phrases of some nouns, those in `held_out` being held out."""
        return Union([self.noun(noun, noun in held_out, shape, case) for noun in nouns])

    def _noun(self, name: str, held_out: bool, shape: str, case: Case) -> Choice:
        """Return the phrases of one noun; all are held out if it is, else some adjectives."""
        if held_out:
            return Choice([], self.noun(name, False, shape, case).entries)
        noun = self._by_name[name]
        shape, _, described = shape.partition(" ")
        if not described:
            return Choice(self._variants(noun, shape, case, None))
        familiar: list[NounPhrase] = []
        held: list[NounPhrase] = []
        for adjective in self.adjectives[name]:
            pair = (name, adjective.en)
            which = held if pair in self.held_out_adjectives else familiar
            which += self._variants(noun, shape, case, adjective)
        return Choice(familiar, held)

    def _variants(
        self, noun: Noun, shape: str, case: Case, adjective: Adjective | None
    ) -> list[NounPhrase]:
        """Return a noun, with an adjective or without, after all that a shape has before it."""
        variants = []
        for determiner, article, number in self.lexicon.shapes[shape]:
            plural = number == "plural"
            if noun.mass and plural:
                continue
            kind = "bare" if noun.mass and article == "indefinite" else article
            words = self.lexicon.numbers if determiner == "number" else _NO_NUMBER
            column = self.lexicon.relative_pronouns["plural" if plural else noun.gender]
            relative = RELATIVES["person" if noun.noun_class == "person" else "other"]
            for count in words:
                described = f"{adjective.en} " if adjective else ""
                bare = described + (noun.en_plural if plural else noun.en)
                de = german.noun_phrase(
                    self.lexicon,
                    noun,
                    kind,
                    plural=plural,
                    case=case,
                    adjective=adjective,
                    number=count.de,
                )
                en = _with_determiner(bare, count.en or determiner, mass=noun.mass)
                variants.append(NounPhrase(en, de, int(plural), *relative, *column))
        return variants

    def _predicates(self, noun: str | None) -> Choice:
        """Return the adjectives that can be said of a noun or, without one, of any pronoun."""
        if noun is None:
            people = [one.en for one in self.lexicon.nouns if one.noun_class == "person"]
            shared = [one for one in self.lexicon.adjectives if self._fits_all(one, people)]
            return Choice([Words(one.en, one.de) for one in shared])
        familiar: list[Words] = []
        held: list[Words] = []
        for one in self.adjectives[noun]:
            is_held = (noun, one.en) in self.held_out_adjectives
            (held if is_held else familiar).append(Words(one.en, one.de))
        return Choice(familiar, held)

    def _fits_all(self, adjective: Adjective, nouns: Sequence[str]) -> bool:
        return all(adjective in self.adjectives[noun] for noun in nouns)

    def places(self, count: int, shape: str) -> Space:
        """Return chains of phrases of place, whose nouns take turns between two lists."""
        turns = [self._turn(0, shape), self._turn(1, shape)]
        return Union(
            [Product([turns[(start + place) % 2] for place in range(count)]) for start in (0, 1)]
        )

    def _phrases_of_turn(self, turn: int, shape: str) -> Choice:
        allowed = self.names(self.lexicon.place_turns[turn])
        parts = [
            self._with_preposition(place, noun, shape)
            for place in self.lexicon.places
            for noun in self.names(place.nouns)
            if noun in allowed
        ]
        return _joined(parts)

    def _belonging(self, names: tuple[str, ...], shape: str) -> Choice:
        """Return the phrases that belong to a verb, by the names of their prepositions."""
        parts = [
            self._with_preposition(self.lexicon.phrases[name], noun, shape)
            for name in names
            for noun in self.names(self.lexicon.phrases[name].nouns)
        ]
        return _joined(parts)

    def _with_preposition(self, preposition: Preposition, noun: str, shape: str) -> Choice:
        phrases = self.noun(noun, False, shape, preposition.case)
        familiar, held_out = (
            [
                Words(
                    f"{preposition.en} {phrase.en}",
                    german.prepositional_phrase(self.lexicon, preposition, phrase.de),
                )
                for phrase in part
            ]
            for part in (phrases.familiar, phrases.held_out)
        )
        return Choice(familiar, held_out)

    def _verb(self, verb: Verb | None) -> Choice:
        """Return a verb as the one entry of a choice; None stands for "to be"."""
        auxiliaries = self.lexicon.auxiliaries
        shared = [auxiliaries[name] for name in VERB_SLOTS[VERB_SLOTS.index("has") :]]
        if verb is None:
            own = [("", "", "")] * (len(VERB_SLOTS) - len(shared))
        else:
            en = english.verb_forms(verb.en, third=verb.third, past=verb.past)
            de = german.verb_forms(verb)
            own = [
                (en.third, en.base, en.base),
                *((form,) * 3 for form in (en.base, en.past)),
                de.present,
                (de.prefix,) * 3,
                de.prefixed,
                *((form,) * 3 for form in (de.infinitive, de.participle)),
                auxiliaries[de.auxiliary],
            ]
        return Choice([tuple(zip(*own, *shared, strict=True))])

    def words(self, pairs: Sequence[WordPair]) -> Choice:
        """Return fixed words as a choice."""
        return Choice([Words(pair.en, pair.de) for pair in pairs])


_NO_NUMBER = (WordPair(en="", de=""),)


def adjectives_by_noun(lexicon: Lexicon) -> dict[str, list[Adjective]]:
    """Return the adjectives that go with each noun, in the order of the lexicon."""
    fitting: dict[str, list[Adjective]] = {noun.en: [] for noun in lexicon.nouns}
    for adjective in lexicon.adjectives:
        for noun in lexicon.nouns_of(adjective.of):
            fitting[noun.en].append(adjective)
    return fitting


def held_out_adjectives(lexicon: Lexicon) -> Pairs:
    """Return the pairs of noun and adjective that only test sentences have.

    Of each noun's adjectives every eighth, starting elsewhere for each noun.
    """
    return frozenset(
        (noun, adjective.en)
        for start, (noun, adjectives) in enumerate(adjectives_by_noun(lexicon).items())
        for place, adjective in enumerate(adjectives)
        if _is_held_out(start, place)
    )


def held_out_verbs(lexicon: Lexicon) -> Pairs:
    """Return the pairs of noun and verb that only test sentences have.

    Of the nouns that a verb takes, as its subject or an object, every eighth, starting elsewhere
    for each verb.
    """
    roles: dict[str, tuple[str, ...]] = {}
    for verb in lexicon.verbs:
        names = verb.subject + verb.object + verb.receiver
        roles[verb.en] = roles.get(verb.en, ()) + names
    return frozenset(
        (noun.en, verb)
        for start, (verb, names) in enumerate(roles.items())
        for place, noun in enumerate(lexicon.nouns_of(names))
        if _is_held_out(start, place)
    )


def _is_held_out(row: int, place: int) -> bool:
    """Whether a place is one of the row's eighth; rows beside each other have others."""
    return (place + 3 * row) % HELD_OUT_SHARE == 0


def modal_entry(modal: Modal) -> tuple[tuple[str, ...], ...]:
    """Return the forms of a modal verb, in the order of MODAL_SLOTS, by agreement."""
    before, after = modal.ask
    return tuple(zip(modal.en, before, (after,) * 3, modal.de, strict=True))


def _with_determiner(phrase: str, determiner: str, *, mass: bool) -> str:
    if determiner == "a":
        return phrase if mass else english.with_article(phrase)
    return f"{determiner} {phrase}" if determiner else phrase


def _joined(choices: Sequence[Choice]) -> Choice:
    return Choice(
        [entry for choice in choices for entry in choice.familiar],
        [entry for choice in choices for entry in choice.held_out],
    )

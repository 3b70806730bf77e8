"""The file of the built-in grammar, `data/grammar.yaml`: read and checked, not yet put to use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import chain
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nmt.corpus.grammar.english import plural_of, verb_forms
from nmt.errors import DataError
from nmt.shipped import shipped_folder

Gender = Literal["m", "f", "n"]
GenderOrPlural = Literal["m", "f", "n", "plural"]
Case = Literal["nominative", "accusative", "dative"]
ArticleKind = Literal["definite", "indefinite", "no", "bare"]
Triple = tuple[str, str, str]
Share = Annotated[float, Field(gt=0)]


# The English relative pronouns, as a subject and as an object.
RELATIVES = {"person": ("who", "whom"), "other": ("that", "that")}


class _Part(BaseModel):
    """A part of the file: no key is unknown, none is changed afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Noun(_Part):
    """A noun; a mass noun has no plural, a weak one takes it for its oblique cases."""

    en: str
    plural: str = ""
    de: str
    gender: Gender
    de_plural: str = ""
    noun_class: str = Field(alias="class")
    weak: bool = False
    mass: bool = False

    @property
    def en_plural(self) -> str:
        """The English plural, where there is one."""
        return self.plural or plural_of(self.en)


class Adjective(_Part):
    """An adjective and the nouns it goes with."""

    en: str
    de: str
    stem: str = ""
    of: tuple[str, ...]


class Verb(_Part):
    """A verb: its irregular forms, and what goes with it."""

    en: str
    third: str = ""
    past: str = ""
    de: str
    er: str
    ich: str = ""
    perfect: Annotated[str, Field(pattern=r"^(hat|ist) \S+$")]
    subject: tuple[str, ...]
    object: tuple[str, ...] = ()
    receiver: tuple[str, ...] = ()
    case: Literal["accusative", "dative"] = "accusative"
    optional: bool = False
    that: bool = False
    phrases: tuple[str, ...] = ()
    needs_phrase: bool = False
    how: tuple[str, ...] = ()
    modal: bool = True

    @property
    def frames(self) -> tuple[str, ...]:
        """What the verb can stand with, as the rules call it."""
        if self.that:
            return ("that",)
        if self.receiver:
            return ("ditransitive",)
        frames: tuple[str, ...] = ()
        if self.object:
            frames = ("dative" if self.case == "dative" else "transitive",)
        if (self.optional or not self.object) and not self.needs_phrase:
            frames += ("intransitive",)
        return (*frames, "phrase") if self.phrases else frames


class Preposition(_Part):
    """A preposition, the case it asks for, and the nouns that follow it."""

    en: str
    de: str
    case: Literal["accusative", "dative"]
    nouns: tuple[str, ...]


class WordPair(_Part):
    """A word or a fixed phrase in both languages; `now` keeps it from the perfect."""

    en: str
    de: str
    now: bool = False


class Pronoun(_Part):
    """A pronoun as a subject; `like` says which verb form follows."""

    en: str
    de: str
    like: Literal["he", "they", "I"]


class Modal(_Part):
    """A modal verb for a subject like "he", "they" and "I"; `ask` is its form in questions."""

    en: Triple
    de: Triple
    ask: tuple[Triple, str] = (("", "", ""), "")


class Tense(_Part):
    """What a tense puts into a clause."""

    verb: str
    negated: str
    asks: str
    asked: str
    finite: str
    end: str
    closing: str


class ClauseChoices(_Part):
    """How often a clause has which frame, tense, negation, nouns and surroundings."""

    frames: dict[str, Share]
    tenses: dict[str, Share]
    negation: dict[Literal["positive", "not", "none"], Share]
    nouns: tuple[tuple[str, str, Share], ...]
    around: dict[str, Share]


class TwoSides(_Part):
    """A pattern in both languages."""

    en: str
    de: str


class SentenceRule(TwoSides):
    """A kind of sentence: its patterns, its share, and the choices of its clauses."""

    share: Share
    a: str
    b: str | None = None
    gap: Literal["subject", "object"] | None = None
    relative: TwoSides = TwoSides(en="", de="")


class Distances(_Part):
    """What sentences of a given distance are like."""

    frames: dict[str, Share]
    beside: dict[str, Share]
    place: dict[str, Share]
    nouns: tuple[tuple[str, str, Share], ...]


class Lexicon(_Part):
    """All of the file, see the comments there."""

    nouns: tuple[Noun, ...]
    sets: dict[str, tuple[str, ...]]
    adjectives: tuple[Adjective, ...]
    verbs: tuple[Verb, ...]
    modals: tuple[Modal, ...]
    negated_modals: tuple[Modal, ...]
    auxiliaries: dict[str, Triple]
    pronouns: tuple[Pronoun, ...]
    times: tuple[WordPair, ...]
    frequencies: tuple[WordPair, ...]
    manners: tuple[WordPair, ...]
    degrees: tuple[WordPair, ...]
    conjunctions: tuple[WordPair, ...]
    numbers: tuple[WordPair, ...]
    places: tuple[Preposition, ...]
    place_turns: tuple[tuple[str, ...], tuple[str, ...]]
    phrases: dict[str, Preposition]
    contractions: dict[str, str]
    articles: dict[ArticleKind, dict[GenderOrPlural, Triple]]
    endings: dict[ArticleKind, dict[GenderOrPlural, Triple]]
    relative_pronouns: dict[GenderOrPlural, Triple]
    tenses: dict[str, Tense]
    clauses: dict[str, str]
    shapes: dict[str, tuple[tuple[str, ArticleKind, Literal["singular", "plural"]], ...]]
    place_shapes: dict[str, Share]
    choices: dict[str, ClauseChoices]
    sentences: dict[str, SentenceRule]
    distances: Distances

    def nouns_of(self, names: tuple[str, ...]) -> tuple[Noun, ...]:
        """Return the nouns that are meant by sets, classes or nouns, in the order of the file.

        Raises:
            ValueError: A name is none of these.
        """
        chosen = {noun for name in names for noun in self._named(name)}
        return tuple(noun for noun in self.nouns if noun.en in chosen)

    def content_words(self) -> Iterator[str]:
        """Yield the English forms that tell sentences apart; each is of one word."""
        for noun in self.nouns:
            yield noun.en
            if not noun.mass:
                yield noun.en_plural
        for base, third, past in dict.fromkeys((one.en, one.third, one.past) for one in self.verbs):
            yield from dict.fromkeys(verb_forms(base, third=third, past=past))
        yield from (adjective.en for adjective in self.adjectives)
        yield from (pronoun.en for pronoun in self.pronouns)
        adverbs = (self.times, self.frequencies, self.manners, self.degrees)
        yield from (pair.en for pair in chain(self.numbers, self.conjunctions, *adverbs))

    def function_words(self) -> Iterator[str]:
        """Yield the English words that the rules add to those."""
        yield from (preposition.en for preposition in (*self.places, *self.phrases.values()))
        yield from (form for modal in self.negated_modals for form in modal.en)
        yield from (form for modal in self.modals for form in (*modal.en, *modal.ask[0]))
        for name in ("has", "does", "is", "was"):
            yield from self.auxiliaries[name]
        yield from ("the", "a", "an", *RELATIVES["person"], *RELATIVES["other"])
        patterns = [pattern for tense in self.tenses.values() for pattern in vars(tense).values()]
        patterns += [rule.en for rule in self.sentences.values()]
        for word in " ".join(patterns).split():
            if word.isalpha():
                yield word

    def _named(self, name: str) -> tuple[str, ...]:
        if name in self.sets:
            return tuple(noun for part in self.sets[name] for noun in self._named(part))
        named = tuple(noun.en for noun in self.nouns if name in (noun.noun_class, noun.en))
        if not named:
            raise ValueError(f"{name!r} is no set, class or noun")
        return named


@cache
def load_lexicon() -> Lexicon:
    """Return the lexicon that comes with nmt; it is read once.

    Raises:
        DataError: The file has a mistake; names the entry.
    """
    path = shipped_folder("data") / "grammar.yaml"
    return parse_lexicon(path.read_bytes().decode("utf-8"), name=str(path))


def parse_lexicon(text: str, *, name: str) -> Lexicon:
    """Read a lexicon from YAML text; `name` is what complaints call it.

    Raises:
        DataError: As `load_lexicon`.
    """
    from ruamel.yaml import YAML  # slow to import, and few need the grammar

    tree = YAML(typ="safe", pure=True).load(text)
    try:
        lexicon = Lexicon.model_validate(tree)
    except ValidationError as error:
        raise DataError("; ".join(_complaint(name, tree, one) for one in error.errors())) from error
    for entry, mistake in _mistakes(lexicon):
        raise DataError(f"{name}: {entry}: {mistake}")
    return lexicon


def _complaint(name: str, tree: Any, detail: Any) -> str:
    """Name the key, and the word that its entry is of."""
    words: list[str] = []
    node: Any = tree
    for key in detail["loc"]:
        node = node[key] if isinstance(node, dict | list) and _has(node, key) else None
        is_entry = isinstance(key, int) and isinstance(node, dict) and "en" in node
        words.append(repr(node["en"]) if is_entry else str(key))
    value = repr(detail["input"])
    shown = value if len(value) <= 60 else f"{value[:57]}..."
    return f"{name}: {': '.join(words)}: {detail['msg'].lower()}, got {shown}"


def _has(node: dict[Any, Any] | list[Any], key: Any) -> bool:
    return key in node if isinstance(node, dict) else isinstance(key, int) and key < len(node)


def _mistakes(lexicon: Lexicon) -> Iterator[tuple[str, str]]:
    """Yield what no entry can know of itself: an entry and what is wrong with it."""
    for noun in lexicon.nouns:
        if noun.mass == bool(noun.de_plural):
            yield repr(noun.en), "a noun must have either de_plural or mass: true"
    users: list[tuple[str, tuple[str, ...]]] = [
        *((one.en, one.of) for one in lexicon.adjectives),
        *((one.en, one.subject + one.object + one.receiver) for one in lexicon.verbs),
        *((one.en, one.nouns) for one in (*lexicon.places, *lexicon.phrases.values())),
    ]
    for entry, names in users:
        try:
            lexicon.nouns_of(names)
        except ValueError as error:
            yield repr(entry), str(error)
    manners = {manner.en for manner in lexicon.manners}
    for verb in lexicon.verbs:
        for kind, names, known in (
            ("manner", verb.how, manners),
            ("phrase", verb.phrases, set(lexicon.phrases)),
        ):
            for name in names:
                if name not in known:
                    yield repr(verb.en), f"{name!r} is no {kind}"
    counts = Counter(lexicon.content_words())
    for word, count in counts.items():
        if count > 1:
            yield repr(word), f"an English form must belong to one word, got {count}"

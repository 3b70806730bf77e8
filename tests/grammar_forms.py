"""The German of grammar books in `grammar_forms.yaml`, and small grammars to compare with it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from nmt.corpus.grammar.english import verb_forms
from nmt.corpus.grammar.kinds import Grammar
from nmt.corpus.grammar.lexicon import Lexicon, Preposition, Verb, load_lexicon
from nmt.corpus.pairs import SentencePair

SPLITS = ("train", "validation", "test")


def read_forms() -> Any:
    """The whole table."""
    text = (Path(__file__).parent / "grammar_forms.yaml").read_text(encoding="utf-8")
    return YAML(typ="safe", pure=True).load(text)


def everything(lexicon: Lexicon) -> Iterator[SentencePair]:
    """Every sentence of a small grammar."""
    for kind in Grammar(lexicon).kinds():
        for split in SPLITS:
            if size := kind.size(split):
                draw = kind.draw(split, 1)
                for _ in range(size):
                    pair = draw.next()
                    assert pair is not None
                    yield pair


def lexicon_for(sentence: str, *rules: str) -> Lexicon:
    """A lexicon with the words of a sentence and "man", and with the rules named alone."""
    lexicon = load_lexicon()
    said = {*re.findall("[a-z]+", sentence.lower()), "man"}

    def is_said(phrase: str) -> bool:
        return set(phrase.lower().split()) <= said

    nouns = tuple(one for one in lexicon.nouns if is_said(one.en) or is_said(one.en_plural))
    kept = {noun.en for noun in nouns}

    def only(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(noun.en for noun in lexicon.nouns_of(names) if noun.en in kept)

    def shrunk_verb(verb: Verb) -> Verb:
        update: dict[str, object] = {
            role: only(getattr(verb, role)) for role in ("subject", "object", "receiver")
        }
        update["phrases"] = tuple(name for name in verb.phrases if name in phrases)
        return verb.model_copy(update=update)

    def shrunk_preposition(preposition: Preposition) -> Preposition:
        return preposition.model_copy(update={"nouns": only(preposition.nouns)})

    phrases = {
        name: shrunk_preposition(one) for name, one in lexicon.phrases.items() if is_said(one.en)
    }
    update: dict[str, object] = {
        "nouns": nouns,
        "sets": {},
        "phrases": phrases,
        "places": tuple(shrunk_preposition(one) for one in lexicon.places if is_said(one.en)),
        "place_turns": tuple(only(turn) for turn in lexicon.place_turns),
        "adjectives": tuple(
            one.model_copy(update={"of": only(one.of)})
            for one in lexicon.adjectives
            if is_said(one.en)
        ),
        "verbs": tuple(
            shrunk_verb(one)
            for one in lexicon.verbs
            if any(map(is_said, verb_forms(one.en, third=one.third, past=one.past)))
        ),
        "modals": tuple(one for one in lexicon.modals if any(map(is_said, one.en))),
        "negated_modals": tuple(one for one in lexicon.negated_modals if any(map(is_said, one.en))),
        "sentences": {name: lexicon.sentences[name] for name in rules},
    }
    for name in (
        "pronouns",
        "times",
        "frequencies",
        "degrees",
        "manners",
        "conjunctions",
        "numbers",
    ):
        update[name] = tuple(one for one in getattr(lexicon, name) if is_said(one.en))
    return lexicon.model_copy(update=update)

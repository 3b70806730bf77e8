"""Word forms against tables that were written by hand, a line for every word of the lexicon."""

from grammar_forms import read_forms

from nmt.corpus.grammar import english, german
from nmt.corpus.grammar.lexicon import Adjective, ArticleKind, Noun, load_lexicon

FORMS = read_forms()
LEXICON = load_lexicon()
NOUNS = {noun.en: noun for noun in LEXICON.nouns}
ADJECTIVES = {adjective.en: adjective for adjective in LEXICON.adjectives}


def phrases(
    noun: Noun, article: ArticleKind, *, plural: bool, adjective: Adjective | None = None
) -> list[str]:
    """A noun phrase in all cases."""
    return [
        german.noun_phrase(LEXICON, noun, article, plural=plural, case=case, adjective=adjective)
        for case in german.CASES
    ]


def test_every_noun_has_its_article_and_its_forms() -> None:
    made = {}
    for name, noun in NOUNS.items():
        forms = phrases(noun, "definite", plural=False)
        if not noun.mass:
            forms += phrases(noun, "definite", plural=True)
        made[name] = ", ".join(forms)
    assert made == FORMS["nouns"]


def test_adjectives_follow_the_article_the_gender_the_number_and_the_case() -> None:
    nouns = {"m": "dog", "f": "woman", "n": "book", "plural": "dog"}
    mass_nouns = {"m": "juice", "f": "milk", "n": "water", "plural": "dog"}
    made = {}
    for article, columns in LEXICON.endings.items():
        for column in columns:
            name = (mass_nouns if article == "bare" else nouns)[column]
            adjective = ADJECTIVES["cold" if NOUNS[name].mass else "old"]
            forms = phrases(NOUNS[name], article, plural=column == "plural", adjective=adjective)
            made[f"{article} {column}"] = ", ".join(forms)
    assert made == FORMS["phrases"]


def test_every_adjective_takes_its_endings() -> None:
    made = {}
    for name, adjective in ADJECTIVES.items():
        places: list[tuple[str, ArticleKind, bool, int]] = [
            ("dog", "definite", False, 0),
            ("dog", "indefinite", False, 0),
            ("book", "indefinite", False, 0),
            ("dog", "definite", True, 2),
        ]
        forms = [
            phrases(NOUNS[noun], article, plural=plural, adjective=adjective)[case].split()[-2]
            for noun, article, plural, case in places
        ]
        made[name] = ", ".join([adjective.de, *forms])
    assert made == FORMS["adjectives"]


def test_every_verb_has_its_forms() -> None:
    made = {}
    for verb in LEXICON.verbs:
        forms = german.verb_forms(verb)
        parts = [f"{present} . {forms.prefix}".removesuffix(" . ") for present in forms.present]
        parts.append(f"{forms.auxiliary} . {forms.participle}")
        parts.append(f"muss . {forms.infinitive}")
        made[verb.de] = ", ".join([*parts, forms.prefixed[0]])
    assert made == FORMS["verbs"]


def test_every_english_verb_has_its_forms() -> None:
    made = {}
    for verb in LEXICON.verbs:
        forms = english.verb_forms(verb.en, third=verb.third, past=verb.past)
        made[verb.en] = f"{forms.third}, {forms.past}"
    assert made == FORMS["english_verbs"]


def test_prepositions_join_the_article_where_it_is_usual() -> None:
    prepositions = {one.en: one for one in (*LEXICON.places, *LEXICON.phrases.values())}

    def made(preposition: str, phrase: str) -> str:
        return german.prepositional_phrase(LEXICON, prepositions[preposition], phrase)

    assert made("in", "dem Garten") == "im Garten"
    assert made("near", "dem alten Haus") == "beim alten Haus"
    assert made("to", "dem Bahnhof") == "zum Bahnhof"
    assert made("to", "der Schule") == "zur Schule"
    assert made("into", "das Haus") == "ins Haus"
    assert made("in", "der Küche") == "in der Küche"
    assert made("into", "den Wald") == "in den Wald"
    assert made("behind", "dem Auto") == "hinter dem Auto"
    assert made("near", "Häusern") == "bei Häusern"

"""Regular English forms, and the first of several words."""

import pytest

from nmt.corpus.grammar.english import plural_of, verb_forms, with_article


@pytest.mark.parametrize(
    ("noun", "plural"),
    [
        ("dog", "dogs"),
        ("bus", "buses"),
        ("dress", "dresses"),
        ("church", "churches"),
        ("city", "cities"),
        ("key", "keys"),
        ("potato", "potatoes"),
        ("radio", "radios"),
        ("sofa", "sofas"),
    ],
)
def test_plurals(noun: str, plural: str) -> None:
    assert plural_of(noun) == plural


def test_verbs_of_several_words_change_the_first_one() -> None:
    assert verb_forms("tidy up") == ("tidy up", "tidies up", "tidied up")
    assert verb_forms("dance") == ("dance", "dances", "danced")
    assert verb_forms("play") == ("play", "plays", "played")
    assert verb_forms("wash") == ("wash", "washes", "washed")
    assert verb_forms("have", third="has", past="had") == ("have", "has", "had")


def test_the_article_heeds_the_next_word() -> None:
    assert with_article("dog") == "a dog"
    assert with_article("old dog") == "an old dog"
    assert with_article("umbrella") == "an umbrella"

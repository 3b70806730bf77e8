"""Mistakes in the file of the grammar: each is told with the entry that has it."""

from pathlib import Path

import pytest

from nmt.corpus.grammar.lexicon import load_lexicon, parse_lexicon
from nmt.errors import DataError
from nmt.shipped import shipped_folder


def grammar_text() -> str:
    path: Path = shipped_folder("data") / "grammar.yaml"
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("de: Hund, gender: m", "de: Hund, gender: x", r"g\.yaml: nouns: 'dog': gender: .*'x'"),
        (
            "de: Hund, gender: m",
            "de: Hund, sex: m",
            r"g\.yaml: nouns: 'dog': gender: field required",
        ),
        ("de: Hund, gender: m", "de: Hund, gender: m, x: 1", r"nouns: 'dog': x: extra inputs"),
        ("de_plural: Hunde, ", "", r"g\.yaml: 'dog': a noun must have either de_plural or mass"),
        ("de: schlafen, er", "de: schlafen, ehr", r"verbs: 'sleep': er: field required"),
        ("hat geschlafen", "geschlafen", r"verbs: 'sleep': perfect: .*'geschlafen'"),
        ("subject: [vehicle]", "subject: [vehicel]", r"'stop': 'vehicel' is no set, class or noun"),
        ("of: [text, dress", "of: [texts, dress", r"'long': 'texts' is no set, class or noun"),
        ("[company, against,", "[compny, against,", r"'play': 'compny' is no phrase"),
        ("how: [well, badly]}", "how: [wel, badly]}", r"'sleep': 'wel' is no manner"),
        ("en: cheese,", "en: yogurt,", None),
        ("en: cheese,", "en: cook,", r"'cook': an English form must belong to one word, got 2"),
        ("share: 50", "share: 0", r"sentences: statement: share: .*greater than 0, got 0"),
    ],
)
def test_a_broken_entry_is_named(old: str, new: str, message: str | None) -> None:
    text = grammar_text()
    assert old in text
    broken = text.replace(old, new, 1)
    if message is None:
        assert parse_lexicon(broken, name="g.yaml") != load_lexicon()
        return
    with pytest.raises(DataError, match=message):
        parse_lexicon(broken, name="g.yaml")


def test_nouns_are_chosen_by_set_class_or_name_in_the_order_of_the_file() -> None:
    lexicon = load_lexicon()
    chosen = [noun.en for noun in lexicon.nouns_of(("lamp", "animal", "dog", "man"))]
    assert chosen[:2] == ["man", "dog"]
    assert chosen[-1] == "lamp"
    assert len(chosen) == len(set(chosen)) == 12
    with pytest.raises(ValueError, match="'unicorn' is no set, class or noun"):
        lexicon.nouns_of(("unicorn",))

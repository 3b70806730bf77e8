import pytest

from nmt.evaluation.segments import Segments
from nmt.evaluation.suspicions import find_suspicions, repeats


def messages(sources: list[str], references: list[str], hypotheses: list[str]) -> list[str]:
    segments = Segments("t", sources, [references])
    return [one.message for one in find_suspicions(segments, hypotheses, target_lang="en")]


def test_nothing_is_suspicious_in_good_texts() -> None:
    assert messages(["eins", "zwei"], ["one", "two"], ["one", "two"]) == []


def test_empty_hypotheses_are_counted_where_there_was_something_to_translate() -> None:
    assert messages(["eins", "", "zwei", " ", "drei"], ["x"] * 5, ["", "", " ", "", "three"]) == [
        "2 of 5 hypotheses are empty"
    ]


def test_hypotheses_equal_to_their_source_are_counted() -> None:
    assert messages(["eins", "zwei", "", "drei"], ["x"] * 4, ["eins", "zwei", "", "three"]) == [
        "2 of 4 hypotheses are equal to their source"
    ]


@pytest.mark.parametrize(
    "tokenized",
    ["a dog runs .", "a dog , a cat", "it &apos;s", "&quot; no &quot;", "well @-@ known", "do@@ g"],
)
def test_references_that_look_tokenized_are_counted(tokenized: str) -> None:
    references = [tokenized, *["a dog runs."] * 8, tokenized]
    texts = ["ein Hund läuft"] * 10
    assert messages(texts, references, references) == [
        "2 of 10 references look tokenized (as in `word .` or `&apos;`); "
        "scores on tokenized text cannot be compared with those of others"
    ]


def test_a_few_stray_blanks_are_not_called_tokenized() -> None:
    references = ["a dog runs .", *["a dog runs."] * 9]
    assert messages(["x"] * 10, references, references) == []


@pytest.mark.parametrize(
    ("text", "lang", "is_repeating"),
    [
        ("a dog dog dog runs", "en", True),
        ("a dog dog runs", "en", False),
        ("on a bench On a bench.", "en", True),
        ("one two three four one two three four", "en", True),
        ("no, no, no", "en", False),
        ("1 1 1 ...", "en", False),
        ("狗狗狗", "zh", True),
        ("狗狗", "zh", False),
    ],
)
def test_repetitions_are_seen(text: str, lang: str, is_repeating: bool) -> None:
    assert repeats(text, lang) is is_repeating


def test_what_a_reference_repeats_may_be_repeated() -> None:
    texts = ["na na na", "go go go"]
    assert messages(["x", "y"], ["na na na", "go"], texts) == [
        "1 of 2 hypotheses say the same words again and again, where no reference does"
    ]


def test_another_script_than_the_references_is_told() -> None:
    assert messages(["x", "y"], ["кот", "dog"], ["cat", "dog"]) == [
        "1 of 2 hypotheses are in another script than their references"
    ]


def test_of_one_sentence_scores_say_little() -> None:
    assert messages(["eins"], ["one"], ["one"]) == [
        "1 of 1 sentence is all there is: intervals mean nothing, and scores very little"
    ]

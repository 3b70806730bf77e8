import pytest

from nmt.evaluation import find_suspicions

CLEAN = ["One dog runs.", "Two, or three?", "", "Un chien ? Non !", "5 . 10 = 50 and 3 , 4"]


def test_sound_text_is_not_suspicious() -> None:
    hypotheses = [f"{line}!" if line else "" for line in CLEAN]
    assert find_suspicions(CLEAN[:4], CLEAN[:4], hypotheses[:4]) == []


def test_empty_hypotheses_are_counted_where_there_was_something_to_translate() -> None:
    sources = ["eins", "zwei", "", " ", "drei"]
    assert find_suspicions(sources, ["x"] * 5, ["", " ", "", "", "three"]) == [
        "2 of 5 hypotheses are empty"
    ]


def test_hypotheses_equal_to_their_source_are_counted() -> None:
    sources = ["eins", "zwei", "", "drei"]
    assert find_suspicions(sources, ["x"] * 4, ["eins", "zwei", "", "three"]) == [
        "2 of 4 hypotheses are equal to their source"
    ]


@pytest.mark.parametrize(
    "tokenized",
    ["a dog runs .", "a dog , a cat", "it &apos;s", "&quot; no &quot;", "well @-@ known", "do@@ g"],
)
def test_references_that_look_tokenized_are_counted(tokenized: str) -> None:
    references = [tokenized, *["a dog runs."] * 8, tokenized]
    texts = [str(number) for number in range(10)]
    assert find_suspicions(texts, references, references) == [
        "2 of 10 references look tokenized (as in `word .` or `&apos;`); "
        "scores on tokenized text cannot be compared with those of others"
    ]


def test_a_few_stray_blanks_are_not_called_tokenized() -> None:
    references = ["a dog runs .", *["a dog runs."] * 9]
    assert find_suspicions(["x"] * 10, references, references) == []

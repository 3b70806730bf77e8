import json
import re

import pytest

from nmt.corpus import CleaningReport, SentencePair, clean
from nmt.errors import DataError
from nmt.recipe import CleaningRecipe

OFF = CleaningRecipe(max_characters=None, max_length_ratio=None, deduplicate=False)
GOOD = SentencePair("a cat", "eine Katze")


@pytest.mark.parametrize(
    "blank",
    ["", " ", "\t", "\u3000", "\u2028", "\0", "\u200b", "\ufeff", " \u200b\r"],
)
def test_pairs_blank_on_a_side_always_go(blank: str) -> None:
    pairs = [SentencePair(blank, "x"), GOOD, SentencePair("x", blank), SentencePair(blank, blank)]
    assert clean(pairs, OFF) == ([GOOD], CleaningReport(num_pairs=4, num_kept=1, blank=3))


@pytest.mark.parametrize("visible", [".", " x ", "\u200bx", "é", "е\u0301", "\U0001f408", "\ue000"])
def test_whatever_can_be_seen_is_not_blank(visible: str) -> None:
    pair = SentencePair(visible, visible)
    assert clean([pair], OFF) == ([pair], CleaningReport(num_pairs=1, num_kept=1))


def test_a_side_longer_than_the_limit_goes() -> None:
    longest = SentencePair("x" * 10, "y" * 10)
    pairs = [longest, SentencePair("x" * 11, "y"), SentencePair("x", "y" * 11)]
    kept, report = clean(pairs, OFF.model_copy(update={"max_characters": 10}))
    assert kept == [longest]
    assert report == CleaningReport(num_pairs=3, num_kept=1, too_long=2)


def test_sides_of_too_unequal_length_go() -> None:
    pairs = [
        SentencePair("xxxxx", "yy"),
        SentencePair("yy", "xxxxx"),
        SentencePair("xxxxxx", "yy"),
        SentencePair("yy", "xxxxxx"),
    ]
    kept, report = clean(pairs, OFF.model_copy(update={"max_length_ratio": 2.5}))
    assert kept == pairs[:2]
    assert report == CleaningReport(num_pairs=4, num_kept=2, length_ratio=2)


def test_the_first_of_equal_pairs_stays() -> None:
    half_equal = SentencePair("a cat", "ein Kater")
    pairs = [GOOD, half_equal, GOOD, half_equal, GOOD]
    kept, report = clean(pairs, OFF.model_copy(update={"deduplicate": True}))
    assert kept == [GOOD, half_equal]
    assert report == CleaningReport(num_pairs=5, num_kept=2, duplicate=3)


def test_what_is_off_drops_nothing() -> None:
    pairs = [GOOD, GOOD, SentencePair("x" * 100_000, "y")]
    assert clean(pairs, OFF) == (pairs, CleaningReport(num_pairs=3, num_kept=3))


def test_a_pair_counts_once_under_the_first_reason_that_fits() -> None:
    strict = CleaningRecipe(max_characters=10, max_length_ratio=2.0, deduplicate=True)
    pairs = [
        GOOD,
        SentencePair("", "y" * 11),  # blank, too long, unequal
        SentencePair("x", "y" * 11),  # too long, unequal
        SentencePair("x", "yyy"),  # unequal
        SentencePair("x", "yyy"),  # unequal again: what was dropped has no duplicates
        GOOD,
    ]
    kept, report = clean(pairs, strict)
    assert kept == [GOOD]
    assert report == CleaningReport(
        num_pairs=6, num_kept=1, blank=1, too_long=1, length_ratio=2, duplicate=1
    )


def test_the_report_goes_to_json() -> None:
    report = CleaningReport(num_pairs=9, num_kept=2, blank=4, length_ratio=3)
    assert json.loads(report.to_json()) == {
        "num_pairs": 9,
        "num_kept": 2,
        "blank": 4,
        "too_long": 0,
        "length_ratio": 3,
        "duplicate": 0,
    }
    assert report.to_json().endswith("}\n")


def test_the_report_is_one_line_for_the_log() -> None:
    report = CleaningReport(num_pairs=9, num_kept=2, blank=4, length_ratio=3)
    assert str(report) == "kept 2 of 9 sentence pairs (dropped: blank 4, length_ratio 3)"
    assert str(CleaningReport(num_pairs=9, num_kept=9)) == "kept 9 of 9 sentence pairs"


def test_a_training_set_of_which_nothing_stays_is_an_error() -> None:
    message = (
        "training set must have pairs left after cleaning, "
        "kept 0 of 2 sentence pairs (dropped: blank 1, too_long 1)"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        clean([SentencePair("", ""), SentencePair("x" * 1001, "y")], CleaningRecipe())

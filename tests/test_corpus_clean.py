import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.corpus import CleaningReport, SentencePair, clean
from nmt.corpus.clean import REASONS
from nmt.errors import DataError
from nmt.recipe import CleaningRecipe

OFF = CleaningRecipe(
    max_characters=None,
    max_length_ratio=None,
    deduplicate=False,
    held_out=False,
    identical=False,
    min_pairs=1,
)
GOOD = SentencePair("a cat", "eine Katze")


def clean_with(
    pairs: list[SentencePair], **limits: object
) -> tuple[list[SentencePair], CleaningReport]:
    return clean(pairs, OFF.model_copy(update=limits))


@pytest.mark.parametrize(
    "blank",
    ["", " ", "\t", "\u3000", "\u2028", "\0", "\u200b", "\ufeff", " \u200b\r"],
)
def test_pairs_blank_on_a_side_always_go(blank: str) -> None:
    pairs = [SentencePair(blank, "x"), GOOD, SentencePair("x", blank), SentencePair(blank, blank)]
    report = CleaningReport(num_pairs=4, num_kept=1, blank=3, first_lines={"blank": (1, 3, 4)})
    assert clean(pairs, OFF) == ([GOOD], report)


@pytest.mark.parametrize("visible", [".", " x ", "\u200bx", "é", "е\u0301", "\U0001f408", "\ue000"])
def test_whatever_can_be_seen_is_not_blank(visible: str) -> None:
    pair = SentencePair(visible, visible)
    assert clean([pair], OFF) == ([pair], CleaningReport(num_pairs=1, num_kept=1))


def test_a_side_longer_than_the_limit_goes() -> None:
    longest = SentencePair("x" * 10, "y" * 10)
    pairs = [longest, SentencePair("x" * 11, "y"), SentencePair("x", "y" * 11)]
    kept, report = clean_with(pairs, max_characters=10)
    assert kept == [longest]
    assert report == CleaningReport(
        num_pairs=3, num_kept=1, too_long=2, first_lines={"too_long": (2, 3)}
    )


def test_a_length_far_from_what_the_corpus_lets_expect_goes() -> None:
    usual = [SentencePair("xxxxxx", "yy")] * 3  # a third
    pairs = [
        *usual,
        SentencePair("", "y" * 100),
        SentencePair("xxx", "yyyy"),  # four times that
        SentencePair("xxx", "yyyyy"),  # more than four times
        SentencePair("x" * 12, "y"),  # a quarter of it
        SentencePair("x" * 13, "y"),  # less
    ]
    kept, report = clean_with(pairs, max_length_ratio=4.0)
    assert kept == [*usual, pairs[4], pairs[6]]
    assert report == CleaningReport(
        num_pairs=8,
        num_kept=5,
        blank=1,
        length_ratio=2,
        median_length_ratio=1 / 3,
        first_lines={"blank": (4,), "length_ratio": (6, 8)},
    )


def test_the_first_of_equal_pairs_stays() -> None:
    half_equal = SentencePair("a cat", "ein Kater")
    pairs = [GOOD, half_equal, GOOD, half_equal, GOOD]
    kept, report = clean_with(pairs, deduplicate=True)
    assert kept == [GOOD, half_equal]
    assert report == CleaningReport(
        num_pairs=5, num_kept=2, duplicate=3, first_lines={"duplicate": (3, 4, 5)}
    )


def test_text_that_moves_from_side_to_side_makes_no_duplicate() -> None:
    pairs = [SentencePair("a b", "c"), SentencePair("a", "b c"), SentencePair("ab", "c")]
    assert clean_with(pairs, deduplicate=True)[0] == pairs


def test_identical_sides_go() -> None:
    pairs = [SentencePair("OK", "OK"), GOOD, SentencePair("OK", "OK "), SentencePair("OK", "ok")]
    kept, report = clean_with(pairs, identical=True)
    assert kept == [GOOD, pairs[3]]
    assert report == CleaningReport(
        num_pairs=4, num_kept=2, identical=2, first_lines={"identical": (1, 3)}
    )


def test_pairs_held_out_go() -> None:
    half_equal = SentencePair("a cat", "ein Kater")
    pairs = [GOOD, half_equal, GOOD]
    recipe = OFF.model_copy(update={"held_out": True, "deduplicate": True})
    kept, report = clean(pairs, recipe, held_out=[GOOD])
    assert kept == [half_equal]
    assert report == CleaningReport(
        num_pairs=3, num_kept=1, held_out=2, first_lines={"held_out": (1, 3)}
    )
    assert clean(pairs, OFF, held_out=[GOOD])[0] == pairs


def test_what_is_off_drops_nothing() -> None:
    pairs = [GOOD, GOOD, SentencePair("x" * 100_000, "y"), SentencePair("z", "z")]
    assert clean(pairs, OFF) == (pairs, CleaningReport(num_pairs=4, num_kept=4))


def test_a_pair_counts_once_under_the_first_reason_that_fits() -> None:
    strict = CleaningRecipe(max_characters=10, max_length_ratio=2.0, min_pairs=1)
    usual = [SentencePair("aa", letter * 2) for letter in "bcdef"]
    pairs = [
        *usual,
        SentencePair("", "y" * 11),  # blank, too long, unequal
        SentencePair("x", "y" * 11),  # too long, unequal
        SentencePair("x", "yyy"),  # unequal
        SentencePair("x", "yyy"),  # unequal again: what was dropped has no duplicates
        SentencePair("x", "x"),  # identical, held out
        SentencePair("x", "x"),  # and again
        usual[0],  # held out, and a duplicate had it stayed
        usual[1],
    ]
    kept, report = clean(pairs, strict, held_out=[pairs[9], usual[0]])
    assert kept == usual[1:]
    assert report == CleaningReport(
        num_pairs=13,
        num_kept=4,
        blank=1,
        too_long=1,
        length_ratio=2,
        identical=2,
        held_out=2,
        duplicate=1,
        median_length_ratio=1.0,
        first_lines={
            "blank": (6,),
            "too_long": (7,),
            "length_ratio": (8, 9),
            "identical": (10, 11),
            "held_out": (1, 12),
            "duplicate": (13,),
        },
    )


@given(
    pairs=st.lists(
        st.builds(SentencePair, *[st.sampled_from(["", " ", "x", "xx", "xxx", "y" * 20])] * 2)
    )
)
def test_every_pair_is_kept_or_counted(pairs: list[SentencePair]) -> None:
    recipe = CleaningRecipe(max_characters=10, max_length_ratio=2.0, min_pairs=1)
    # more of these than of any others: one is kept in any case
    all_pairs = [*pairs, *[GOOD] * (len(pairs) + 1)]
    kept, report = clean(all_pairs, recipe, held_out=[SentencePair("x", "xx")])
    assert report.num_pairs == len(all_pairs)
    assert report.num_kept == len(kept)
    assert len(kept) + sum(getattr(report, reason) for reason in REASONS) == len(all_pairs)
    assert len(set(kept)) == len(kept)


def test_only_the_first_few_lines_are_named_and_as_the_file_counts_them() -> None:
    pairs = [SentencePair("", ""), GOOD] * 7
    _, report = clean(pairs, OFF, line_numbers=range(10, 150, 10))
    assert report.blank == 7
    assert report.first_lines == {"blank": (10, 30, 50, 70, 90)}


def test_the_report_goes_to_json() -> None:
    report = CleaningReport(
        num_pairs=9,
        num_kept=2,
        blank=4,
        length_ratio=3,
        median_length_ratio=1.25,
        first_lines={"blank": (1, 2), "length_ratio": (7,)},
    )
    nothing = {"count": 0, "first_lines": []}
    assert json.loads(json.dumps(report.to_record())) == {
        "num_pairs": 9,
        "num_kept": 2,
        "median_length_ratio": 1.25,
        "dropped": {
            "blank": {"count": 4, "first_lines": [1, 2]},
            "too_long": nothing,
            "length_ratio": {"count": 3, "first_lines": [7]},
            "identical": nothing,
            "held_out": nothing,
            "duplicate": nothing,
        },
    }


def test_the_report_is_one_line_for_the_log() -> None:
    report = CleaningReport(num_pairs=9, num_kept=9)
    assert str(report) == "kept 9 of 9 sentence pairs"
    report = replace(
        report,
        num_kept=2,
        blank=4,
        length_ratio=3,
        first_lines={"blank": (1,), "length_ratio": (7,)},
    )
    assert str(report) == (
        "kept 2 of 9 sentence pairs (dropped: blank 4 from line 1, length_ratio 3 from line 7)"
    )


def test_a_training_set_of_which_nothing_stays_is_an_error_that_says_why() -> None:
    message = (
        "training set must have at least 100 sentence pairs left, kept 0 of 2 sentence pairs "
        "(dropped: blank 1 from line 1, too_long 1 from line 2); add pairs, or lower "
        "data.cleaning.min_pairs, or see data.cleaning.max_characters"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        clean([SentencePair("", ""), SentencePair("x" * 1001, "y")], CleaningRecipe())


@pytest.mark.parametrize(
    ("pair", "advice"),
    [
        (SentencePair("same", "same"), "see data.cleaning.identical"),
        (SentencePair("", "x"), "see the blank lines"),
    ],
)
def test_what_dropped_the_pairs_is_named(pair: SentencePair, advice: str) -> None:
    with pytest.raises(DataError, match=f"min_pairs, or {advice}$"):
        clean([pair], CleaningRecipe())


def test_too_few_pairs_are_an_error_that_names_the_key() -> None:
    pairs = [SentencePair(f"a {number}", f"b {number}") for number in range(10)]
    assert clean_with(pairs, min_pairs=10)[0] == pairs
    message = (
        "training set must have at least 11 sentence pairs left, kept 10 of 10 sentence pairs; "
        "add pairs, or lower data.cleaning.min_pairs"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        clean_with(pairs, min_pairs=11)

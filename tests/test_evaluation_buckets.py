import numpy as np
import pytest

from nmt.evaluation.buckets import group, score_groupings, score_part
from nmt.evaluation.measures import Measure
from nmt.evaluation.properties import Properties


def properties(length: int, rarest: int | None = None, *, has_name: bool = False) -> Properties:
    return Properties(length, None, rarest, None, False, has_name)


def test_lengths_make_parts_of_about_equal_size() -> None:
    [grouping] = group([properties(length) for length in range(1, 11)])
    assert grouping.name == "source_length"
    assert [(bucket.label, len(bucket.places)) for bucket in grouping.buckets] == [
        ("1-2", 2),
        ("3-4", 2),
        ("5-6", 2),
        ("7-8", 2),
        ("9-10", 2),
    ]


def test_every_known_sentence_is_in_one_part() -> None:
    lengths = [1, 1, 1, 1, 1, 1, 7, 30]
    [grouping] = group([properties(length) for length in lengths])
    assert [(bucket.label, bucket.places) for bucket in grouping.buckets] == [
        ("1-6", (0, 1, 2, 3, 4, 5)),
        ("7-30", (6, 7)),
    ]


def test_rare_words_have_parts_of_their_own() -> None:
    found = group([properties(3, rarest) for rarest in (0, 1, 4, 5, 100, 7_000, None)])
    [grouping] = found
    assert [(bucket.label, bucket.places) for bucket in grouping.buckets] == [
        ("0", (0,)),
        ("1-4", (1, 2)),
        ("5-19", (3,)),
        ("100-7000", (4, 5)),
    ]


def test_what_is_present_is_told_from_what_is_not() -> None:
    [grouping] = group([properties(3, has_name=True), properties(3), properties(3)])
    assert grouping.name == "names"
    assert [(bucket.label, bucket.places) for bucket in grouping.buckets] == [
        ("without", (1, 2)),
        ("with", (0,)),
    ]


def test_parts_are_scored_by_themselves_with_intervals_where_they_are_large_enough() -> None:
    references = [f"word{place} and more" for place in range(20)]
    hypotheses = [*references[:10], *["none of it"] * 10]
    measure = Measure("chrF2", [references], target_lang="en")
    counts = measure.count(hypotheses)
    groupings = group([properties(3, has_name=place < 10) for place in range(20)])
    [grouping] = score_groupings(groupings, [(measure, counts)])
    without, with_ = grouping.buckets
    assert (without.count, with_.count) == (10, 10)
    assert with_.scores["chrF2"].value == 100
    assert with_.scores["chrF2"].interval == pytest.approx((100, 100))
    assert without.scores["chrF2"].value < 30
    assert score_part(measure, counts[:9]).interval is None
    assert np.isclose(score_part(measure, counts).value, measure.score(counts))

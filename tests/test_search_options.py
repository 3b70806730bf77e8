"""Ranges of the search options, the limit of length and the length penalty."""

from dataclasses import replace

import pytest
import torch

from nmt.search import SearchOptions

OPTIONS = SearchOptions(
    beam_size=4,
    num_hypotheses=2,
    length_penalty=1.0,
    max_length_ratio=1.5,
    max_target_length=25,
    bos_id=2,
    eos_id=3,
    banned_ids=(0, 2),
)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"beam_size": 0}, "beam_size must be >= 1, got 0"),
        (
            {"num_hypotheses": 5},
            r"num_hypotheses must be from 1 to beam_size \(4\), got 5",
        ),
        (
            {"num_hypotheses": 0},
            r"num_hypotheses must be from 1 to beam_size \(4\), got 0",
        ),
        ({"length_penalty": -0.6}, "length_penalty must be >= 0, got -0.6"),
        ({"length_penalty": float("nan")}, "length_penalty must be >= 0, got nan"),
        ({"max_length_ratio": 0.0}, "max_length_ratio must be > 0, got 0.0"),
        ({"max_target_length": 0}, "max_target_length must be >= 1, got 0"),
        ({"banned_ids": (0, 3)}, r"banned_ids must not hold eos_id \(3\)"),
    ],
)
def test_a_value_out_of_range_is_named(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^{complaint}$"):
        replace(OPTIONS, **change)  # type: ignore[arg-type]


def test_the_limit_of_length_follows_the_source_up_to_the_absolute_one() -> None:
    limits = OPTIONS.max_lengths(torch.tensor([1, 2, 3, 10, 11]))
    # Half tokens count as whole ones, 10 are added, and 25 is the end.
    assert limits.tolist() == [12, 13, 15, 25, 25]


def test_the_length_penalty_is_that_of_wu() -> None:
    penalties = OPTIONS.penalties(7)
    assert penalties.tolist() == pytest.approx([5 / 6, 1, 7 / 6, 8 / 6, 9 / 6, 10 / 6, 11 / 6, 2])
    square = replace(OPTIONS, length_penalty=2.0).penalties(7)
    assert square[[1, 7]].tolist() == [1, 4]


def test_without_a_length_penalty_the_score_is_the_log_probability() -> None:
    assert replace(OPTIONS, length_penalty=0.0).penalties(3).tolist() == [1, 1, 1, 1]


def test_a_penalty_does_not_depend_on_how_many_are_asked_for() -> None:
    options = replace(OPTIONS, length_penalty=0.6)
    many = options.penalties(100)
    assert all(torch.equal(options.penalties(length), many[: length + 1]) for length in range(100))

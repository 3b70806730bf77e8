"""Length penalty and coverage penalty, by hand."""

import math
from dataclasses import replace

import pytest
import torch

from nmt.search import SearchOptions
from nmt.search.penalties import coverage_penalties, first_coverage, length_penalties

OPTIONS = SearchOptions(
    beam_size=4,
    num_hypotheses=2,
    length_penalty=1.0,
    max_length_ratio=1.5,
    max_target_length=25,
    bos_id=2,
    eos_id=3,
)


def test_the_length_penalty_is_that_of_wu() -> None:
    penalties = length_penalties(OPTIONS, 7)
    assert penalties.tolist() == pytest.approx([5 / 6, 1, 7 / 6, 8 / 6, 9 / 6, 10 / 6, 11 / 6, 2])
    square = length_penalties(replace(OPTIONS, length_penalty=2.0), 7)
    assert square[[1, 7]].tolist() == [1, 4]


def test_the_plain_length_penalty_is_a_power_of_the_length() -> None:
    options = replace(OPTIONS, normalization="plain")
    assert length_penalties(options, 3).tolist() == [0, 1, 2, 3]
    root = length_penalties(replace(options, length_penalty=0.5), 9)
    assert root[[1, 4, 9]].tolist() == [1, 2, 3]


@pytest.mark.parametrize("normalization", ["wu", "plain"])
def test_without_a_length_penalty_the_score_is_the_log_probability(normalization: str) -> None:
    options = replace(OPTIONS, length_penalty=0.0, normalization=normalization)  # type: ignore[arg-type]
    assert length_penalties(options, 3).tolist() == [1, 1, 1, 1]


def test_a_penalty_does_not_depend_on_how_many_are_asked_for() -> None:
    options = replace(OPTIONS, length_penalty=0.6)
    many = length_penalties(options, 100)
    assert all(
        torch.equal(length_penalties(options, length), many[: length + 1]) for length in range(100)
    )


def test_coverage_starts_at_nothing_and_padding_counts_as_covered() -> None:
    assert first_coverage(torch.tensor([2, 3])).tolist() == [[0, 0, 1], [0, 0, 0]]


def test_the_coverage_penalty_is_that_of_wu_with_a_floor() -> None:
    coverage = torch.tensor([[1.0, 0.5, 0.25], [2.0, 1.0, 1.5], [0.0, 1.0, 1.0]])
    penalties = coverage_penalties(coverage, 0.5).tolist()
    # Log 1/8 in all; enough for every token; one that nothing looked at counts as 1/10,000.
    assert penalties == pytest.approx([0.5 * math.log(1 / 8), 0, 0.5 * math.log(1e-4)])

"""Ranges of the options, and the bounds of length."""

from dataclasses import replace

import pytest
import torch

from nmt.search import SamplingOptions, SearchOptions

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
        ({"normalization": "mean"}, "normalization must be one of wu, plain, got 'mean'"),
        ({"coverage_penalty": -0.2}, "coverage_penalty must be >= 0, got -0.2"),
        ({"min_length_ratio": -1.0}, "min_length_ratio must be >= 0, got -1.0"),
        ({"min_target_length": 0}, "min_target_length must be >= 1, got 0"),
        ({"no_repeat_ngram_size": 0}, "no_repeat_ngram_size must be >= 1, got 0"),
        ({"num_groups": 3}, r"num_groups must divide beam_size \(4\), got 3"),
        ({"num_groups": 0}, r"num_groups must divide beam_size \(4\), got 0"),
        ({"diversity_penalty": -0.5}, "diversity_penalty must be >= 0, got -0.5"),
        ({"preference_bonus": float("inf")}, "preference_bonus must be >= 0, got inf"),
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


def test_the_least_length_follows_the_source_and_never_exceeds_the_limit() -> None:
    lengths = torch.tensor([1, 4, 5, 30])
    assert OPTIONS.min_lengths(lengths).tolist() == [1, 1, 1, 1]
    options = replace(OPTIONS, min_length_ratio=0.9, min_target_length=4)
    # 0.9, 3.6, 4.5 and 27 tokens, 25 being the limit.
    assert options.min_lengths(lengths).tolist() == [4, 4, 5, 25]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"num_samples": 0}, "num_samples must be >= 1, got 0"),
        ({"seed": -1}, "seed must be >= 0, got -1"),
        ({"temperature": 0.0}, "temperature must be > 0, got 0.0"),
        ({"temperature": float("nan")}, "temperature must be > 0, got nan"),
        ({"top_k": 0}, "top_k must be >= 1, got 0"),
        ({"top_p": 0.0}, r"top_p must be in \(0, 1\], got 0.0"),
        ({"top_p": 1.5}, r"top_p must be in \(0, 1\], got 1.5"),
    ],
)
def test_a_value_for_sampling_out_of_range_is_named(
    change: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ValueError, match=f"^{complaint}$"):
        replace(SamplingOptions(), **change)  # type: ignore[arg-type]

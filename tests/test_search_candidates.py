"""What may come next, and the highest values with their ties in order."""

import math
from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nmt.search import SearchOptions
from nmt.search.candidates import best_next_tokens, highest

INFINITY = math.inf
OPTIONS = SearchOptions(
    beam_size=1,
    num_hypotheses=1,
    length_penalty=0.0,
    max_length_ratio=1.0,
    max_target_length=9,
    bos_id=0,
    eos_id=1,
    banned_ids=(0, 3),
)


def allowed(log_probs: Tensor, token_ids: Tensor) -> list[dict[int, float]]:
    """The tokens that each row may go on with, best first."""
    return [
        {
            token: log_prob
            for token, log_prob in zip(tokens, values, strict=True)
            if log_prob > -INFINITY
        }
        for tokens, values in zip(token_ids.tolist(), log_probs.tolist(), strict=True)
    ]


def test_the_best_tokens_are_found_past_the_banned_ones_and_nothing_but_eos_at_the_limit() -> None:
    log_probs = torch.tensor([[-0.5, -4.5, -2.5, -0.25, -3.5]] * 2)
    before = log_probs.clone()
    found = best_next_tokens(log_probs, torch.tensor([False, True]), 2, OPTIONS)
    assert allowed(*found) == [{2: -2.5, 4: -3.5}, {1: -4.5}]
    # An argument is never changed in place.
    assert torch.equal(log_probs, before)


def test_without_banned_tokens_none_is_missing() -> None:
    found = best_next_tokens(
        torch.tensor([[-3.0, -1.0, -2.0]]),
        torch.tensor([False]),
        3,
        replace(OPTIONS, banned_ids=()),
    )
    assert allowed(*found) == [{1: -1.0, 2: -2.0, 0: -3.0}]


@given(
    rows=st.integers(1, 8).flatmap(
        lambda width: st.lists(
            st.lists(st.sampled_from([-3.0, -2.0, -1.0]), min_size=width, max_size=width),
            min_size=1,
            max_size=4,
        )
    ),
    count=st.integers(1, 9),
)
def test_the_highest_come_in_order_and_of_equals_the_lower_column(
    rows: list[list[float]], count: int
) -> None:
    values, columns = highest(torch.tensor(rows), count)
    for row, best, places in zip(rows, values.tolist(), columns.tolist(), strict=True):
        expected = sorted(range(len(row)), key=lambda column: (-row[column], column))[:count]
        assert places == expected
        assert best == [row[column] for column in expected]


def test_a_tie_at_the_end_of_a_wide_row_is_seen() -> None:
    # Wide enough for `topk` to choose another of the equals than the first.
    values = torch.full((3, 5000), -1.0)
    values[1, 4000] = -0.5
    _, columns = highest(values, 3)
    assert columns.tolist() == [[0, 1, 2], [4000, 0, 1], [0, 1, 2]]

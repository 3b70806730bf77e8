"""The highest values, with their ties in order."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.search.candidates import highest


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


@settings(deadline=None, max_examples=25)
@given(
    num_rows=st.integers(1, 4),
    more=st.integers(0, 40),
    num_levels=st.sampled_from([2, 50, 10_000_000]),
    count=st.integers(1, 12),
    seed=st.integers(0, 1000),
)
def test_the_highest_of_many_values_are_those_of_a_whole_sort(
    num_rows: int, more: int, num_levels: int, count: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    shape = (num_rows, 2**16 // num_rows + more)
    values = torch.randint(num_levels, shape, generator=generator).float()
    values[:, ::3] = float("-inf")
    best, columns = highest(values, count)
    expected, order = values.sort(dim=1, descending=True, stable=True)
    assert torch.equal(best, expected[:, :count])
    assert torch.equal(columns, order[:, :count])

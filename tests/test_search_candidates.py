"""The highest values, with their ties in order."""

import torch
from hypothesis import given
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

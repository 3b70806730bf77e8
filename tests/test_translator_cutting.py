"""Where long lines are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.translator import cut_points


@pytest.mark.parametrize(
    ("pieces", "max_length", "cuts"),
    [
        # Short enough.
        ("▁a ▁b ▁c", 3, []),
        # At the last end of a sentence within reach.
        ("▁a . ▁b . ▁c ▁d . ▁e", 5, [4]),
        ("▁a ! ▁b ▁c ▁d ▁e", 5, [2]),
        # Quotes and brackets belong to the sentence before them.
        ("▁a . ” ) ▁b ▁c ▁d", 6, [4]),
        ("▁a .” ▁b ▁c ▁d", 4, [2]),
        # Tokenized text.
        ("▁a ▁. ▁b ▁c ▁d", 4, [2]),
        # A point inside a word or a number ends nothing.
        ("▁3 . 1 4 ▁b ▁c ▁d", 5, [5]),
        # In Chinese and Japanese no space follows.
        ("▁a 。 b c d e", 5, [2]),
        ("▁a 。 」 b c d e", 6, [3]),
        # No end of a sentence: before a word.
        ("▁a b ▁c d e", 4, [2]),
        # No word: anywhere, ...
        ("▁a b c d e", 2, [2, 4]),
        # ... but not inside a character.
        ("▁a <0xE6> <0x97> <0xA5> <0xE6> <0x97> <0xA5> b", 5, [4]),
        ("<0xF0> <0x9F> <0x98> <0x80>", 2, [2]),
    ],
)
def test_a_line_is_cut_where_it_does_least_harm(
    pieces: str, max_length: int, cuts: list[int]
) -> None:
    assert cut_points(pieces.split(" "), max_length) == cuts


@given(
    pieces=st.lists(st.sampled_from(["▁a", "b", ".", "。", "”", "<0xE6>", "<0x97>"])),
    max_length=st.integers(1, 8),
)
def test_no_part_is_too_long_or_empty(pieces: list[str], max_length: int) -> None:
    cuts = [0, *cut_points(pieces, max_length), len(pieces)]
    sizes = [end - start for start, end in pairwise(cuts)]
    assert all(size <= max_length for size in sizes)
    assert not pieces or all(size >= 1 for size in sizes)

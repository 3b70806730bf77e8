"""Repeated hashes are found, whatever the number of them that is sorted at a time."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.corpus import SentencePair
from nmt.corpus import hashes as hashes_module
from nmt.corpus.hashes import find_repeated, hash_pairs
from nmt.corpus.numbers import NumberFile

HASHES = st.lists(st.integers(0, 9) | st.integers(2**64 - 3, 2**64 - 1), max_size=40)


@pytest.mark.parametrize("size", [1, 3, 10**6])
@given(values=HASHES)
def test_all_but_the_first_of_equal_ones_are_repeated(size: int, values: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(hashes_module, "_SORTED_SIZE", size)
        found = find_repeated(np.array(values, dtype=np.uint64))
    assert found.tolist() == [value in values[:place] for place, value in enumerate(values)]


def test_equal_pairs_have_equal_hashes_and_others_have_not() -> None:
    texts = ["a", "b", "a b", "", "ä"]
    pairs = [SentencePair(source, target) for source in texts for target in texts]
    hashes = hash_pairs(pairs)
    assert hash_pairs(pairs) == hashes
    assert len(set(hashes)) == len(pairs)
    assert all(0 <= value < 2**64 for value in hashes)
    assert max(hashes) >= 2**60  # all bits are used


def test_numbers_go_to_a_file_and_come_back(tmp_path: Path) -> None:
    file = NumberFile(tmp_path / "numbers", "uint64")
    assert file.map().tolist() == []
    file.append([1, 2**64 - 1])
    file.append(range(3))
    numbers = file.map()
    assert numbers.tolist() == [1, 2**64 - 1, 0, 1, 2]
    assert isinstance(numbers, np.memmap)

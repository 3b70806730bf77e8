"""Which of many texts came before, told by their hashes, in little memory.

The hashes go to a file. Those that may be equal are looked at together: equal ones leave the same
remainder, so it is enough to sort those of one remainder at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from nmt.corpus.pairs import SentencePair

# Bytes of a hash. Among 100 million different pairs the odds that two have the same eight, and one
# is taken for a duplicate, are 1 in 3,700.
_HASH_SIZE = 8
# Hashes that are sorted at a time, about.
_SORTED_SIZE = 1 << 19


def hash_pairs(pairs: Sequence[SentencePair]) -> list[int]:
    """Return a hash of each pair, both sides, in 64 bits."""
    # not Python's own hash: it is another in every process
    texts = (f"{pair.source}\n{pair.target}".encode() for pair in pairs)
    return [
        int.from_bytes(blake2b(text, digest_size=_HASH_SIZE).digest(), "little") for text in texts
    ]


def find_repeated(hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return where a hash stands that stood before, (N,), bool."""
    repeated = np.zeros(len(hashes), dtype=np.bool_)
    num_groups = len(hashes) // _SORTED_SIZE + 1
    for group in range(num_groups):
        places = np.concatenate([*_places(hashes, num_groups, group), np.empty(0, np.int64)])
        values = hashes[places]
        order = np.argsort(values, kind="stable")
        again = values[order[1:]] == values[order[:-1]]
        repeated[places[order[1:][again]]] = True
    return repeated


def _places(hashes: NDArray[np.uint64], num_groups: int, group: int) -> Iterator[NDArray[np.int64]]:
    """Yield where the hashes of a group are."""
    for start in range(0, len(hashes), _SORTED_SIZE):
        part = hashes[start : start + _SORTED_SIZE]
        yield np.flatnonzero(part % np.uint64(num_groups) == group) + start

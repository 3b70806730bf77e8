"""Numbered choices: large spaces of derivations whose members are found by their number.

Knows nothing of language. A space is built from leaves, products and unions, and is never listed:
its size and any of its members are worked out with whole numbers of any size.
"""

import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import cache, partial
from hashlib import blake2b
from itertools import accumulate
from math import isqrt, prod
from operator import mul
from typing import Any, Protocol

# Which members of a space are meant: those without anything held out, those with, or all.
FAMILIAR, HELD_OUT, ANY = 0, 1, 2

_NUM_ROUNDS = 3
_PRIME = 2**61 - 1

# What a leaf gives: the forms of a word or phrase.
Entry = Any


class Space(Protocol):
    """Members that are picked by number.

    Attributes:
        sizes: How many members are FAMILIAR, HELD_OUT and ANY.
    """

    sizes: tuple[int, int, int]

    def pick(self, index: int, which: int, picked: list[Entry]) -> None:
        """Append the entries of a member to a list.

        Args:
            index: From 0 up to the size of the space for `which`.
            which: FAMILIAR, HELD_OUT or ANY.
            picked: Gets one entry for each leaf on the way.
        """


class Choice:
    """One of a list of entries.

    Args:
        familiar: Entries with nothing held out.
        held_out: The others.
    """

    def __init__(self, familiar: Sequence[Entry], held_out: Sequence[Entry] = ()) -> None:
        self.familiar = familiar
        self.held_out = held_out
        self.entries = [*familiar, *held_out] if held_out else familiar
        self.sizes = (len(familiar), len(held_out), len(self.entries))
        self._lists = (self.familiar, self.held_out, self.entries)

    def pick(self, index: int, which: int, picked: list[Entry]) -> None:
        """Append one entry, see `Space`."""
        picked.append(self._lists[which][index])


class Product:
    """One member of each part; something is held out where it is in any of them."""

    __slots__ = ("_block_ends", "_digits", "_parts", "sizes")

    def __init__(self, parts: Sequence[Space]) -> None:
        self._parts = parts
        familiar = prod([part.sizes[FAMILIAR] for part in parts])
        everything = prod([part.sizes[ANY] for part in parts])
        self.sizes = (familiar, everything - familiar, everything)
        # Made when they are needed: most spaces are built for their size alone.
        self._digits: dict[int, list[tuple[int, Callable[[int, int, list[Entry]], None]]]] = {}
        self._block_ends: list[int] = []

    def pick(self, index: int, which: int, picked: list[Entry]) -> None:
        """Append what the parts pick, in their order, see `Space`."""
        if which == HELD_OUT:
            self._pick_held_out(index, picked)
            return
        if which not in self._digits:
            self._digits[which] = [(part.sizes[which], part.pick) for part in self._parts]
        for size, pick in self._digits[which]:
            index, digit = divmod(index, size)
            pick(digit, which, picked)

    def _pick_held_out(self, index: int, picked: list[Entry]) -> None:
        """Tell members apart by the first part that holds something held out."""
        if not self._block_ends:
            self._block_ends = self._held_out_blocks()
        block = bisect_right(self._block_ends, index)
        if block:
            index -= self._block_ends[block - 1]
        for number, part in enumerate(self._parts):
            which = FAMILIAR if number < block else HELD_OUT if number == block else ANY
            index, digit = divmod(index, part.sizes[which])
            part.pick(digit, which, picked)

    def _held_out_blocks(self) -> list[int]:
        """Return where the members end whose first, second ... part is the first held out one."""
        sizes = [part.sizes for part in self._parts]
        before = [1, *accumulate((size[FAMILIAR] for size in sizes), mul)]
        after = [1, *accumulate((size[ANY] for size in reversed(sizes)), mul)]
        blocks = [
            before[number] * size[HELD_OUT] * after[len(sizes) - 1 - number]
            for number, size in enumerate(sizes)
        ]
        return list(accumulate(blocks))


class Union:
    """A member of one of the parts, which must have none in common."""

    __slots__ = ("_ends", "_parts", "sizes")

    def __init__(self, parts: Sequence[Space]) -> None:
        self._parts = parts
        self.sizes = (
            sum(part.sizes[FAMILIAR] for part in parts),
            sum(part.sizes[HELD_OUT] for part in parts),
            sum(part.sizes[ANY] for part in parts),
        )
        self._ends: dict[int, list[int]] = {}

    def pick(self, index: int, which: int, picked: list[Entry]) -> None:
        """Append what the part picks that the index falls into, see `Space`."""
        if which not in self._ends:
            self._ends[which] = list(accumulate([part.sizes[which] for part in self._parts]))
        ends = self._ends[which]
        number = bisect_right(ends, index)
        if number:
            index -= ends[number - 1]
        self._parts[number].pick(index, which, picked)


class Permutation:
    """The numbers below `size` in another order, without a list of them.

    A Feistel network whose halves are a row and a column of a table that is about square: in turn,
    row and column are moved by a number that depends on the other alone, so that each step can be
    undone and no two numbers meet. The table has a few places too many; who lands on one of those
    goes on walking, which keeps it a permutation (Black and Rogaway 2002, "Ciphers with Arbitrary
    Finite Domains", methods 2 and 3). It mixes well, but is no cipher.

    Args:
        size: How many numbers there are, at least 1.
        key: Which order; equal keys and sizes give equal orders everywhere.
    """

    __slots__ = ("_key", "_num_columns", "_num_rows", "_rounds", "_size")

    def __init__(self, size: int, key: str) -> None:
        self._size = size
        self._num_columns = isqrt(size - 1) + 1
        self._num_rows = -(-size // self._num_columns)
        self._key = number_from(key)
        self._rounds = _round_factors(self._num_columns.bit_length())

    def __call__(self, number: int) -> int:
        """Return what stands at a place of the order."""
        num_rows, num_columns, key = self._num_rows, self._num_columns, self._key
        while True:
            row, column = divmod(number, num_columns)
            for row_factor, column_factor in self._rounds:
                mixed = (column + key) % _PRIME
                row = (row + (mixed * mixed * mixed % _PRIME * row_factor >> 60)) % num_rows
                mixed = (row + key) % _PRIME
                column = (
                    column + (mixed * mixed * mixed % _PRIME * column_factor >> 60)
                ) % num_columns
            number = row * num_columns + column
            if number < self._size:
                return number


def number_from(key: str) -> int:
    """Return a number of 60 bits that is another one for each text, but the same everywhere."""
    digest = blake2b(key.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 4


@cache
def _round_factors(num_bits: int) -> list[tuple[int, int]]:
    """Return what the rounds of a permutation multiply with."""
    generator = random.Random(num_bits)
    draw = partial(generator.getrandbits, num_bits + 64)  # longer, so that all remainders occur
    return [(draw(), draw()) for _ in range(_NUM_ROUNDS)]

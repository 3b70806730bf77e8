"""Numbered choices, against lists that are made the long way."""

import itertools

import pytest

from nmt.corpus.grammar.ranking import (
    ANY,
    FAMILIAR,
    HELD_OUT,
    Choice,
    Permutation,
    Product,
    Space,
    Union,
)


def members(space: Space, which: int) -> list[tuple[str, ...]]:
    """All members, by their numbers."""
    listed = []
    for index in range(space.sizes[which]):
        picked: list[str] = []
        space.pick(index, which, picked)
        listed.append(tuple(picked))
    return listed


def choices() -> list[Choice]:
    """Entries in capitals are held out."""
    return [Choice("abc", "AB"), Choice("x"), Choice("", "M"), Choice("pq", "P")]


def test_a_choice_lists_familiar_entries_before_the_others() -> None:
    choice = Choice(["a", "b"], ["C"])
    assert choice.sizes == (2, 1, 3)
    assert members(choice, FAMILIAR) == [("a",), ("b",)]
    assert members(choice, HELD_OUT) == [("C",)]
    assert members(choice, ANY) == [("a",), ("b",), ("C",)]


@pytest.mark.parametrize("parts", list(itertools.permutations(range(4), 3)))
def test_a_product_has_every_combination_once(parts: tuple[int, ...]) -> None:
    factors = [choices()[part] for part in parts]
    product = Product(factors)
    every = set(itertools.product(*(choice.entries for choice in factors)))
    held_out = {one for one in every if any(entry.isupper() for entry in one)}
    assert sorted(members(product, ANY)) == sorted(every)
    assert sorted(members(product, HELD_OUT)) == sorted(held_out)
    assert sorted(members(product, FAMILIAR)) == sorted(every - held_out)


def test_a_union_has_the_members_of_all_its_parts() -> None:
    union = Union([*choices(), Product([Choice("u", "U"), Choice("vw")])])
    every = [*"abcABxMpqP", "uv", "uw", "Uv", "Uw"]
    for which, wanted in [
        (ANY, every),
        (FAMILIAR, [one for one in every if one.islower()]),
        (HELD_OUT, [one for one in every if not one.islower()]),
    ]:
        assert sorted(members(union, which)) == sorted(map(tuple, wanted))


@pytest.mark.parametrize("size", [1, 2, 3, 10, 101, 144, 145, 5000])
def test_a_permutation_leaves_out_nothing(size: int) -> None:
    order = [Permutation(size, "key")(number) for number in range(size)]
    assert sorted(order) == list(range(size))
    if size > 100:
        other = [Permutation(size, "other key")(number) for number in range(size)]
        num_unmoved = sum(place == number for place, number in enumerate(order))
        num_shared = sum(one == another for one, another in zip(order, other, strict=True))
        assert num_unmoved < 10
        assert num_shared < 10


def test_a_permutation_of_more_than_could_be_listed_spreads_over_all_of_it() -> None:
    size = 10**400 + 7
    permutation = Permutation(size, "key")
    numbers = [permutation(number) for number in range(1000)]
    assert len(set(numbers)) == 1000
    assert all(0 <= number < size for number in numbers)
    tenths = [number * 10 // size for number in numbers]
    assert all(60 <= tenths.count(tenth) <= 140 for tenth in range(10))
    # the last digits too, which say what the first words are
    digits = [number % 10 for number in numbers]
    assert all(60 <= digits.count(digit) <= 140 for digit in range(10))

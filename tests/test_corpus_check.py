import random

import pytest

from nmt.corpus import SeenPairs, SentencePair, find_swapped
from nmt.corpus.check import SwappedSides

ENGLISH = ("the", "a dog", "runs", "is", "with a", "on the street", "two men", "and", "small")
GERMAN = ("der", "ein Hund", "läuft", "ist", "mit einem", "auf der Straße", "zwei Männer", "und")
JAPANESE = ("犬が", "走って", "います", "男性", "通りを", "小さい", "二人の", "そして", "は")
DIGITS = "0123456789"


def make_pairs(
    sources: tuple[str, ...], targets: tuple[str, ...], count: int, *, seed: int = 1
) -> list[SentencePair]:
    generator = random.Random(seed)

    def sentence(phrases: tuple[str, ...]) -> str:
        gap = "" if phrases is JAPANESE else " "
        return gap.join(generator.choices(phrases, k=generator.randint(3, 6)))

    return [SentencePair(sentence(sources), sentence(targets)) for _ in range(count)]


def swap(pairs: list[SentencePair]) -> list[SentencePair]:
    return [SentencePair(pair.target, pair.source) for pair in pairs]


def assert_found(found: SwappedSides | None, *, num_swapped: int, first: int) -> None:
    """A pair with nothing to tell by may be missed, and no other."""
    assert found is not None
    assert num_swapped * 0.98 <= found.num_swapped <= num_swapped
    assert first <= found.first <= first + 2


@pytest.mark.parametrize("num_validation", [20, 300])
@pytest.mark.parametrize("target", [GERMAN, JAPANESE], ids=["German", "Japanese"])
def test_swapped_sides_are_found(target: tuple[str, ...], num_validation: int) -> None:
    validation = make_pairs(ENGLISH, target, num_validation, seed=2)
    pairs = make_pairs(ENGLISH, target, 1000)
    assert find_swapped(pairs, validation) is None
    assert find_swapped(swap(pairs), swap(validation)) is None
    for kept in (500, 800, 0):  # a half, a fifth, all
        swapped = pairs[:kept] + swap(pairs[kept:])
        found = find_swapped(swapped, validation)
        assert_found(found, num_swapped=1000 - kept, first=kept)


def test_the_place_is_where_swapping_begins_and_not_a_stray_pair_before() -> None:
    pairs = make_pairs(ENGLISH, GERMAN, 1000)
    pairs = pairs[:10] + swap(pairs[10:11]) + pairs[11:600] + swap(pairs[600:])
    found = find_swapped(pairs, make_pairs(ENGLISH, GERMAN, 300, seed=2))
    assert_found(found, num_swapped=401, first=600)


def test_a_few_swapped_pairs_are_no_news() -> None:
    pairs = make_pairs(ENGLISH, GERMAN, 1000)
    pairs = pairs[:970] + swap(pairs[970:])
    assert find_swapped(pairs, make_pairs(ENGLISH, GERMAN, 300, seed=2)) is None


def test_more_pairs_than_are_sampled_are_all_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.corpus.check._NUM_SAMPLED", 50)
    pairs = make_pairs(ENGLISH, GERMAN, 1000)
    found = find_swapped(pairs[:505] + swap(pairs[505:]), make_pairs(ENGLISH, GERMAN, 300, seed=2))
    assert_found(found, num_swapped=495, first=505)


def test_too_few_pairs_to_learn_from_say_nothing() -> None:
    pairs = make_pairs(ENGLISH, GERMAN, 100)
    assert find_swapped(swap(pairs), make_pairs(ENGLISH, GERMAN, 19, seed=2)) is None


def test_chance_differences_of_a_small_validation_set_say_nothing() -> None:
    words = [f"{first}{second}" for first in "abcdefgh" for second in "ijklmnop"]
    generator = random.Random(1)

    def sentence() -> str:
        return " ".join(generator.choices(words, k=12))

    pairs = [SentencePair(sentence(), sentence()) for _ in range(1000)]
    assert find_swapped(pairs[20:], pairs[:20]) is None


def reversed_digits(count: int, *, seed: int) -> list[SentencePair]:
    generator = random.Random(seed)
    texts = (" ".join(generator.choices(DIGITS, k=4)) for _ in range(count))
    return [SentencePair(text, text[::-1]) for text in texts]


def code(count: int, *, seed: int) -> list[SentencePair]:
    generator = random.Random(seed)
    lines = [
        f"{generator.choice(['if', 'for', 'return'])} x{generator.randint(1, 9)}:"
        for _ in range(count + 1)
    ]
    return list(map(SentencePair, lines, lines[1:]))


@pytest.mark.parametrize(
    ("pairs", "validation"),
    [
        (reversed_digits(500, seed=1), reversed_digits(100, seed=2)),
        (code(500, seed=1), code(100, seed=2)),
        (make_pairs(ENGLISH, ENGLISH, 500), make_pairs(ENGLISH, ENGLISH, 100, seed=2)),
        ([SentencePair("same", "same")] * 50, [SentencePair("same", "same")] * 50),
        ([SentencePair("", "")] * 50, [SentencePair("", "")] * 50),
    ],
    ids=["digits", "code", "one language", "equal", "blank"],
)
def test_sides_that_are_alike_are_never_called_swapped(
    pairs: list[SentencePair], validation: list[SentencePair]
) -> None:
    assert find_swapped(pairs, validation) is None
    assert find_swapped(swap(pairs), validation) is None


def count(held_out: list[SentencePair], pairs: list[SentencePair]) -> int:
    """Look at one pair after the other."""
    seen = SeenPairs(held_out)
    for pair in pairs:
        seen.look_at([pair])
    assert seen.num_pairs == len(held_out)
    return seen.count


def test_pairs_seen_in_training_are_counted_as_pairs() -> None:
    one, two, blank = SentencePair("a", "b"), SentencePair("a", "c"), SentencePair("", " ")
    assert count([one, two, one, blank], [one, blank, one]) == 2
    assert count([two, blank], [one, blank]) == 0

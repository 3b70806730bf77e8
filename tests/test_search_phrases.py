"""How far phrases have come, against looking at the whole hypothesis anew."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from nmt.search.phrases import Ids, Phrases, alphabets, contains

CPU = torch.device("cpu")
ids = st.lists(st.integers(2, 4), min_size=1, max_size=4).map(tuple)
hypotheses = st.lists(st.integers(2, 5), max_size=10).map(tuple)


def progress_of(phrase: Ids, tokens: Ids) -> int:
    """The longest beginning of the phrase at the end of the tokens; all of it, where it occurs."""
    if any(tokens[start : start + len(phrase)] == phrase for start in range(len(tokens))):
        return len(phrase)
    sizes = range(min(len(phrase), len(tokens)) + 1)
    return max(size for size in sizes if tokens[len(tokens) - size :] == phrase[:size])


def follow(phrases: Phrases, rows: torch.Tensor, tokens: Ids) -> torch.Tensor:
    progress = phrases.start(rows)
    for token in tokens:
        progress = phrases.follow(rows, progress, torch.full_like(rows, token))
    return progress


@given(
    of_rows=st.lists(st.lists(ids, max_size=3), min_size=1, max_size=3),
    tokens=hypotheses,
)
def test_the_progress_is_that_of_the_whole_hypothesis(
    of_rows: list[list[Ids]], tokens: Ids
) -> None:
    phrases = Phrases.of(of_rows, CPU)
    rows = torch.arange(len(of_rows))
    progress = follow(phrases, rows, tokens)
    every = torch.tensor([[2, 3, 4, 5]] * len(of_rows))
    after = phrases.advance(progress, every)
    next_ids, otherwise = phrases.next_ids(progress), phrases.without_match(progress)
    for row, of_row in enumerate(of_rows):
        for place, phrase in enumerate(of_row):
            now = progress_of(phrase, tokens)
            assert progress[row, place] == now
            assert after[row, place].tolist() == [
                progress_of(phrase, (*tokens, token)) for token in (2, 3, 4, 5)
            ]
            assert next_ids[row, place] == (*phrase, -1)[now]
            assert otherwise[row, place] == progress_of(phrase, (*tokens, 9))


def test_a_row_with_fewer_phrases_has_met_what_it_lacks() -> None:
    phrases = Phrases.of([[(2, 3), (4,)], []], CPU)
    progress = follow(phrases, torch.tensor([0, 1]), (2, 4))
    assert (progress == phrases.lengths).tolist() == [[False, True], [True, True]]


def test_a_wrong_token_falls_back_to_the_longest_beginning() -> None:
    phrases = Phrases.of([[(2, 3, 2, 3, 4)]], CPU)
    assert follow(phrases, torch.tensor([0]), (2, 3, 2, 3, 2)).tolist() == [[3]]


@given(tokens=hypotheses, phrase=ids)
def test_a_phrase_is_contained_where_its_tokens_stand_side_by_side(
    tokens: Ids, phrase: Ids
) -> None:
    def letters(ids: Ids) -> str:
        return "".join(chr(96 + token) for token in ids)

    assert contains(tokens, phrase) == (letters(phrase) in letters(tokens))


def test_an_alphabet_has_each_token_once() -> None:
    found = alphabets([[(4, 2), (2, 3)], [], [(7,)]], CPU)
    assert found.tolist() == [[2, 3, 4], [-1, -1, -1], [7, -1, -1]]

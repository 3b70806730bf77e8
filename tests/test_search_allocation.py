"""How the places of a beam are dealt out, against a slow plain dealing."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from nmt.search.allocation import Extensions, choose
from nmt.search.required import Outlook

INFINITY = math.inf
VOCAB_SIZE = 6
KNOWN = (2, 4)


def outlook(banks: list[tuple[int, int, int]]) -> Outlook:
    """Tokens 2 and 4 matter; a row's banks with either of them, and with any other."""
    with_token = torch.tensor([row[:2] for row in banks])
    others = torch.tensor([row[2] for row in banks])
    return Outlook(
        token_ids=torch.tensor([[*KNOWN, -1]] * len(banks)),
        banks=torch.cat([with_token, torch.zeros(len(banks), 1, dtype=torch.long)], dim=1),
        other_banks=others,
        needs=torch.zeros(len(banks), 3, dtype=torch.long),
        other_needs=torch.zeros_like(others),
    )


def deal_slowly(
    values: list[list[float]], banks: list[tuple[int, int, int]], count: int
) -> list[int]:
    """Deal for one sentence: in rounds, the fullest bank first, the best of each bank."""
    piles: dict[int, list[tuple[float, int]]] = {}
    for beam, row in enumerate(values):
        for token, value in enumerate(row):
            bank = banks[beam][KNOWN.index(token) if token in KNOWN else 2]
            if value > -INFINITY:
                piles.setdefault(bank, []).append((-value, beam * VOCAB_SIZE + token))
    for pile in piles.values():
        pile.sort(reverse=True)
    dealt: list[int] = []
    while any(piles.values()):
        dealt += [piles[bank].pop()[1] for bank in sorted(piles, reverse=True) if piles[bank]]
    return dealt[:count]


def test_every_bank_gives_its_best_before_any_gives_its_second_best() -> None:
    values = torch.tensor([[-1.0, -2, -9, -3, -8, -4], [-1.5, -2.5, -7, -3.5, -6, -4.5]])
    extensions = Extensions(values, values, outlook([(1, 1, 0), (2, 0, 1)]))
    columns, possible = choose(extensions, 2, 5)
    # Bank 2 has but -7, bank 1 has -1.5 and -2.5 first, bank 0 has -1 and -2.
    assert columns.tolist() == [[6 + 2, 6 + 0, 0, 6 + 1, 1]]
    assert possible.all()


@given(
    values=st.lists(
        st.lists(
            st.sampled_from([-INFINITY, -3.0, -2.0, -1.0]),
            min_size=VOCAB_SIZE,
            max_size=VOCAB_SIZE,
        ),
        min_size=4,
        max_size=4,
    ),
    banks=st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), min_size=4, max_size=4
    ),
    num_beams=st.sampled_from([1, 2, 4]),
    count=st.integers(1, 9),
)
def test_places_are_dealt_out_in_rounds(
    values: list[list[float]], banks: list[tuple[int, int, int]], num_beams: int, count: int
) -> None:
    ranked = torch.tensor(values)
    columns, possible = choose(Extensions(ranked, ranked, outlook(banks)), num_beams, count)
    for sentence, (found, is_possible) in enumerate(zip(columns, possible, strict=True)):
        rows = slice(sentence * num_beams, (sentence + 1) * num_beams)
        expected = deal_slowly(values[rows], banks[rows], count)
        assert found[is_possible].tolist() == expected
        # Those that are impossible come last.
        assert is_possible.tolist() == sorted(is_possible.tolist(), reverse=True)


def test_without_required_phrases_the_best_are_chosen_by_their_rank() -> None:
    log_probs = torch.tensor([[-1.0, -INFINITY, -3.0], [-2.0, -4.0, -5.0]])
    ranked = log_probs + torch.tensor([[0.0, 0.0, 2.5], [0.0, 0.0, 0.0]])
    columns, possible = choose(Extensions(log_probs, ranked, None), 2, 6)
    assert columns.tolist() == [[2, 0, 3, 4, 5, 1]]
    assert possible.tolist() == [[True] * 5 + [False]]

"""Which tokens may come next."""

import math
from collections.abc import Iterable
from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st

from nmt.search import SearchOptions
from nmt.search.phrases import Phrases
from nmt.search.rules import (
    LengthRules,
    PrefixRule,
    Ruling,
    allowed_log_probs,
    avoidance,
    only,
    repetitions,
)

CPU = torch.device("cpu")
INFINITY = math.inf
OPTIONS = SearchOptions(
    beam_size=1,
    num_hypotheses=1,
    length_penalty=0.0,
    max_length_ratio=1.0,
    max_target_length=9,
    bos_id=0,
    eos_id=1,
)


def forbidden(rulings: Iterable[Ruling], num_rows: int) -> list[list[int]]:
    """What a row must not go on with, of 6 tokens."""
    nothing = torch.empty(0, dtype=torch.long)
    totals = allowed_log_probs(torch.zeros(num_rows), torch.zeros(num_rows, 6), nothing, rulings)
    return [row.isinf().nonzero().squeeze(1).tolist() for row in totals]


def test_log_probabilities_add_up_and_a_later_ruling_overrules_an_earlier_one() -> None:
    next_log_probs = torch.tensor([[-1.0, -2.0, -3.0, -4.0]] * 3)
    rulings = [
        Ruling(torch.tensor([0, 1]), torch.tensor([1, 3])),
        only(torch.tensor([1]), torch.tensor([3])),
        Ruling(torch.tensor([0]), torch.tensor([1]), allowed=True),
        Ruling(torch.tensor([2]), torch.tensor([3])),
    ]
    found = allowed_log_probs(
        torch.tensor([0.0, -1.0, -2.0]), next_log_probs, torch.tensor([0]), rulings
    )
    assert found.tolist() == [
        [-INFINITY, -2, -3, -4],
        [-INFINITY, -INFINITY, -INFINITY, -5],
        [-INFINITY, -4, -5, -INFINITY],
    ]
    assert found.data_ptr() == next_log_probs.data_ptr()  # no copy of what may be very large


def test_eos_waits_for_the_least_length_and_is_all_there_is_at_the_greatest() -> None:
    options = replace(OPTIONS, min_length_ratio=0.5, max_target_length=4)
    rules = LengthRules(options, torch.tensor([2, 6]), CPU)
    sentences = torch.tensor([1, 0, 1])
    assert rules.max_length == 4
    by_length = [forbidden(rules.rulings(sentences, length), 3) for length in (1, 2, 3, 4)]
    assert by_length == [
        [[1], [], [1]],
        [[1], [], [1]],
        [[], [], []],
        [[0, 2, 3, 4, 5]] * 3,
    ]


def test_a_prefix_is_all_there_is_while_it_lasts() -> None:
    rule = PrefixRule([(), (4, 2)], CPU)
    sentences = torch.tensor([0, 1])
    assert forbidden(rule.rulings(sentences, 1), 2) == [[], [0, 1, 2, 3, 5]]
    assert forbidden(rule.rulings(sentences, 2), 2) == [[], [0, 1, 3, 4, 5]]
    assert forbidden(rule.rulings(sentences, 3), 2) == [[], []]


@given(
    rows=st.integers(0, 8).flatmap(
        lambda size: st.lists(
            st.lists(st.integers(2, 5), min_size=size, max_size=size), min_size=1, max_size=3
        )
    ),
    size=st.integers(1, 4),
)
def test_what_would_repeat_an_ngram_is_forbidden(rows: list[list[int]], size: int) -> None:
    history = torch.tensor(rows, dtype=torch.long)
    expected = []
    for row in rows:
        ngrams = [tuple(row[start : start + size]) for start in range(len(row) - size + 1)]
        tails = [(*row, token)[len(row) + 1 - size :] for token in range(6)]
        expected.append([token for token in range(6) if tails[token] in ngrams])
    assert forbidden([repetitions(history, size)], len(rows)) == expected


def test_what_would_complete_an_avoided_phrase_is_forbidden() -> None:
    phrases = Phrases.of([[(2, 3), (4,)], [(3, 3, 5)], []], CPU)
    progress = torch.tensor([[1, 0], [2, 0], [0, 0]])
    assert forbidden([avoidance(phrases, progress)], 3) == [[3, 4], [5], []]

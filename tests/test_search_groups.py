"""Diverse beam search, by hand and against a slow plain version of itself."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_engine import BOS, EOS, Ids, Script, ScriptedEngine, pad_sources, random_script

from nmt.search import Hypothesis, SearchOptions, beam_search
from nmt.search.groups import join_groups

A, B, C = 2, 3, 4
VOCAB_SIZE = 5
LIMIT = 5

OPTIONS = SearchOptions(
    beam_size=2,
    num_hypotheses=2,
    length_penalty=0.0,
    max_length_ratio=1.0,
    max_target_length=LIMIT,
    bos_id=BOS,
    eos_id=EOS,
    banned_ids=(BOS,),
    num_groups=2,
    diversity_penalty=0.75,
)


def two_ways(source: Ids, prefix: Ids) -> list[float]:
    """A is better than B by half, then EOS is certain."""
    return [-9.0, -9.0, -1.0, -1.5, -3.0] if not prefix else [-9.0, 0.0, -9.0, -9.0, -9.0]


@pytest.mark.parametrize(("penalty", "second"), [(0.25, None), (0.75, (B,)), (2.5, (C,))])
def test_a_group_goes_another_way_where_that_costs_less_than_the_penalty(
    penalty: float, second: Ids | None
) -> None:
    options = replace(OPTIONS, diversity_penalty=penalty)
    if penalty == 2.5:
        # Two groups before it: one chose A, one chose B.
        options = replace(options, beam_size=3, num_groups=3, num_hypotheses=3)
    found = beam_search(ScriptedEngine(two_ways), *pad_sources([(7,)]), options)[0]
    assert found[0].token_ids == (A,)
    # The penalty is in no score; and what both groups find is told once.
    assert found[0].score == found[0].log_prob == -1.0
    assert [one.token_ids for one in found[-1:]] == [second or (A,)]
    assert len({one.token_ids for one in found}) == len(found)
    assert len(found) == (1 if second is None else options.num_groups)


def search_slowly(
    script: Script, source: Ids, options: SearchOptions
) -> list[list[tuple[float, Ids]]]:
    """Diverse beam search with lists, and no stopping early: what each group finds."""
    size = options.beam_size // options.num_groups
    beams: list[list[tuple[Ids, float]]] = [[((), 0.0)] for _ in range(options.num_groups)]
    found: list[list[tuple[float, Ids]]] = [[] for _ in range(options.num_groups)]
    for length in range(1, LIMIT + 1):
        tokens = [EOS] if length == LIMIT else [EOS, A, B, C]
        counts: Counter[int] = Counter()
        for group in range(options.num_groups):
            candidates = [
                ((*prefix, token), log_prob + script(source, prefix)[token])
                for prefix, log_prob in beams[group]
                for token in tokens
            ]
            candidates.sort(key=lambda one: options.diversity_penalty * counts[one[0][-1]] - one[1])
            kept = candidates[: size - len(found[group])]
            counts.update(prefix[-1] for prefix, _ in kept)
            beams[group] = [one for one in kept if one[0][-1] != EOS]
            found[group] += [(one[1], one[0][:-1]) for one in kept if one[0][-1] == EOS]
    return [sorted(one, key=lambda pair: -pair[0]) for one in found]


@settings(max_examples=50)
@given(
    script=st.builds(
        random_script,
        st.integers(0, 10**6),
        vocab_size=st.just(VOCAB_SIZE),
        num_levels=st.sampled_from([4, 64]),
    ),
    batch=st.lists(st.sampled_from([(5,), (6, 7), (8, 9, 5)]), min_size=1, max_size=3),
    group_size=st.integers(1, 3),
    num_groups=st.integers(2, 3),
    penalty=st.sampled_from([0.0, 0.25, 1.0, 8.0]),
)
def test_groups_search_as_told_and_give_their_best_in_turn(
    script: Script, batch: list[Ids], group_size: int, num_groups: int, penalty: float
) -> None:
    options = replace(
        OPTIONS,
        beam_size=group_size * num_groups,
        num_hypotheses=group_size * num_groups,
        num_groups=num_groups,
        diversity_penalty=penalty,
    )
    found = beam_search(ScriptedEngine(script), *pad_sources(batch), options)
    for source, hypotheses in zip(batch, found, strict=True):
        slow = search_slowly(script, source, options)
        expected = {pair for group in slow for pair in group}
        assert {(one.log_prob, one.token_ids) for one in hypotheses} == expected
        scores = [one.score for one in hypotheses]
        assert scores == sorted(scores, reverse=True)


def hypothesis(score: float, *token_ids: int) -> Hypothesis:
    return Hypothesis(token_ids, score, score, torch.empty(0))


def test_every_group_is_heard_before_any_is_heard_twice() -> None:
    groups = [
        [hypothesis(-1.0, A), hypothesis(-2.0, B), hypothesis(-3.0, C)],
        [hypothesis(-1.0, A)],
        [hypothesis(-8.0, A, A), hypothesis(-9.0, A, B)],
    ]
    found = join_groups([*groups, *groups[::-1]], 3, 3)
    # The second group has nothing new, so that the first is heard again.
    assert [one.token_ids for one in found[0]] == [(A,), (B,), (A, A)]
    assert [one.token_ids for one in found[1]] == [(A,), (A, A), (A, B)]

"""Greedy search: the same as beam search with a beam of one, and cheaper."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scripted_engine import BOS, EOS, Ids, Script, ScriptedEngine, pad_sources, random_script

from nmt.search import SearchOptions, beam_search, greedy_search

NAN, INFINITY = math.nan, math.inf

OPTIONS = SearchOptions(
    beam_size=1,
    num_hypotheses=1,
    length_penalty=0.6,
    max_length_ratio=1.0,
    max_target_length=12,
    bos_id=BOS,
    eos_id=EOS,
    banned_ids=(BOS,),
)


def test_the_best_token_is_taken_at_each_position() -> None:
    def script(source: Ids, prefix: Ids) -> list[float]:
        return {
            (): [-0.5, -3.0, -2.0, -1.0],
            (3,): [-0.5, -3.0, -2.0, -4.0],
            (3, 2): [-0.5, -1.0, -2.0, -1.0],
        }[prefix]

    [[found]] = greedy_search(ScriptedEngine(script), *pad_sources([(7, 8)]), OPTIONS)
    assert found.token_ids == (3, 2)
    assert found.log_prob == -4.0
    assert found.token_log_probs == (-1.0, -2.0, -1.0)
    assert found.score == pytest.approx(-4.0 / (8 / 6) ** 0.6)
    assert found.attention.tolist() == [[1, 0], [1, 0], [0, 1]]


@given(
    script=st.builds(
        random_script,
        st.integers(0, 10**6),
        vocab_size=st.integers(3, 5),
        num_levels=st.sampled_from([2, 4, 64]),
    ),
    batch=st.lists(
        st.lists(st.integers(5, 9), min_size=1, max_size=4).map(tuple), min_size=1, max_size=5
    ),
    length_penalty=st.sampled_from([0.0, 0.6, 1.0]),
    max_target_length=st.integers(1, 8),
)
def test_greedy_search_is_beam_search_with_a_beam_of_one(
    script: Script, batch: list[Ids], length_penalty: float, max_target_length: int
) -> None:
    options = replace(OPTIONS, length_penalty=length_penalty, max_target_length=max_target_length)
    greedy, beam = (
        search(ScriptedEngine(script), *pad_sources(batch), options)
        for search in (greedy_search, beam_search)
    )
    for [one], [other] in zip(greedy, beam, strict=True):
        assert (one.token_ids, one.log_prob, one.score, one.token_log_probs) == (
            other.token_ids,
            other.log_prob,
            other.score,
            other.token_log_probs,
        )
        assert torch.equal(one.attention, other.attention)


def test_a_finished_sentence_leaves_the_batch() -> None:
    def script(source: Ids, prefix: Ids) -> list[float]:
        wanted = 2 if len(prefix) < len(source) else EOS
        return [0.0 if token == wanted else -9.0 for token in range(4)]

    engine = ScriptedEngine(script)
    found = greedy_search(engine, *pad_sources([(7, 7, 7), (7,), (7, 7)]), OPTIONS)
    assert [best[0].token_ids for best in found] == [(2, 2, 2), (2,), (2, 2)]
    assert engine.num_rows == [3, 3, 2, 1]
    assert len({id(output) for output in engine.encoder_outputs}) == 3


def test_no_sentences_have_no_hypotheses() -> None:
    nothing = torch.empty(0, 3, dtype=torch.long), torch.empty(0, dtype=torch.long)
    engine = ScriptedEngine(random_script(1, vocab_size=4, num_levels=4))
    assert greedy_search(engine, *nothing, OPTIONS) == []


def test_a_beam_is_refused() -> None:
    engine = ScriptedEngine(random_script(1, vocab_size=4, num_levels=4))
    with pytest.raises(ValueError, match="beam_size must be 1 in greedy search, got 5"):
        greedy_search(engine, *pad_sources([(7,)]), replace(OPTIONS, beam_size=5))


@pytest.mark.parametrize("nonsense", [[NAN] * 4, [-INFINITY] * 4, [-1.0, NAN, -1.0, -1.0]])
def test_nonsense_from_the_model_is_not_taken_for_an_answer(nonsense: list[float]) -> None:
    def broken(source: Ids, prefix: Ids) -> list[float]:
        return nonsense if source == (8,) else [-1.0] * 4

    with pytest.raises(FloatingPointError, match="sentence 1 of the batch has no hypothesis"):
        greedy_search(ScriptedEngine(broken), *pad_sources([(7,), (8,)]), OPTIONS)

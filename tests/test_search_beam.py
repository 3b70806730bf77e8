"""Beam search against hand-worked cases, a slow plain version of itself, and trying everything."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scripted_engine import (
    BOS,
    EOS,
    Ids,
    Script,
    ScriptedEngine,
    attended_place,
    pad_sources,
    random_script,
)

from nmt.search import Hypothesis, SearchOptions, beam_search

A, B = 2, 3
# What a slow search finds: token ids without EOS, log-probability, score.
Found = tuple[Ids, float, float]

NAN, INFINITY = math.nan, math.inf

OPTIONS = SearchOptions(
    beam_size=4,
    num_hypotheses=1,
    length_penalty=0.0,
    max_length_ratio=1.0,
    max_target_length=20,
    bos_id=BOS,
    eos_id=EOS,
    banned_ids=(BOS,),
)


def search(
    script: Script, sources: Sequence[Ids], options: SearchOptions
) -> list[list[Hypothesis]]:
    return beam_search(ScriptedEngine(script), *pad_sources(sources), options)


def plain(hypothesis: Hypothesis) -> Found:
    return hypothesis.token_ids, hypothesis.log_prob, hypothesis.score


def score_of(log_prob: float, length: int, alpha: float) -> float:
    """log_prob / lp, in the single precision that the search counts in; length counts EOS."""
    return float(np.float32(log_prob) / np.float32(((5 + length) / 6) ** alpha))


def allowed_tokens(length: int, limit: int, vocab_size: int, options: SearchOptions) -> list[int]:
    if length == limit:
        return [options.eos_id]
    return [token for token in range(vocab_size) if token not in options.banned_ids]


def try_everything(script: Script, source: Ids, vocab_size: int, options: SearchOptions) -> Found:
    """Rate every possible translation and give the best."""
    letters = [
        token for token in range(vocab_size) if token not in (*options.banned_ids, options.eos_id)
    ]
    found: list[Found] = []
    for size in range(options.max_target_length):
        for tokens in product(letters, repeat=size):
            log_prob = sum(
                script(source, tokens[:place])[token]
                for place, token in enumerate((*tokens, options.eos_id))
            )
            found.append((tokens, log_prob, score_of(log_prob, size + 1, options.length_penalty)))
    return max(found, key=lambda one: one[2])


def search_slowly(
    script: Script, source: Ids, limit: int, vocab_size: int, options: SearchOptions
) -> list[Found]:
    """Beam search as it is told to a beginner: one sentence, lists, and no stopping early."""
    beams: list[tuple[Ids, float]] = [((), 0.0)]
    found: list[Found] = []
    for length in range(1, limit + 1):
        candidates = [
            ((*tokens, token), log_prob + script(source, tokens)[token])
            for tokens, log_prob in beams
            for token in allowed_tokens(length, limit, vocab_size, options)
        ]
        candidates.sort(key=lambda candidate: -candidate[1])  # stable: of equals the first
        kept = candidates[: options.beam_size - len(found)]
        beams = [(tokens, log_prob) for tokens, log_prob in kept if tokens[-1] != options.eos_id]
        found += [
            (tokens[:-1], log_prob, score_of(log_prob, length, options.length_penalty))
            for tokens, log_prob in kept
            if tokens[-1] == options.eos_id
        ]
    return sorted(found, key=lambda one: -one[2])[: options.num_hypotheses]


def garden_path(source: Ids, prefix: Ids) -> list[float]:
    """A looks better than B, but only B goes on well."""
    impossible = -INFINITY
    rows = {
        (): [impossible, -8.0, -1.0, -2.0],
        (A,): [impossible, -4.0, -3.0, -8.0],
        (B,): [impossible, -0.5, -8.0, -8.0],
    }
    return rows.get(prefix, [impossible, -1.0, -8.0, -8.0])


def test_a_wider_beam_finds_what_looks_worse_at_first() -> None:
    narrow = search(garden_path, [(9, 9)], replace(OPTIONS, beam_size=1))
    wide = search(garden_path, [(9, 9)], replace(OPTIONS, beam_size=2))
    assert [plain(one) for one in narrow[0]] == [((A, A), -5.0, -5.0)]
    assert [plain(one) for one in wide[0]] == [((B,), -2.5, -2.5)]


def test_the_length_penalty_counts_eos_and_lifts_longer_hypotheses() -> None:
    options = replace(OPTIONS, beam_size=4, num_hypotheses=3)
    without, with_penalty = (
        search(garden_path, [(9, 9)], replace(options, length_penalty=alpha))[0]
        for alpha in (0.0, 1.0)
    )
    assert [plain(one) for one in without] == [
        ((B,), -2.5, -2.5),
        ((A,), -5.0, -5.0),
        ((A, A), -5.0, -5.0),
    ]
    # lp(2) = 7/6 and lp(3) = 8/6.
    assert [one.token_ids for one in with_penalty] == [(B,), (A, A), (A,)]
    assert [one.score for one in with_penalty] == pytest.approx([-15 / 7, -15 / 4, -30 / 7])


def test_of_equal_candidates_the_higher_beam_and_then_the_lower_token_comes_first() -> None:
    def all_equal(source: Ids, prefix: Ids) -> list[float]:
        return [-1.0] * 40

    options = replace(
        OPTIONS, beam_size=3, num_hypotheses=3, max_target_length=3, banned_ids=(BOS, 5)
    )
    found = search(all_equal, [(9,), (9,)], replace(options, eos_id=20))
    assert [[one.token_ids for one in best] for best in found] == [
        [(1, 1), (1, 2), (1, 3)],
        [(1, 1), (1, 2), (1, 3)],
    ]
    found = search(all_equal, [(9,)], replace(options, eos_id=2))
    assert [one.token_ids for one in found[0]] == [(), (1,), (1, 1)]


scripts = st.builds(
    random_script,
    st.integers(0, 10**6),
    vocab_size=st.just(4),
    num_levels=st.sampled_from([2, 4, 64]),
)
sources = st.lists(st.integers(5, 9), min_size=1, max_size=4).map(tuple)
penalties = st.sampled_from([0.0, 0.2, 0.6, 1.0, 2.0])


@given(script=scripts, source=sources, length_penalty=penalties)
def test_a_beam_wide_enough_finds_the_best_of_all(
    script: Script, source: Ids, length_penalty: float
) -> None:
    # Three tokens, then EOS: 1 + 2 + 4 + 8 = 15 hypotheses in all.
    options = replace(OPTIONS, beam_size=15, length_penalty=length_penalty, max_target_length=4)
    best = try_everything(script, source, 4, options)
    [[found]] = search(script, [source], options)
    assert found.score == best[2]


@given(
    script=scripts,
    source=sources,
    length_penalty=penalties,
    sizes=st.tuples(st.integers(1, 6), st.integers(1, 6)).map(sorted),
    max_target_length=st.integers(1, 7),
    banned_ids=st.sets(st.sampled_from([0, 2, 3])).map(tuple),
)
def test_search_is_the_slow_plain_search_and_stopping_early_loses_nothing(
    script: Script,
    source: Ids,
    length_penalty: float,
    sizes: list[int],
    max_target_length: int,
    banned_ids: Ids,
) -> None:
    options = SearchOptions(
        num_hypotheses=sizes[0],
        beam_size=sizes[1],
        length_penalty=length_penalty,
        max_length_ratio=1.0,
        max_target_length=max_target_length,
        bos_id=BOS,
        eos_id=EOS,
        banned_ids=banned_ids,
    )
    slow = search_slowly(script, source, max_target_length, 4, options)
    [found] = search(script, [source], options)
    assert [plain(one) for one in found] == slow


@given(
    script=scripts,
    batch=st.lists(sources, min_size=1, max_size=5),
    length_penalty=penalties,
    beam_size=st.integers(1, 5),
)
def test_a_batch_gives_what_its_sentences_give_alone(
    script: Script, batch: list[Ids], length_penalty: float, beam_size: int
) -> None:
    options = replace(
        OPTIONS, beam_size=beam_size, num_hypotheses=beam_size, length_penalty=length_penalty
    )
    together = search(script, batch, options)
    alone = [search(script, [source], options)[0] for source in batch]
    for mine, other in zip(chain(*together), chain(*alone), strict=True):
        assert plain(mine) == plain(other)
        assert torch.equal(mine.attention, other.attention)


@given(script=scripts, source=sources, length_penalty=penalties, beam_size=st.integers(1, 6))
def test_hypotheses_are_distinct_sorted_and_say_truly_what_the_model_gave(
    script: Script, source: Ids, length_penalty: float, beam_size: int
) -> None:
    options = replace(
        OPTIONS, beam_size=beam_size, num_hypotheses=beam_size, length_penalty=length_penalty
    )
    [found] = search(script, [source], options)
    assert len({one.token_ids for one in found}) == len(found) == beam_size
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    for one in found:
        assert not {BOS, EOS} & set(one.token_ids)
        with_eos = (*one.token_ids, EOS)
        prefixes = [with_eos[:place] for place in range(len(with_eos))]
        assert one.token_log_probs == tuple(
            script(source, prefix)[token] for prefix, token in zip(prefixes, with_eos, strict=True)
        )
        assert one.log_prob == sum(one.token_log_probs)
        assert one.attention.shape == (len(with_eos), len(source))
        assert one.attention.argmax(dim=1).tolist() == [
            attended_place(source, prefix) for prefix in prefixes
        ]


def never_ending(source: Ids, prefix: Ids) -> list[float]:
    """Go on with A for ever; EOS comes last always."""
    return [0.0, -50.0, -0.25, -2.0, -2.0, -2.0]


@pytest.mark.parametrize("beam_size", [1, 3])
@pytest.mark.parametrize(("source_length", "limit"), [(1, 12), (4, 16), (7, 20), (30, 20)])
def test_at_the_limit_of_length_eos_is_forced_and_paid_for(
    beam_size: int, source_length: int, limit: int
) -> None:
    options = replace(OPTIONS, beam_size=beam_size, max_length_ratio=1.5)
    sources = [(7,) * source_length, (7,) * 3]
    best = search(never_ending, sources, options)[0][0]
    assert best.token_ids == (A,) * (limit - 1)
    assert best.log_prob == -0.25 * (limit - 1) - 50.0


def test_where_the_limit_leaves_fewer_hypotheses_there_are_fewer() -> None:
    options = replace(OPTIONS, num_hypotheses=4, max_target_length=1)
    [found] = search(garden_path, [(9,)], options)
    assert [plain(one) for one in found] == [((), -8.0, -8.0)]


def counting_down(source: Ids, prefix: Ids) -> list[float]:
    """Say A as often as the source is long, then end; all else is out of the question."""
    wanted = A if len(prefix) < len(source) else EOS
    return [0.0 if token == wanted else -90.0 for token in range(4)]


def test_a_finished_sentence_leaves_the_batch_and_the_last_one_ends_the_search() -> None:
    engine = ScriptedEngine(counting_down)
    sources = [(7, 7, 7), (7,), (7, 7)]
    found = beam_search(engine, *pad_sources(sources), replace(OPTIONS, beam_size=3))
    assert [best[0].token_ids for best in found] == [(A, A, A), (A,), (A, A)]
    # One beam each at first, three after that; sentences end at lengths 2, 3 and 4.
    assert engine.num_rows == [3, 9, 6, 3]


def test_a_sentence_may_leave_while_another_gets_its_second_beam() -> None:
    def script(source: Ids, prefix: Ids) -> list[float]:
        return [0.0, 0.0, -90.0, -90.0] if source == (8,) else garden_path(source, prefix)

    # Two rows before and two after, but not of the same sentences.
    engine = ScriptedEngine(script)
    found = beam_search(engine, *pad_sources([(8,), (9, 9)]), replace(OPTIONS, beam_size=2))
    assert engine.num_rows[:2] == [2, 2]
    assert [best[0].token_ids for best in found] == [(), (B,)]


def test_the_encoder_output_is_copied_only_when_its_rows_change() -> None:
    engine = ScriptedEngine(never_ending)
    beam_search(engine, *pad_sources([(7, 7), (7, 7)]), replace(OPTIONS, beam_size=2))
    assert len(engine.encoder_outputs) > 5
    assert len({id(output) for output in engine.encoder_outputs}) == 2


def test_no_sentences_have_no_hypotheses() -> None:
    nothing = torch.empty(0, 3, dtype=torch.long), torch.empty(0, dtype=torch.long)
    assert beam_search(ScriptedEngine(garden_path), *nothing, OPTIONS) == []


@pytest.mark.parametrize("nonsense", [[NAN] * 4, [-INFINITY] * 4, [-1.0, NAN, -1.0, -1.0]])
def test_nonsense_from_the_model_is_not_taken_for_an_answer(nonsense: list[float]) -> None:
    def broken(source: Ids, prefix: Ids) -> list[float]:
        return nonsense if source == (8,) else [-1.0] * 4

    with pytest.raises(FloatingPointError, match="sentence 1 of the batch has no hypothesis"):
        search(broken, [(7,), (8,)], OPTIONS)

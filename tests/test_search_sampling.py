"""Drawing at random: as probable as the model says, and the same whatever stands beside it."""

import math
from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scripted_engine import BOS, EOS, Ids, ScriptedEngine, pad_sources

from nmt.search import Demands, Hypothesis, SamplingOptions, SearchOptions, sample
from nmt.search.sampling import draw, keep_likely

A, B = 2, 3
INFINITY = math.inf
OPTIONS = SearchOptions(
    beam_size=1,
    num_hypotheses=1,
    length_penalty=1.0,
    max_length_ratio=1.0,
    max_target_length=6,
    bos_id=BOS,
    eos_id=EOS,
    banned_ids=(BOS,),
)
PROBS = (0.0625, 0.4375, 0.125, 0.375)


def steady(source: Ids, prefix: Ids) -> list[float]:
    """The same distribution everywhere."""
    return [math.log(prob) for prob in PROBS]


def samples_of(
    sources: list[Ids],
    sampling: SamplingOptions,
    options: SearchOptions = OPTIONS,
    demands: list[Demands] | None = None,
) -> list[list[Hypothesis]]:
    return sample(ScriptedEngine(steady), *pad_sources(sources), options, sampling, demands)


@pytest.mark.parametrize(
    ("number", "token"),
    [(0.0, 1), (0.4999, 1), (0.5, 2), (0.6249, 2), (0.625, 4), (1 - 2**-32, 4)],
)
def test_the_first_token_with_more_probability_up_to_it_is_drawn(number: float, token: int) -> None:
    # Tokens without probability are never drawn, not even at the ends.
    log_probs = torch.tensor([[0.0, 0.5, 0.125, 0.0, 0.375, 0.0]]).double().log()
    numbers = torch.tensor([number], dtype=torch.double)
    assert draw(log_probs, numbers).tolist() == [token]
    assert draw(log_probs - 7, numbers).tolist() == [token]


@pytest.mark.parametrize(
    ("sampling", "kept"),
    [
        (SamplingOptions(), [0, 1, 2, 3, 4]),
        (SamplingOptions(top_k=1), [2]),
        (SamplingOptions(top_k=2), [0, 2]),
        (SamplingOptions(top_k=9), [0, 1, 2, 3, 4]),
        (SamplingOptions(top_p=0.5), [2]),
        (SamplingOptions(top_p=0.54), [0, 2]),
        (SamplingOptions(top_p=0.7), [0, 1, 2]),
        (SamplingOptions(top_p=1e-9), [2]),
        # Of the best two the better one has 4/5.
        (SamplingOptions(top_k=2, top_p=0.75), [2]),
        # Of the squares, 1/64, 1/64, 1/4, 1/64 and 1/256, the best one has more than 4/5.
        (SamplingOptions(temperature=0.5, top_p=0.8), [2]),
    ],
)
def test_unlikely_tokens_are_left_out(sampling: SamplingOptions, kept: list[int]) -> None:
    # 8/15 is the most, then thrice 2/15; of equal ones the first stay longest.
    probs = torch.tensor([[0.125, 0.125, 0.5, 0.125, 0.0625]]).double()
    log_probs = keep_likely((probs / probs.sum()).log(), sampling)
    assert log_probs.isfinite().nonzero()[:, 1].tolist() == kept
    ratios = (log_probs[0, kept] - log_probs[0, 2]).exp()
    assert ratios.tolist() == pytest.approx(
        ((probs[0, kept] / 0.5) ** (1 / sampling.temperature)).tolist()
    )


def test_tokens_are_drawn_as_often_as_they_are_probable() -> None:
    sampling = SamplingOptions(num_samples=4000)
    [found] = samples_of([(7, 8)], sampling, replace(OPTIONS, max_target_length=2))
    counts = Counter(one.token_ids for one in found)
    # BOS is banned: what is left is shared among the others. Five standard deviations are 0.04.
    for tokens, prob in {(): 0.4375, (A,): 0.125, (B,): 0.375}.items():
        assert counts[tokens] / 4000 == pytest.approx(prob / 0.9375, abs=0.04)


def test_a_sample_has_the_log_probability_of_the_model_and_its_score() -> None:
    sampling = SamplingOptions(num_samples=20, temperature=3.0)
    [found] = samples_of([(7, 8)], sampling)
    assert len({one.token_ids for one in found}) > 5
    for one in found:
        log_probs = [math.log(PROBS[token]) for token in (*one.token_ids, EOS)]
        assert one.log_prob == pytest.approx(sum(log_probs))
        assert one.token_log_probs == pytest.approx(log_probs, abs=1e-5)
        assert one.score == pytest.approx(sum(log_probs) / ((6 + len(one.token_ids)) / 6))
        assert one.attention.shape == (len(log_probs), 2)


@given(
    batch=st.lists(
        st.lists(st.integers(4, 6), min_size=1, max_size=3).map(tuple), min_size=1, max_size=4
    ),
    num_samples=st.integers(1, 3),
    seed=st.integers(0, 5),
)
def test_a_sentence_draws_the_same_in_any_batch_and_any_number(
    batch: list[Ids], num_samples: int, seed: int
) -> None:
    options = replace(OPTIONS, max_target_length=30)
    together = samples_of(batch, SamplingOptions(num_samples=num_samples, seed=seed), options)
    for source, found in zip(batch, together, strict=True):
        more = SamplingOptions(num_samples=num_samples + 1, seed=seed)
        [alone] = samples_of([source], more, options)
        assert [one.token_ids for one in found] == [one.token_ids for one in alone[:-1]]
        assert len(found) == num_samples


def test_samples_seeds_and_sentences_differ() -> None:
    sampling = SamplingOptions(num_samples=30)
    one, other = samples_of([(7, 8), (8, 7)], sampling)
    [reseeded] = samples_of([(7, 8)], replace(sampling, seed=1))
    found = [[hypothesis.token_ids for hypothesis in some] for some in (one, other, reseeded)]
    assert found[0] != found[1]
    assert found[0] != found[2]
    assert len(set(found[0])) > 10


def test_rules_hold_for_samples() -> None:
    demands = [Demands(prefix=(B, A), avoided=((A, A),)), Demands()]
    options = replace(OPTIONS, min_target_length=4)
    found = samples_of([(7,), (7,)], SamplingOptions(num_samples=30), options, demands)
    for one in found[0]:
        assert one.token_ids[:2] == (B, A)
        assert (A, A) not in zip(one.token_ids, one.token_ids[1:], strict=False)
    assert any((A, A) in zip(one.token_ids, one.token_ids[1:], strict=False) for one in found[1])
    assert {len(one.token_ids) for some in found for one in some} == {3, 4, 5}


def test_no_sentences_have_no_samples() -> None:
    nothing = torch.empty(0, 3, dtype=torch.long), torch.empty(0, dtype=torch.long)
    assert sample(ScriptedEngine(steady), *nothing, OPTIONS, SamplingOptions()) == []


def test_nonsense_from_the_model_is_not_taken_for_an_answer() -> None:
    def broken(source: Ids, prefix: Ids) -> list[float]:
        return [math.nan] * 4

    with pytest.raises(FloatingPointError, match="sentence 0 of the batch has no hypothesis"):
        sample(ScriptedEngine(broken), *pad_sources([(7,)]), OPTIONS, SamplingOptions())

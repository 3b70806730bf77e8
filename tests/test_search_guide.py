"""All that steers a search, against trying everything: lengths, penalties, rules and demands."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_engine import (
    BOS,
    EOS,
    Ids,
    Script,
    ScriptedEngine,
    attention_weights,
    pad_sources,
    random_script,
)
from torch import Tensor

from nmt.search import Demands, Hypothesis, SearchOptions, beam_search, greedy_search
from nmt.search.guide import Guide

A, B, C = 2, 3, 4
VOCAB_SIZE = 5
LIMIT = 5
# Wide enough for all 1 + 3 + 9 + 27 + 81 hypotheses and what is alive beside them.
WIDE = 130
FOCUS = 0.875
# Each tries hundreds of translations.
EXAMPLES = 25

OPTIONS = SearchOptions(
    beam_size=WIDE,
    num_hypotheses=3,
    length_penalty=0.0,
    max_length_ratio=1.0,
    max_target_length=LIMIT,
    bos_id=BOS,
    eos_id=EOS,
    banned_ids=(BOS,),
)


class SpreadingEngine(ScriptedEngine):
    """Looks at every source token at least a little."""

    focus = FOCUS


def search(
    script: Script,
    sources: Sequence[Ids],
    options: SearchOptions,
    demands: Sequence[Demands] | None = None,
) -> list[list[Hypothesis]]:
    return beam_search(SpreadingEngine(script), *pad_sources(sources), options, demands)


def holds(tokens: Ids, phrase: Ids) -> bool:
    return any(tokens[start : start + len(phrase)] == phrase for start in range(len(tokens)))


def repeats(tokens: Ids, size: int) -> bool:
    ngrams = [tokens[start : start + size] for start in range(len(tokens) - size + 1)]
    return len(set(ngrams)) < len(ngrams)


def is_allowed(tokens: Ids, source: Ids, options: SearchOptions, demands: Demands) -> bool:
    """Whether a translation is what was asked for; its length counts EOS."""
    least = max(options.min_target_length, math.ceil(options.min_length_ratio * len(source)))
    return (
        len(tokens) + 1 >= min(least, LIMIT)
        and tokens[: len(demands.prefix)] == demands.prefix
        and all(holds(tokens, phrase) for phrase in demands.required)
        and not any(holds(tokens, phrase) for phrase in demands.avoided)
        and (
            options.no_repeat_ngram_size is None
            or not repeats(tokens, options.no_repeat_ngram_size)
        )
    )


def rate(
    script: Script, source: Ids, tokens: Ids, options: SearchOptions, demands: Demands
) -> tuple[float, float]:
    """The log-probability and the score, in double precision."""
    with_eos = (*tokens, EOS)
    prefixes = [with_eos[:place] for place in range(len(with_eos))]
    log_prob = sum(
        script(source, prefix)[token] for prefix, token in zip(prefixes, with_eos, strict=True)
    )
    bonus = options.preference_bonus * sum(
        len(phrase) for phrase in set(demands.preferred) if holds(tokens, phrase)
    )
    base = (5 + len(with_eos)) / 6 if options.normalization == "wu" else len(with_eos)
    weights = [attention_weights(source, prefix, FOCUS) for prefix in prefixes]
    coverage = [max(min(sum(column), 1), 1e-4) for column in zip(*weights, strict=True)]
    penalty = options.coverage_penalty * sum(map(math.log, coverage))
    return log_prob, (log_prob + bonus) / base**options.length_penalty + penalty


def try_everything(
    script: Script, source: Ids, options: SearchOptions, demands: Demands
) -> list[tuple[float, float, Ids]]:
    """Rate every translation that is allowed, best first: score, log-probability, tokens."""
    found = []
    for size in range(LIMIT):
        for tokens in product((A, B, C), repeat=size):
            if is_allowed(tokens, source, options, demands):
                log_prob, score = rate(script, source, tokens, options, demands)
                found.append((score, log_prob, tokens))
    return sorted(found, reverse=True)


scripts = st.builds(
    random_script,
    st.integers(0, 10**6),
    vocab_size=st.just(VOCAB_SIZE),
    num_levels=st.sampled_from([4, 64]),
)
sources = st.lists(st.integers(5, 9), min_size=1, max_size=4).map(tuple)
letters = st.sampled_from([A, B, C])
phrases = st.lists(letters, min_size=1, max_size=3).map(tuple)
options_with_penalties = st.builds(
    replace,
    st.just(OPTIONS),
    length_penalty=st.sampled_from([0.0, 0.6, 1.0, 2.0]),
    normalization=st.sampled_from(["wu", "plain"]),
    coverage_penalty=st.sampled_from([0.0, 0.25, 1.0]),
    min_length_ratio=st.sampled_from([0.0, 1.0, 1.5]),
    min_target_length=st.integers(1, LIMIT),
    no_repeat_ngram_size=st.sampled_from([None, 2, 3]),
    preference_bonus=st.sampled_from([0.0, 0.5, 3.0]),
)


def agree(found: list[Hypothesis], best: list[tuple[float, float, Ids]]) -> None:
    """Scores are compared: of equal ones either may be found."""
    assert len(found) == min(3, len(best))
    expected = [score for score, _, _ in best[:3]]
    assert [one.score for one in found] == pytest.approx(expected, abs=1e-5)
    rated = {tokens: (score, log_prob) for score, log_prob, tokens in best}
    for one in found:
        score, log_prob = rated[one.token_ids]
        assert one.score == pytest.approx(score, abs=1e-5)
        assert one.log_prob == log_prob


@settings(max_examples=EXAMPLES)
@given(
    script=scripts,
    source=sources,
    options=options_with_penalties,
    prefix=st.lists(letters, max_size=2).map(tuple),
    preferred=st.lists(phrases, max_size=2).map(tuple),
    avoided=st.lists(phrases.filter(lambda ids: len(ids) > 1), max_size=2).map(tuple),
)
def test_a_beam_wide_enough_finds_the_best_of_all_that_is_allowed(
    script: Script,
    source: Ids,
    options: SearchOptions,
    prefix: Ids,
    preferred: tuple[Ids, ...],
    avoided: tuple[Ids, ...],
) -> None:
    if any(holds(prefix, phrase) for phrase in avoided):
        avoided = ()
    demands = Demands(prefix=prefix, preferred=preferred, avoided=avoided)
    best = try_everything(script, source, options, demands)
    if best:
        [found] = search(script, [source], options, [demands])
        agree(found, best)
    else:
        with pytest.raises(FloatingPointError, match="or the rules leave no token"):
            search(script, [source], options, [demands])


@pytest.mark.parametrize(
    ("change", "demands"),
    [
        ({"coverage_penalty": 16.0}, Demands()),
        ({"min_target_length": 5}, Demands()),
        ({"min_length_ratio": 1.5}, Demands()),
        ({"length_penalty": 2.0}, Demands()),
        ({"length_penalty": 2.0, "normalization": "plain"}, Demands()),
        ({"no_repeat_ngram_size": 1}, Demands()),
        ({}, Demands(prefix=(A,))),
        ({}, Demands(required=((B, A),))),
        ({"preference_bonus": 3.0}, Demands(preferred=((C, B, A),))),
        ({}, Demands(avoided=((C,), (A,)))),
    ],
)
def test_every_condition_bears_on_the_best_of_all(
    change: dict[str, object], demands: Demands
) -> None:
    """What is right above means something: each condition takes the best away somewhere."""
    usual = replace(OPTIONS, min_target_length=3)
    options = replace(usual, **change)  # type: ignore[arg-type]
    scripts = [random_script(seed, vocab_size=VOCAB_SIZE, num_levels=64) for seed in range(10)]
    source = (7, 8, 9, 5)
    assert any(
        try_everything(script, source, options, demands)[0][1:]
        != try_everything(script, source, usual, Demands())[0][1:]
        for script in scripts
    )


def overlap(one: Ids, other: Ids) -> bool:
    """Whether some end of the one is a beginning of the other."""
    return any(one[-size:] == other[:size] for size in range(1, min(len(one), len(other)) + 1))


def stand_apart(required: tuple[Ids, ...]) -> bool:
    """Whether no two phrases overlap, nor one with itself, nor one holds another."""
    return not any(
        holds(one, other) or overlap(one, other)
        for place, one in enumerate(required)
        for other in (*required[:place], *required[place + 1 :])
    )


required_apart = st.lists(
    phrases.filter(lambda ids: len(ids) < 3), min_size=1, max_size=3, unique=True
).map(tuple)


@settings(max_examples=EXAMPLES)
@given(
    script=scripts,
    source=sources,
    options=options_with_penalties.map(lambda one: replace(one, no_repeat_ngram_size=None)),
    prefix=st.lists(letters, max_size=1).map(tuple),
    required=required_apart.filter(stand_apart),
    preferred=st.lists(phrases, max_size=2).map(tuple),
)
def test_with_required_phrases_it_finds_the_best_that_holds_them_all(
    script: Script,
    source: Ids,
    options: SearchOptions,
    prefix: Ids,
    required: tuple[Ids, ...],
    preferred: tuple[Ids, ...],
) -> None:
    demands = Demands(prefix=prefix, required=required, preferred=preferred)
    best = try_everything(script, source, options, demands)
    if best:
        [found] = search(script, [source], options, [demands])
        agree(found, best)
    else:
        with pytest.raises(ValueError, match=f"required phrases must fit in {LIMIT} tokens"):
            search(script, [source], options, [demands])


any_demands = st.builds(
    Demands,
    prefix=st.lists(letters, max_size=2).map(tuple),
    required=st.lists(phrases, max_size=3).map(tuple),
    preferred=st.lists(phrases, max_size=2).map(tuple),
    avoided=st.lists(phrases, max_size=2).map(tuple),
).filter(
    lambda one: (
        not any(holds(ids, bad) for ids in (one.prefix, *one.required) for bad in one.avoided)
    )
)


@settings(max_examples=EXAMPLES)
@given(
    script=scripts,
    batch=st.lists(st.tuples(sources, any_demands), min_size=1, max_size=3),
    options=options_with_penalties,
    beam_size=st.integers(1, 4),
)
def test_in_a_narrow_beam_all_demands_are_met_and_a_batch_gives_what_its_sentences_give_alone(
    script: Script,
    batch: list[tuple[Ids, Demands]],
    options: SearchOptions,
    beam_size: int,
) -> None:
    # One more letter than the phrases have, to keep avoided ones out of the required ones.
    options = replace(
        options,
        beam_size=beam_size,
        num_hypotheses=beam_size,
        min_target_length=1,
        min_length_ratio=0.0,
        max_target_length=15,
        max_length_ratio=5.0,
        banned_ids=(BOS,),
    )
    wide = random_script_with_gaps(script)
    sources, demands = [source for source, _ in batch], [one for _, one in batch]
    together = search(wide, sources, options, demands)
    for source, one, found in zip(sources, demands, together, strict=True):
        assert found
        for hypothesis in found:
            tokens = hypothesis.token_ids
            assert len(tokens) < 15
            assert tokens[: len(one.prefix)] == one.prefix
            assert all(holds(tokens, phrase) for phrase in one.required)
            assert not any(holds(tokens, phrase) for phrase in one.avoided)
        [alone] = search(wide, [source], options, [one])
        assert [(one.token_ids, one.log_prob, one.score) for one in alone] == [
            (one.token_ids, one.log_prob, one.score) for one in found
        ]


def random_script_with_gaps(script: Script) -> Script:
    """The same with four more tokens that are in no phrase, and less probable."""

    def wider(source: Ids, prefix: Ids) -> list[float]:
        return [*script(source, prefix), -8.0, -8.0, -9.0, -9.0]

    return wider


def never_stop(guide: Guide, log_probs: Tensor, sentences: Tensor, length: int) -> Tensor:
    """A bound that every living beam attains."""
    return torch.where(log_probs > -math.inf, math.inf, -math.inf)


@settings(max_examples=EXAMPLES)
@given(
    script=scripts,
    source=sources,
    options=options_with_penalties,
    demands=any_demands,
    sizes=st.tuples(st.integers(1, 4), st.sampled_from([1, 2])),
    diversity_penalty=st.sampled_from([0.0, 0.5, 4.0]),
)
def test_stopping_early_changes_nothing(
    script: Script,
    source: Ids,
    options: SearchOptions,
    demands: Demands,
    sizes: tuple[int, int],
    diversity_penalty: float,
) -> None:
    group_size, num_groups = sizes
    options = replace(
        options,
        beam_size=group_size * num_groups,
        num_groups=num_groups,
        diversity_penalty=diversity_penalty,
        num_hypotheses=max(1, group_size * num_groups // 2),
        min_target_length=1,
        max_target_length=15,
        max_length_ratio=5.0,
    )
    script = random_script_with_gaps(script)
    early = search(script, [source], options, [demands])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Guide, "attainable_scores", never_stop)
        late = search(script, [source], options, [demands])
    for one, other in zip(early[0], late[0], strict=True):
        assert (one.token_ids, one.score) == (other.token_ids, other.score)


@settings(max_examples=EXAMPLES)
@given(
    script=scripts,
    batch=st.lists(st.tuples(sources, any_demands), min_size=1, max_size=3),
    options=options_with_penalties,
)
def test_greedy_search_is_a_beam_of_one_whatever_is_asked(
    script: Script, batch: list[tuple[Ids, Demands]], options: SearchOptions
) -> None:
    options = replace(
        options,
        beam_size=1,
        num_hypotheses=1,
        min_target_length=1,
        max_target_length=15,
        max_length_ratio=5.0,
    )
    script = random_script_with_gaps(script)
    sources, demands = [source for source, _ in batch], [one for _, one in batch]
    greedy, beam = (
        one(SpreadingEngine(script), *pad_sources(sources), options, demands)
        for one in (greedy_search, beam_search)
    )
    for [one], [other] in zip(greedy, beam, strict=True):
        assert (one.token_ids, one.log_prob, one.score) == (
            other.token_ids,
            other.log_prob,
            other.score,
        )


class BlindEngine(ScriptedEngine):
    """Attends to nothing."""

    focus = 0.0

    def step(self, token_ids, state, encoder_output):  # type: ignore[no-untyped-def]
        log_probs, state, attention = super().step(token_ids, state, encoder_output)
        return log_probs, state, torch.zeros_like(attention)


def test_a_coverage_penalty_without_attention_is_refused() -> None:
    options = replace(OPTIONS, coverage_penalty=0.2)
    engine = BlindEngine(random_script(1, vocab_size=VOCAB_SIZE, num_levels=8))
    with pytest.raises(
        ValueError, match=r"coverage_penalty must be 0 for a model without attention, got 0\.2"
    ):
        beam_search(engine, *pad_sources([(7, 8)]), options)

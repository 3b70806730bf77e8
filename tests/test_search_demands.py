"""Demands that cannot be met are refused, and by what they are."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from scripted_engine import BOS, EOS, ScriptedEngine, pad_sources, random_script

from nmt.search import (
    Demands,
    Hypothesis,
    SamplingOptions,
    SearchOptions,
    beam_search,
    greedy_search,
    sample,
)

OPTIONS = SearchOptions(
    beam_size=1,
    num_hypotheses=1,
    length_penalty=0.0,
    max_length_ratio=1.0,
    max_target_length=6,
    bos_id=BOS,
    eos_id=EOS,
    banned_ids=(BOS,),
)
ENGINE = ScriptedEngine(random_script(1, vocab_size=6, num_levels=8))
Search = Callable[..., list[list[Hypothesis]]]
EVERY_SEARCH = pytest.mark.parametrize("search", [beam_search, greedy_search])


@pytest.mark.parametrize(
    ("demands", "complaint"),
    [
        (
            Demands(required=((2, 3, 4),), avoided=((3, 4),)),
            r"required must not hold an avoided phrase, got \(2, 3, 4\) and \(3, 4\)",
        ),
        (
            Demands(prefix=(2, 3), avoided=((2,),)),
            r"prefix must not hold an avoided phrase, got \(2, 3\) and \(2,\)",
        ),
        (
            Demands(prefix=(2, 0)),
            r"prefix must not hold banned tokens or EOS, got \(2, 0\)",
        ),
        (
            Demands(required=((2,), (3, 1))),
            r"required must not hold banned tokens or EOS, got \(3, 1\)",
        ),
        (
            Demands(preferred=((1,),)),
            r"preferred must not hold banned tokens or EOS, got \(1,\)",
        ),
        (
            Demands(prefix=(2,) * 6),
            "prefix must have less than 6 tokens, which is the limit with EOS, got 6",
        ),
        (
            Demands(required=((2, 3, 4), (3, 2, 4))),
            "required phrases must fit in 6 tokens with prefix and EOS, got 7",
        ),
        (
            Demands(prefix=(2, 2), required=((2, 3), (4, 2))),
            # The prefix begins the first of them.
            None,
        ),
        (
            Demands(prefix=(2, 4), required=((2, 3), (3, 2))),
            "required phrases must fit in 6 tokens with prefix and EOS, got 7",
        ),
        (
            # The second phrase holds the first, and what is named twice is wanted once.
            Demands(required=((2, 3), (2, 3, 4, 5), (2, 3, 4, 5))),
            None,
        ),
        (
            # One token must stand before the required phrase, behind the prefix.
            Demands(prefix=(2, 2), required=((3, 4, 5),), avoided=((2, 3),)),
            "required phrases must fit in 6 tokens with prefix and EOS, got 7",
        ),
    ],
)
@EVERY_SEARCH
def test_what_cannot_be_met_is_refused_by_name(
    search: Search, demands: Demands, complaint: str | None
) -> None:
    def find() -> list[list[Hypothesis]]:
        return search(ENGINE, *pad_sources([(7,), (8,)]), OPTIONS, [Demands(), demands])

    if complaint is None:
        tokens = find()[1][0].token_ids
        text = " ".join(map(str, tokens))
        assert all(" ".join(map(str, phrase)) in text for phrase in demands.required)
    else:
        with pytest.raises(ValueError, match=f"^sentence 1 of the batch: {complaint}$"):
            find()


@EVERY_SEARCH
def test_there_are_demands_for_every_sentence(search: Search) -> None:
    with pytest.raises(ValueError, match="demands must be given for 2 sentences, got 1"):
        search(ENGINE, *pad_sources([(7,), (8,)]), OPTIONS, [Demands()])


@pytest.mark.parametrize("name", ["required", "preferred", "avoided"])
def test_a_phrase_has_tokens(name: str) -> None:
    with pytest.raises(
        ValueError, match=rf"^{name} must hold phrases of at least one token, got \(\)$"
    ):
        replace(Demands(), **{name: ((2,), ())})  # type: ignore[arg-type]


@pytest.mark.parametrize("demands", [Demands(required=((2,),)), Demands(preferred=((2,),))])
def test_sampling_takes_no_required_or_preferred_phrases(demands: Demands) -> None:
    with pytest.raises(
        ValueError, match="demands must not hold required or preferred phrases in sampling"
    ):
        sample(ENGINE, *pad_sources([(7,)]), OPTIONS, SamplingOptions(), [demands])

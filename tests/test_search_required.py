"""What required phrases still need, by hand."""

from dataclasses import replace

import pytest
import torch
from scripted_engine import BOS, EOS, Ids, ScriptedEngine, pad_sources

from nmt.search import Demands, SearchOptions, beam_search
from nmt.search.phrases import Phrases
from nmt.search.required import Required

CPU = torch.device("cpu")
A, B, C, D = 2, 3, 4, 5
ONE_ROW = torch.tensor([0])


def need_behind(tokens: Ids, demands: Demands) -> int:
    required = Required([demands], EOS, CPU)
    avoided = Phrases.of([demands.avoided], CPU)
    progress, avoided_progress = required.phrases.start(ONE_ROW), avoided.start(ONE_ROW)
    for token in tokens:
        progress = required.phrases.follow(ONE_ROW, progress, torch.tensor([token]))
        avoided_progress = avoided.follow(ONE_ROW, avoided_progress, torch.tensor([token]))
    return int(required.need(ONE_ROW, progress, avoided_progress))


@pytest.mark.parametrize(
    ("tokens", "need"),
    [
        ((), 5),
        ((C,), 5),
        ((A,), 4),
        # Both have begun, but only one can go on.
        ((A, B), 3),
        ((A, B, C), 2),
        ((A, B, D), 3),
        ((A, B, D, A, B), 1),
        ((A, B, C, B, D), 0),
    ],
)
def test_the_need_is_what_is_missing_of_all_phrases_but_for_one_that_has_begun(
    tokens: Ids, need: int
) -> None:
    assert need_behind(tokens, Demands(required=((A, B, C), (B, D)))) == need


@pytest.mark.parametrize(
    ("tokens", "need"),
    [
        ((), 2),
        # Behind C the phrase must not begin: one token to keep them apart.
        ((C,), 3),
        ((C, D), 2),
        ((D, A), 1),
        # It has begun, but cannot be ended.
        ((C, A), 3),
        ((C, A, D, A), 1),
    ],
)
def test_an_avoided_phrase_that_runs_into_a_required_one_takes_a_token_more(
    tokens: Ids, need: int
) -> None:
    assert need_behind(tokens, Demands(required=((A, B),), avoided=((C, A, B),))) == need


def test_an_outlook_tells_what_each_token_leads_to() -> None:
    required = Required([Demands(required=((A, B), (C,)))], EOS, CPU)
    outlook = required.outlook(ONE_ROW, torch.tensor([[1, 0]]), torch.tensor([[0]]))
    assert outlook.token_ids.tolist() == [[A, B, C]]
    assert outlook.banks.tolist() == [[1, 2, 1]]
    assert outlook.needs.tolist() == [[2, 1, 2]]
    assert (outlook.other_banks.tolist(), outlook.other_needs.tolist()) == ([0], [3])


OPTIONS = SearchOptions(
    beam_size=2,
    num_hypotheses=1,
    length_penalty=0.0,
    max_length_ratio=1.0,
    max_target_length=4,
    bos_id=BOS,
    eos_id=EOS,
    banned_ids=(BOS,),
)


def unwilling(source: Ids, prefix: Ids) -> list[float]:
    """End at once; B and C are all but impossible."""
    return [0.0, -0.5, -1.0, -60.0, -70.0, -2.0]


@pytest.mark.parametrize("beam_size", [1, 2, 5])
def test_required_phrases_are_there_at_the_limit_of_length_too(beam_size: int) -> None:
    options = replace(OPTIONS, beam_size=beam_size)
    [[found], [free]] = beam_search(
        ScriptedEngine(unwilling),
        *pad_sources([(7,), (7,)]),
        options,
        [Demands(required=((B, C), (D,))), Demands()],
    )
    assert set(found.token_ids) == {B, C, D}
    assert (B, C) in zip(found.token_ids, found.token_ids[1:], strict=False)
    assert found.log_prob == -132.5
    # The other sentence of the batch is left alone.
    assert free.token_ids == ()


@pytest.mark.parametrize("size", [1, 2])
def test_required_phrases_may_repeat_themselves(size: int) -> None:
    options = replace(OPTIONS, max_target_length=9, no_repeat_ngram_size=size)
    [[found]] = beam_search(
        ScriptedEngine(unwilling),
        *pad_sources([(7,)]),
        options,
        [Demands(required=((B, B, B, B),))],
    )
    # No token more than that, and EOS, which costs less than any other.
    assert found.token_ids == (B, B, B, B)


def fond_of_c(source: Ids, prefix: Ids) -> list[float]:
    return [0.0, -0.5, -8.0, -8.0, -0.25, -2.0]


@pytest.mark.parametrize("limit", [3, 4, 5])
def test_no_token_is_taken_that_leaves_too_little_room_beside_an_avoided_phrase(limit: int) -> None:
    options = replace(OPTIONS, beam_size=30, num_hypotheses=30, max_target_length=limit)
    demands = [Demands(required=((A, B),), avoided=((C, A),))]
    [found] = beam_search(ScriptedEngine(fond_of_c), *pad_sources([(7,)]), options, demands)
    assert (A, B) in {one.token_ids for one in found}
    for one in found:
        pairs = list(zip(one.token_ids, one.token_ids[1:], strict=False))
        assert (A, B) in pairs
        assert (C, A) not in pairs


def test_a_beam_of_one_does_not_run_out_of_room() -> None:
    options = replace(OPTIONS, beam_size=1, max_target_length=5)
    demands = [Demands(prefix=(C,), required=((A, B),), avoided=((C, A),))]
    [[found]] = beam_search(ScriptedEngine(fond_of_c), *pad_sources([(7,)]), options, demands)
    # A second C would be liked better than D, but again keep A away.
    assert found.token_ids == (C, D, A, B)

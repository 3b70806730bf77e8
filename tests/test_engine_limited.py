"""A limited engine against the whole one: the same probabilities, shared out among fewer tokens."""

import pytest
import torch
from small_models import BOS, EOS, TARGET_VOCAB_SIZE, build, make_batch
from torch import Tensor

from nmt.engine import FoldedEngine, LimitedEngine

MODEL = build({"attention": {"kind": "general", "query": "bottom"}}).float()
LISTS = [[1, 5, 6], [1, 7], [1, 5, 8, 9, 10], [1, 4]]  # beside BOS and EOS


def allowed() -> Tensor:
    marks = torch.zeros(len(LISTS), TARGET_VOCAB_SIZE, dtype=torch.bool)
    for row, tokens in zip(marks, LISTS, strict=True):
        row[[BOS, EOS, *tokens]] = True
    return marks


@pytest.mark.parametrize("width", [1, 3])
def test_a_sentence_is_scored_over_its_own_tokens(width: int) -> None:
    """Over steps between which rows are put in another order and sentences leave."""
    batch = make_batch()
    whole = FoldedEngine(MODEL)
    limited = LimitedEngine(whole, allowed())
    source, state = whole.encode(batch.source_ids, batch.source_lengths)
    source_there, state_there = limited.encode(batch.source_ids, batch.source_lengths)
    source, state = source.repeat(width), state.repeat(width)
    source_there, state_there = source_there.repeat(width), state_there.repeat(width)
    sentences = torch.arange(4).repeat_interleave(width)
    bos = (limited.token_ids == BOS).nonzero()[0]
    numbers = bos.expand(4 * width)
    for change in ([3, 1], [1, 0], [0, 0, 1]):
        log_probs, state, attention = whole.step(limited.token_ids[numbers], state, source)
        found, state_there, looked = limited.step(numbers, state_there, source_there)
        marks = allowed()[sentences][:, limited.token_ids]
        expected = log_probs[:, limited.token_ids].masked_fill(~marks, float("-inf"))
        expected = expected.log_softmax(dim=1)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(looked, attention)
        rows = (torch.tensor(change)[:, None] * width + torch.arange(width)).flatten()
        state, source = state.select(rows), source.select(rows)
        state_there, source_there = state_there.select(rows), source_there.select(rows)
        sentences = sentences[rows]
        numbers = (limited.token_ids == EOS).nonzero()[0].expand(len(rows))


def test_rows_of_one_sentence_may_become_more() -> None:
    batch = make_batch()
    limited = LimitedEngine(FoldedEngine(MODEL), allowed())
    source, _ = limited.encode(batch.source_ids, batch.source_lengths)
    for rows in ([0, 0, 0, 2, 2, 2], [3, 1, 1, 0]):
        selected = source.select(torch.tensor(rows))
        by_row = selected.bias.repeat_interleave(selected.encoded.width, dim=0)
        assert torch.equal(by_row, source.bias[rows])


def test_its_tokens_are_those_that_any_sentence_may_need() -> None:
    limited = LimitedEngine(FoldedEngine(MODEL), allowed())
    assert limited.token_ids.tolist() == [1, BOS, EOS, 4, 5, 6, 7, 8, 9, 10]
    assert limited.has_attention
    assert limited.device == torch.device("cpu")

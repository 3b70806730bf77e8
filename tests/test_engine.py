from dataclasses import fields

import pytest
import torch
from small_models import (
    BOS,
    TARGET_VOCAB_SIZE,
    VARIATIONAL,
    WHOLE_FAMILY,
    build,
    logits_of,
    make_batch,
)

from nmt.engine import ModelEngine
from nmt.model import DecoderState, Seq2Seq

NUM_ROWS = 4


@pytest.fixture
def model() -> Seq2Seq:
    """A model with much dropout, left in training mode."""
    return build({"dropout": {"embedding": 0.5, "layers": 0.5, "readout": 0.5}}).train()


def first_tokens(count: int = NUM_ROWS) -> torch.Tensor:
    return torch.full((count,), BOS)


def test_log_probabilities_are_those_of_the_logits(model: Seq2Seq) -> None:
    batch, engine = make_batch(), ModelEngine(model)
    encoder_output, state = engine.encode(batch.source_ids, batch.source_lengths)
    log_probs, new_state, attention = engine.step(first_tokens(), state, encoder_output)
    logits, expected_state, expected_attention = model.eval().decode(
        first_tokens(), state, encoder_output
    )
    assert log_probs.shape == (NUM_ROWS, TARGET_VOCAB_SIZE)
    sums = log_probs.exp().sum(dim=1)
    torch.testing.assert_close(sums, torch.ones(NUM_ROWS))
    # in float32: search adds up hundreds of them
    expected = logits.float() - logits.float().exp().sum(dim=1, keepdim=True).log()
    torch.testing.assert_close(log_probs, expected)
    assert torch.equal(new_state.hidden, expected_state.hidden)
    assert torch.equal(new_state.cell, expected_state.cell)
    assert torch.equal(attention, expected_attention)


def test_step_by_step_gives_what_teacher_forcing_gives(model: Seq2Seq) -> None:
    batch, engine = make_batch(), ModelEngine(model)
    encoder_output, state = engine.encode(batch.source_ids, batch.source_lengths)
    steps = []
    for tokens in batch.target_input_ids.T:
        log_probs, state, _ = engine.step(tokens, state, encoder_output)
        steps.append(log_probs)
    found = torch.stack(steps, dim=1)[batch.target_mask]
    logits = logits_of(model.eval(), batch)
    torch.testing.assert_close(found, torch.log_softmax(logits.float(), dim=1))


@pytest.mark.parametrize("name", [*WHOLE_FAMILY, *VARIATIONAL])
def test_reading_at_once_gives_what_step_by_step_gives(name: str) -> None:
    """Or in two parts: the state after the first is where the second goes on."""
    batch, engine = make_batch(), ModelEngine(build({**WHOLE_FAMILY, **VARIATIONAL}[name]))
    encoder_output, first = engine.encode(batch.source_ids, batch.source_lengths)
    steps, state = [], first
    for tokens in batch.target_input_ids.T:
        log_probs, state, attention = engine.step(tokens, state, encoder_output)
        steps.append((log_probs, attention))
    early, between, early_attention = engine.read(
        batch.target_input_ids[:, :2], first, encoder_output
    )
    late, last, late_attention = engine.read(batch.target_input_ids[:, 2:], between, encoder_output)
    expected, attentions = zip(*steps, strict=True)
    torch.testing.assert_close(torch.cat([early, late], dim=1), torch.stack(expected, dim=1))
    torch.testing.assert_close(
        torch.cat([early_attention, late_attention], dim=1), torch.stack(attentions, dim=1)
    )
    for field in fields(DecoderState):
        torch.testing.assert_close(getattr(last, field.name), getattr(state, field.name))


def test_an_engine_knows_its_vocabulary_and_whether_it_has_attention(model: Seq2Seq) -> None:
    engine = ModelEngine(model)
    assert (engine.vocab_size, engine.has_attention) == (TARGET_VOCAB_SIZE, True)
    other = ModelEngine(build({"attention": None}, target_vocab_size=7))
    assert (other.vocab_size, other.has_attention) == (7, False)


def test_dropout_is_off(model: Seq2Seq) -> None:
    batch, engine = make_batch(), ModelEngine(model)
    outputs = []
    for _ in range(2):
        encoder_output, state = engine.encode(batch.source_ids, batch.source_lengths)
        outputs.append(engine.step(first_tokens(), state, encoder_output)[0])
    assert torch.equal(outputs[0], outputs[1])


@pytest.mark.parametrize("num_tokens", [3, 8])
def test_a_state_of_other_rows_is_refused(num_tokens: int, model: Seq2Seq) -> None:
    batch, engine = make_batch(), ModelEngine(model)
    encoder_output, state = engine.encode(batch.source_ids, batch.source_lengths)
    message = (
        rf"^state has 4 rows, token_ids has {num_tokens}; "
        r"repeat the state with DecoderState\.repeat\(beam_size\) first$"
    )
    with pytest.raises(ValueError, match=message):
        engine.step(first_tokens(num_tokens), state, encoder_output)
    with pytest.raises(ValueError, match=message):
        engine.read(first_tokens(num_tokens)[:, None], state, encoder_output)


def test_the_device_is_that_of_the_weights(model: Seq2Seq) -> None:
    assert ModelEngine(model).device == torch.device("cpu")
    assert ModelEngine(model.to("meta")).device == torch.device("meta")

"""The whole model: padding, steps against teacher forcing, and where gradients go."""

import pytest
import torch
from small_models import (
    PAD,
    VARIATIONAL,
    WHOLE_FAMILY,
    Changes,
    build,
    logits_of,
    make_batch,
    score,
)
from torch import Tensor
from torch.nn.functional import cross_entropy

from nmt.model import Seq2Seq

EVERY_MODEL = {**WHOLE_FAMILY, **VARIATIONAL}
EVERY_MEMBER = pytest.mark.parametrize("changes", EVERY_MODEL.values(), ids=EVERY_MODEL.keys())
MEMBERS = {"default": {}, **WHOLE_FAMILY}


@torch.no_grad()
def test_encoding_gives_states_keys_mask_and_the_decoders_first_state() -> None:
    model, batch = build(), make_batch()
    output, state = model.encode(batch.source_ids, batch.source_lengths)
    states, finals = model.encoder(batch.source_ids, batch.source_lengths)
    assert torch.equal(output.states, states)
    attention = model.decoder.attention
    assert attention is not None
    assert torch.equal(output.keys, attention.keys(states))
    assert output.mask.tolist() == [
        [True, True, True, False, False],
        [True, True, True, True, True],
        [True, True, False, False, False],
        [True, True, True, True, False],
    ]
    assert output.mask.dtype == torch.bool
    hidden, cell = model.bridge(states, batch.source_lengths, finals)
    assert torch.equal(state.hidden, hidden)
    assert torch.equal(state.cell, cell)


@EVERY_MEMBER
@torch.no_grad()
def test_step_by_step_is_the_same_as_teacher_forcing(changes: Changes) -> None:
    model, batch = build(changes), make_batch()
    logits, attention = score(model, batch)
    output, state = model.encode(batch.source_ids, batch.source_lengths)
    steps: list[Tensor] = []
    for token_ids in batch.target_input_ids.unbind(dim=1):
        scores, state, weights = model.decode(token_ids, state, output)
        assert scores.shape == (4, 11)
        assert weights.shape == (4, 5)
        torch.testing.assert_close(weights, attention[:, len(steps)])
        steps.append(scores)
    by_row = torch.stack(steps, dim=1)  # (B, T, V)
    torch.testing.assert_close(by_row[batch.target_mask], logits)


@EVERY_MEMBER
@torch.no_grad()
def test_a_pair_in_a_batch_is_scored_as_it_is_alone(changes: Changes) -> None:
    model, batch = build(changes), make_batch()
    logits, attention = score(model, batch)
    assert logits.shape == (int(batch.target_mask.sum()), 11)
    alone = []
    for row in range(4):
        source_length = batch.source_lengths[row : row + 1]
        length = int(batch.target_mask[row].sum())
        of_row, weights = model(
            batch.source_ids[row : row + 1, : int(source_length)],
            source_length,
            batch.target_input_ids[row : row + 1, :length],
            torch.ones(1, length, dtype=torch.bool),
        )
        alone.append(of_row)
        torch.testing.assert_close(weights[0], attention[row, :length, : int(source_length)])
    torch.testing.assert_close(torch.cat(alone), logits)


# Scheduled sampling


@pytest.mark.parametrize("asks", ["lstm, bottom, None", "gru, previous, context", "window"])
@torch.no_grad()
def test_inputs_are_mixed_from_the_reference_and_the_models_own(asks: str) -> None:
    model, batch = build(WHOLE_FAMILY[asks]), make_batch()
    given = batch.target_input_ids

    def mix(probability: float) -> Tensor:
        return model.mix_inputs(
            batch.source_ids, batch.source_lengths, given, probability=probability
        )

    kept = given.clone()
    assert torch.equal(mix(0.0), given)
    greedy = given[:, :1]
    output, state = model.encode(batch.source_ids, batch.source_lengths)
    for _ in range(given.size(1) - 1):
        logits, state, _ = model.decode(greedy[:, -1], state, output)
        greedy = torch.cat((greedy, logits.argmax(dim=1, keepdim=True)), dim=1)
    assert torch.equal(mix(1.0), greedy)
    assert not torch.equal(greedy, given)
    assert torch.equal(given, kept)


@torch.no_grad()
def test_a_token_of_the_models_own_follows_what_was_chosen_before_it() -> None:
    model, batch = build(), make_batch()
    rows = torch.zeros(300, dtype=torch.int64)
    source_ids, lengths = batch.source_ids[rows], batch.source_lengths[rows]
    given = torch.tensor([[2, 5, 5, 5, 5, 5]]).expand(300, 6)
    torch.manual_seed(1)
    mixed = model.mix_inputs(source_ids, lengths, given, probability=0.3)
    assert mixed[:, 0].eq(2).all()
    output, state = model.encode(source_ids, lengths)
    kept = []
    for step in range(1, 6):
        logits, state, _ = model.decode(mixed[:, step - 1], state, output)
        own = logits.argmax(dim=1)
        assert ((mixed[:, step] == given[:, step]) | (mixed[:, step] == own)).all()
        kept.append((mixed[:, step] == given[:, step])[own != given[:, step]])
    assert float(torch.cat(kept).double().mean()) == pytest.approx(0.7, abs=0.04)


# Gradients


def gradients_of(model: Seq2Seq, loss: Tensor) -> dict[Tensor, Tensor]:
    weights: list[Tensor] = list(model.parameters())
    return dict(zip(weights, torch.autograd.grad(loss, weights), strict=True))


@pytest.mark.parametrize(
    "changes",
    [*MEMBERS.values(), {"tied_embeddings": "all"}],
    ids=[*MEMBERS, "all tied"],
)
def test_every_weight_learns(changes: Changes) -> None:
    model, batch = build(changes, target_vocab_size=13), make_batch()
    labels = batch.target_output_ids[batch.target_mask]
    loss = cross_entropy(logits_of(model, batch), labels, label_smoothing=0.1)
    gradients = gradients_of(model, loss)
    for name, weight in model.named_parameters():
        learns = gradients[weight].ne(0)
        if "readout" in name and model.decoder.readout.kind == "maxout":
            learns = learns.view(len(learns) // 2, 2, -1).any(dim=1)  # the larger of two does
        if "embedding" in name and weight is not model.output_layer.weight:
            used = batch.source_ids if "encoder" in name else batch.target_input_ids
            rows = sorted(set(used.flatten().tolist()) - {PAD})
            assert learns.all(dim=1).nonzero().flatten().tolist() == rows, name
        else:
            assert learns.all(), name


# Padding


def set_padding(model: Seq2Seq, value: float) -> None:
    with torch.no_grad():
        model.encoder.embedding.table.weight[PAD] = value
        model.decoder.embedding.table.weight[PAD] = value


@pytest.mark.parametrize("tied_embeddings", [None, "output", "all"])
@torch.no_grad()
def test_the_vector_of_padding_changes_no_result(tied_embeddings: str | None) -> None:
    model = build({"tied_embeddings": tied_embeddings}, target_vocab_size=13)
    expected = logits_of(model, make_batch())
    set_padding(model, 100.0)
    changed = logits_of(model, make_batch())
    assert torch.equal(changed[:, PAD + 1 :], expected[:, PAD + 1 :])
    # As a row of the output layer it scores padding itself, which search never writes.
    assert torch.equal(changed[:, PAD], expected[:, PAD]) == (tied_embeddings is None)


@pytest.mark.parametrize("tied_embeddings", [None, "output", "all"])
def test_padding_learns_only_as_a_row_of_the_output_layer(tied_embeddings: str | None) -> None:
    model, batch = build({"tied_embeddings": tied_embeddings}, target_vocab_size=13), make_batch()
    gradients = gradients_of(model, logits_of(model, batch).square().sum())
    tables = (model.encoder.embedding.table, model.decoder.embedding.table)
    learns = [bool(gradients[table.weight][PAD].any()) for table in tables]
    assert learns == [tied_embeddings == "all", tied_embeddings is not None]

"""The whole model: padding, steps against teacher forcing, and where gradients go."""

import pytest
import torch
from small_models import PAD, build, logits_of, make_batch
from torch import Tensor

from nmt.loss import smoothed_cross_entropy
from nmt.model import Seq2Seq

RECIPES: list[dict[str, object]] = [
    {},
    {"tied_embeddings": None, "bridge": "zero"},
    {"attention": {"kind": "additive", "size": 7}, "decoder": {"num_layers": 3, "hidden_size": 4}},
    {"attention": {"kind": "dot"}, "decoder": {"num_layers": 2, "hidden_size": 6}},
    {"encoder": {"num_layers": 3, "hidden_size": 2}, "tied_embeddings": None},
    {"encoder": {"num_layers": 1, "hidden_size": 2}},
]
EVERY_RECIPE = pytest.mark.parametrize("changes", RECIPES, ids=str)


@torch.no_grad()
def test_encoding_gives_states_keys_mask_and_the_decoders_first_state() -> None:
    model, batch = build(), make_batch()
    output, state = model.encode(batch.source_ids, batch.source_lengths)
    states, final = model.encoder(batch.source_ids, batch.source_lengths)
    assert torch.equal(output.states, states)
    assert torch.equal(output.keys, model.decoder.attention.keys(states))
    assert output.mask.tolist() == [
        [True, True, True, False, False],
        [True, True, True, True, True],
        [True, True, False, False, False],
        [True, True, True, True, False],
    ]
    assert output.mask.dtype == torch.bool
    first = model.bridge(final)
    assert torch.equal(state.hidden, first.hidden)
    assert torch.equal(state.cell, first.cell)


@EVERY_RECIPE
@torch.no_grad()
def test_step_by_step_is_the_same_as_teacher_forcing(changes: dict[str, object]) -> None:
    model, batch = build(changes), make_batch()
    logits = logits_of(model, batch)
    output, state = model.encode(batch.source_ids, batch.source_lengths)
    steps = []
    for token_ids in batch.target_input_ids.unbind(dim=1):
        scores, state, attention = model.decode(token_ids, state, output)
        assert scores.shape == (4, 11)
        assert attention.shape == (4, 5)
        steps.append(scores)
    by_row = torch.stack(steps, dim=1)  # (B, T, V)
    torch.testing.assert_close(by_row[batch.target_mask], logits)


@EVERY_RECIPE
@torch.no_grad()
def test_a_pair_in_a_batch_is_scored_as_it_is_alone(changes: dict[str, object]) -> None:
    model, batch = build(changes), make_batch()
    logits = logits_of(model, batch)
    assert logits.shape == (int(batch.target_mask.sum()), 11)
    alone = []
    for row in range(4):
        source_length = batch.source_lengths[row : row + 1]
        length = int(batch.target_mask[row].sum())
        alone.append(
            model(
                batch.source_ids[row : row + 1, : int(source_length)],
                source_length,
                batch.target_input_ids[row : row + 1, :length],
                torch.ones(1, length, dtype=torch.bool),
            )
        )
    torch.testing.assert_close(torch.cat(alone), logits)


def gradients_of(model: Seq2Seq, loss: Tensor) -> dict[Tensor, Tensor]:
    weights: list[Tensor] = list(model.parameters())
    return dict(zip(weights, torch.autograd.grad(loss, weights), strict=True))


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


# Gradients


@pytest.mark.parametrize("changes", [*RECIPES, {"tied_embeddings": "all"}], ids=str)
def test_every_weight_learns(changes: dict[str, object]) -> None:
    model, batch = build(changes, target_vocab_size=13), make_batch()
    labels = batch.target_output_ids[batch.target_mask]
    loss = smoothed_cross_entropy(logits_of(model, batch), labels, label_smoothing=0.1)
    gradients = gradients_of(model, loss)
    for name, weight in model.named_parameters():
        learns = gradients[weight].ne(0)
        if "embedding" in name and weight is not model.output_layer.weight:
            used = batch.source_ids if "encoder" in name else batch.target_input_ids
            rows = sorted(set(used.flatten().tolist()) - {PAD})
            assert learns.all(dim=1).nonzero().flatten().tolist() == rows, name
        else:
            assert learns.all(), name

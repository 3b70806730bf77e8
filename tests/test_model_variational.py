"""Variational attention: the sum over positions, and the guess at them."""

import pytest
import torch
from small_models import VARIATIONAL, build, make_batch, score
from torch import Tensor

from nmt.batching import Batch
from nmt.model import VariationalSeq2Seq
from nmt.model.variational import Unaligned

EVERY = pytest.mark.parametrize("name", VARIATIONAL)


def model_of(name: str = "variational") -> VariationalSeq2Seq:
    model = build(VARIATIONAL[name])
    assert isinstance(model, VariationalSeq2Seq)
    return model


def unaligned_of(model: VariationalSeq2Seq, batch: Batch) -> Unaligned:
    encoder_output, state = model.encode(batch.source_ids, batch.source_lengths)
    return model.unaligned(batch.target_input_ids, state, encoder_output)


def guess(model: VariationalSeq2Seq, batch: Batch) -> Tensor:
    return model.log_posterior(
        batch.source_ids, batch.source_lengths, batch.target_output_ids, batch.target_mask
    )


@EVERY
@torch.no_grad()
def test_a_token_has_the_mean_of_what_each_position_says_of_it(name: str) -> None:
    model, batch = model_of(name), make_batch()
    log_p, attention = score(model, batch)
    torch.testing.assert_close(log_p.exp().sum(dim=1), torch.ones(len(log_p)).double())
    unaligned = unaligned_of(model, batch)
    torch.testing.assert_close(unaligned.attention, attention)
    said = [model.output_layer(unaligned.at(place)).softmax(dim=2) for place in range(5)]
    expected = torch.einsum("bts,sbtv->btv", attention, torch.stack(said))
    # so near that padding adds nothing at all
    torch.testing.assert_close(log_p.exp(), expected[batch.target_mask], atol=1e-12, rtol=1e-12)
    # and positions do not all say the same
    assert not torch.isclose(said[0], said[1]).all(dim=2).any()


@torch.no_grad()
def test_a_position_stands_where_the_context_stood() -> None:
    model, batch = model_of(), make_batch()
    unaligned = unaligned_of(model, batch)
    encoder_output, state = model.encode(batch.source_ids, batch.source_lengths)
    readouts, _, _ = model.decoder(batch.target_input_ids, state, encoder_output)
    torch.testing.assert_close(unaligned.at_mean(), readouts)
    places = torch.arange(20).view(4, 5) % 5
    found = unaligned.at_each(places)
    for row, step in ((0, 0), (1, 3), (3, 4)):
        alone = unaligned.at(int(places[row, step]))
        torch.testing.assert_close(found[row, step], alone[row, step])


@EVERY
@torch.no_grad()
def test_the_guess_is_a_distribution_over_real_positions_in_any_batch(name: str) -> None:
    model, batch = model_of(name), make_batch()
    log_q = guess(model, batch)
    assert log_q.shape == (4, 5, 5)
    torch.testing.assert_close(log_q.exp().sum(dim=2), torch.ones(4, 5).double())
    for row, length in enumerate(batch.source_lengths.tolist()):
        assert log_q[row, :, length:].eq(float("-inf")).all()
        steps = int(batch.target_mask[row].sum())
        alone = model.log_posterior(
            batch.source_ids[row : row + 1, :length],
            batch.source_lengths[row : row + 1],
            batch.target_output_ids[row : row + 1, :steps],
            batch.target_mask[row : row + 1, :steps],
        )
        torch.testing.assert_close(log_q[row, :steps, :length], alone[0])


@torch.no_grad()
def test_the_guess_knows_the_target_to_its_end() -> None:
    model, batch = model_of(), make_batch()
    before = guess(model, batch)
    last = batch.target_output_ids.clone()
    last[2, 3] = 6  # of a sentence with four tokens and EOS
    batch.target_output_ids.copy_(last)
    after = guess(model, batch)
    assert not torch.isclose(before[2, 0], after[2, 0]).all()
    assert torch.equal(before[1], after[1])


def test_dropout_thins_a_position_as_it_would_the_context() -> None:
    """By masks of one pass: all positions, and the context beside them, are seen through one."""
    thinned = dict.fromkeys(("embedding", "layers", "readout"), 0.5)
    model = build({**VARIATIONAL["variational"], "dropout": thinned}).train()
    assert isinstance(model, VariationalSeq2Seq)
    batch = make_batch()
    encoder_output, state = model.encode(batch.source_ids, batch.source_lengths)
    torch.manual_seed(1)
    readouts, _, _ = model.decoder(batch.target_input_ids, state, encoder_output)
    torch.manual_seed(1)
    unaligned = model.unaligned(batch.target_input_ids, state, encoder_output)
    torch.testing.assert_close(unaligned.at_mean(), readouts)
    assert torch.equal(unaligned.at(0), unaligned.at(0))

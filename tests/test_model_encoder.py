"""The encoder against its equations, and padding that changes nothing."""

import plain_model
import pytest
import torch
from plain_model import Vector
from small_models import fill
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from nmt.model.dropout import Dropout
from nmt.model.embedding import Embedding, embedding_table
from nmt.model.encoder import Encoder

IDS = torch.tensor([[4, 5, 0, 0], [6, 7, 8, 9], [10, 0, 0, 0], [11, 4, 12, 0]])  # (B, S)
LENGTHS = torch.tensor([2, 4, 1, 3])
HIDDEN_SIZE = 3


def make_encoder(num_layers: int, *, dropout: float = 0.0) -> Encoder:
    table = embedding_table(13, 5, pad_id=0)
    encoder = Encoder(
        Embedding(table, dropout=Dropout(0.0)),
        num_layers=num_layers,
        hidden_size=HIDDEN_SIZE,
        dropout=Dropout(dropout),
    )
    fill(encoder)
    return encoder.double()


@torch.no_grad()
def encode(encoder: Encoder, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    states, final = encoder(ids, lengths)
    return states, final


def plain_encode(encoder: Encoder, ids: list[int]) -> tuple[list[Vector], Vector, Vector]:
    """States, final hidden and final cell state of one sentence."""
    states: list[Vector] = encoder.embedding.table.weight[ids].tolist()
    hidden: Vector = []
    cell: Vector = []
    for depth, layer in enumerate(encoder.layers):
        assert isinstance(layer, nn.LSTM)
        outputs, hidden, cell = plain_model.run_both_ways(layer, states)
        if depth > 0:
            outputs = [plain_model.add(*pair) for pair in zip(outputs, states, strict=True)]
        states = outputs
    return states, hidden, cell


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_states_are_those_of_the_equations(num_layers: int) -> None:
    encoder = make_encoder(num_layers)
    assert len(encoder.layers) == num_layers
    states, final = encode(encoder, IDS, LENGTHS)
    assert states.shape == (4, 4, encoder.state_size)
    assert final.shape == (2, 4, encoder.state_size)
    assert encoder.state_size == 2 * HIDDEN_SIZE
    for row, length in enumerate(LENGTHS.tolist()):
        expected, hidden, cell = plain_encode(encoder, IDS[row, :length].tolist())
        for position, vector in enumerate(expected):
            assert states[row, position].tolist() == pytest.approx(vector)
        assert final[0, row].tolist() == pytest.approx(hidden)
        assert final[1, row].tolist() == pytest.approx(cell)


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_states_at_padding_are_zero(num_layers: int) -> None:
    states, _ = encode(make_encoder(num_layers), IDS, LENGTHS)
    padding = torch.arange(4) >= LENGTHS[:, None]  # (B, S)
    assert states[padding].eq(0).all()
    assert states[~padding].ne(0).all()


@pytest.mark.parametrize("num_layers", [1, 2])
def test_a_sentence_in_a_batch_is_encoded_as_it_is_alone(num_layers: int) -> None:
    encoder = make_encoder(num_layers)
    states, final = encode(encoder, IDS, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone, final_alone = encode(encoder, IDS[row : row + 1, :length], LENGTHS[row : row + 1])
        torch.testing.assert_close(states[row, :length], alone[0])
        torch.testing.assert_close(final[:, row], final_alone[:, 0])


def test_more_padding_changes_nothing() -> None:
    encoder = make_encoder(2)
    states, final = encode(encoder, IDS, LENGTHS)
    wider = torch.cat((IDS, torch.zeros(4, 3, dtype=torch.int64)), dim=1)
    wide_states, wide_final = encode(encoder, wider, LENGTHS)
    assert wide_states.shape == (4, 7, encoder.state_size)
    assert torch.equal(wide_states[:, :4], states)
    assert torch.equal(wide_final, final)


def test_what_stands_at_padding_changes_nothing() -> None:
    encoder = make_encoder(2)
    expected = encode(encoder, IDS, LENGTHS)
    noisy = torch.where(IDS == 0, 12, IDS)
    for one, other in zip(encode(encoder, noisy, LENGTHS), expected, strict=True):
        assert torch.equal(one, other)


def test_dropout_thins_what_upper_layers_read_but_not_the_way_around_them() -> None:
    encoder = make_encoder(3, dropout=0.5)
    read: list[Tensor] = []
    given: list[Tensor] = []

    def note(
        _: object, inputs: tuple[PackedSequence], outputs: tuple[PackedSequence, Tensor]
    ) -> None:
        read.append(inputs[0].data)
        given.append(pad_packed_sequence(outputs[0], batch_first=True)[0])

    for layer in encoder.layers:
        layer.register_forward_hook(note)
    torch.manual_seed(1)
    states, _ = encode(encoder, IDS.repeat(50, 1), LENGTHS.repeat(50))
    zeros = [float(values.eq(0).float().mean()) for values in read]
    assert zeros == pytest.approx([0.0, 0.5, 0.5], abs=0.05)
    torch.testing.assert_close(states, given[0] + given[1] + given[2])

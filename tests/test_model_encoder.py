"""The encoder against its equations, and padding that changes nothing."""

from typing import Any, get_args

import plain_model
import pytest
import torch
from plain_model import Matrix, State, Weights
from small_models import fill, weights_of
from torch import Tensor

from nmt.model.cells import LayerState
from nmt.model.dropout import Dropout
from nmt.model.embedding import Embedding, embedding_table
from nmt.model.encoder import Directions, Encoder
from nmt.model.recurrent import Cell, has_cell_state

IDS = torch.tensor([[4, 5, 0, 0], [6, 7, 8, 9], [10, 0, 0, 0], [11, 4, 12, 0]])  # (B, S)
LENGTHS = torch.tensor([2, 4, 1, 3])
HIDDEN_SIZE = 3
CELLS: tuple[Cell, ...] = get_args(Cell)
EVERY_CELL = pytest.mark.parametrize("cell", CELLS)
EVERY_DIRECTION = pytest.mark.parametrize("directions", get_args(Directions))


def make_encoder(num_layers: int, *, dropout: float = 0.0, **settings: Any) -> Encoder:
    table = embedding_table(13, 5, pad_id=0)
    encoder = Encoder(
        Embedding(table, dropout=Dropout(0.0)),
        num_layers=num_layers,
        hidden_size=HIDDEN_SIZE,
        dropout=Dropout(dropout),
        **settings,
    )
    fill(encoder)
    return encoder.double()


@torch.no_grad()
def encode(encoder: Encoder, ids: Tensor, lengths: Tensor) -> tuple[Tensor, list[LayerState]]:
    states, finals = encoder(ids, lengths)
    return states, finals


def plain_encode(
    weights: Weights,
    ids: list[int],
    *,
    num_layers: int,
    cell: Cell,
    directions: Directions,
    residual_from: int | None,
) -> tuple[Matrix, list[State]]:
    """States and every layer's final state of one sentence."""
    step = plain_model.STEPS[cell]
    states: Matrix = [weights["embedding.table.weight"][token_id] for token_id in ids]
    if directions == "backward":
        states = states[::-1]
    finals = []
    for number in range(1, num_layers + 1):
        layer = plain_model.part(weights, f"layers.{number - 1}")
        if directions == "both" or (directions == "bottom" and number == 1):
            outputs, final = plain_model.run_both_ways(step, layer, states)
        else:
            outputs, final = plain_model.run(step, layer, states)
        if residual_from is not None and number >= residual_from:
            outputs = [plain_model.add(*pair) for pair in zip(outputs, states, strict=True)]
        states = outputs
        finals.append(final if has_cell_state(cell) else (final[0], final[0]))
    return states[::-1] if directions == "backward" else states, finals


@pytest.mark.parametrize("num_layers", [1, 2, 4])
@pytest.mark.parametrize("residual_from", [None, 2, 3])
@EVERY_DIRECTION
@EVERY_CELL
def test_states_are_those_of_the_equations(
    cell: Cell, directions: Directions, residual_from: int | None, num_layers: int
) -> None:
    if directions == "bottom" and num_layers > 1 and residual_from == 2:
        residual_from = 4  # the second layer reads twice what it gives
    encoder = make_encoder(
        num_layers, cell=cell, directions=directions, residual_from=residual_from
    )
    assert len(encoder.layers) == num_layers
    states, finals = encode(encoder, IDS, LENGTHS)
    assert states.shape == (4, 4, encoder.state_size)
    weights = weights_of(encoder)
    for row, length in enumerate(LENGTHS.tolist()):
        expected, expected_finals = plain_encode(
            weights,
            IDS[row, :length].tolist(),
            num_layers=num_layers,
            cell=cell,
            directions=directions,
            residual_from=residual_from,
        )
        for position, vector in enumerate(expected):
            assert states[row, position].tolist() == pytest.approx(vector)
        for found, final in zip(finals, expected_finals, strict=True):
            for part, values in zip(found, final, strict=True):
                assert part[row].tolist() == pytest.approx(values)


@pytest.mark.parametrize(
    ("directions", "num_layers", "size"),
    [("both", 2, 6), ("bottom", 1, 6), ("bottom", 2, 3), ("forward", 2, 3), ("backward", 2, 3)],
)
def test_the_width_of_the_states_follows_the_directions_of_the_top_layer(
    directions: Directions, num_layers: int, size: int
) -> None:
    encoder = make_encoder(num_layers, directions=directions, residual_from=None)
    assert encoder.state_size == size
    assert encode(encoder, IDS, LENGTHS)[0].shape == (4, 4, size)


# Padding


def assert_finals_are(found: list[LayerState], expected: list[LayerState]) -> None:
    for pair in zip(found, expected, strict=True):
        for one, other in zip(*pair, strict=True):
            torch.testing.assert_close(one, other)


@EVERY_DIRECTION
@EVERY_CELL
def test_padding_changes_nothing(cell: Cell, directions: Directions) -> None:
    encoder = make_encoder(3, cell=cell, directions=directions, residual_from=3)
    states, finals = encode(encoder, IDS, LENGTHS)
    padding = torch.arange(4) >= LENGTHS[:, None]  # (B, S)
    assert states[padding].eq(0).all()
    assert states[~padding].ne(0).all()
    wider = torch.cat((IDS, torch.zeros(4, 3, dtype=torch.int64)), dim=1)
    for ids in (torch.where(IDS == 0, 12, IDS), wider):
        again, again_finals = encode(encoder, ids, LENGTHS)
        torch.testing.assert_close(again[:, :4], states)
        assert again[:, 4:].eq(0).all()
        assert_finals_are(again_finals, finals)


@EVERY_DIRECTION
@EVERY_CELL
def test_a_sentence_in_a_batch_is_encoded_as_it_is_alone(
    cell: Cell, directions: Directions
) -> None:
    encoder = make_encoder(3, cell=cell, directions=directions, residual_from=3)
    states, finals = encode(encoder, IDS, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone, alone_finals = encode(encoder, IDS[row : row + 1, :length], LENGTHS[row : row + 1])
        torch.testing.assert_close(states[row : row + 1, :length], alone)
        of_row = [(hidden[row : row + 1], cells[row : row + 1]) for hidden, cells in finals]
        assert_finals_are(of_row, alone_finals)


# While it trains


@pytest.mark.parametrize("cell", ["lstm", "layer_norm_lstm"])
def test_dropout_thins_what_upper_layers_read_but_not_the_way_around_them(cell: Cell) -> None:
    encoder = make_encoder(3, cell=cell, dropout=0.5)
    read: list[Tensor] = []
    given: list[Tensor] = []

    def note(_: object, inputs: tuple[Tensor], outputs: tuple[Tensor, LayerState]) -> None:
        read.append(inputs[0])
        given.append(outputs[0])

    for layer in encoder.layers:
        layer.register_forward_hook(note)
    torch.manual_seed(1)
    states, _ = encode(encoder, IDS.repeat(50, 1), LENGTHS.repeat(50))
    real = torch.arange(4) < LENGTHS.repeat(50)[:, None]
    zeros = [float(values[real].eq(0).float().mean()) for values in read]
    assert zeros == pytest.approx([0.0, 0.5, 0.5], abs=0.05)
    torch.testing.assert_close(states, given[0] + given[1] + given[2])


@EVERY_CELL
def test_every_layer_drops_weights(cell: Cell) -> None:
    encoder = make_encoder(3, cell=cell, weight_drop=0.5)
    assert [layer.weight_drop for layer in encoder.layers] == [0.5] * 3

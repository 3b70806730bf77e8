"""From what the encoder has read to the decoder's first state."""

import math

import pytest
import torch
from plain_model import linear, part
from small_models import fill, weights_of
from torch import Tensor

from nmt.model.bridge import Bridge, BridgeKind

B, S, D, H, L = 2, 3, 6, 4, 3
LENGTHS = torch.tensor([3, 2])
WAVE = torch.sin(torch.arange(1000, dtype=torch.float64))
STATES = WAVE[: B * S * D].view(B, S, D) * (torch.arange(S) < LENGTHS[:, None])[:, :, None]
# Hidden and cell state of two encoder layers: the lower of another width, which only `copy` reads.
FINALS = [
    (WAVE[100 : 100 + B * D].view(B, D)[:, :2], WAVE[200 : 200 + B * D].view(B, D)[:, :2]),
    (WAVE[300 : 300 + B * D].view(B, D), WAVE[400 : 400 + B * D].view(B, D)),
]


def make_bridge(kind: BridgeKind, *, has_cell_state: bool = True) -> Bridge:
    bridge = Bridge(D, H, L, kind=kind, has_cell_state=has_cell_state).double()
    fill(bridge)
    return bridge


@torch.no_grad()
def cross(bridge: Bridge) -> tuple[Tensor, Tensor]:
    hidden, cell = bridge(STATES, LENGTHS, FINALS)
    assert hidden.shape == cell.shape == (L, B, H)
    assert hidden.is_contiguous()
    assert cell.is_contiguous()
    return hidden, cell


def assert_by_layer(found: Tensor, expected: list[float]) -> None:
    """Compare one row of every layer, (L, H), with the layers' values one behind the other."""
    assert found.shape == (L, H)
    assert found.flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["linear", "mean"])
def test_what_was_read_is_projected_for_every_layer(kind: BridgeKind) -> None:
    bridge = make_bridge(kind)
    weights = weights_of(bridge)
    hidden, cell = cross(bridge)
    for row, length in enumerate(LENGTHS.tolist()):
        read = [final[row].tolist() for final in FINALS[-1]]
        if kind == "mean":
            columns = zip(*STATES[row, :length].tolist(), strict=True)
            read = [[math.fsum(column) / length for column in columns]] * 2
        first = [math.tanh(value) for value in linear(part(weights, "projections.0"), read[0])]
        assert_by_layer(hidden[:, row], first)
        assert_by_layer(cell[:, row], linear(part(weights, "projections.1"), read[1]))


def test_a_copy_is_the_final_states_layer_by_layer() -> None:
    bridge = Bridge(D, D, 2, kind="copy")
    finals = [FINALS[1], FINALS[1][::-1]]
    hidden, cell = bridge(STATES, LENGTHS, finals)
    for layer, final in enumerate(finals):
        assert torch.equal(hidden[layer], final[0])
        assert torch.equal(cell[layer], final[1])
    assert list(bridge.parameters()) == []


def test_a_learned_start_is_the_same_for_every_sentence() -> None:
    bridge = make_bridge("learned")
    hidden, cell = cross(bridge)
    first_hidden, first_cell = bridge.start.tolist()
    for row in range(B):
        assert_by_layer(hidden[:, row], [math.tanh(value) for value in first_hidden])
        assert_by_layer(cell[:, row], first_cell)


def test_a_zero_bridge_starts_from_nothing_and_has_no_weights() -> None:
    bridge = make_bridge("zero")
    for state in cross(bridge):
        assert state.dtype == torch.float64
        assert state.eq(0).all()
    assert list(bridge.parameters()) == []


@pytest.mark.parametrize("kind", ["linear", "mean", "learned"])
def test_without_a_cell_state_nothing_is_made_for_it(kind: BridgeKind) -> None:
    whole, half = make_bridge(kind), make_bridge(kind, has_cell_state=False)
    num_weights, num_hidden = (
        sum(weight.numel() for weight in bridge.parameters()) for bridge in (whole, half)
    )
    assert num_hidden == num_weights / 2
    hidden, cell = cross(half)
    assert cell.eq(0).all()
    if kind != "learned":  # there the weight is another
        assert torch.equal(hidden, cross(whole)[0])


def test_a_bridge_is_linear_where_nothing_is_said() -> None:
    assert len(list(Bridge(D, H, L).parameters())) == 4
